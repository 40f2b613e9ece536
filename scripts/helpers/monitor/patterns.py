"""Patterns for log messages of the systems that flows read and write."""

from __future__ import annotations

import re

REFUSED = re.compile(
    r"\b401 unauthori[sz]ed|\b403 forbidden|unauthori[sz]ed|access denied|authentication failed|"
    r"credentials? (was|were) refused|login failed|"
    r"(invalid|wrong|expired) (credential|password|token|access key|api key|secret)",
    re.IGNORECASE,
)
NO_TABLE = re.compile(r"(table|relation)\b.*\b(not exist|not found|missing)|waiting for the table", re.IGNORECASE)
NO_FILE = re.compile(r"no (such )?files?\b|file .*not found|no files found", re.IGNORECASE)
UNREACHABLE = re.compile(
    r"resolve host|name or service not known|connection (refused|reset)|could not connect|unreachable|timed out",
    re.IGNORECASE,
)
