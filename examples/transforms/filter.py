"""Record transform: keep records with a positive quantity, drop the others."""


def transform(input, metadata, args):
    quantity = input.get("quantity")
    if isinstance(quantity, bool) or not isinstance(quantity, int | float) or quantity <= 0:
        return None
    return input
