"""Whether a spec is the one that its run began with: what was written is compared, not a version's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from flowledger.engine.ledger import Ledger
from flowledger.engine.normalform import as_written_then, defaults_then
from flowledger.engine.specfault import KeyPath, shown_path
from flowledger.steps.client.secrets import placed
from flowledger.steps.sources import delta_format, source_kind
from flowledger.steps.spec import SecretRef, Spec

_PARAMS: KeyPath = ("source", "connection", "params")


def changes_since(ledger: Ledger, wanted: Spec) -> list[str]:
    """What differs between a spec and the one that its run began with: one line a key path, `[]` if nothing does."""
    if ledger.spec_as_written is None:
        return []
    return spec_diff(ledger.spec_as_written, wanted, normalised=not ledger.as_written)


def instead_of_changing(ledger: Ledger) -> str:
    """What to do about a spec that differs from the one that its run began with."""
    carry_on = "" if ledger.provisioned else f"flowledger resume {ledger.run} to finish the run as it began, or "
    return f"restore the spec, or {carry_on}give the spec a new name for a second dataflow"


def spec_diff(old: Spec, new: Spec, *, normalised: bool = False) -> list[str]:
    """What differs between two specs: one line a key path, `[]` if nothing does.

    A key that neither has written is no difference. One that only one of them has written is compared with this
    version's default. `normalised`: an earlier version wrote its defaults into `old`; docs/decisions/0024 says how it
    is compared. Specs hold no secrets, so neither do the lines.
    """
    before, after = complete(old), complete(new)
    written_before: Any = old.written()
    if normalised:
        written_before = as_written_then(written_before, defaults_then(old)) or {}
    moved = {name for name, ref in _files(new).items() if _same_file(_files(old).get(name), old, ref, new, normalised)}
    lines: list[str] = []
    _differ(before, after, written_before, new.written(), (), lines, moved)
    return lines


def complete(spec: Spec) -> dict[str, Any]:
    """A spec with every default filled in, also its kind's, and with absolute paths of secret files."""
    document: dict[str, Any] = spec.model_dump(mode="json", by_alias=True)
    source, connection = document["source"], document["source"]["connection"]
    try:
        kind = source_kind(spec.source)
        if spec.source.delta is not None:
            source["delta"]["date_format"] = delta_format(spec.source)
        if spec.source.connection.id is None:
            auth = kind.auth(spec.source.connection.auth)
            connection["auth"] = auth.name
            connection["params"] = {**auth.defaults, **connection["params"]}
    except KeyError:  # a kind, or a way to authenticate, of another version
        pass
    for name, ref in _files(spec).items():
        connection["params"][name]["file"] = placed(str(ref.file), spec.folder)
    return document


def moved_secrets(before: Spec, now: Spec) -> dict[str, Any]:
    """Where secret files are from now on, of a run that is applied from another folder: fields of `run_taken_up`."""
    old, new = _files(before), _files(now)
    files = {name: str(ref.file) for name, ref in new.items() if name in old and old[name].file != ref.file}
    folder = now.folder if new and now.folder != before.folder else ""
    return {"folder": folder, "files": files}


def _files(spec: Spec) -> dict[str, SecretRef]:
    params = spec.source.connection.params.items()
    return {name: value for name, value in params if isinstance(value, SecretRef) and value.file is not None}


def _same_file(old: SecretRef | None, then: Spec, new: SecretRef, now: Spec, normalised: bool) -> bool:
    """Whether two paths name one secret: as they are written, or by where they lead.

    In a normalised spec the old path is absolute, whatever was written: its end is compared with what is written now.
    """
    if old is None or old.file is None or new.file is None:
        return False
    if old.file == new.file or placed(old.file, then.folder) == placed(new.file, now.folder):
        return True
    if not normalised or PurePath(new.file).is_absolute():
        return False
    name = [part for part in PurePath(new.file).parts if part != ".." and not part.startswith("~")]
    return bool(name) and list(PurePath(old.file).parts[-len(name) :]) == name


def _differ(
    old: Any, new: Any, written_old: Any, written_new: Any, path: KeyPath, lines: list[str], moved: set[str]
) -> None:
    """Compare two complete values; what neither side has written is left out."""
    if written_old is None and written_new is None:
        return
    if path[:3] == _PARAMS and path[4:] == ("file",) and path[3] in moved:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            below = [side.get(key) if isinstance(side, Mapping) else None for side in (written_old, written_new)]
            _differ(old.get(key), new.get(key), below[0], below[1], (*path, key), lines, moved)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before, after = (side[index] if index < len(side) else None for side in (old, new))
            below = [
                side[index] if isinstance(side, list) and index < len(side) else None
                for side in (written_old, written_new)
            ]
            _differ(before, after, below[0], below[1], (*path, index), lines, moved)
    elif old != new:
        lines.append(f"{shown_path(path)}: {_said(old)} -> {_said(new)}")


def _said(value: Any) -> str:
    if value is None:
        return "(nothing)"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_said(inner)}" for key, inner in value.items() if inner is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_said, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value != "" else "''"
