"""The steps of a deployment that create or update a resource: their base class, credentials and the source."""

from __future__ import annotations

from typing import Any

from helpers.api.resources import by_name, get, get_or_none, owner_of, require_unique, shared_by_name
from helpers.api.transport import call
from helpers.change.creating import CreateStep, journalled_row
from helpers.change.journal import Entry
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found
from helpers.change.restore import EDITS, edits_between, restoration
from helpers.change.set_status import ACTIVE, PAUSED, set_status
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row, item_path
from helpers.deploy import model
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
        if before.get("status") == ACTIVE:
            set_status(run, self.api, resource_id, ACTIVE)
        now = self.shown(run, resource_id)
        wrong = [key for key, value in plan.body.items() if now.get(key) != value]
        if wrong:
            raise OperatorError(Exit.LEFT_BEHIND, f"the server does not show the former {', '.join(wrong)}")
        if plan.objections():
            raise OperatorError(Exit.LEFT_BEHIND, plan.objections())

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


def everyones(run: ChangeRun, kind: Kind, name: str, **params: Any) -> list[Row]:
    """All resources with this name: the caller's own, and those of others that the caller may see."""
    rows = [*by_name(run.session, kind, name, **params), *shared_by_name(run.session, kind, name, **params)]
    return list({row["id"]: row for row in rows}.values())


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


def unchanged_secret(name: str, credential_id: int) -> str:
    """The warning that an existing credential keeps its secret, and how to change it."""
    return (
        f"credential {name!r} (id {credential_id}) exists: its secret was NOT changed, even if the config has a new "
        "one, because Nexla returns no secret to compare with. To change it, edit the credential in Nexla, or send "
        f"PUT /data_credentials/{credential_id} (REFERENCE.md, Change the secret of a credential)"
    )


class CredentialStep(ResourceStep):
    """An inline credential. The server never returns its secrets, so an existing credential is used unchanged."""

    def __init__(self, role: str, config: model.Credential, state: FlowState) -> None:
        super().__init__(f"credential:{role}", KINDS["credentials"], config.name, state)
        self.config = config

    def desired(self, run: ChangeRun) -> Row:
        return self.config.model_dump(exclude_none=True)

    def comparable(self, desired: Row) -> Row:
        return {}

    def _of_type(self, rows: list[Row]) -> list[Row]:
        matching = [row for row in rows if row.get("credentials_type") == self.config.credentials_type]
        return sorted(matching, key=lambda row: row["id"])

    def current(self, run: ChangeRun) -> Row | None:
        row = journalled_row(run, self.key, self.api) or self._of_another_member(run)
        if row is None:
            rows = self._of_type(by_name(run.session, self.api, self.name))
            if not rows and self.state.owner(run) is not None:  # it is somebody else's flow, with their credentials
                rows = self._of_type(shared_by_name(run.session, self.api, self.name))
            row = require_unique(self.api, self.name, rows)
        if row is not None and not run.created(self.key):
            text = unchanged_secret(self.name, row["id"])
            if text not in run.warnings:
                run.warnings.append(text)
        return row

    def _of_another_member(self, run: ChangeRun) -> Row | None:
        """The same inline credential, which an earlier step of this run created for another member of the flow."""
        known = self.state.facts.credentials.get((self.name, self.config.credentials_type))
        return get_or_none(run.session, self.api, known) if known is not None else None

    def verify(self, run: ChangeRun, applied: Applied) -> Applied:
        applied = super().verify(run, applied)
        if applied.id is not None:
            self.state.facts.credentials[self.name, self.config.credentials_type] = applied.id
        return applied

    def namesakes(self, run: ChangeRun) -> list[Row]:
        return self._of_type(everyones(run, self.api, self.name))


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
        return self.state.of_source_type(everyones(run, self.api, self.name, expand=1))

    def update(self, run: ChangeRun, resource_id: int, body: Row, current: Row) -> None:
        if "source_config" in body and current.get("status") == ACTIVE:
            set_status(run, self.api, resource_id, PAUSED)
        super().update(run, resource_id, body, current)


def _nexset_ids(source: Row | None) -> list[int]:
    """The ids of the nexsets in a source row."""
    return [row["id"] for row in (source or {}).get("data_sets") or [] if isinstance(row, dict) and "id" in row]
