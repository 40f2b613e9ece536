"""The steps of a deployment that create or update a resource: their base class, and the source."""

from __future__ import annotations

from typing import Any

from helpers.api.resources import everyones_by_name, get, get_or_none, owner_of
from helpers.api.transport import call
from helpers.change.creating import CreateStep
from helpers.change.journal import Entry
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found
from helpers.change.restore import EDITS, edits_between, restoration
from helpers.change.set_status import ACTIVE, PAUSED, set_status
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row, item_path
from helpers.deploy.differences import differences, update_body
from helpers.deploy.state import SOURCE_STEP, FlowState


class ResourceStep(CreateStep):
    """Create or update one resource. Subclasses define the desired state and how to read the current state.

    Args:
        name: the exact name; together with the type, it identifies the resource.
        state: the view of the server that all steps share.
    """

    def __init__(self, key: str, kind: Kind, name: str, state: FlowState) -> None:
        super().__init__(key, f"{kind.singular} {name}")
        self.kind, self.api, self.name, self.state = kind.name, kind, name, state

    def current(self, run: ChangeRun) -> Row | None:
        """The current state, with ``id`` and ``status``; None when nothing exists."""
        raise NotImplementedError

    def comparable(self, desired: Row) -> Row:
        """The fields on which an existing resource is compared."""
        return {key: value for key, value in desired.items() if key != "name"}

    def forget(self) -> None:
        self.state.forget()

    def find(self, run: ChangeRun) -> Found:
        current = self.current(run)
        if current is None:
            return Found("create")
        owner = owner_of(run.session, current)
        desired = self.comparable(self.desired(run))
        current = self._complete(run, current, desired)
        changes = differences(desired, current)
        if not changes:
            return Found(UNCHANGED, current["id"], owner=owner)
        edits = edits_between(current, update_body(changes, desired, current))
        before = {EDITS: edits, "status": current.get("status")}
        return Found("update", current["id"], changes, before, owner=owner)

    def _complete(self, run: ChangeRun, current: Row, desired: Row) -> Row:
        """Read from the resource itself what a list or flow left out: a key that is absent is unknown, not different.

        What the resource does not show either counts as desired, with a warning, because it cannot be compared.
        """
        if all(key in current for key in desired):
            return current
        row = get_or_none(run.session, self.api, current["id"], expand=1) or {}
        full = {**current, **with_credential_id(row)}
        unknown = [key for key in desired if key not in full]
        if unknown:
            run.warnings.append(f"{self.title}: the API does not show its {', '.join(unknown)}, which is not compared")
        return full | {key: desired[key] for key in unknown}

    def differing(self, run: ChangeRun, row: Row) -> list[str]:
        desired = self.comparable(self.desired(run))
        return list(differences(desired, self._complete(run, with_credential_id(row), desired)))

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        if found.action == "create":
            return self.create(run)
        assert found.id is not None
        desired = self.desired(run)
        current = self._complete(run, self.current(run) or {"id": found.id}, self.comparable(desired))
        self.update(run, found.id, update_body(found.changes, self.comparable(desired), current), current)
        self.state.forget()
        return Applied(found.id, created=run.created(self.key))

    def update(self, run: ChangeRun, resource_id: int, body: Row, current: Row) -> None:
        """Send an update of an existing resource."""
        call(run.session, "PUT", item_path(self.api, resource_id), body=body, report=run.report)

    def verify(self, run: ChangeRun, applied: Applied) -> Applied:
        """Read the resource again, and keep only one of several that were created at the same time."""
        if applied.created:
            applied = self.keep_one(run, applied)
        self._compare(run, created=applied.created)
        return applied

    def _compare(self, run: ChangeRun, *, created: bool) -> None:
        """Check that what was written is there. For a new resource, a value that the server changed is a warning."""
        still = self.find(run).changes
        if not still:
            return
        text = f"{self.title} was written, but still differs in {', '.join(still)}"
        if not created:
            raise OperatorError(Exit.ERROR, text, resource={"type": self.kind, "id": run.results.get(self.key)})
        run.warnings.append(text)

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        if entry.created:
            self.undo_create(run, entry)
        elif entry.id is None:
            raise OperatorError(Exit.LEFT_BEHIND, "its id is not known")
        else:
            self._restore(run, entry.id, entry.before)
        self.state.forget()

    def _restore(self, run: ChangeRun, resource_id: int, before: Row) -> None:
        """Restore what still is as this change wrote it, and name the rest."""
        if get_or_none(run.session, self.api, resource_id) is None:
            run.warnings.append(f"{self.title} (id {resource_id}) was deleted by somebody else in the meantime")
            return
        row = self.shown(run, resource_id)
        plan = restoration(before.get(EDITS) or [], row)
        if plan.body:
            self.put_back(run, resource_id, plan.body, before, row)
        if self.paused_for(before) and before.get("status") == ACTIVE:
            set_status(run, self.api, resource_id, ACTIVE)
        now = self.shown(run, resource_id)
        wrong = [key for key, value in plan.body.items() if now.get(key) != value]
        if wrong:
            raise OperatorError(Exit.LEFT_BEHIND, f"the server does not show the former {', '.join(wrong)}")
        if plan.objections():
            raise OperatorError(Exit.LEFT_BEHIND, plan.objections())

    def paused_for(self, before: Row) -> bool:
        """Whether the update that undo takes back paused the resource; otherwise its status is nobody's but others'."""
        return False

    def shown(self, run: ChangeRun, resource_id: int) -> Row:
        """The resource as it is now, in the format of ``current``."""
        return with_credential_id(get(run.session, self.api, resource_id, expand=1))

    def put_back(self, run: ChangeRun, resource_id: int, body: Row, before: Row, current: Row) -> None:
        """Send the former values.

        Args:
            body: the former values, as ``restoration`` made them.
            before: the state before the change, from the journal.
            current: the resource as it is now.
        """
        self.update(run, resource_id, body, current)


