"""Texts with secrets of every kind, each with a value of its own that must never come out."""

from __future__ import annotations

import base64
import json
from typing import NamedTuple

_PEM = "-----BEGIN {kind}-----\n{value}\n-----END {kind}-----"

# {} is the secret. Each of these has been seen in logs, configs or error messages of some system.
TEXTS = [
    "Authorization: Bearer {}", "Authorization: Basic {}==", "Authorization: ApiKey {}", "Authorization: Token {}",
    "authorization: {}", "Authorization: Custom abc {}", 'Authorization: Digest username="bob", response="{}"',
    "Authorization: AWS4-HMAC-SHA256 Credential=x/s3, SignedHeaders=host, Signature={}",
    "Proxy-Authorization: Basic {}", "X-Api-Key: {}", "X-Auth-Token: {}", "Cookie: theme=dark; session={}; b=c",
    "Set-Cookie: sid={}; Path=/; HttpOnly", "sent Bearer {} to the server", "header 'Basic {}'", "token: Bearer {}",
    "curl -H 'Authorization: ApiKey {}' https://x.test/y", "curl -u bob:{} https://x.test",
    "('Authorization', 'Foo {}')",
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={}==;EndpointSuffix=core.windows.net",
    "Endpoint=sb://x.test/;SharedAccessKeyName=Root;SharedAccessKey={}=",
    "SharedAccessSignature sr=x&sig={}&se=1&skn=Root",
    "SharedAccessSignature={}", "Server=h;User Id=u;Password={};Database=d", "Driver=x;UID=u;PWD={{{};a}};Server=h",
    "jdbc:postgresql://h/db?user=u&password={}&ssl=true", "jdbc:sqlserver://h;user=u;password={};encrypt=true",
    "jdbc:oracle:thin:scott/{}@//h:1521/s",
    "jdbc:snowflake://a.test/?user=u&private_key_pwd={}", "host=h password={} user=u",
    "host=h password='a {}' user=u", "mongodb+srv://user:{}@c.test/db",
    "amqps://u:{}@h.test:5671/v", "redis://:{}@h.test:6379/0",
    "HTTPS_PROXY=http://user:{}@proxy.test:8080",
    "https://user:p@s+{}/x@h.test/y", "https://h.test/o?X-Amz-Signature={}&x=1",
    "https://h.test/o?X-Amz-Security-Token={}",
    "https://h.test/o?X-Goog-Signature={}", "https://h.test/o?sv=1&sig={}&se=2",
    "https://h.test/o?token={}", "https://h.test/o?api_key={}",
    "https://h.test/#access_token={}&x=1", "https://h.test/o?key={}",
    "https://h.test/?Expires=1&Signature={}",
    "https://h.test/?a=1&amp;sig={}", r"https://h.test/?a=1\u0026sig={}", r"https://h.test/?a=1\u0026token\u003d{}",
    "https://h.test/?to=https%3A%2F%2Fa%2F%3Ftoken%3D{}",
    "x=https%3A%2F%2Fu%3A{}%40h.test", "password={}", "password = {}",
    "passwd: {}", "pwd={}", "passphrase: {}", "api key: {}",
    "secret access key = {}", "AWS_SECRET_ACCESS_KEY={}",
    "aws_session_token = {}", "secretKey: {}", "client_secret={}",
    "ssh_key={}", "account_key: {}", "encryption-key: {}", "sas_token={}", "db.password={}", "connectionString={}",
    "--service-key {} --verbose", "--password={}",
    "export PGPASSWORD={}", "machine h login u password {}", "password => '{}'",
    '{{"password": "{}"}}', '{{"secret": ["{}", "b"]}}',
    '{{"credentials": {{"a": "{}"}}, "b": 1}}', '{{"password": "{}',
    "{{'api_key': '{}'}}", "{{'password': b'{}'}}",
    '"{{""password"": ""{}""}}"', r'{{\"password\": \"{}\", \"x\": 1}}',
    r'{{\\\"token\\\": \\\"{}\\\"}}', "&quot;password&quot;:&quot;{}&quot;", r"\u0022password\u0022:\u0022{}\u0022",
    '{{"name": "password", "value": "{}"}}', "<password>{}</password>", "<a:SecretKey x='1'>{}</a:SecretKey>",
    "CREATE USER x IDENTIFIED BY '{}'", "ALTER ROLE x PASSWORD '{}'",
    "ALTER ROLE x PASSWORD 'a''b {}'", "password: |\n  {}\nx: 1", "password={},{}",
    _PEM.format(kind="RSA PRIVATE KEY", value="{}"), _PEM.format(kind="ENCRYPTED PRIVATE KEY", value="{}"),
    _PEM.format(kind="OPENSSH PRIVATE KEY", value="{}"), _PEM.format(kind="PGP PRIVATE KEY BLOCK", value="{}"),
    "-----BEGIN PRIVATE KEY-----\\n{}\\nabc",
    "-----BEGIN EC PRIVATE KEY-----\n{}", "abc\n{}\n-----END PRIVATE KEY-----",
    "MIIEvQIBADANBgkqhkiG9w0BAQEF{}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.{}",
    "ghp_{}abcdefghij", "xoxb-123456-{}",
]  # fmt: skip


class Planted(NamedTuple):
    """A text and the secret in it."""

    text: str
    secret: str


def planted(word: str = "Zq") -> list[Planted]:
    """Every text with a secret of its own, and a service account's key and a token in base64."""
    found = [
        Planted(text.format(*[f"{word}{n:03}xWv7Kd9"] * 2), f"{word}{n:03}xWv7Kd9") for n, text in enumerate(TEXTS)
    ]
    account = {
        "type": "service_account",
        "private_key_id": "abc",
        "private_key": _PEM.format(kind="PRIVATE KEY", value="Sa7xWv7Kd9"),
    }
    encoded = base64.b64encode(json.dumps(account).encode()).decode()
    return [*found, Planted(json.dumps(account), "Sa7xWv7Kd9"), Planted(f"key {encoded}", encoded[10:40])]


def seen(text: str, secrets: list[Planted]) -> list[Planted]:
    """What came out."""
    return [entry for entry in secrets if entry.secret in text]
