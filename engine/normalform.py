"""Specs as earlier versions journaled them: with the defaults of those days written in.

A run that began then is compared by what its journal holds. A value there that was a default may be one that no user
has written: a spec that does not say it is no change, and this version's default does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowledger.steps.spec import Spec

_MODEL: Final[Mapping[str, Any]] = {
    "style": "tutorial",
    "source": {"delta": {"timezone": "UTC"}},
    "target": {
        "class": "https://ns.adobe.com/xdm/context/profile",
        "field_groups": [],
        "fields": {},
        "dataset": {"title": "", "description": ""},
    },
    "schedule": {"frequency": "minute", "start": "+10m"},
    "retry": {"attempts": 6, "deadline": 900.0, "first_wait": 0.5, "longest_wait": 60.0, "timeout": 70.0},
    "settle": {"window": 90.0, "send_within": 5.0},
    "verify_rows": {"wait": 1800.0, "least": 1, "rejected": 0, "otherwise": "fail"},
}
_DELTA_FORMAT: Final = "yyyy-MM-dd HH:mm:ss"
_DELTA_FORMATS: Final = {
    "microsoft-dynamics": "yyyy-MM-ddTHH:mm:ssZ",
    "azure-table-storage": "yyyy-MM-ddTHH:mm:ssZ",
}
_PARAMS: Final[Mapping[str, Mapping[str, str]]] = {
    "paypal": {"host": "api.sandbox.paypal.com"},
    "apache-cassandra": {"port": "9042"},
    "phoenix": {"port": "8765", "enableSsl": "true"},
}
_KINDS_OF_AUTH: Final[Mapping[str, tuple[str, ...]]] = {  # the way to authenticate that was their default
    "Client-Id-Secret Based Authentication": (
        "paypal",
        "salesforce-marketing-cloud",
    ),
    "OAuth2 Refresh Code": ("square",),
    "Basic Authentication": (
        "salesforce",
        "veeva-crm",
        "zoho-crm",
        "amazon-redshift",
        "apache-cassandra",
        "google-bigquery",
        "greenplum",
        "ibm-db2",
        "phoenix",
        "hubspot",
        "oracle-eloqua",
        "oracle-responsys",
        "salesforce-service-cloud",
        "servicenow",
        "oracle-service-cloud",
        "google-ads",
    ),
    "Basic Authentication for Dynamics-Online": ("microsoft-dynamics",),
    "HDInsights Basic Authentication": (
        "apache-hive",
        "apache-spark",
    ),
    "Service Principal Based Authentication": ("azure-data-explorer",),
    "Connection String Based Authentication": (
        "azure-synapse-analytics",
        "azure-table-storage",
        "couchbase",
        "hp-vertica",
        "mariadb",
        "microsoft-sql-server",
        "mysql",
        "postgresql",
    ),
    "ConnectionString": (
        "oracle-db",
        "teradata-vantage",
    ),
    "KeyPair Authentication": ("snowflake",),
    "Access Token Based": ("shopify",),
    "Anonymous Authentication": ("generic-odata",),
}  # fmt: skip


def defaults_then(spec: Spec) -> dict[str, Any]:
    """The defaults that an earlier version wrote into a spec of this kind of source."""
    source = spec.source
    if source.definition is not None:
        auth = source.definition.auth(source.connection.auth)
        first, params = source.definition.auths[0].name, auth.defaults
        delta_format = source.definition.delta_format
        definition = _left_out(
            source.definition.model_dump(mode="json"), source.definition.model_dump(mode="json", exclude_defaults=True)
        )
    else:
        first = next((auth for auth, kinds in _KINDS_OF_AUTH.items() if source.kind in kinds), "")
        params = dict(_PARAMS.get(source.kind, {}))
        delta_format, definition = _DELTA_FORMATS.get(source.kind, _DELTA_FORMAT), None
    delta = {**_MODEL["source"]["delta"], "date_format": delta_format}
    connection = {"auth": first, "params": params}
    return {**_MODEL, "source": {"delta": delta, "connection": connection, "definition": definition}}


def as_written_then(value: Any, default: Any) -> Any:
    """What of a normalised value the user must have written: all that was no default; None if that is nothing."""
    if isinstance(value, dict) and isinstance(default, dict):
        kept = {key: as_written_then(inner, default.get(key)) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner is not None}
    if isinstance(value, list) and isinstance(default, list) and len(value) == len(default) and value:
        return [as_written_then(inner, before) for inner, before in zip(value, default, strict=True)]
    return None if value == default else value


def _left_out(whole: Any, kept: Any) -> Any:
    """The part of `whole` that `kept` has not."""
    if isinstance(whole, dict):
        kept = kept if isinstance(kept, dict) else {}
        return {
            key: _left_out(inner, kept.get(key)) if isinstance(inner, dict | list) else inner
            for key, inner in whole.items()
            if key not in kept or isinstance(inner, dict | list)
        }
    if isinstance(whole, list):
        kept = kept if isinstance(kept, list) and len(kept) == len(whole) else [None] * len(whole)
        return [_left_out(inner, before) for inner, before in zip(whole, kept, strict=True)]
    return whole if kept is None else None
