"""What looks secret is redacted, in any notation and under any spelling of a name, and nothing else is."""

from __future__ import annotations

import ast
import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.core import redact
from helpers.core.redact import MARK
from support import SCRIPTS
from support.planted import Planted, planted, seen


def words_in(text: str) -> list[str]:
    return text.split()


SECRET_KEYS = words_in(
    "account_key encryption_key ssh_key private_key client_secret secret_access_key sas_token passphrase pwd "
    "api-key apiKey APIKey API_KEY apikey x-api-key AccountKey SharedAccessSignature SharedAccessKey "
    "connectionString connection_string webhook_url alert.webhook db.password dbPass SNOWFLAKE_PASSWORD "
    "PGPASSWORD hash_secret_key aws_secret_access_key passWord password_1 password2 token_v2 access_token "
    "refreshToken authtoken Authorization Proxy-Authorization Set-Cookie cookies signature X-Amz-Signature "
    "X-Amz-Security-Token dsn storage_account_key service_account_key sse_customer_key creds SSECustomerKey "
    "json_creds keyfile_json api_keys client-secret-value SECRETKEY privateKeyPem consumer_key userPassword "
    "password_hash old_password passwordConfirmation encryptionKeyBase64 license_key signingKey hmac_key "
    "master-key pass_wd PassWd sshPassWd key-tab J.W.T "
)
ORDINARY_KEYS = words_in(
    "compass bypass primary_key map_primary_key key_field sourceKey partition_key token_count tokenizer "
    "public_key keys key credentials_type data_credentials_id secretary passenger monkey sort_key id_field "
    "token_type name path verified_status data_credentials credentials_version passed sink_config mapping author "
    "ssh_public_key access_key_id secret_name turkey secret_arn token_url password_policy "
    "enable_nexla_password_login SharedAccessKeyName private_key_id last_rotated_key primary_key_value object_key "
    "s3_key foreign_key keyboard keyName hockey passport compassion tokenize cookie_domain primaryKey sortKey "
    "primary.key unique-key row_key password_changed_at secrets_manager_region pwned "
)
VALUES = ["plain value", 12345678, 4.5, True, {"a": {"b": "plain value"}}, ["plain value"]]


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_value_under_a_secret_key_goes(key: str) -> None:
    for value in VALUES:
        if not isinstance(value, float | int) or isinstance(value, bool) or not key.endswith("s"):  # a plural counts
            assert redact.redact({"a": [{key: value}]}) == {"a": [{key: MARK}]}, value
    assert redact.redact({key: None, "x": [{key: ""}, {key: []}]}) == {key: None, "x": [{key: ""}, {key: []}]}


@pytest.mark.parametrize("key", ORDINARY_KEYS)
def test_a_value_under_an_ordinary_key_stays(key: str) -> None:
    for value in VALUES:
        assert redact.redact({key: value}) == {key: value}
    assert redact.redact_text(f"{key}=north, {key}: 5") == f"{key}=north, {key}: 5"


def test_counts_and_answers_stay() -> None:
    document = {"tokens": 512, "credentials": 3, "has_password": True, "api_keys": 2, "use_token": False}
    assert redact.redact(document) == document
    assert redact.redact({"credentials": [{"id": 1, "name": "x"}]}) == {"credentials": [{"id": 1, "name": "x"}]}


def test_the_value_of_a_pair_with_a_secret_name_goes() -> None:
    headers = [{"name": "X-Api-Key", "value": "abc"}, {"key": "Accept", "value": "text"}]
    assert redact.redact(headers) == [{"name": "X-Api-Key", "value": MARK}, {"key": "Accept", "value": "text"}]


@pytest.mark.parametrize("entry", planted(), ids=lambda entry: ascii(entry.text[:40]))
def test_a_text_that_looks_secret_is_redacted(entry: Planted) -> None:
    around = (entry.text, f"it said: {entry.text}", f"{entry.text}\nnext line")
    for text in (*around, json.dumps(entry.text), json.dumps({"note": json.dumps({"text": entry.text})})):
        shown = redact.redact_text(text)
        assert seen(shown, [entry]) == [], shown
        assert MARK in shown
        assert redact.redact_text(shown) == shown
    assert seen(json.dumps(redact.redact({"note": [entry.text], entry.text: 1})), [entry]) == []


