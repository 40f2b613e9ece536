"""The steps of a deployment that create or update a resource: the common one, credentials and the source."""

from __future__ import annotations

import json
import time
from typing import Any

from helpers.api.resources import by_name, exists, one_of
from helpers.api.transport import call
from helpers.api.writes import create, delete, look_for
from helpers.change.changes import UNCHANGED, Found, Run, Step
from helpers.change.journal import Entry
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row, item_path
from helpers.core.redact import MARK
from helpers.deploy import model as flow_model
from helpers.deploy.state import SOURCE_STEP, FlowState, before_of, differences, update_body

SETTLED_AFTER = 90.0  # seconds after which an unanswered request cannot take effect any more


def set_status(run: Run, kind: Kind, number: int, *, active: bool) -> Row:
    """Activate or pause one resource and return its row as answered."""
    word = "activate" if active else "pause"
    row: Row = call(run.session, "PUT", item_path(kind, number, word), say=run.say).data
    return row


def remove(run: Run, kind: Kind, number: int) -> None:
    """Pause if need be, delete, confirm. Nothing to do when it is gone already."""
    row = exists(run.session, kind, number)
    if row is None:
        return
    if row.get("status") == "ACTIVE":
        set_status(run, kind, number, active=False)
    delete(run.session, kind, number, run.say)


class ResourceStep(Step):
    """Create or update one resource. Subclasses say where to look, what is wanted and where it belongs.

    Args:
        state: the shared view of the server.
        name: exact name, the identity together with the type.
    """

    def __init__(self, key: str, kind: Kind, name: str, state: FlowState) -> None:
        super().__init__(key, f"{kind.singular} {name}")
        self.kind, self.api, self.name, self.state = kind.name, kind, name, state

    def wanted(self, run: Run) -> Row:
        """The fields of the create body; raises KeyError while an earlier step has made nothing (dry run)."""
        raise NotImplementedError

    def current(self, run: Run) -> Row | None:
        """What is there now, in the shape of ``wanted``, with ``id`` and ``status``."""
        raise NotImplementedError

    def comparable(self, wanted: Row) -> Row:
        """The fields that an existing resource is compared on."""
        return {key: value for key, value in wanted.items() if key != "name"}

    def candidates(self, run: Run) -> list[int]:
        """Ids of everything with this identity, oldest first, read fresh; for settling a race."""
        raise NotImplementedError

    def find(self, run: Run) -> Found:
        current = self.current(run)
        if current is None:
            return Found("create")
        wanted = self.comparable(self.wanted(run))
        changes = differences(wanted, current)
        if not changes:
            return Found(UNCHANGED, current["id"])
        before = before_of(update_body(changes, wanted, current), current) | {"status": current.get("status")}
        return Found("update", current["id"], changes, before)

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        wanted = self.wanted(run)
        if found.action == "create":
            row, _ = create(run.session, self.api.path, wanted, lambda: self._fresh(run), run.say)
            self.state.forget()
            return int(row["id"]), True
        assert found.id is not None
        current = self.current(run) or {}
        self.update(run, found.id, update_body(found.changes, self.comparable(wanted), current), current)
        self.state.forget()
        return found.id, run.made(self.key)

    def update(self, run: Run, number: int, body: Row, current: Row) -> None:
        call(run.session, "PUT", item_path(self.api, number), body=body, say=run.say)

    def _fresh(self, run: Run) -> Row | None:
        self.state.forget()
        return self.current(run)

    def verify(self, run: Run, number: int | None, *, made: bool) -> None:
        """Read again. If another run made the same resource meanwhile, the older one stays and ours goes."""
        ids = self.candidates(run)
        if number not in ids:
            raise OperatorError(Exit.UNKNOWN_OUTCOME, f"{self.title} (id {number}) is not there after it was written")
        if made and len(ids) > 1 and number != ids[0]:
            run.warnings.append(f"{self.title}: another run made it too; using {ids[0]}, removing {number}")
            remove(run, self.api, int(number))
            self.state.forget()
            assert run.journal is not None
            run.journal.done(self.key, ids[0], made=False)
            run.results[self.key] = ids[0]
            run.outcomes[-1].id, run.outcomes[-1].action = ids[0], UNCHANGED
            return
        self._compare(run, made=made)

    def _compare(self, run: Run, *, made: bool) -> None:
        """What was written must now be there. A server that normalises a value of a new resource gets a warning."""
        still = self.find(run).changes
        if not still:
            return
        text = f"{self.title} was written, but differs still in {', '.join(still)}"
        if not made:
            raise OperatorError(Exit.ERROR, text, resource={"type": self.kind, "id": run.results.get(self.key)})
        run.warnings.append(text)

    def undo(self, run: Run, entry: Entry) -> None:
        if entry.made:
            entry.id = entry.id or self._lost_id(run, entry)
            if entry.id is not None:
                remove(run, self.api, entry.id)
        elif entry.id is None:
            raise OperatorError(Exit.LEFT_BEHIND, "its id is not known")
        else:
            self._restore(run, entry.id, entry.before)
        self.state.forget()

    def _lost_id(self, run: Run, entry: Entry) -> int | None:
        """The id of something whose creation was never answered. None once it is certain that it was not made."""
        row = look_for(run.session, lambda: self._fresh(run), strict=True)
        if row is not None:
            return int(row["id"])
        if time.time() - entry.at < SETTLED_AFTER:
            raise OperatorError(Exit.LEFT_BEHIND, "its creation was never answered; it is not there, but may appear")
        return None

    def _restore(self, run: Run, number: int, before: Row) -> None:
        if MARK in json.dumps(before):
            raise OperatorError(Exit.LEFT_BEHIND, "the former config holds a secret, which the journal does not keep")
        body = {key: value for key, value in before.items() if key != "status"}
        row = exists(run.session, self.api, number) or {}
        self.update(run, number, body, row)
        if before.get("status") == "ACTIVE":
            set_status(run, self.api, number, active=True)


