"""The steps of a deployment that create or update resources: credential, source, derived nexsets, destinations."""

from __future__ import annotations

import json
from typing import Any

from . import flow_config
from .changes import UNCHANGED, Found, Run, Step
from .errors import Exit, OperatorError
from .flow_state import SOURCE_STEP, FlowState, before_of, differences, update_body
from .journal import Entry
from .redact import MARK
from .resources import KINDS, Kind, Row, by_name, create, delete, exists, item_path, one_of
from .transport import call


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
        number = entry.id or run.results.get(self.key)
        if entry.made:
            if number is None:
                row = self._fresh(run)
                number = row["id"] if row else None
            if number is not None:
                entry.id = number
                remove(run, self.api, number)
        elif number is not None:
            self._restore(run, number, entry.before)
        self.state.forget()

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


def with_credential(fields: Row, run: Run, key: str, given: int | None, default: int | None) -> Row:
    """Add the credential id: of the inline credential's step, else the one given, else the flow's default."""
    inline = f"credential:{key}"
    number = run.results.get(inline, given or default)
    return {**fields, **({"data_credentials_id": number} if number is not None else {})}


def _given(model: Any, *names: str) -> Row:
    return {name: value for name in names if (value := getattr(model, name)) not in (None, [], {})}


class CredentialStep(ResourceStep):
    """An inline credential. Its secrets are write-only on the server, so an existing one is used as it is."""

    def __init__(self, role: str, config: flow_config.Credential, state: FlowState) -> None:
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
        fields = _given(source, "name", "source_type", "description", "ingest_method", "vendor_endpoint_id",
                        "template_config")  # fmt: skip
        settings = self.config.source_settings()
        fields |= {"source_config": settings} if settings else {}
        tags = [*source.tags, *self.config.tags]
        fields |= {"tags": tags} if tags else {}
        return with_credential(fields, run, "source", source.data_credentials_id, self.config.credential_id)

    def comparable(self, wanted: Row) -> Row:
        skipped = ("name", "source_type", "vendor_endpoint_id", "template_config")
        return {key: value for key, value in wanted.items() if key not in skipped}

    def current(self, run: Run) -> Row | None:
        row = self.state.source(run)
        credential = (row or {}).get("data_credentials") or {}
        return {**row, "data_credentials_id": credential.get("id")} if row else None

    def candidates(self, run: Run) -> list[int]:
        self.state.forget()
        return [row["id"] for row in self.state.source_rows(run)]

    def update(self, run: Run, number: int, body: Row, current: Row) -> None:
        if "source_config" in body and current.get("status") == "ACTIVE":
            set_status(run, self.api, number, active=False)
        super().update(run, number, body, current)


class NexsetStep(ResourceStep):
    """A nexset derived from another nexset of the flow by a transform."""

    def __init__(self, config: flow_config.DerivedNexset, parent_key: str, state: FlowState) -> None:
        super().__init__(f"nexset:{config.name}", KINDS["nexsets"], config.name, state)
        self.config, self.parent_key = config, parent_key

    def wanted(self, run: Run) -> Row:
        fields = _given(self.config, "name", "description")
        tags = [*self.config.tags, *self.state.config.tags]
        fields |= {"tags": tags} if tags else {}
        fields |= {"parent_data_set_id": run.results[self.parent_key]}
        if self.config.transform is not None:
            return {**fields, "has_custom_transform": False, "transform": _wrapped(self.config.transform)}
        number = self.config.transform_id or run.results[lookup_key("transforms", str(self.config.transform_name))]
        return {**fields, "has_custom_transform": True, "transform_id": number}

    def current(self, run: Run) -> Row | None:
        parent = run.results.get(self.parent_key)
        member = self.state.derived(run, parent, self.name) if parent else None
        if member is None:
            return None
        container = member.row.get("code_container_id")
        flow = self.state.flow(run)
        code = (flow.code(container) if flow else None) or {}
        return {**member.row, "transform_id": container, "operations": code.get("code")}

    def find(self, run: Run) -> Found:
        current = self.current(run)
        if current is None:
            return Found("create")
        wanted = self.wanted(run)
        plain: Row = {key: wanted[key] for key in ("description", "tags") if key in wanted}
        changes = differences(plain, current)
        before = before_of(update_body(changes, plain, current), current)
        if "transform_id" in wanted and current["transform_id"] != wanted["transform_id"]:
            changes["transform_id"] = [current["transform_id"], wanted["transform_id"]]
            before["transform_id"] = current["transform_id"]
        if "transform" in wanted and current["operations"] != wanted["transform"]["transforms"]:
            changes["transform"] = [current["operations"], wanted["transform"]["transforms"]]
            if current["operations"] is None or self._shared(run):
                before["transform_id"] = current["transform_id"]
            else:
                before["transform"] = _wrapped(current["operations"])
        if not changes:
            return Found(UNCHANGED, current["id"])
        return Found("update", current["id"], changes, before)

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        if found.action == "create":
            return super().apply(run, found)
        assert found.id is not None
        wanted = self.wanted(run)
        body = {key: wanted[key] for key in found.changes if key in wanted}
        if "transform" in body and self._shared(run):
            # an inline edit changes the attached container in place; null first gives this nexset its own
            body = {**body, "transform_id": None}
        call(run.session, "PUT", item_path(self.api, found.id), body=body, say=run.say)
        self.state.forget()
        return found.id, run.made(self.key)

    def _shared(self, run: Run) -> bool:
        flow, current = self.state.flow(run), self.current(run) or {}
        code = flow.code(current.get("transform_id")) if flow else None
        return bool(code and code.get("reusable"))

    def candidates(self, run: Run) -> list[int]:
        self.state.forget_flow()
        flow, parent = self.state.flow(run), run.results.get(self.parent_key)
        above = flow.find("nexsets", parent) if flow and parent else None
        return sorted(m.id for m in above.children if m.kind == "nexsets" and m.name == self.name) if above else []


