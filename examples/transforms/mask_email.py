"""Attribute transform: keep the first letter and the domain of an email address."""


def transformAttribute(input, metadata, args):
    value = input.get(args.get("field", "email"))
    if not isinstance(value, str) or not value.strip():
        return None
    local, at, domain = value.strip().rpartition("@")
    if not at or not local or not domain:
        return "***"
    return f"{local[0]}***@{domain.lower()}" if len(local) > 1 else f"***@{domain.lower()}"
