"""When two names of resources are the same: typed, stored and returned, one name may have several Unicode forms."""

from __future__ import annotations

import unicodedata
from typing import Any


def same_name(one: Any, other: Any) -> bool:
    """Whether two names are equal in Unicode's NFC form, which some servers store and macOS keyboards do not type."""
    return isinstance(one, str) and isinstance(other, str) and nfc(one) == nfc(other)


def nfc(name: str) -> str:
    """The name in Unicode's NFC form."""
    return unicodedata.normalize("NFC", name)
