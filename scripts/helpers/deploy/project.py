"""The step that puts a flow into its project."""

from __future__ import annotations

from helpers.api.flows import Flow
from helpers.api.transport import call
from helpers.change.changes import UNCHANGED, Found, Run, Step
from helpers.change.journal import Entry
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, item_path
from helpers.deploy.resource_steps import lookup_key
from helpers.deploy.state import FlowState


class ProjectStep(Step):
    """Put the flow into a project."""

    def __init__(self, project: str | int, state: FlowState) -> None:
        super().__init__("project", f"project {project}")
        self.project, self.state, self.kind, self.name = project, state, "projects", str(project)

    def _project_id(self, run: Run) -> int:
        if isinstance(self.project, int):
            return self.project
        number = run.results.get(lookup_key("projects", self.project), run.results.get(self.key))
        if number is None:
            raise OperatorError(Exit.LEFT_BEHIND, f"the id of project {self.project!r} is not known")
        return number

    def find(self, run: Run) -> Found:
        number, flow = self._project_id(run), self.state.flow(run)
        if flow is not None and flow.project_id == number:
            return Found(UNCHANGED, number)
        before = flow.project_id if flow else None
        return Found("add flow", number, {"project": [before, number]}, {"project": before, "flow": _node(flow)})

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        self._put(run, found.id, "PUT")
        return found.id, False

    def _put(self, run: Run, number: int | None, method: str) -> None:
        node = _node(self.state.flow(run))
        if node is not None:
            path = item_path(KINDS["projects"], number, "flows")
            call(run.session, method, path, body={"flows": [node]}, say=run.say)
        self.state.forget_flow()

    def verify(self, run: Run, number: int | None, *, made: bool) -> None:
        flow = self.state.flow(run)
        if flow is None or flow.project_id != number:
            raise OperatorError(Exit.ERROR, f"the flow is not in project {number} although the API accepted it")

    def undo(self, run: Run, entry: Entry) -> None:
        former = entry.before.get("project")
        if former is not None:
            self._put(run, former, "PUT")
        else:
            self._put(run, self._project_id(run), "DELETE")


def _node(flow: Flow | None) -> int | None:
    return flow.origin.node_id if flow else None
