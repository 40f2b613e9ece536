"""What the monitoring commands are asked for, checked."""

from __future__ import annotations

import re
from typing import NamedTuple

from helpers.command.target import ResourceSelector
from helpers.monitor.health_config import HealthLimits, Watched

SEVERITIES = ("INFO", "WARNING", "ERROR")


class DiagnoseRequest(NamedTuple):
    """A resource to diagnose.

    Attributes:
        probe: probe the flow's credentials; this writes verified_status on the server.
        graph: ``mermaid`` or ``dot``: the flow as a graph; ``graph_only``: and nothing else.
    """

    resource: ResourceSelector
    probe: bool
    show_values: bool
    graph: str | None
    graph_only: bool


class LogsRequest(NamedTuple):
    """Which log lines.

    Attributes:
        run_id: epoch milliseconds; with ``compare`` the failed run.
        failed: the latest run in which anything of the flow had errors.
        last: how many of the latest runs; None for one.
        since, until: a time window, as the user gave it.
        severity: one of SEVERITIES and worse.
        own: only lines of the resource itself.
    """

    resource: ResourceSelector
    run_id: int | None
    failed: bool
    last: int | None
    since: str | None
    until: str | None
    severity: str | None
    grep: re.Pattern[str] | None
    own: bool
    summary: bool
    follow: bool
    compare: bool


class AlertOptions(NamedTuple):
    """Whom to alert, and when.

    Attributes:
        state_file: incidents between runs.
        url: of the webhook; ``url_file`` holds it instead.
        form: slack, generic or teams.
        open_after, clear_after: bad or good checks in a row.
        remind_hours: 0 for never.
    """

    state_file: str
    url: str | None
    url_file: str | None
    form: str
    open_after: int
    clear_after: int
    remind_hours: float


class HealthRequest(NamedTuple):
    """What to check, and what is healthy.

    Attributes:
        watched: None for every member of every flow, judged by ``limits``.
        tag, project, access_role: of all flows only some.
        env_file: may hold the webhook's URL.
    """

    watched: tuple[Watched, ...] | None
    limits: HealthLimits
    tag: str | None
    project: int | None
    access_role: str | None
    ignore_paused: bool
    probe: bool
    report_file: str | None
    alert: AlertOptions | None
    env_file: str | None
