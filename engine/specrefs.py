"""`${NAME}` and `${NAME:-default}` in a spec file's values, taken from the environment when the file is read.

What is journaled is the resolved value, so that `resume` needs no environment but that of the secrets
(docs/decisions/0020-references-are-resolved-at-load.md). A secret may not come in that way: it would be journaled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from flowledger.engine.specfault import Findings, KeyPath, echo, nearest
from flowledger.steps.client.quoting import LEAVE_THEM_OUT, in_quotes
from flowledger.steps.client.redact import is_secret_key

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_INSIDE: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<or>:-(?P<default>.*))?", re.DOTALL)
_AS_WRITTEN: Final = "$${ is a ${ that is meant as it is"
_SECRET_WORDS: Final = {"secret", "password", "passwd", "passphrase", "pwd", "token", "credential", "credentials"}
_FOLDERS: Final = ("PWD", "OLDPWD")  # a shell's
_SHORTEST_SECRET: Final = 8  # characters; a shorter value may be equal by chance


def resolve(data: Any, findings: Findings, environ: Mapping[str, str]) -> tuple[Any, frozenset[KeyPath]]:
    """The values of a spec file with their references resolved, and the paths of those that could not be.

    Keys, everything below `mappings` (where Data Prep escapes columns as `${odd column}`) and a secret's `command`
    (which may be a shell's text) are left as they are. Each variable that is not set, and each that holds a secret, is
    a fault. Raises TooManyFaults.
    """
    unresolved: set[KeyPath] = set()
    secrets = {
        value: name
        for name, value in environ.items()
        if is_secret_name(name) and len(value) >= _SHORTEST_SECRET and not value.isspace()
    }

    def walk(value: Any, path: KeyPath) -> Any:
        if _is_left(path):
            return value
        if isinstance(value, dict):
            return {key: walk(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner, (*path, index)) for index, inner in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        text, names, fault = _resolved(value, environ, secrets)
        if fault is not None:
            unresolved.add(path)
            findings.references[path] = names
            findings.fault(path, *fault)
            return value
        if names:
            findings.references[path] = names
            quoted = [name for name in names if in_quotes(environ.get(name, ""))]
            if quoted:
                findings.warn(path, f"{shown(tuple(quoted))} has quotes around its value", LEAVE_THEM_OUT)
        return text

    return walk(data, ()), frozenset(unresolved)


def is_secret_name(name: str) -> bool:
    """Whether an environment variable holds a secret by its name: PAYPAL_CLIENT_SECRET, DB_PASSWORD, API_TOKEN, ..."""
    last = name.lower().rstrip("0123456789_").rsplit("_", 1)[-1]
    return name not in _FOLDERS and (is_secret_key(name) or last in _SECRET_WORDS)


def _is_left(path: KeyPath) -> bool:
    return path[:1] == ("mappings",) or (path[:3] == ("source", "connection", "params") and path[4:5] == ("command",))


def _resolved(
    text: str, environ: Mapping[str, str], secrets: Mapping[str, str]
) -> tuple[str, tuple[str, ...], tuple[str, str] | None]:
    """The resolved text, the variables that it names, and what is wrong and right if something is."""
    names: list[str] = []
    faults: list[tuple[str, str]] = []

    def replaced(found: re.Match[str]) -> str:
        if found["inside"] is None:
            return "${"
        inside = _INSIDE.fullmatch(found["inside"])
        if not found["end"] or inside is None or "${" in (inside["default"] or ""):
            faults.append(
                (f"{echo(found[0])} is not a reference", f"write ${{NAME}} or ${{NAME:-default}}; {_AS_WRITTEN}")
            )
            return ""
        name = inside["name"]
        names.append(name)
        value = environ.get(name, "")
        if is_secret_name(name):
            faults.append((f"${{{name}}} would bring a secret into the journal", _by_reference(name)))
        elif secret := next((secrets[known] for known in secrets if known in value), None):
            faults.append((f"${{{name}}} holds the same as {secret}, which is a secret", _by_reference(secret)))
        elif value or (name in environ and inside["or"] is None):
            return value
        elif inside["or"] is not None:
            return str(inside["default"])
        else:
            faults.append((f"the environment variable {name} is not set", _set(name, environ)))
        return ""

    resolved = _REFERENCE.sub(replaced, text)
    return resolved, tuple(dict.fromkeys(names)), faults[0] if faults else None


def _by_reference(name: str) -> str:
    return f"a parameter that is a secret refers to it: {{env: {name}}}; no other value may hold one"


def _set(name: str, environ: Mapping[str, str]) -> str:
    near = nearest(name, tuple(environ), cutoff=0.8)
    meant = f"did you mean {near}? Else " if near else ""
    return f"{meant}set it, or give a default: ${{{name}:-...}}"


def shown(names: tuple[str, ...]) -> str:
    """`${A} and ${B}`."""
    return " and ".join(f"${{{name}}}" for name in names)
