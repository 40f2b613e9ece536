"""Attribute transform: a date in one of the usual forms as ISO 8601; None for what is no date.

The day is that of the text's own time zone; "03/04/2026" is read as the 3rd of April.
"""

from datetime import UTC, datetime

FORMS = ("%d.%m.%Y", "%d/%m/%Y", "%Y/%m/%d", "%b %d, %Y")


def transformAttribute(input, metadata, args):
    value = input.get(args.get("field", "created_at"))
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        seconds = value / 1000 if value >= 10**11 else value
        return datetime.fromtimestamp(seconds, UTC).date().isoformat() if seconds > 0 else None
    text = str(value).strip()
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        pass
    for form in FORMS:
        try:
            return datetime.strptime(text, form).date().isoformat()
        except ValueError:
            continue
    return None
