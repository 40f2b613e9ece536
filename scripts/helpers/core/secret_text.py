"""Secret-looking parts of a text: ``password=…`` in any notation, Authorization headers, URLs, private keys, tokens.

Every pattern takes time linear in the length of the text: runs of characters are matched possessively, and no match
begins in the middle of a run. A value that is cut off is redacted to the end of the text.
"""

from __future__ import annotations

import re

from helpers.core.lazy_pattern import LazyPattern
from helpers.core.secret_names import is_secret_key, is_secret_parameter
from helpers.core.secret_values import MARK, QUOTE, find_value

SHORTEST_LOGIN = 16  # characters; a user without a password in a URL is a token from here on

_ASSIGNED = rf"{QUOTE}{{0,4}}+[ \t]*+(?:=>|:=|={{1,3}}|:|%3[AaDd]|\\++u003[AaDd])[ \t]*+"
_NAME = r"(?<![A-Za-z0-9_.$-])(?P<name>[A-Za-z0-9_.$-]++)"
_ASSIGNMENT = LazyPattern(_NAME + _ASSIGNED)
_OTHER_NOTATIONS = [
    LazyPattern(
        r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))(?P<name>--?[A-Za-z][A-Za-z0-9_-]*+)[ \t]++(?=[^\s-])(?![a-z]++ [a-z])"
    ),  # --password VALUE
    LazyPattern(rf"\(b?{QUOTE}(?P<name>[A-Za-z0-9_.$-]++){QUOTE}, ?(?=b?{QUOTE})"),  # ('password', 'VALUE')
    LazyPattern(
        r"(?i)(?:(?<![A-Za-z0-9_.-])|(?<=\\[nrt]))"
        r"(?P<name>password|passwd|passphrase|pwd|identified by)[ \t]++(?=[\"'])"
    ),
    LazyPattern(  # {"name": "password", "value": VALUE}
        rf"(?:(?<![A-Za-z0-9_.-])|(?<=\\[nrt]))(?:name|key|header|field|parameter){_ASSIGNED}{QUOTE}(?P<name>[A-Za-z0-9_.$-]++){QUOTE}"
        rf"\s*+,\s*+{QUOTE}?value{_ASSIGNED}"
    ),
]
_TAG = LazyPattern(r"<(?P<name>[A-Za-z0-9_.:-]++)(?:\s[^<>]*+)?>(?:<!\[CDATA\[)?+(?P<value>[^<]++)")
_COMPLETED = frozenset(
    {"key", "keys", "string", "value", "header", "code", "hash"}
)  # by the words before: "api key: …"
_ESCAPED = LazyPattern(r"u00(?:26|3[fF]|23)")  # & ? # in JSON
_WORDS_BEFORE = LazyPattern(r"(?:[A-Za-z]{1,20} ){1,2}\Z")

_USER_INFO = LazyPattern(r"(?://|\\/\\/)(?P<info>(?:(?!//)[^\s\"'<>`|\\\[\]{}])++)")
_ENCODED_USER_INFO = LazyPattern(
    r"(?i)(?<=%2F%2F)(?:(?!%2F|%3A|%40)[^\s&\"'<>])*+%3A(?P<value>(?:(?!%2F|%40)[^\s&\"'<>])++)(?=%40)"
)
_HOST = LazyPattern(r"[A-Za-z0-9._-]*+(?::\d*+)?")
_NO_PORT = LazyPattern(r"[^:]*+:(?!\d{0,5}\Z)")

_BEGIN = r"(?:-{4,5} ?BEGIN(?: |%20|\+)[A-Z0-9 %+]{0,40}PRIVATE(?: |%20|\+)KEY|PuTTY-User-Key-File)"
_PRIVATE_KEY = LazyPattern(rf"{_BEGIN}.*?(?:-{{4,5}} ?END[A-Z0-9 %+]{{0,50}}-{{4,5}}|\Z)", re.DOTALL)
_KEY_END = LazyPattern(r"-{4,5} ?END[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{0,5}")
_KEY_TAIL = LazyPattern(r"(?:[nr]\\++|[A-Za-z0-9+/=\s])*+")  # read backwards
_SHAPES = [
    LazyPattern(r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))(?P<value>(?:AKIA|ASIA)[0-9A-Z]{16})(?![A-Za-z0-9])"),
    LazyPattern(
        r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))(?P<value>eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+)*+)"
    ),
    LazyPattern(
        r"(?:(?<![A-Za-z0-9+/_-])|(?<=\\[nrt]))(?P<value>(?:eyJ|ewog)[A-Za-z0-9+/_-]{40,}+=*+)"
    ),  # a JSON object in base64
    LazyPattern(  # the first bytes of a private key, when its header is cut off
        r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))(?P<value>(?:MII[A-Za-z0-9+/]{3,4}(?:IBAAK|IBADAN)|MHcCAQEE|MC4CAQAw|b3BlbnNzaC1rZXktdjE)"
        r"(?:[A-Za-z0-9+/=]|\\[nr]|[\r\n])*+)"
    ),
    LazyPattern(
        r"(?:(?<![A-Za-z0-9_.-])|(?<=\\[nrt]))(?P<value>(?:gh[opsur]_|github_pat_|glpat-|xox[abeoprs]-|[sr]k_live_|sk-|AIza|ya29\.|SG\.|npm_|dapi|"
        r"hf_|pypi-|shpat_|dop_v1_)(?=[A-Za-z_.-]*+\d)[A-Za-z0-9_.-]{16,}+)"
    ),
    LazyPattern(
        r"(?i)(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))(?:bearer|basic)(?: ++|%20|\+)"
        r"(?P<value>(?![a-z]++[.,:]?(?:[\s\"')]|\Z))[\w.~+/=%:-]{8,}+)",
        re.ASCII,
    ),
    LazyPattern(
        r"(?i)(?:(?<![a-z0-9_-])|(?<=\\[nrt]))"
        r"(?:api-?key|token|digest|negotiate|ntlm|hmac|sharedkey|aws4-hmac-sha256) ++"
        r"(?P<value>(?=[a-z_.~+/=:-]*+\d)[\w.~+/=%:-]{8,}+)",
        re.ASCII,
    ),
    LazyPattern(r"(?:(?<=\s-u )|(?<=--user )|(?<=--user=)|(?<=--proxy-user ))[\"']?(?P<value>[^\s:\"']++:[^\s\"']++)"),
    LazyPattern(r"(?i)(?<=jdbc:oracle:)(?:thin|oci):(?P<value>[^\s/@\"']{1,128}+/[^\s@\"']{1,128}+)(?=@)"),
    LazyPattern(r"\blogin[ \t]++\S++\s++password[ \t]++(?P<value>\S++)"),
]