def lookup_key(kind: str, name: str) -> str:
    """The key under which a looked-up id stands in a run's results."""
    return f"lookup:{kind}:{name}"


def with_credential(fields: Row, run: Run, key: str, *, inline: bool, own: int | None) -> Row:
    """Add the credential id: of the inline credential's step (``(new)`` while it is not made), else its own."""
    number: int | str | None = run.results.get(f"credential:{key}", "(new)") if inline else own
    return {**fields, **({"data_credentials_id": number} if number is not None else {})}


def _nexset_ids(source: Row | None) -> list[int]:
    """Ids of the nexsets that a source row names."""
    return [row["id"] for row in (source or {}).get("data_sets") or [] if isinstance(row, dict) and "id" in row]


def given(model: Any, *names: str) -> Row:
    """The named fields of a config model, without the empty ones."""
    return {name: value for name in names if (value := getattr(model, name)) not in (None, [], {})}


class CredentialStep(ResourceStep):
    """An inline credential. Its secrets are write-only on the server, so an existing one is used as it is."""

    def __init__(self, role: str, config: flow_model.Credential, state: FlowState) -> None:
        super().__init__(f"credential:{role}", KINDS["credentials"], config.name, state)
        self.config = config

    def wanted(self, run: Run) -> Row:
        return self.config.model_dump(exclude_none=True)

    def comparable(self, wanted: Row) -> Row:
        return {}

    def _rows(self, run: Run) -> list[Row]:
        rows = by_name(run.session, self.api, self.name)
        return [row for row in rows if row.get("credentials_type") == self.config.credentials_type]

    def current(self, run: Run) -> Row | None:
        row = one_of(self.api, self.name, self._rows(run))
        if row is not None and not run.made(self.key):
            run.warnings.append(
                f"credential {self.name!r} (id {row['id']}) exists and is used as it is: secrets cannot be compared"
            )
        return row

    def candidates(self, run: Run) -> list[int]:
        return sorted(row["id"] for row in self._rows(run))


class SourceStep(ResourceStep):
    """The source. A config change of an ACTIVE source pauses it first; a later step activates it again."""

    def __init__(self, state: FlowState) -> None:
        super().__init__(SOURCE_STEP, KINDS["sources"], state.config.source.name, state)
        self.config = state.config

    def wanted(self, run: Run) -> Row:
        source = self.config.source
        fields = given(source, "name", "source_type", "description", "ingest_method", "vendor_endpoint_id",
                        "template_config")  # fmt: skip
        settings = self.config.source_settings()
        fields |= {"source_config": settings} if settings else {}
        tags = [*source.tags, *self.config.tags]
        fields |= {"tags": tags} if tags else {}
        own = source.data_credentials_id or self.config.credential_id
        return with_credential(fields, run, "source", inline=source.credential is not None, own=own)

    def comparable(self, wanted: Row) -> Row:
        skipped = ("name", "source_type", "vendor_endpoint_id", "template_config")
        return {key: value for key, value in wanted.items() if key not in skipped}

    def current(self, run: Run) -> Row | None:
        row = self.state.source(run)
        credential = (row or {}).get("data_credentials") or {}
        return {**row, "data_credentials_id": credential.get("id")} if row else None

    def find(self, run: Run) -> Found:
        found = super().find(run)
        status = found.before.get("status")
        if run.dry and status == "ACTIVE" and any(name.startswith("source_config") for name in found.changes):
            run.warnings.append(f"source {self.name!r} is active: it is paused while its config changes")
        found.memo = {"detected": _nexset_ids(self.current(run))}
        return found

    def undo(self, run: Run, entry: Entry) -> None:
        super().undo(run, entry)
        if entry.made or entry.id is None:
            return
        extra = set(_nexset_ids(exists(run.session, self.api, entry.id))) - set(entry.memo.get("detected") or [])
        if extra:
            run.warnings.append(f"source {self.name!r}: nexsets {sorted(extra)} were detected meanwhile and stay")

    def candidates(self, run: Run) -> list[int]:
        self.state.forget()
        return [row["id"] for row in self.state.source_rows(run)]

    def update(self, run: Run, number: int, body: Row, current: Row) -> None:
        if "source_config" in body and current.get("status") == "ACTIVE":
            set_status(run, self.api, number, active=False)
        super().update(run, number, body, current)
