"""The step that adds a flow to its project."""

from __future__ import annotations

from helpers.api.flows import Flow
from helpers.api.transport import call
from helpers.change.journal import Entry
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, item_path
from helpers.deploy.resource_steps import lookup_key
from helpers.deploy.state import FlowState


class ProjectStep(Step):
    """Add the flow to a project, which is given by name or id."""

    def __init__(self, project: str | int, state: FlowState) -> None:
        super().__init__("project", f"project {project}")
        self.project, self.state, self.kind, self.name = project, state, "projects", str(project)

    def _project_id(self, run: ChangeRun) -> int:
        if isinstance(self.project, int):
            return self.project
        project_id = run.results.get(lookup_key("projects", self.project), run.results.get(self.key))
        if project_id is None:
            raise OperatorError(Exit.LEFT_BEHIND, f"the id of project {self.project!r} is not known")
        return project_id

    def find(self, run: ChangeRun) -> Found:
        project_id, flow = self._project_id(run), self.state.flow(run)
        if flow is not None and flow.project_id == project_id:
            return Found(UNCHANGED, project_id)
        before = flow.project_id if flow else None
        state = {"project": before, "flow": _node_id(flow)}
        return Found("add flow", project_id, {"project": [before, project_id]}, state)

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        self._send(run, found.id, "PUT")
        return Applied(found.id)

    def _send(self, run: ChangeRun, project_id: int | None, method: str) -> None:
        node_id = _node_id(self.state.flow(run))
        if node_id is not None:
            path = item_path(KINDS["projects"], project_id, "flows")
            call(run.session, method, path, body={"flows": [node_id]}, report=run.report)
        self.state.forget_flow()

    def verify(self, run: ChangeRun, applied: Applied) -> Applied:
        flow = self.state.flow(run)
        if flow is None or flow.project_id != applied.id:
            raise OperatorError(Exit.ERROR, f"the flow is not in project {applied.id}, although the API accepted it")
        return applied

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        former = entry.before.get("project")
        if former is not None:
            self._send(run, former, "PUT")
        else:
            self._send(run, self._project_id(run), "DELETE")


def _node_id(flow: Flow | None) -> int | None:
    return flow.origin.node_id if flow else None
