"""Which connector types the engine can move data for. A test keeps the lists equal to the contract's."""

from __future__ import annotations

FILES = frozenset({
    "azure_blb", "azure_data_lake", "box", "delta_lake_azure_blb", "delta_lake_azure_data_lake", "delta_lake_s3",
    "dropbox", "file_upload", "ftp", "gcs", "gdrive", "min_io_s3", "s3", "s3_iceberg", "sharepoint", "webdav",
})  # fmt: skip
DATABASES = frozenset({
    "as400", "aws_athena", "azure_synapse", "bigquery", "cloudsql_mysql", "cloudsql_postgres", "cloudsql_sqlserver",
    "databricks", "db2", "firebolt", "gcp_alloydb", "gcp_spanner", "hana_jdbc", "hive", "mysql", "netsuite_jdbc",
    "oracle", "oracle_autonomous", "postgres", "redshift", "snowflake", "snowflake_dcr", "sqlserver", "sybase",
    "teradata",
})  # fmt: skip
WEBHOOKS = frozenset({"nexla_rest"})


def connection_type(connector_type: str) -> str:
    """The API's ``connection_type``: ``file``, ``database``, or the connector type itself."""
    if connector_type in FILES:
        return "file"
    return "database" if connector_type in DATABASES else connector_type
