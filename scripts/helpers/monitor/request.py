"""Checked requests of the monitoring commands."""

from __future__ import annotations

import re
from typing import NamedTuple

from helpers.command.target import ResourceSelector
from helpers.core.times import Moment
from helpers.monitor.health_config import HealthLimits, Watched

ALERT_FORMATS = ("slack", "generic", "teams")  # receivers that alert_text.payload knows
SEVERITIES = ("INFO", "WARNING", "ERROR")


class DiagnoseRequest(NamedTuple):
    """What to diagnose.

    Attributes:
        resource: Any member of the flow.
        probe: Probe the flow's credentials; this writes ``verified_status`` on the server.
        show_values: Show the values in quarantined records and log lines.
        graph: Draw the flow as ``mermaid`` or ``dot``; None for no graph.
        graph_only: Print only the graph.
    """

    resource: ResourceSelector
    probe: bool
    show_values: bool
    graph: str | None
    graph_only: bool


class LogsRequest(NamedTuple):
    """Which log lines to show.

    Attributes:
        resource: Any member of the flow.
        run_id: Epoch milliseconds; with ``compare``, the failed run.
        failed: Select the latest run in which any member of the flow had errors.
        last: How many of the latest runs; None for one.
        since: Start of a time window; None for no window.
        until: End of the window; None for now.
        severity: Least severity, one of SEVERITIES; None for all.
        grep: Only lines whose text matches.
        own: Only lines of the resource itself.
        summary: Show records and errors per resource instead of lines.
        follow: Show new lines until the run ends.
        compare: Compare the failed run with the last good one.
    """

    resource: ResourceSelector
    run_id: int | None
    failed: bool
    last: int | None
    since: Moment | None
    until: Moment | None
    severity: str | None
    grep: re.Pattern[str] | None
    own: bool
    summary: bool
    follow: bool
    compare: bool


class AlertPolicy(NamedTuple):
    """When incidents open and clear, and when to remind of open ones.

    Attributes:
        open_after: Bad checks in a row that open an incident.
        clear_after: Good checks in a row that clear it.
        remind_hours: Hours between reminders of an open incident; 0 for never.
    """

    open_after: int = 2
    clear_after: int = 2
    remind_hours: float = 6.0


class AlertOptions(NamedTuple):
    """Whom to alert, and when.

    Attributes:
        state_file: Stores the incidents between runs.
        url: The webhook's URL, if passed as a flag.
        url_file: File that contains the webhook's URL.
        form: slack, generic or teams.
        policy: When incidents open and clear.
    """

    state_file: str
    url: str | None
    url_file: str | None
    form: str
    policy: AlertPolicy


class HealthRequest(NamedTuple):
    """What to check, and what is healthy.

    Attributes:
        watched: The resources; None for every member of every flow.
        limits: Limits for resources without their own.
        tag: With every flow: only members that have the tag, or whose source has it.
        project: With every flow: only flows of this project.
        access_role: With every flow: only flows on which the caller has at least this role.
        ignore_paused: Skip resources that are PAUSED or INIT.
        probe: Probe each credential; this writes ``verified_status`` on the server.
        report_file: Where to write the HTML report.
        alert: Whom to alert; None for no alerts.
        env_file: File of environment variables; may contain the webhook's URL.
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
