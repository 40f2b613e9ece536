"""What is on the server of the flow that a config describes, read once and shared by all steps."""

from __future__ import annotations

from typing import Any

from helpers.api.flows import Flow, Member, read_flow
from helpers.api.resources import by_name, one_of
from helpers.change.changes import Run
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row
from helpers.deploy.model import FlowConfig

SOURCE_STEP = "source"


class FlowState:
    """The source found by name and type, and its flow tree. ``forget()`` after a write; the next look is fresh."""

    def __init__(self, config: FlowConfig) -> None:
        self.config = config
        self._source: Row | None = None
        self._flow: Flow | None = None
        self._looked = False

    def forget(self) -> None:
        self._source, self._flow, self._looked = None, None, False

    def forget_flow(self) -> None:
        self._flow = None

    def source(self, run: Run) -> Row | None:
        """The only source of the config's name and type, with its config; None when there is none.

        Raises:
            OperatorError: NOT_FOUND with the candidates, when there are several.
        """
        if not self._looked:
            rows = self.source_rows(run)
            self._source = one_of(KINDS["sources"], self.config.source.name, rows)
            self._looked = True
        return self._source

    def source_rows(self, run: Run) -> list[Row]:
        """Every source of this name and type, oldest first."""
        wanted = self.config.source
        rows = by_name(run.session, KINDS["sources"], wanted.name, expand=1)
        return sorted((row for row in rows if row.get("source_type") == wanted.source_type), key=lambda row: row["id"])

    def flow(self, run: Run) -> Flow | None:
        """The source's flow; None while there is no source."""
        if self._flow is None:
            number = run.results.get(SOURCE_STEP)
            if number is not None:
                self._flow = read_flow(run.session, KINDS["sources"], number)
        return self._flow

    def detected(self, run: Run) -> list[Member]:
        """The nexsets that Nexla detected in the source."""
        flow = self.flow(run)
        return [member for member in flow.origin.children if member.kind == "nexsets"] if flow else []

    def chosen(self, run: Run, members: list[Member]) -> Member | None:
        """The detected nexset that the config means; None while it is not there.

        Raises:
            OperatorError: NOT_FOUND with the candidates, when it is not clear which.
        """
        choice = self.config.nexset
        fitting = [member for member in members if choice is None or _fits(member, choice.name, choice.fields)]
        if choice is None and len(fitting) > 1:
            names = {n.name for n in self.config.nexsets} | {s.name for s in self.config.all_destinations}
            ours = [member for member in fitting if names & {child.name for child in member.children}]
            fitting = ours if len(ours) == 1 else fitting  # the one that the flow hangs on already
        if len(fitting) > 1:
            listed = "; ".join(f"{m.id} {m.name!r} with {', '.join(_fields(m)[:8])}" for m in fitting)
            raise OperatorError(
                Exit.NOT_FOUND,
                f"the source has {len(fitting)} nexsets that fit: {listed}",
                hint='choose one in the config: "nexset": {"name": "…"} or {"fields": ["…"]}',
                resource={"type": "nexsets", "candidates": [member.id for member in fitting]},
            )
        return fitting[0] if fitting else None

    def derived(self, run: Run, parent: int | None, name: str) -> Member | None:
        """The nexset of this name right below a nexset of this flow (below any, while the parent is not known)."""
        flow = self.flow(run)
        members = flow.of_kind("nexsets") if flow else []
        above = [m for m in members if parent is None or m.id == parent]
        rows = [m for top in above for m in top.children if m.kind == "nexsets" and m.name == name]
        one_of(KINDS["nexsets"], name, [{"id": m.id, "status": m.status} for m in rows])
        return rows[0] if rows else None

    def sinks(self, run: Run, name: str, sink_type: str) -> list[Member]:
        """The destinations of this name and type in this flow, oldest first."""
        flow = self.flow(run)
        rows = flow.of_kind("destinations") if flow else []
        fitting = [m for m in rows if m.name == name and m.row.get("sink_type") == sink_type]
        return sorted(fitting, key=lambda member: member.id)


def _fields(member: Member) -> list[str]:
    schema = member.row.get("output_schema") or {}
    return list((schema.get("properties") or {}).keys())


def _fits(member: Member, name: str | None, fields: list[str] | None) -> bool:
    return member.name == name if name is not None else set(fields or []) <= set(_fields(member))


def differences(wanted: dict[str, Any], current: dict[str, Any]) -> dict[str, list[Any]]:
    """Field → [before, after] where the config wants something else than what is there.

    Objects are compared key by key and lists of tags as sets; keys that only the server has stay as they are, since
    Nexla adds keys of its own to configs.
    """
    changes: dict[str, list[Any]] = {}
    for key, value in wanted.items():
        have = current.get(key)
        if key == "tags":
            if not set(value) <= set(have or []):
                changes[key] = [sorted(have or []), sorted({*value, *(have or [])})]
        elif isinstance(value, dict) and isinstance(have, dict):
            for name, item in value.items():
                if have.get(name) != item:
                    changes[f"{key}.{name}"] = [have.get(name), item]
        elif value is not None and value != have:
            changes[key] = [have, value]
    return changes


def update_body(changes: dict[str, list[Any]], wanted: dict[str, Any], current: dict[str, Any]) -> Row:
    """The PUT body for some differences: whole objects, merged, because the API replaces them whole."""
    body: Row = {}
    for path, (_, after) in changes.items():
        key = path.split(".", 1)[0]
        merged = isinstance(wanted.get(key), dict) and isinstance(current.get(key), dict)
        body[key] = {**current[key], **wanted[key]} if merged else after
    return body


def before_of(body: Row, current: Row) -> Row:
    """What the keys of an update body were."""
    return {key: current.get(key) for key in body}