def with_credential_id(row: Row) -> Row:
    """A row with ``data_credentials_id``, which single resources show only as an object; absent when they show none."""
    inner = row.get("data_credentials")
    if "data_credentials_id" in row or "data_credentials" not in row:
        return row
    return {**row, "data_credentials_id": inner.get("id") if isinstance(inner, dict) else None}


def lookup_key(kind: str, name: str) -> str:
    """The key of the step that looks up a resource by name. The run's results have the id under this key."""
    return f"lookup:{kind}:{name}"


def with_credential(fields: Row, run: ChangeRun, key: str, *, inline: bool, own: int | None) -> Row:
    """Add the credential id to the fields of a source or destination.

    Args:
        key: the role of the credential's step: ``source``, or the name of a destination.
        inline: whether the credential is inline; its id is ``(new)`` until it is created.
        own: the id in the config, otherwise.
    """
    credential_id: int | str | None = run.results.get(f"credential:{key}", "(new)") if inline else own
    return {**fields, **({"data_credentials_id": credential_id} if credential_id is not None else {})}


def with_tags(fields: Row, *tags: list[str]) -> Row:
    """Add the tags of a resource and of its flow; without tags, add no key."""
    all_tags = [tag for group in tags for tag in group]
    return {**fields, **({"tags": all_tags} if all_tags else {})}


def set_fields(entry: Any, *names: str) -> Row:
    """The named fields of a config entry that are not empty."""
    return {name: value for name in names if (value := getattr(entry, name)) not in (None, [], {})}


class SourceStep(ResourceStep):
    """The source. Changing the config of an ACTIVE source pauses it first; a later step activates it again."""

    def __init__(self, state: FlowState) -> None:
        super().__init__(SOURCE_STEP, KINDS["sources"], state.config.flow_source.name, state)
        self.config = state.config

    def desired(self, run: ChangeRun) -> Row:
        source = self.config.flow_source
        fields = set_fields(source, "name", "source_type", "description", "ingest_method", "vendor_endpoint_id",
                       "template_config")  # fmt: skip
        settings = self.config.source_settings()
        fields |= {"source_config": settings} if settings else {}
        fields = with_tags(fields, source.tags, self.config.tags)
        own = source.data_credentials_id or self.config.credential_id
        return with_credential(fields, run, "source", inline=source.credential is not None, own=own)

    def comparable(self, desired: Row) -> Row:
        skipped = ("name", "source_type", "vendor_endpoint_id", "template_config")
        return {key: value for key, value in desired.items() if key not in skipped}

    def current(self, run: ChangeRun) -> Row | None:
        row = self.state.source(run)
        return with_credential_id(row) if row else None

    def find(self, run: ChangeRun) -> Found:
        found = super().find(run)
        status = found.before.get("status")
        if run.dry and status == ACTIVE and any(name.startswith("source_config") for name in found.changes):
            run.warnings.append(f"source {self.name!r} is active; it is paused while its config changes")
        found.resume_data = {"detected": _nexset_ids(self.current(run))}
        return found

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        super().undo(run, entry)
        if entry.created or entry.id is None:
            return
        now = _nexset_ids(get_or_none(run.session, self.api, entry.id))
        extra = set(now) - set(entry.resume_data.get("detected") or [])
        if extra:
            run.warnings.append(f"source {self.name!r}: nexsets {sorted(extra)} were detected meanwhile and are kept")

    def namesakes(self, run: ChangeRun) -> list[Row]:
        return self.state.of_source_type(everyones_by_name(run.session, self.api, self.name, expand=1))

    def paused_for(self, before: Row) -> bool:
        return any(edit["path"][0] == "source_config" for edit in before.get(EDITS) or [])

    def update(self, run: ChangeRun, resource_id: int, body: Row, current: Row) -> None:
        if "source_config" in body and current.get("status") == ACTIVE:
            set_status(run, self.api, resource_id, PAUSED)
        super().update(run, resource_id, body, current)


def _nexset_ids(source: Row | None) -> list[int]:
    """The ids of the nexsets in a source row."""
    return [row["id"] for row in (source or {}).get("data_sets") or [] if isinstance(row, dict) and "id" in row]
