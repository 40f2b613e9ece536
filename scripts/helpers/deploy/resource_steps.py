"""The steps of a deployment that create or update a resource: their base class, credentials and the source."""

from __future__ import annotations

import json
import time
from typing import Any

from helpers.api.resources import by_name, get_or_none, require_unique
from helpers.api.transport import call
from helpers.api.writes import create, delete, poll_for_row
from helpers.change.journal import Entry
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.change.set_status import ACTIVE, PAUSED, set_status
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row, item_path
from helpers.core.redact import MARK
from helpers.deploy import model
from helpers.deploy.differences import differences, previous_values, update_body
from helpers.deploy.state import SOURCE_STEP, FlowState

LATE_CREATE_SECONDS = 90.0  # after this time, a request without a response can no longer take effect


def remove_resource(run: ChangeRun, kind: Kind, resource_id: int) -> None:
    """Pause a resource if it is ACTIVE, delete it, and verify that. Do nothing when it no longer exists.

    Raises:
        ApiError: the server rejected the request, such as with 405 for a credential that is used elsewhere.
        OperatorError: UNKNOWN_OUTCOME, when the resource still exists after DELETE.
    """
    row = get_or_none(run.session, kind, resource_id)
    if row is None:
        return
    if row.get("status") == ACTIVE:
        set_status(run, kind, resource_id, PAUSED)
    delete(run.session, kind, resource_id, run.report)


class ResourceStep(Step):
    """Create or update one resource. Subclasses define the desired state and how to read the current state.

    Args:
        name: the exact name; together with the type, it identifies the resource.
        state: the view of the server that all steps share.
    """

    def __init__(self, key: str, kind: Kind, name: str, state: FlowState) -> None:
        super().__init__(key, f"{kind.singular} {name}")
        self.kind, self.api, self.name, self.state = kind.name, kind, name, state

    def desired(self, run: ChangeRun) -> Row:
        """The desired fields, as in the body of a create.

        Raises:
            KeyError: an earlier step has not created its resource yet, as in a dry run.
        """
        raise NotImplementedError

    def current(self, run: ChangeRun) -> Row | None:
        """The current state in the format of ``desired``, with ``id`` and ``status``; None when nothing exists."""
        raise NotImplementedError

    def comparable(self, desired: Row) -> Row:
        """The fields on which an existing resource is compared."""
        return {key: value for key, value in desired.items() if key != "name"}

    def candidates(self, run: ChangeRun) -> list[int]:
        """Read the ids of all resources with this identity, oldest first. Several ids reveal a concurrent run."""
        raise NotImplementedError

    def find(self, run: ChangeRun) -> Found:
        current = self.current(run)
        if current is None:
            return Found("create")
        desired = self.comparable(self.desired(run))
        changes = differences(desired, current)
        if not changes:
            return Found(UNCHANGED, current["id"])
        before = previous_values(update_body(changes, desired, current), current) | {"status": current.get("status")}
        return Found("update", current["id"], changes, before)

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        desired = self.desired(run)
        if found.action == "create":
            row = create(run.session, self.api.path, desired, lambda: self._read_again(run), run.report).row
            self.state.forget()
            return Applied(int(row["id"]), created=True)
        assert found.id is not None
        current = self.current(run) or {}
        self.update(run, found.id, update_body(found.changes, self.comparable(desired), current), current)
        self.state.forget()
        return Applied(found.id, created=run.created(self.key))

    def update(self, run: ChangeRun, resource_id: int, body: Row, current: Row) -> None:
        """Send an update of an existing resource."""
        call(run.session, "PUT", item_path(self.api, resource_id), body=body, report=run.report)

    def _read_again(self, run: ChangeRun) -> Row | None:
        self.state.forget()
        return self.current(run)

    def verify(self, run: ChangeRun, applied: Applied) -> Applied:
        """Read the resource again. If a concurrent run created it too, keep the older resource and delete ours."""
        ids = self.candidates(run)
        if applied.id is None or applied.id not in ids:
            raise OperatorError(
                Exit.UNKNOWN_OUTCOME, f"{self.title} (id {applied.id}) does not exist after it was written"
            )
        if applied.created and applied.id != ids[0]:
            run.warnings.append(f"{self.title}: another run created it too; using {ids[0]}, deleting {applied.id}")
            remove_resource(run, self.api, applied.id)
            self.state.forget()
            return Applied(ids[0])
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
            entry.id = entry.id or self._unconfirmed_id(run, entry)
            if entry.id is not None:
                remove_resource(run, self.api, entry.id)
        elif entry.id is None:
            raise OperatorError(Exit.LEFT_BEHIND, "its id is not known")
        else:
            self._restore(run, entry.id, entry.before)
        self.state.forget()

    def _unconfirmed_id(self, run: ChangeRun, entry: Entry) -> int | None:
        """The id of a resource whose create got no response; None once it is certain that it was not created."""
        row = poll_for_row(run.session, lambda: self._read_again(run), strict=True)
        if row is not None:
            return int(row["id"])
        if time.time() - entry.at < LATE_CREATE_SECONDS:
            raise OperatorError(Exit.LEFT_BEHIND, "its create got no response; it does not exist yet, but may appear")
        return None

    def _restore(self, run: ChangeRun, resource_id: int, before: Row) -> None:
        if MARK in json.dumps(before):
            raise OperatorError(Exit.LEFT_BEHIND, "the former config holds a secret, which the journal does not keep")
        body = {key: value for key, value in before.items() if key != "status"}
        row = get_or_none(run.session, self.api, resource_id) or {}
        self.update(run, resource_id, body, row)
        if before.get("status") == ACTIVE:
            set_status(run, self.api, resource_id, ACTIVE)


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


