"""Exit codes, and the one error class that every failure of a script ends in."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """Exit codes of the scripts. SKILL.md and REFERENCE.md show the same table."""

    OK = 0
    ERROR = 1
    USAGE = 2
    CONFIG = 3
    AUTH = 4
    NOT_FOUND = 5
    UPSTREAM = 6
    THROTTLED = 7
    PARTIAL = 8
    ROLLED_BACK = 9
    FINDINGS = 10
    LEFT_BEHIND = 11
    TIMEOUT = 12
    UNKNOWN_OUTCOME = 13
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "done and verified, or a check that found nothing wrong",
    Exit.ERROR: "unexpected failure, or a response such as 400, 405 or 409",
    Exit.USAGE: "invalid flags or config; nothing was written",
    Exit.CONFIG: "no credentials, bad URL, missing dependency, unwritable journal, or NEXLA_READ_ONLY blocked a write",
    Exit.AUTH: "401 or 403",
    Exit.NOT_FOUND: "no such id or name, or an ambiguous name",
    Exit.UPSTREAM: "5xx or network, after the retries",
    Exit.THROTTLED: "429 beyond the time budget",
    Exit.PARTIAL: "some items failed; the resume command is printed",
    Exit.ROLLED_BACK: "failed, and everything that this run changed was undone",
    Exit.FINDINGS: "the check ran and found something",
    Exit.LEFT_BEHIND: "undo incomplete; what remains is listed",
    Exit.TIMEOUT: "the deadline passed before it could be verified",
    Exit.UNKNOWN_OUTCOME: "a write may have happened; its outcome could not be determined",
    Exit.INTERRUPTED: "stopped by a signal; the journal is on disk",
}


class OperatorError(Exception):
    """A failure with everything that a caller needs to decide what to do next.

    Args:
        code: the exit code of the process.
        message: one sentence that says what failed.
        hint: what to do about it; any command in it can be run as printed.
        http_status: HTTP status of the response that caused it, if any.
        request_id: the server's id for that request, if it sent one.
        retryable: whether the same command may succeed later without any change.
        resource: the resource concerned, such as ``{"type": "sources", "id": 123}``.
        data: a partial result that is useful despite the failure; it goes to standard output.
    """

    def __init__(
        self,
        code: Exit,
        message: str,
        *,
        hint: str = "",
        http_status: int | None = None,
        request_id: str | None = None,
        retryable: bool = False,
        resource: dict[str, Any] | None = None,
        data: Any = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.http_status = http_status
        self.request_id = request_id
        self.retryable = retryable
        self.resource = resource
        self.data = data

    @property
    def ends_command(self) -> bool:
        """Whether no further request can succeed: after a signal, the deadline, or a rejected session (401)."""
        return self.code in (Exit.INTERRUPTED, Exit.TIMEOUT) or self.http_status == 401

    def as_dict(self) -> dict[str, Any]:
        """The ``error`` object that scripts print to standard error."""
        return {
            "code": int(self.code),
            "name": self.code.name,
            "message": self.message,
            "http_status": self.http_status,
            "request_id": self.request_id,
            "retryable": self.retryable,
            "hint": self.hint,
            "resource": self.resource,
        }


def usage(message: str, hint: str = "") -> OperatorError:
    """An error with exit code USAGE."""
    return OperatorError(Exit.USAGE, message, hint=hint)


def config_error(message: str, hint: str = "") -> OperatorError:
    """An error with exit code CONFIG."""
    return OperatorError(Exit.CONFIG, message, hint=hint)
