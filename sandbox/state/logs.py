"""Selecting log lines of a flow."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.state.store import Doc, Store

ANY_RUN = -1


@dataclass(frozen=True)
class LogFilter:
    """Which log lines of a flow to select, and in which order. None does not filter; times are epoch milliseconds."""

    origin_node_id: int
    run_id: int = ANY_RUN
    first: int | None = None
    last: int | None = None
    severity: str | None = None
    log_type: str | None = None
    newest_first: bool = True

    def accepts(self, line: Doc) -> bool:
        """Whether a line of this flow passes the other conditions."""
        return (
            self.run_id in (ANY_RUN, line["run_id"])
            and (self.first is None or line["timestamp"] >= self.first)
            and (self.last is None or line["timestamp"] <= self.last)
            and (self.severity is None or line["severity"].lower() == self.severity.lower())
            and (self.log_type is None or line["log_type"] == self.log_type)
        )


class Logs:
    """Selects log lines. The last selection is kept, so that reading many pages does not sort the lines for each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key: tuple[LogFilter, int] | None = None
        self._lines: list[Doc] = []

    def select(self, wanted: LogFilter) -> list[Doc]:
        """The lines that a filter accepts, sorted."""
        key = (wanted, self._store.version("logs"))
        if key != self._key:
            of_flow = self._store.where("logs", origin_node_id=wanted.origin_node_id)
            lines = [line for line in of_flow if wanted.accepts(line)]
            lines.sort(key=lambda line: (line["timestamp"], line["id"]), reverse=wanted.newest_first)
            self._key, self._lines = key, lines
        return self._lines
