"""The steps that create or update the members below a flow's source: derived nexsets and destinations."""

from __future__ import annotations

from helpers.api.resources import by_name, require_unique
from helpers.api.transport import call
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row, item_path
from helpers.deploy import model
from helpers.deploy.differences import differences, previous_values, update_body
from helpers.deploy.resource_steps import ResourceStep, lookup_key, set_fields, with_credential, with_tags
from helpers.deploy.state import FlowState, nexset_key


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
        member = self.state.derived(run, run.results.get(self.parent_key), self.name)
        if member is None:
            return None
        container_id = member.row.get("code_container_id")
        flow = self.state.flow(run)
        code = (flow.code(container_id) if flow else None) or {}
        return {**member.row, "transform_id": container_id, "operations": code.get("code")}

    def find(self, run: ChangeRun) -> Found:
        current = self.current(run)
        if current is None:
            return Found("create")
        desired = self.desired(run)
        plain: Row = {key: desired[key] for key in ("description", "tags") if key in desired}
        changes = differences(plain, current)
        before = previous_values(update_body(changes, plain, current), current)
        if "transform_id" in desired and current["transform_id"] != desired["transform_id"]:
            changes["transform_id"] = [current["transform_id"], desired["transform_id"]]
            before["transform_id"] = current["transform_id"]
        if "transform" in desired and current["operations"] != desired["transform"]["transforms"]:
            changes["transform"] = [current["operations"], desired["transform"]["transforms"]]
            if current["operations"] is None or self._shared(run):
                before["transform_id"] = current["transform_id"]
            else:
                before["transform"] = _wrapped(current["operations"])
        if not changes:
            return Found(UNCHANGED, current["id"])
        return Found("update", current["id"], changes, before)

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        if found.action == "create":
            return super().apply(run, found)
        assert found.id is not None
        desired = self.desired(run)
        body = {key: desired[key] for key in found.changes if key in desired}
        if "transform" in body and self._shared(run):
            # an inline edit would change the shared container in place; null gives this nexset a container of its own
            body = {**body, "transform_id": None}
        call(run.session, "PUT", item_path(self.api, found.id), body=body, report=run.report)
        self.state.forget()
        return Applied(found.id, created=run.created(self.key))

    def _shared(self, run: ChangeRun) -> bool:
        flow, current = self.state.flow(run), self.current(run) or {}
        code = flow.code(current.get("transform_id")) if flow else None
        return bool(code and code.get("reusable"))

    def candidates(self, run: ChangeRun) -> list[int]:
        self.state.forget_flow()
        flow, parent_id = self.state.flow(run), run.results.get(self.parent_key)
        above = flow.find("nexsets", parent_id) if flow and parent_id else None
        return sorted(m.id for m in above.children if m.kind == "nexsets" and m.name == self.name) if above else []


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
        super().__init__(f"destination:{config.name}", KINDS["destinations"], config.name, state)
        self.config, self.nexset_key = config, nexset_key
        self._no_foreign_one = False

    def desired(self, run: ChangeRun) -> Row:
        fields = set_fields(self.config, "name", "sink_type", "description", "vendor_endpoint_id", "template_config")
        fields["sink_config"] = self.config.sink_config
        fields = with_tags(fields, self.config.tags, self.state.config.tags)
        nexset_id = self.config.data_set_id or run.results.get(self.nexset_key)
        fields |= {"data_set_id": nexset_id} if nexset_id is not None else {}
        own = self.config.data_credentials_id or self.state.config.credential_id
        return with_credential(fields, run, self.name, inline=self.config.credential is not None, own=own)

    def comparable(self, desired: Row) -> Row:
        skipped = ("name", "sink_type", "vendor_endpoint_id", "template_config")
        return {key: value for key, value in desired.items() if key not in skipped}

    def current(self, run: ChangeRun) -> Row | None:
        members = self.state.destinations(run, self.name, self.config.sink_type)
        row = require_unique(self.api, self.name, [member.row for member in members])
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

    def candidates(self, run: ChangeRun) -> list[int]:
        self.state.forget_flow()
        return [member.id for member in self.state.destinations(run, self.name, self.config.sink_type)]
