"""The steps that create or update the members below a flow's source: derived nexsets and destinations."""

from __future__ import annotations

from typing import Any

from helpers.api.resources import by_name, owner_of
from helpers.api.transport import call
from helpers.change.creating import journalled_row
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found
from helpers.change.restore import EDITS, edits_between
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row, item_path
from helpers.core.names import same_name
from helpers.deploy import model
from helpers.deploy.differences import differences, update_body
from helpers.deploy.resource_steps import ResourceStep, lookup_key, set_fields, with_credential, with_tags
from helpers.deploy.state import FlowState, nexset_key

OPERATIONS = "operations"  # the key of an inline transform's operations in a nexset's state


class NexsetStep(ResourceStep):
    """A nexset derived from another nexset of the flow by a transform."""

    def __init__(self, config: model.DerivedNexset, parent_key: str, state: FlowState) -> None:
        super().__init__(nexset_key(config.name), KINDS["nexsets"], config.name, state)
        self.config, self.parent_key = config, parent_key

    def desired(self, run: ChangeRun) -> Row:
        fields = with_tags(set_fields(self.config, "name", "description"), self.config.tags, self.state.config.tags)
        fields |= {"parent_data_set_id": run.results[self.parent_key]}
        if self.config.transform is not None:
            return {**fields, "has_custom_transform": False, "transform": _wrapped(self.config.transform)}
        looked_up = lookup_key("transforms", str(self.config.transform_name))
        transform_id = self.config.transform_id or run.results[looked_up]
        return {**fields, "has_custom_transform": True, "transform_id": transform_id}

    def current(self, run: ChangeRun) -> Row | None:
        parent_id = run.results.get(self.parent_key)
        row = self.state.only_member(run, self.api, self.name, lambda: self.state.derived(run, parent_id, self.name))
        row = row or journalled_row(run, self.key, self.api)
        return self._with_code(run, row) if row else None

    def _with_code(self, run: ChangeRun, row: Row) -> Row:
        """The row with the id and the operations of its transform, from the flow or from an expanded nexset."""
        container_id, flow = row.get("code_container_id", row.get("transform_id")), self.state.flow(run)
        code = (flow.code(container_id) if flow else None) or {}
        inline = row.get("transform")
        operations = code.get("code") if code or not isinstance(inline, dict) else inline.get("transforms")
        return {**row, "transform_id": container_id, OPERATIONS: operations}

    def find(self, run: ChangeRun) -> Found:
        current = self.current(run)
        if current is None:
            return Found("create")
        owner = owner_of(run.session, current)
        current = self._complete(run, current, _plain(self.desired(run)))
        changes = self._changes(run, current)
        if not changes:
            return Found(UNCHANGED, current["id"], owner=owner)
        after = {key: value for key, (_, value) in changes.items() if key not in ("transform_id", OPERATIONS)}
        edits = edits_between(current, update_body({key: changes[key] for key in after}, after, current))
        for key in changes.keys() - after.keys():
            edits.append({"path": [key], "before": changes[key][0], "after": [changes[key][1]]})
        before: Row = {EDITS: edits}
        if OPERATIONS in changes and (current[OPERATIONS] is None or self._shared(run)):
            before["transform_id"] = current["transform_id"]
        return Found("update", current["id"], changes, before, owner=owner)

    def _changes(self, run: ChangeRun, current: Row) -> dict[str, list[Any]]:
        desired = self.desired(run)
        changes = differences(_plain(desired), current)
        if "transform_id" in desired and current["transform_id"] != desired["transform_id"]:
            changes["transform_id"] = [current["transform_id"], desired["transform_id"]]
        if "transform" in desired and current[OPERATIONS] != desired["transform"]["transforms"]:
            changes[OPERATIONS] = [current[OPERATIONS], desired["transform"]["transforms"]]
        return changes

    def differing(self, run: ChangeRun, row: Row) -> list[str]:
        full = self._complete(run, row, _plain(self.desired(run)))
        return list(self._changes(run, self._with_code(run, full)))

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        if found.action == "create":
            return super().apply(run, found)
        assert found.id is not None
        desired = self.desired(run)
        body = {key: desired[key] for key in found.changes if key in desired}
        if OPERATIONS in found.changes:
            # an inline edit would change a shared container in place; null gives this nexset a container of its own
            body |= {"transform": desired["transform"]} | ({"transform_id": None} if self._shared(run) else {})
        call(run.session, "PUT", item_path(self.api, found.id), body=body, report=run.report)
        self.state.forget()
        return Applied(found.id, created=run.created(self.key))

    def _shared(self, run: ChangeRun) -> bool:
        flow, current = self.state.flow(run), self.current(run) or {}
        code = flow.code(current.get("transform_id")) if flow else None
        return bool(code and code.get("reusable"))

    def shown(self, run: ChangeRun, resource_id: int) -> Row:
        self.state.forget_flow()
        return self._with_code(run, super().shown(run, resource_id))

    def put_back(self, run: ChangeRun, resource_id: int, body: Row, before: Row, current: Row) -> None:
        body = dict(body)
        if OPERATIONS in body:
            operations = body.pop(OPERATIONS)
            inline = {"transform": _wrapped(operations)}
            body |= {"transform_id": before["transform_id"]} if "transform_id" in before else inline
        self.update(run, resource_id, body, current)

    def namesakes(self, run: ChangeRun) -> list[Row]:
        self.state.forget_flow()
        flow, parent_id = self.state.flow(run), run.results.get(self.parent_key)
        above = flow.find("nexsets", parent_id) if flow and parent_id else None
        children = above.children if above else []
        rows = [m.row for m in children if m.kind == "nexsets" and same_name(m.name, self.name)]
        return sorted(rows, key=lambda row: row["id"])


