"""Attribute transform: a number from text such as "1,234.50", "1.234,50 EUR" or "(12)"; None for what is none."""

import re


def transformAttribute(input, metadata, args):
    value = input.get(args.get("field", "amount"))
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value
    text = re.sub(r"[^\d.,()-]", "", str(value))
    sign = -1 if "(" in text or text.startswith("-") else 1
    text = text.strip("()-")
    if re.fullmatch(r"\d{1,3}(\.\d{3})+(,\d+)?|\d+,\d{1,2}", text):
        text = text.replace(".", "").replace(",", ".")
    text = text.replace(",", "")
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        return None
    number = float(text) * sign
    return int(number) if number.is_integer() and "." not in text else number
