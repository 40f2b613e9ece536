"""What a job gets besides its request: a session, progress reports, a deadline, and the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from helpers.api.session import Session
from helpers.command.invocation import Invocation
from helpers.command.log_lines import redact_log_lines
from helpers.command.parser import CommonOptions
from helpers.command.progress import Reporter
from helpers.core.limits import Deadline, RateLimiter
from helpers.core.settings import Settings, load_settings


class Context:
    """The environment of one job.

    Args:
        settings: None for a job that may not need Nexla; its session then reads the environment.

    Attributes:
        report: shows one line of progress.
        progress: ``progress(title, total)`` shows a progress bar.
        workers: the number of parallel reads.
        invocation: the command line, for the commands to print after a failure.
        deadline: the deadline of the command.
    """

    def __init__(
        self, options: CommonOptions, invocation: Invocation, reporter: Reporter, settings: Settings | None
    ) -> None:
        redact_log_lines()
        self.report: Callable[[str], None] = reporter.report
        self.progress: Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]] = reporter.progress
        self.workers, self.invocation = options.workers, invocation
        self.deadline = Deadline(options.timeout)
        self._rps, self._settings = options.rps, settings
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The session, opened at first use.

        Raises:
            OperatorError: CONFIG, when the settings were not read before and are invalid.
        """
        if self._session is None:
            settings = self._settings or load_settings(os.environ)
            limiter = RateLimiter(self._rps, unlimited=settings.loopback)
            self._session = Session(settings, self.deadline, limiter)
        return self._session

    @property
    def host(self) -> str:
        """Host and port of the API, for messages and journal names."""
        return self.session.settings.host

    def connect_to(self, values: Mapping[str, str]) -> None:
        """Use these NEXLA_* values for the session, such as those of a sandbox that the job started."""
        self._settings = load_settings(values)

    def meta(self) -> dict[str, Any]:
        """The ``meta`` fields of every command."""
        return {"requests": self._session.requests if self._session else 0}