class CredentialStep(ResourceStep):
    """An inline credential. The server never returns its secrets, so an existing credential is used unchanged."""

    def __init__(self, role: str, config: model.Credential, state: FlowState) -> None:
        super().__init__(f"credential:{role}", KINDS["credentials"], config.name, state)
        self.config = config

    def desired(self, run: ChangeRun) -> Row:
        return self.config.model_dump(exclude_none=True)

    def comparable(self, desired: Row) -> Row:
        return {}

    def _rows(self, run: ChangeRun) -> list[Row]:
        rows = by_name(run.session, self.api, self.name)
        return [row for row in rows if row.get("credentials_type") == self.config.credentials_type]

    def current(self, run: ChangeRun) -> Row | None:
        row = require_unique(self.api, self.name, self._rows(run))
        if row is not None and not run.created(self.key):
            run.warnings.append(
                f"credential {self.name!r} (id {row['id']}) exists and is used unchanged: secrets cannot be compared"
            )
        return row

    def candidates(self, run: ChangeRun) -> list[int]:
        return sorted(row["id"] for row in self._rows(run))


class SourceStep(ResourceStep):
    """The source. Changing the config of an ACTIVE source pauses it first; a later step activates it again."""

    def __init__(self, state: FlowState) -> None:
        super().__init__(SOURCE_STEP, KINDS["sources"], state.config.source.name, state)
        self.config = state.config

    def desired(self, run: ChangeRun) -> Row:
        source = self.config.source
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
        credential = (row or {}).get("data_credentials") or {}
        return {**row, "data_credentials_id": credential.get("id")} if row else None

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

    def candidates(self, run: ChangeRun) -> list[int]:
        self.state.forget()
        return [row["id"] for row in self.state.source_rows(run)]

    def update(self, run: ChangeRun, resource_id: int, body: Row, current: Row) -> None:
        if "source_config" in body and current.get("status") == ACTIVE:
            set_status(run, self.api, resource_id, PAUSED)
        super().update(run, resource_id, body, current)


def _nexset_ids(source: Row | None) -> list[int]:
    """The ids of the nexsets in a source row."""
    return [row["id"] for row in (source or {}).get("data_sets") or [] if isinstance(row, dict) and "id" in row]