def _plain(desired: Row) -> Row:
    """The fields of a nexset that are no transform."""
    return {key: desired[key] for key in ("description", "tags") if key in desired}


def _wrapped(transform: list[Row] | Row) -> Row:
    """An inline transform in the wrapper object that the API stores and returns."""
    if isinstance(transform, list):
        return {"version": 1, "data_maps": [], "transforms": transform}
    if "transforms" in transform:
        return {"version": 1, "data_maps": [], **transform}
    return {"version": 1, "data_maps": [], "transforms": [transform]}


class DestinationStep(ResourceStep):
    """A destination on one nexset of the flow. A destination with the same name in another flow is never changed."""

    def __init__(self, config: model.Destination, nexset_key: str, state: FlowState) -> None:
        super().__init__(f"destination:{config.key}", KINDS["destinations"], config.name, state)
        self.config, self.nexset_key = config, nexset_key
        self._no_foreign_one = False

    def desired(self, run: ChangeRun) -> Row:
        fields = set_fields(self.config, "name", "sink_type", "description", "vendor_endpoint_id", "template_config")
        fields["sink_config"] = self.config.sink_config
        fields = with_tags(fields, self.config.tags, self.state.config.tags)
        nexset_id = self.config.data_set_id or run.results.get(self.nexset_key)
        fields |= {"data_set_id": nexset_id} if nexset_id is not None else {}
        own = self.config.data_credentials_id or self.state.config.credential_id
        return with_credential(fields, run, self.config.key, inline=self.config.credential is not None, own=own)

    def comparable(self, desired: Row) -> Row:
        skipped = ("name", "sink_type", "vendor_endpoint_id", "template_config")
        return {key: value for key, value in desired.items() if key not in skipped}

    def current(self, run: ChangeRun) -> Row | None:
        sink_type = self.config.sink_type
        row = self.state.only_member(
            run, self.api, self.name, lambda: self.state.destinations(run, self.name, sink_type)
        )
        row = row or journalled_row(run, self.key, self.api)
        if row is None:
            self.refuse_foreign(run)
        self.refuse_foreign_nexset(run)
        return row

    def refuse_foreign_nexset(self, run: ChangeRun) -> None:
        """Check that the config's ``data_set_id``, if set, is a nexset of this flow.

        Raises:
            OperatorError: NOT_FOUND.
        """
        nexset_id, flow = self.config.data_set_id, self.state.flow(run)
        if nexset_id is None or (flow is not None and flow.find("nexsets", nexset_id)):
            return
        raise OperatorError(
            Exit.NOT_FOUND,
            f"destination {self.name!r}: nexset {nexset_id} is not in this flow",
            hint='omit data_set_id, or select an entry of nexsets with "nexset"',
            resource={"type": "nexsets", "id": nexset_id},
        )

    def refuse_foreign(self, run: ChangeRun) -> None:
        """Check, once per run, that no other flow has a destination with this name and type.

        Raises:
            OperatorError: ERROR.
        """
        if self._no_foreign_one:
            return
        rows = by_name(run.session, self.api, self.name)
        flow = self.state.flow(run)
        ours = flow.origin.node_id if flow else None
        foreign = [r for r in rows if r.get("sink_type") == self.config.sink_type and r.get("origin_node_id") != ours]
        self._no_foreign_one = True
        if foreign:
            raise OperatorError(
                Exit.ERROR,
                f"destination {self.name!r} exists in another flow (id {foreign[0]['id']})",
                hint="choose a unique name for this destination; the other flow was not changed",
                resource={"type": "destinations", "id": foreign[0]["id"]},
            )

    def namesakes(self, run: ChangeRun) -> list[Row]:
        self.state.forget_flow()
        return [member.row for member in self.state.destinations(run, self.name, self.config.sink_type)]
