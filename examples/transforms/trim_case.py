"""Attribute transform: trim, collapse white space, and write names with capitals; text only."""


def transformAttribute(input, metadata, args):
    value = input.get(args.get("field", "name"))
    if not isinstance(value, str):
        return value
    text = " ".join(value.split())
    case = args.get("case", "title")
    return text.upper() if case == "upper" else text.lower() if case == "lower" else text.title()
