"""Attribute transform: keep the last four digits of a card number; nothing of one that is too short or too long."""


def transformAttribute(input, metadata, args):
    value = input.get(args.get("field", "card_number"))
    if value is None or isinstance(value, bool):
        return None
    text = str(value)
    digits = [char for char in text if char.isdigit()]
    if not digits and "*" not in text:
        return None if not text.strip() else "****"
    return "**** " + "".join(digits[-4:]) if 12 <= len(digits) <= 19 or "*" in text else "****"