def redact_secret_looking(text: str) -> str:
    """The text with everything replaced that looks like a secret by its name, place or shape."""
    text = _without_private_keys(text)
    text = _ENCODED_USER_INFO.sub(_without_value, _USER_INFO.sub(_without_user, text))
    for shape in _SHAPES:
        text = shape.sub(_without_value, text)
    for notation in (_ASSIGNMENT, *_OTHER_NOTATIONS):
        text = _without_values(text, notation)
    return _TAG.sub(_without_tagged, text)


def _without_private_keys(text: str) -> str:
    """The text without private keys: whole, or only their beginning or end."""
    text = _PRIVATE_KEY.sub(MARK, text)
    parts, done = [], 0
    for match in _KEY_END.finditer(text):
        tail = _KEY_TAIL.match(text[done : match.start()][::-1])
        parts += [text[done : match.start() - (tail.end() if tail else 0)], MARK]
        done = match.end()
    return "".join([*parts, text[done:]])


def _without_value(match: re.Match[str]) -> str:
    begin, end = match.start("value") - match.start(), match.end("value") - match.start()
    return match[0] if MARK in match["value"] else match[0][:begin] + MARK + match[0][end:]


def _without_user(match: re.Match[str]) -> str:
    """A URL from its ``//`` on, without its user and password. An unencoded ``/`` may be part of the password."""
    info = match["info"]
    authority = re.split(r"[/?#]", info, maxsplit=1)[0]
    end = authority.rfind("@")
    if _NO_PORT.match(authority) if end < 0 else not _HOST.fullmatch(authority, end + 1):
        end = info.rfind("@")
    is_login = ":" in info[: max(end, 0)] or end >= SHORTEST_LOGIN
    return match[0][: match.start("info") - match.start()] + MARK + info[end:] if is_login else match[0]


def _without_tagged(match: re.Match[str]) -> str:
    secret = is_secret_key(match["name"]) and match["value"].strip() not in ("", MARK)
    return _without_value(match) if secret else match[0]


def _without_values(text: str, notation: LazyPattern) -> str:
    """The text without the values that follow secret names in this notation."""
    parts, done, start = [], 0, 0
    while match := notation.search(text, start):
        start = match.end()
        if name := _secret_name(text, match):
            begin, end = find_value(text, name, match)
            if begin < end and text[begin:end] != MARK:
                parts += [text[done:begin], MARK]
                done = end
            start = max(start, end)
    return "".join([*parts, text[done:]])


def _secret_name(text: str, match: re.Match[str]) -> str:
    """The name in a match if it is secret, with the words that belong to it; otherwise nothing."""
    name: str = match["name"]
    begin = match.start("name")
    before = text[max(begin - 1, 0) : begin]
    is_parameter = before in ("?", "&", "#") or text.endswith("&amp;", 0, begin)
    if before == "%":  # the rest of an encoded character
        name, is_parameter = name[2:], True
    elif before == "\\" and (escaped := _ESCAPED.match(name)):
        name, is_parameter = name[escaped.end() :], True
    if is_parameter:
        return name if is_secret_parameter(name) else ""
    words = _WORDS_BEFORE.search(text[max(begin - 42, 0) : begin]) if name.lower() in _COMPLETED else None
    for start, form in ((begin, name), *([(begin - len(words[0]), words[0] + name)] if words else ())):
        is_after_break = text[max(start - 1, 0) : start] == "\\" and form[:1] in ("n", "r", "t")
        for spelt in (form, form[1:]) if is_after_break else (form,):
            if spelt.lower() == "identified by" or is_secret_key(spelt):
                return str(spelt)
    return ""
