"""A client for tests that talk to the sandbox directly, past the scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support import Sandbox, _http


class Api:
    """The API as one user. Its methods assert the status, and show the response when it is another."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self.token = ""

    def login(self) -> dict[str, Any]:
        """Exchange the service key for a token, which the next requests use; returns the response."""
        session: dict[str, Any] = self.expect(200, "POST", "/token", authorization=f"Basic {self.key}")
        self.token = session["access_token"]
        return session

    def expect(self, status: int, method: str, path: str, body: Any = None, authorization: str | None = None) -> Any:
        """Send a request and assert its status; returns the response's body."""
        if authorization is None and not self.token:
            self.login()
        header = f"Bearer {self.token}" if authorization is None else authorization
        actual, response = _http(method, self.url + path, body, header)
        assert actual == status, f"{method} {path} should give {status}, but gives {actual}: {response}"
        return response

    def get(self, path: str) -> Any:
        return self.expect(200, "GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self.expect(200, "POST", path, body)

    def put(self, path: str, body: Any = None) -> Any:
        return self.expect(200, "PUT", path, body)

    def delete(self, path: str) -> Any:
        return self.expect(200, "DELETE", path)

    def runs(self, resource: str) -> list[dict[str, Any]]:
        """The run summary of a resource, such as ``data_sources/123``; newest run first."""
        rows: list[dict[str, Any]] = self.get(f"/{resource}/metrics/run_summary")["metrics"]["data"]
        return rows

    def log(self, resource: str) -> list[dict[str, Any]]:
        """The log lines of a resource's flow, newest first."""
        lines: list[dict[str, Any]] = self.get(f"/{resource}/flow/logs?run_id=-1&from=0")["logs"]["data"]
        return lines


@pytest.fixture
def api(sandbox: Sandbox) -> Api:
    """The API as the owner of the demo data."""
    return Api(sandbox.url, sandbox.key)


@pytest.fixture
def api_of(sandbox: Sandbox) -> Callable[..., Api]:
    """Adds a user to the org and gives the API as this user."""

    def add(email: str, **more: Any) -> Api:
        user = sandbox.control("POST", "users", {"email": email, **more})
        return Api(sandbox.url, user["service_key"])

    return add


@pytest.fixture
def empty(sandbox: Sandbox) -> Api:
    """The API as the owner of an empty sandbox."""
    sandbox.reset("empty")
    return Api(sandbox.url, sandbox.key)


@pytest.fixture
def contract_is_broken_on_purpose(sandbox: Sandbox) -> Iterator[None]:
    """For tests that send wrong requests: what breaks the contract does not fail them."""
    yield
    sandbox.clear_journal()
    sandbox.problems.clear()
