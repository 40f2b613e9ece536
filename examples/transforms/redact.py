"""Attribute transform: a fixed mark in place of any value; null stays null."""


def transformAttribute(input, metadata, args):
    value = input.get(args.get("field", "ssn"))
    return None if value is None or value == "" else "[redacted]"
