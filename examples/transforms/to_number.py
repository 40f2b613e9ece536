"""Attribute transform: a number from text such as "1,234.50", "1.234,50 EUR", "12-" or "(12)"; None for what is none.

A single dot is the decimal point, as in "1.234"; a single comma before three digits, as in "1,234", is for thousands.
"""

import re


def transformAttribute(input, metadata, args):
    value = input.get(args.get("field", "amount"))
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value
    match = re.fullmatch(r"[^\d.,()+-]*(\()?([+-]?)\s*(\d[\d.,\s']*)(-?)(\))?[^\d.,()+-]*", str(value).strip())
    if not match:
        return None
    text = re.sub(r"[\s']", "", match[3])
    sign = -1 if match[1] or "-" in (match[2], match[4]) else 1
    if re.fullmatch(r"\d{1,3}(\.\d{3}){2,}(,\d+)?|\d{1,3}\.\d{3},\d+|\d+,\d{1,2}", text):
        text = text.replace(".", "").replace(",", ".")
    text = text.replace(",", "")
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        return None
    number = float(text) * sign
    return int(number) if number.is_integer() and "." not in text else number
