"""The current state of the configured flow on the server, read once and shared by all steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from helpers.api.flows import Flow, Member, read_flow
from helpers.api.probes import ProbeResult
from helpers.api.resources import by_name, owner_of, require_unique, shared_by_name
from helpers.change.creating import journalled_row, wait_until_unique
from helpers.change.model import ChangeRun
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row
from helpers.core.names import nfc, same_name
from helpers.deploy.model import FlowConfig

SOURCE_STEP = "source"
MAY_CHANGE = {"owner", "admin"}  # roles
NEXSET_STEP = "nexset:"  # the key of a nexset's step: this, and the name of a derived nexset
DETECTED = NEXSET_STEP  # the step that finds the detected nexset


def nexset_key(name: str | None) -> str:
    """The key of the step of a derived nexset, or, without a name, of the detected one."""
    return f"{NEXSET_STEP}{name or ''}"


def nexset_name(key: str) -> str | None:
    """The name in a key of ``nexset_key``, empty for the detected nexset; None for the key of another step."""
    return key.removeprefix(NEXSET_STEP) if key.startswith(NEXSET_STEP) else None


class Delivery(NamedTuple):
    """The ids, records and errors of runs at a destination."""

    runs: list[Any]
    records: int
    errors: int


@dataclass
class DeployFacts:
    """What the steps of a deployment find out for later steps and for the report.

    Attributes:
        flow_id: the node id of the flow's origin.
        probed: the result of each probe, by credential id.
        credentials: the ids of the inline credentials, by name and type; several members may use the same.
        delivered: what arrived at each verified destination, by its key in the config.
        source_errors: the number of records that the source could not read; None until it was checked.
    """

    flow_id: int | None = None
    probed: dict[int, ProbeResult] = field(default_factory=dict)
    credentials: dict[tuple[str, str], int] = field(default_factory=dict)
    delivered: dict[str, Delivery] = field(default_factory=dict)
    source_errors: int | None = None


class FlowState:
    """The source with the config's name and type, and its flow tree. After a write, ``forget()`` discards them.

    Attributes:
        config: the config of the flow.
        facts: what the steps found out.
    """

    def __init__(self, config: FlowConfig) -> None:
        self.config = config
        self.facts = DeployFacts()
        self._source: Row | None = None
        self._flow: Flow | None = None
        self._searched = False

    def forget(self) -> None:
        """Read the source and its flow again when they are needed."""
        self._source, self._flow, self._searched = None, None, False

    def forget_flow(self) -> None:
        """Read the flow again when it is needed."""
        self._flow = None

    def source(self, run: ChangeRun) -> Row | None:
        """The only source with the config's name and type, with its config; None when there is none.

        The journal's comes first, then the caller's own, then those of others that the caller may change.

        Raises:
            OperatorError: NOT_FOUND with the candidates, when there are several; AUTH, when the only one is somebody
                else's and the caller may not change it.
        """
        if not self._searched:
            kind = KINDS["sources"]
            row = journalled_row(run, SOURCE_STEP, kind) or self._only(run, by_name) or self._only(run, shared_by_name)
            refuse_if_only_visible(run, kind, row)
            self._source, self._searched = row, True
        return self._source

    def _only(self, run: ChangeRun, read: Callable[..., list[Row]]) -> Row | None:
        kind, name = KINDS["sources"], self.config.flow_source.name
        rows = wait_until_unique(run, lambda: self.of_source_type(read(run.session, kind, name, expand=1)))
        return require_unique(kind, name, rows)

    def owner(self, run: ChangeRun) -> str | None:
        """Who owns the source, if it exists and is not the caller's."""
        source = self.source(run)
        return owner_of(run.session, source) if source else None

    def of_source_type(self, rows: list[Row]) -> list[Row]:
        """The rows with the type of the config's source, oldest first."""
        wanted = self.config.flow_source.source_type
        return sorted((row for row in rows if row.get("source_type") == wanted), key=lambda row: row["id"])

    def flow(self, run: ChangeRun) -> Flow | None:
        """The flow of the source; None while the source does not exist."""
        if self._flow is None:
            source_id = run.results.get(SOURCE_STEP)
            if source_id is not None:
                self._flow = read_flow(run.session, KINDS["sources"], source_id)
        return self._flow

    def detected(self, run: ChangeRun) -> list[Member]:
        """The nexsets that Nexla detected in the source."""
        flow = self.flow(run)
        return [member for member in flow.origin.children if member.kind == "nexsets"] if flow else []

    def selected(self, run: ChangeRun, members: list[Member]) -> Member | None:
        """The detected nexset that the config selects; None while it does not exist.

        Raises:
            OperatorError: NOT_FOUND with the candidates, when several match.
        """
        choice = self.config.nexset
        matching = [member for member in members if choice is None or _matches(member, choice.name, choice.fields)]
        if choice is None and len(matching) > 1:
            names = {nfc(n.name) for n in self.config.nexsets} | {nfc(s.name) for s in self.config.all_destinations}
            ours = [member for member in matching if names & {nfc(child.name or "") for child in member.children}]
            matching = ours if len(ours) == 1 else matching  # the nexset that the flow already uses
        if len(matching) > 1:
            listed = "; ".join(f"{m.id} {m.name!r} with {', '.join(_fields(m)[:8])}" for m in matching)
            raise OperatorError(
                Exit.NOT_FOUND,
                f"the source has {len(matching)} matching nexsets: {listed}",
                hint='choose one in the config: "nexset": {"name": "…"} or {"fields": ["…"]}',
                resource={"type": "nexsets", "candidates": [member.id for member in matching]},
            )
        return matching[0] if matching else None

    def derived(self, run: ChangeRun, parent: int | None, name: str) -> list[Member]:
        """The nexsets with this name directly below their parent, or below any nexset while the parent is unknown.

        Args:
            parent: the id of the parent nexset, or None.
        """
        flow = self.flow(run)
        members = flow.of_kind("nexsets") if flow else []
        above = [m for m in members if parent is None or m.id == parent]
        return [m for top in above for m in top.children if m.kind == "nexsets" and same_name(m.name, name)]

    def only_member(self, run: ChangeRun, kind: Kind, name: str, read: Callable[[], list[Member]]) -> Row | None:
        """The row of the only member that ``read`` finds in the flow; None when it finds none.

        Of two that concurrent runs created, one is about to be deleted: the flow is read again until then.

        Raises:
            OperatorError: NOT_FOUND with the candidates, when there are several.
        """

        def rows() -> list[Row]:
            found = [{**member.row, "id": member.id} for member in read()]
            if len(found) > 1:
                self.forget_flow()
            return found

        return require_unique(kind, name, wait_until_unique(run, rows))

    def existing(self, run: ChangeRun, role: str) -> Member | None:
        """The existing source or destination that the config describes; None when there is none, or several.

        Args:
            role: ``source``, or the key of a destination.
        """
        source = self.source(run)
        if source is not None:
            run.results.setdefault(SOURCE_STEP, source["id"])
        if role == SOURCE_STEP:
            return Member("sources", source["id"], source.get("flow_node_id") or 0, source) if source else None
        entry = next(entry for entry in self.config.all_destinations if entry.key == role)
        members = self.destinations(run, entry.name, entry.sink_type)
        return members[0] if len(members) == 1 else None

    def destinations(self, run: ChangeRun, name: str, sink_type: str) -> list[Member]:
        """The destinations with this name and type in this flow, oldest first."""
        flow = self.flow(run)
        rows = flow.of_kind("destinations") if flow else []
        matching = [m for m in rows if same_name(m.name, name) and m.row.get("sink_type") == sink_type]
        return sorted(matching, key=lambda member: member.id)


def refuse_if_only_visible(run: ChangeRun, kind: Kind, row: Row | None) -> None:
    """Check that the caller may change somebody else's resource: a second one would do everything twice.

    Raises:
        OperatorError: AUTH.
    """
    owner = owner_of(run.session, row) if row else None
    if row is None or owner is None:
        return
    roles = [role for role in row.get("access_roles") or [] if isinstance(role, str)]
    if not roles or set(roles) & MAY_CHANGE:
        return
    raise OperatorError(
        Exit.AUTH,
        f"{kind.singular} {row.get('name')!r} (id {row['id']}) belongs to {owner}, and your role is {', '.join(roles)}",
        hint="ask the owner for the role admin, or choose another name; a second flow would deliver everything twice",
        resource={"type": kind.name, "id": row["id"]},
    )


def _fields(member: Member) -> list[str]:
    schema = member.row.get("output_schema") or {}
    return list((schema.get("properties") or {}).keys())


def _matches(member: Member, name: str | None, fields: list[str] | None) -> bool:
    return same_name(member.name, name) if name is not None else set(fields or []) <= set(_fields(member))
