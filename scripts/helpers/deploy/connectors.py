"""Checking connector types before anything is written: of the source, of the destinations, and of their credentials.

Facts about the API (public server sources): a destination whose credential has another connector type is refused with
403; a source with such a credential is accepted, and fails or reads something else later. The server knows its types
from a table that may hold more than the published ones. ``GET /connectors`` lists that table, but only to members of
Nexla's own organisation; everybody else gets a 404.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from helpers.api.failures import ApiError
from helpers.api.paging import rows_of
from helpers.api.resources import get
from helpers.api.transport import call
from helpers.change.model import PASSED, SKIPPED, ChangeRun, Found
from helpers.core.commands import command_line
from helpers.core.errors import OperatorError, usage
from helpers.core.kinds import KINDS, Row
from helpers.deploy.checks import CheckStep
from helpers.deploy.model import Credential, FlowConfig
from helpers.deploy.state import FlowState

# the published types (a test compares them with the API's description), and those that only the SDK names
CREDENTIAL_TYPES = frozenset({
    "as400", "aws_athena", "azure_blb", "azure_data_lake", "azure_synapse", "bigquery", "box", "cloudsql_mysql",
    "cloudsql_postgres", "cloudsql_sqlserver", "confluent_kafka", "databricks", "db2", "delta_lake_azure_blb",
    "delta_lake_azure_data_lake", "delta_lake_s3", "dropbox", "dynamodb", "firebase", "firebolt", "ftp", "gcp_alloydb",
    "gcp_spanner", "gcs", "gdrive", "google_pubsub", "hana_jdbc", "hive", "jms", "kafka", "min_io_s3", "mongo", "mysql",
    "netsuite_jdbc", "nexla_monitor", "oracle", "oracle_autonomous", "pinecone", "postgres", "redshift", "rest", "s3",
    "s3_iceberg", "sharepoint", "snowflake", "snowflake_dcr", "soap", "sqlserver", "supabase", "sybase", "teradata",
    "tibco", "webdav",
})  # fmt: skip
SINK_ONLY = frozenset({"data_map", "delta_lake_azure_blb", "delta_lake_azure_data_lake", "delta_lake_s3",
                       "snowflake_dcr"})  # fmt: skip
SOURCE_ONLY = frozenset({"file_upload", "nexla_rest"})
SOURCE_TYPES = (CREDENTIAL_TYPES | SOURCE_ONLY | {"email"}) - SINK_ONLY
SINK_TYPES = CREDENTIAL_TYPES | SINK_ONLY | {"email"}


class CredentialUser(NamedTuple):
    """A source or destination of the config, and the credential that it names.

    Attributes:
        role: ``source``, or the key of a destination.
        connector: its ``source_type`` or ``sink_type``.
    """

    role: str
    connector: str
    inline: Credential | None
    credential_id: int | None

    @property
    def label(self) -> str:
        """The user in messages."""
        return self.role if self.role == "source" else f"destination {self.role!r}"

    @property
    def key(self) -> str:
        """The key of the config that holds its connector type."""
        return "source_type" if self.role == "source" else "sink_type"

    @property
    def types(self) -> frozenset[str]:
        """The known types of its kind."""
        return SOURCE_TYPES if self.role == "source" else SINK_TYPES


def credential_users(config: FlowConfig) -> list[CredentialUser]:
    """The source and every destination of a config."""
    users, shared = [], config.credential_id
    if config.source is not None:
        source = config.source
        users.append(
            CredentialUser("source", source.source_type, source.credential, source.data_credentials_id or shared)
        )
    for entry in config.all_destinations:
        users.append(CredentialUser(entry.key, entry.sink_type, entry.credential, entry.data_credentials_id or shared))
    return users


class ConnectorsStep(CheckStep):
    """Compare connector types. One refusal lists every fault of the config.

    A resource that exists already and keeps its credential is not checked again, so that an unchanged flow costs no
    request.

    Args:
        states: the view of the server for the source, or for each destination by its key.
    """

    def __init__(self, config: FlowConfig, states: dict[str, FlowState]) -> None:
        super().__init__("connectors", "connector types")
        self.config, self.states, self.kind = config, states, "credentials"
        self._listed: frozenset[str] | None = None
        self._asked = False

    def find(self, run: ChangeRun) -> Found:
        users = [user for user in credential_users(self.config) if self._is_affected(run, user)]
        if not users:
            return Found(SKIPPED)
        faults: list[str] = []
        missing: list[OperatorError] = []
        rows = self._rows(run, users, missing)
        shown = {str(row.get("credentials_type")) for row in rows.values()} | set(self.config.connector_types)
        for user in users:
            self._check_known(run, user.key, user.label, user.connector, user.types | shown, faults)
            if user.inline:
                known = CREDENTIAL_TYPES | shown
                connector = user.inline.credentials_type
                self._check_known(run, "credentials_type", user.label, connector, known, faults)
                self._compare(run, user, f"inline credential {user.inline.name!r}", connector, faults)
            elif user.credential_id in rows:
                row = rows[user.credential_id]
                self._compare(run, user, f"credential {user.credential_id}", row.get("credentials_type"), faults)
        if faults:
            faults += [error.message for error in missing]
            text = "; ".join(dict.fromkeys(faults))
            raise usage(f"the connector types of the config do not fit: {text}", "correct them; nothing was written")
        if missing:
            raise missing[0]
        return Found(PASSED)

    def _is_affected(self, run: ChangeRun, user: CredentialUser) -> bool:
        """Whether the user is new, or may get another credential."""
        existing = self.states[user.role].existing(run, user.role)
        if existing is None or user.inline is not None:
            return True
        return user.credential_id not in (None, existing.credential_id)

    def _rows(self, run: ChangeRun, users: list[CredentialUser], missing: list[OperatorError]) -> dict[int | None, Row]:
        """The credentials that the users name, by id. One that may not be read is warned about."""
        rows: dict[int | None, Row] = {}
        for credential_id in dict.fromkeys(user.credential_id for user in users if not user.inline):
            if credential_id is None:
                continue
            try:
                rows[credential_id] = get(run.session, KINDS["credentials"], credential_id)
            except ApiError as error:
                if error.http_status == 404:
                    error.message = f"credential {credential_id} does not exist"
                    error.hint = f"see {command_line('list_resources', '--type', 'credentials', '--all')}"
                    missing.append(error)
                elif error.http_status == 403:
                    run.warnings.append(f"credential {credential_id} may not be read: its connector type is unknown")
                else:
                    raise
        return rows

    def _check_known(
        self, run: ChangeRun, key: str, label: str, connector: str, known: Iterable[str], faults: list[str]
    ) -> None:
        """Note a type that this Nexla cannot have, and warn about one of which that is not certain."""
        names = frozenset(known)
        if connector in names:
            return
        listed = self._connectors(run)
        if connector in (listed or ()):
            return
        near = difflib.get_close_matches(connector.lower(), sorted(names.union(listed or ())), n=1)
        text = f"{label}: unknown {key} {connector!r}{f', did you mean {near[0]!r}?' if near else ''}"
        if listed is not None:
            faults.append(text)
        elif near or connector in SINK_ONLY | SOURCE_ONLY:
            faults.append(f'{text} (if your Nexla has this connector, add it: "connector_types": ["{connector}"])')
        else:
            run.warnings.append(f"{text}; the list of connectors cannot be read, so Nexla may refuse it")

    def _connectors(self, run: ChangeRun) -> frozenset[str] | None:
        """The types of the server's own table, asked for once; None when the caller may not read it."""
        if not self._asked:
            self._asked = True
            try:
                rows = rows_of(call(run.session, "GET", "/connectors", expect=list))
            except ApiError as error:
                if error.http_status not in (403, 404, 405, 501):
                    raise
                return None
            self._listed = frozenset(str(row["type"]) for row in rows if row.get("type")) or None
        return self._listed

    def _compare(self, run: ChangeRun, user: CredentialUser, what: str, have: object, faults: list[str]) -> None:
        """Compare the type of a credential with that of its user. An absent type is unknown, not different."""
        if not isinstance(have, str) or not have:
            run.warnings.append(f"{user.label}: the connector type of {what} is not known")
            return
        if have == user.connector:
            return
        text = f"{user.label}: {what} is of type {have!r}, its {user.key} is {user.connector!r}"
        if user.role != "source" or (have in SOURCE_TYPES and user.connector in CREDENTIAL_TYPES):
            faults.append(text)
        else:  # the server accepts it, and some source types have no credentials of their own
            run.warnings.append(f"{text}; Nexla accepts that, but the source may not be able to read")
