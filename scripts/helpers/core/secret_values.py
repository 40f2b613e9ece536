"""Where the value of a secret name ends in a text: at its quote, bracket or line, or before the next name."""

from __future__ import annotations

import re

from helpers.core.lazy_pattern import LazyPattern
from helpers.core.secret_names import may_hide, word_set, words_of

MARK = "[redacted]"
QUOTE = r"(?:\\*+[\"'`]|\\++u002[27]|&quot;|&apos;|&#(?:3[49]|x2[27]);|%2[27])"  # also escaped, as in JSON inside JSON

_OPENED = LazyPattern(rf"[bBrRuU]{{0,2}}(?P<first>{QUOTE})(?P<second>(?P=first))?")
_ENDS = frozenset(" \t\r\n,;:)]}>&")
_HEADERS = frozenset({"authorization", "cookie", "cookies"})
_BLOCK = LazyPattern(  # YAML
    r"[|>][+-]?[ \t]*+(?:\n|\\++n)(?P<lines>(?:[ \t]++(?:(?!\\++n)[^\n])*+(?:\n|\\++n)?)*+)"
)
_LINE = LazyPattern(r"[^\r\n]*+")
_BRACKETS = LazyPattern(r"\\.|[\[\]{}]|\"(?:[^\"\\]|\\.)*+(?:\"|\\?\Z)|'(?:[^'\\]|\\.)*+(?:'|\\?\Z)", re.DOTALL)
_SCHEME = LazyPattern(r"[A-Za-z][A-Za-z0-9-]{2,29}[ \t]++(?=\S)")
_SCHEMES = word_set("bearer basic digest token apikey api-key negotiate ntlm hmac sharedkey sharedaccesssignature")
# After a name and a colon, these words begin a sentence about it.
_PROSE = LazyPattern(
    r"(?:must|is|are|was|were|has|have|not|no|cannot|may|should|missing|required|invalid|expired|unknown|denied|failed|"
    r"rejected|refused)(?=[\s,.;:!?)\]}]|\Z)"
)
_LITERAL = LazyPattern(r"(?P<none>null|None|none|nil|undefined)|(?P<flag>(?i:true|false))|\d++(?![^\s,;)\]}&])")
# A bare value ends at white space or a tag, at a quote that closes, and at a separator or an escaped line break before
# the next name.
_BARE = LazyPattern(
    r"(?:[^\s\"'`,;&<\\]|[,;&](?!\s|[\"'`\\]|\Z|[A-Za-z0-9_.$-]*+[\"']?[:=])"
    r"|[\"'`\\](?![\s,;:)\]}>\"'`]|[nr](?![a-z])|[nrt][A-Za-z0-9_. $-]{0,60}[:=]|\Z))*+"
)


def find_value(text: str, name: str, match: re.Match[str]) -> tuple[int, int]:
    """Where the value begins and ends that follows a secret name. The two are equal if there is nothing to hide.

    Args:
        name: the secret name.
        match: what ends right before the value, with the name as its group.
    """
    begin = match.end()
    if opened := _OPENED.match(text, begin):
        return _quoted(text, opened)
    if block := _BLOCK.match(text, begin):
        return block.span("lines")
    if text[begin : begin + 1] in ("[", "{") and not text.startswith(MARK, begin):
        shown = text[begin] == "[" and not may_hide(name, [0])
        return begin, begin if shown else _end_of_bracket(text, begin)
    if ":" in match[0][len(match["name"]) :] and _PROSE.match(text, begin):
        return begin, begin
    if not _HEADERS.isdisjoint(words_of(name)[-1:]):
        return begin, _end_of_header(text, match)
    after = begin + len(MARK)
    if text.startswith(MARK, begin) and (after == len(text) or text[after] in _ENDS):
        return begin, begin
    scheme = _SCHEME.match(text, begin)
    is_scheme = scheme is not None and scheme[0].strip().lower() in _SCHEMES
    bare = _BARE.match(text, scheme.end() if scheme and is_scheme else begin)
    end = bare.end() if bare else begin
    return begin, begin if _is_shown(name, text[begin:end]) else end


def _is_shown(name: str, bare: str) -> bool:
    """Whether an unquoted value is null, or a number or boolean that can be shown under this name."""
    literal = _LITERAL.match(bare)
    if literal is None or bare[literal.end() :].strip(".)]}"):
        return False
    return literal["none"] is not None or not may_hide(name, True if literal["flag"] else 1)


def _quoted(text: str, opened: re.Match[str]) -> tuple[int, int]:
    begin, quote = opened.end(), opened["first"]
    if opened["second"]:  # nothing between two quotes; or quotes that are doubled, as in a cell of CSV
        if text[begin : begin + 1] in _ENDS or begin == len(text) or text[begin] == "\\":
            return begin, begin
        end = text.find(quote * 2, begin)
        return begin, len(text) if end < 0 else end
    if quote[-1] not in "\"'`":
        end = text.find(quote, begin)
        return begin, len(text) if end < 0 else end
    return begin, _closing_quote(text, begin, quote[-1], len(quote) - 1)


def _closing_quote(text: str, begin: int, quote: str, escapes: int) -> int:
    """Where the quote is, with as many backslashes before it as there were at the opening, or the end of the text.

    In JSON inside JSON, ``\\"`` closes what ``\\"`` opened, and ``\\\\\\"`` is a quote in the value.
    """
    at = begin
    while (at := text.find(quote, at)) >= 0:
        before = at
        while before > begin and text[before - 1] == "\\":
            before -= 1
        if (at - before) % (2 * escapes + 2) == escapes:
            if escapes or text[at + 1 : at + 2] != quote:
                return at - escapes
            at += 1  # doubled, as in SQL
        at += 1
    return len(text)


def _end_of_bracket(text: str, begin: int) -> int:
    """After the bracket that closes the one at ``begin``, or the end of the text."""
    depth = 0
    for found in _BRACKETS.finditer(text, begin):
        depth += (found[0] in "[{") - (found[0] in "]}")
        if depth == 0 and found[0] in "]}":
            return found.end()
    return len(text)


def _end_of_header(text: str, match: re.Match[str]) -> int:
    """The end of the line, or of the quotation that the header is in."""
    begin, before = match.end(), match.start("name") - 1
    end = len(text)
    if before >= 0 and text[before] in "\"'`":
        escapes = 0
        while escapes < before and text[before - escapes - 1] == "\\":
            escapes += 1
        end = _closing_quote(text, begin, text[before], escapes)
    line = _LINE.match(text, begin, end)
    return line.end() if line else end
