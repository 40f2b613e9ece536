"""Exit codes and the one error class that every script ends with."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """What the process ends with; the same table stands in SKILL.md and REFERENCE.md."""

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
    Exit.ERROR: "unexpected failure, or a refusal such as 400, 405 or 409",
    Exit.USAGE: "flags or config wrong; nothing was sent",
    Exit.CONFIG: "no credentials, bad URL, missing dependency, unwritable journal",
    Exit.AUTH: "401 or 403",
    Exit.NOT_FOUND: "no such id or name, or a name that fits several",
    Exit.UPSTREAM: "5xx or network, after the retries",
    Exit.THROTTLED: "429 beyond the time budget",
    Exit.PARTIAL: "some items failed; the resume command is printed",
    Exit.ROLLED_BACK: "failed, and all that this run made is undone",
    Exit.FINDINGS: "the check ran and found something",
    Exit.LEFT_BEHIND: "undo incomplete; what remains is listed",
    Exit.TIMEOUT: "the deadline passed before it could be verified",
    Exit.UNKNOWN_OUTCOME: "a write may have happened and could not be settled",
    Exit.INTERRUPTED: "stopped by a signal, journal flushed",
}


class OperatorError(Exception):
    """A failure with everything that a caller needs to decide what to do next.

    Args:
        code: what the process will exit with.
        message: one sentence, what failed.
        hint: what to do about it; a command, if it names one, exists.
        http_status: status of the answer that caused it, if any.
        request_id: the server's id for that answer, if it sent one.
        retryable: whether the same command may succeed later without any change.
        resource: what it concerns, e.g. ``{"type": "sources", "id": 123}``.
        data: a result worth having in spite of the failure; goes to standard output.
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
        """Whether no further request can succeed: a signal, the deadline, or a session that is refused (401)."""
        return self.code in (Exit.INTERRUPTED, Exit.TIMEOUT) or self.http_status == 401

    def as_dict(self) -> dict[str, Any]:
        """The ``error`` object of the contract."""
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
    return OperatorError(Exit.USAGE, message, hint=hint)


def config_error(message: str, hint: str = "") -> OperatorError:
    return OperatorError(Exit.CONFIG, message, hint=hint)
