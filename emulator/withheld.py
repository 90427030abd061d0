"""What Flow Service never keeps, and so never echoes: the secrets among `auth.params` (platform-api.md §4.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from flowledger.emulator.flow_specs import catalogue_of
from flowledger.emulator.world import Call

SECRET_NAMES: Final = re.compile(r"secret|password|token|key|connectionstring|clientid|sas|credential", re.IGNORECASE)
PLACEHOLDER: Final = "xxxx"  # what stands for a secret in every answer

IsSecret = Callable[[str], bool]


def without_secrets(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The body of a base connection with a placeholder for each secret."""
    if body.get("auth") is None:
        return body
    return {**body, "auth": _shown("auth", body["auth"], _secrets_of(call, body))}


def patch_without_secrets(call: Call, operations: list[Any]) -> list[Any]:
    """JSON Patch operations with a placeholder for each secret that they set below `/auth`."""
    connection = call.world.store.peek("connections", call.sandbox, call.params.get("id", "")) or {}
    is_secret = _secrets_of(call, connection)
    return [
        {**operation, "value": _shown(_last(operation["path"]), operation["value"], is_secret)}
        if isinstance(operation, dict) and str(operation.get("path")).startswith("/auth") and "value" in operation
        else operation
        for operation in operations
    ]


def _secrets_of(call: Call, body: dict[str, Any]) -> IsSecret:
    """Which parameters are secrets: those that the kind says are, those that sound like one, all where nobody knows."""
    named = body.get("connectionSpec")
    spec_id = named.get("id") if isinstance(named, dict) else None
    kind = catalogue_of(call.world.options).kinds.get(spec_id) if isinstance(spec_id, str) else None
    if kind is None:
        return lambda name: SECRET_NAMES.search(name) is not None
    params = {param.name: param.secret for auth in kind.auths for param in auth.params}
    unknown_is_secret = kind.open_auth
    return lambda name: params.get(name, unknown_is_secret) or SECRET_NAMES.search(name) is not None


def _hidden(values: dict[str, Any], is_secret: IsSecret) -> dict[str, Any]:
    return {name: _shown(name, value, is_secret) for name, value in values.items()}


def _shown(name: str, value: Any, is_secret: IsSecret) -> Any:
    if isinstance(value, dict):
        return _hidden(value, is_secret)
    if name == "specName":
        return value
    misplaced = name in ("auth", "params") or isinstance(value, list)  # no form that anybody documents
    return PLACEHOLDER if misplaced or is_secret(name) else value


def _last(path: Any) -> str:
    return str(path).rpartition("/")[2]
