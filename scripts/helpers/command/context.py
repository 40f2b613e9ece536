"""What a job gets besides its request: a session, a voice, a deadline, and the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from helpers.api.session import Session
from helpers.command.invocation import Invocation
from helpers.command.parser import CommonOptions
from helpers.command.progress import Reporter
from helpers.core.limits import Deadline, RateLimiter
from helpers.core.settings import Settings, load_settings


class Context:
    """The surroundings of one job.

    Args:
        settings: None for a job that can do without Nexla; asking it for a session reads the environment then.

    Attributes:
        report: shows one line of progress; ``progress(title, total)`` shows a bar.
        invocation: the command line, for the commands that a failure names.
    """

    def __init__(
        self, options: CommonOptions, invocation: Invocation, reporter: Reporter, settings: Settings | None
    ) -> None:
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
            OperatorError: CONFIG, when no settings were needed so far and they are wrong.
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
        """Use these NEXLA_* values, as of a sandbox that the job has started, for its session."""
        self._settings = load_settings(values)

    def meta(self) -> dict[str, Any]:
        return {"requests": self._session.requests if self._session else 0}