@pytest.mark.parametrize(
    "text",
    ["password: must be a string", "sink_config.password: is missing", "Basic authentication failed", "token expired",
     "bearer token authentication", "https://h.test:8080/a@b", "https://h.test/p?email=a@b.c", "ssh://git@github.test/x",
     "password: null", "max_tokens=512", "2026-11-21T20:00:00Z", "credentials: [1, 2]", "has_password=true",
     "the token is invalid", "see https://d.test/y?page=2&sort=name", "unknown key 'password', did you mean it?",
     "postgres://h.test:5432/db", "Token refresh failed", "s3://bucket/key=5/x",
     "argument --token-file: expected one argument", "--alert-webhook exposes a secret",
     "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBg\n-----END CERTIFICATE-----", "a=b=c",
     "key: id, value: 5"],
)  # fmt: skip
def test_an_ordinary_text_stays(text: str) -> None:
    assert redact.redact_text(text) == text


def own_texts(source: str) -> list[str]:
    """The texts that a module may print: its literals without docstrings, with ``{x}`` for every value put in."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            texts.append("".join(str(part.value) if isinstance(part, ast.Constant) else "{x}" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | parts:
            texts.append(node.value)
    return texts


def test_our_own_messages_stay() -> None:
    """``no credentials: NEXLA_SERVICE_KEY …`` once told the user to set "[redacted]"."""
    sources = {path: path.read_text() for path in SCRIPTS.rglob("*.py") if path.name != "secret_text.py"}  # patterns
    texts = {text: path.name for path, source in sources.items() for text in own_texts(source)}
    assert len(texts) > 2000, "the texts were not found"
    assert [f"{name}: {text}" for text, name in texts.items() if redact.redact_secret_looking(text) != text] == []


def test_what_surrounds_a_secret_stays() -> None:
    shown = redact.redact_text('{"a": 1, "password": "x\\"y", "b": "https://u:p@h.test/z?sig=q&page=2"}')
    assert shown == f'{{"a": 1, "password": "{MARK}", "b": "https://{MARK}@h.test/z?sig={MARK}&page=2"}}'
    assert redact.redact_text("Server=h;Pwd=x;Port=5") == f"Server=h;Pwd={MARK};Port=5"


def test_of_two_secrets_on_escaped_lines_both_go() -> None:
    for entry in planted():
        for name in ("password = ", "api key: ", "token="):
            text = json.dumps(f"pwd=first-1\n{name}second-2\n{entry.text}")
            shown = redact.redact_text(text)
            assert not [hidden for hidden in ("first-1", "second-2", entry.secret) if hidden in shown], shown


def base64_in_the_middle(value: str, lead: int) -> str:
    return base64.b64encode(b"u" * lead + value.encode() + b":tail").decode()


@pytest.mark.parametrize(
    "value", ["Hun+er2/x9=Q", 'pa"ss\\w&rd-<1>', "käse-brot 77", "line one 1\r\nline two 2", "s3cr3t"]
)
def test_a_known_value_goes_in_every_encoding(value: str) -> None:
    redact.remember(value)
    raw = value.encode()
    once = json.dumps(value)[1:-1]
    forms = [value, quote(value), quote(value, safe=""), quote(value, safe="/"), once, json.dumps(once)[1:-1],
             json.dumps(value, ensure_ascii=False)[1:-1], raw.hex(), raw.hex().upper(), base64.b64encode(raw).decode(),
             base64.urlsafe_b64encode(raw).decode(), repr(value)[1:-1]]  # fmt: skip
    for form in forms:
        assert redact.redact_text(f"a {form} b") == f"a {MARK} b", form
        assert form not in json.dumps(redact.redact({"name": f"x {form} y", form: [form]}), ensure_ascii=False)
    for lead in range(6):
        text = base64_in_the_middle(value, lead)
        assert MARK in redact.redact_text(f"see {text} there"), lead


@pytest.mark.parametrize(
    "unseen",
    ["\u200b", "\u202e", "\u2060", "\ufeff", "\xad", "\u180e", "\U000e0041", "\x00", "\x7f", "\x1b[31m",
     "\x1b]0;t\x07"],
)  # fmt: skip
def test_what_nobody_sees_hides_no_secret(unseen: str) -> None:
    redact.remember("Hunter2-x9Q")
    known, name = f"Hunter2{unseen}-x9Q", f"pass{unseen}word"
    assert redact.redact_text(f"see {known}.") == f"see {MARK}."
    assert redact.redact_text(f"{name}=qz-7") == f"password={MARK}"
    document = {known: [known], name: "qz-7", "pairs": [{"name": name, "value": "qz-7"}]}
    shown = {MARK: [MARK], "password": MARK, "pairs": [{"name": "password", "value": MARK}]}
    assert redact.redact(document) == shown


def test_each_line_of_a_known_key_goes() -> None:
    redact.remember("-----BEGIN X-----\nabcdefghijkl0123456789\nmnopqrstuvwx0123456789\n-----END X-----")
    assert redact.redact_text("line 2: mnopqrstuvwx0123456789.") == f"line 2: {MARK}."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("user", "the user prod"), ("prod", "prod and production"), ("admin", "admin"), ("abc12", "abc12"),  # short
        ("postgres", "a postgres table"), ("Orders", "orders, Orders"), ("password", "the password is wrong"),  # common
        ("dragon", "a snapdragon, dragonfly and Dragon"), ("123456", "id 91234567"), ("null", "null"),  # part of a word
        ("true", "true"), ("abc123", "xabc1234"),
    ],
)  # fmt: skip
def test_a_known_value_does_not_remove_ordinary_words(value: str, text: str) -> None:
    redact.remember(value)
    assert redact.redact_text(text) == text
    assert redact.redact({"password": value})["password"] in (MARK, value if value in ("null", "true") else MARK)


@pytest.mark.parametrize(
    ("value", "text", "shown"),
    [
        ("dragon", "login of dragon failed", f"login of {MARK} failed"), ("123456", "with 123456.", f"with {MARK}."),
        ("abc123", "(abc123)", f"({MARK})"), ("dragon-1", "xdragon-1y", f"x{MARK}y"),
    ],
)  # fmt: skip
def test_a_known_word_or_number_goes_where_it_stands_alone(value: str, text: str, shown: str) -> None:
    redact.remember(value)
    assert redact.redact_text(text) == shown


def test_a_known_number_goes_also_as_a_number() -> None:
    redact.remember_document({"password": 12345678})
    assert redact.redact({"value": 12345678, "id": 123456789}) == {"value": MARK, "id": 123456789}


def test_what_is_forgotten_is_an_ordinary_word_again() -> None:
    redact.remember("hunter2-hunter2")
    assert redact.redact_text("hunter2-hunter2") == MARK
    redact.forget()
    assert redact.redact_text("hunter2-hunter2") == "hunter2-hunter2"


def test_the_environment_is_known_but_not_its_folders() -> None:
    proxy = "http://bob:pr%2Fxy-pw1@p.test:8080"
    redact.remember_environment(
        {"HTTPS_PROXY": proxy, "PWD": "/srv/abc-123", "MY_API_KEY": "k-12345678", "LANG": "en_GB"}
    )
    assert (
        redact.redact_text("pr%2Fxy-pw1 pr/xy-pw1 /srv/abc-123 k-12345678 en_GB")
        == f"{MARK} {MARK} /srv/abc-123 {MARK} en_GB"
    )


def test_addresses_among_credentials_stay_readable() -> None:
    tree = {"host": "db.example.test", "username": "reporting", "auth_type": "iam_role_7", "extra": [{"x": "s3cr3t-1"}]}
    redact.remember_document({"credentials": tree})
    shown = redact.redact_text("reporting at db.example.test by iam_role_7 with s3cr3t-1")
    assert shown == f"reporting at db.example.test by iam_role_7 with {MARK}"


def test_an_object_that_is_nested_10_000_deep_does_not_raise() -> None:
    value: Any = {"password": "deep-secret-1"}
    for _ in range(10_000):
        value = {"a": [value]}
    shown = json.dumps(redact.redact(value))
    assert "nested too deep" in shown
    redact.remember_document(value)
    assert redact.redact_text("deep-secret-1") == MARK
    text = '{"a":' * 10_000 + '{"password":"deep-secret-2"' + "}" * 10_001
    assert "deep-secret-2" not in redact.redact_text(text)


@given(st.text(max_size=200))
def test_any_text_can_be_redacted_twice(text: str) -> None:
    shown = redact.redact_text(text)
    assert redact.redact_text(shown) == shown


@given(st.text(min_size=8, max_size=60), st.text(max_size=30), st.text(max_size=30))
def test_any_known_value_goes_from_any_text(value: str, before: str, after: str) -> None:
    if value.strip().lower() not in ("undefined",) and len(redact.plain(value).strip()) > 7:
        redact.forget()
        redact.remember(value)
        bare = value.strip()
        shown = redact.redact_text(f"{before} {bare} {after}")
        assert bare not in shown.replace(redact.plain(before), "").replace(redact.plain(after), "") or bare in MARK
