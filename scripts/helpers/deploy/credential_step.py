"""The step of a deployment that creates an inline credential, or uses the one that exists."""

from __future__ import annotations

from helpers.api.resources import by_name, get_or_none, require_unique, shared_by_name
from helpers.change.creating import journalled_row
from helpers.change.model import Applied, ChangeRun
from helpers.core.kinds import KINDS, Row
from helpers.deploy import model
from helpers.deploy.resource_steps import ResourceStep
from helpers.deploy.state import FlowState


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
        row = row or require_unique(self.api, self.name, self.namesakes(run))
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
        """The caller's own: a colleague's may open another system, unless the whole flow is the colleague's."""
        rows = self._of_type(by_name(run.session, self.api, self.name))
        if not rows and self.state.owner(run) is not None:
            rows = self._of_type(shared_by_name(run.session, self.api, self.name))
        return rows