def _wrapped(transform: list[Row] | Row) -> Row:
    """An inline transform as the wrapper that the API stores and shows."""
    if isinstance(transform, list):
        return {"version": 1, "data_maps": [], "transforms": transform}
    if "transforms" in transform:
        return {"version": 1, "data_maps": [], **transform}
    return {"version": 1, "data_maps": [], "transforms": [transform]}


class SinkStep(ResourceStep):
    """A destination on one nexset of the flow. One of the same name elsewhere is never taken over."""

    def __init__(self, config: flow_config.Destination, nexset_key: str, state: FlowState) -> None:
        super().__init__(f"destination:{config.name}", KINDS["destinations"], config.name, state)
        self.config, self.nexset_key = config, nexset_key

    def wanted(self, run: Run) -> Row:
        fields = _given(self.config, "name", "sink_type", "description", "vendor_endpoint_id", "template_config")
        fields["sink_config"] = self.config.sink_config
        tags = [*self.config.tags, *self.state.config.tags]
        fields |= {"tags": tags} if tags else {}
        number = self.config.data_set_id or run.results.get(self.nexset_key)
        fields |= {"data_set_id": number} if number is not None else {}
        return with_credential(fields, run, self.name, self.config.data_credentials_id, self.state.config.credential_id)

    def comparable(self, wanted: Row) -> Row:
        skipped = ("name", "sink_type", "vendor_endpoint_id", "template_config")
        return {key: value for key, value in wanted.items() if key not in skipped}

    def current(self, run: Run) -> Row | None:
        members = self.state.sinks(run, self.name, self.config.sink_type)
        row = one_of(self.api, self.name, [member.row for member in members])
        if row is None:
            self.refuse_foreign(run)
        return row

    def refuse_foreign(self, run: Run) -> None:
        """Once per run, while the flow has no such destination: one of another flow must not be taken for it."""
        if run.facts.setdefault(f"looked:{self.key}", False):
            return
        rows = by_name(run.session, self.api, self.name)
        flow = self.state.flow(run)
        ours = flow.origin.node_id if flow else None
        foreign = [r for r in rows if r.get("sink_type") == self.config.sink_type and r.get("origin_node_id") != ours]
        run.facts[f"looked:{self.key}"] = True
        if foreign:
            raise OperatorError(
                Exit.ERROR,
                f"destination {self.name!r} exists in another flow (id {foreign[0]['id']})",
                hint="give this destination a name of its own; nothing of the other flow was changed",
                resource={"type": "destinations", "id": foreign[0]["id"]},
            )

    def candidates(self, run: Run) -> list[int]:
        self.state.forget_flow()
        return [member.id for member in self.state.sinks(run, self.name, self.config.sink_type)]
