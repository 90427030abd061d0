"""Source kinds of the user's own, as the emulator takes them: given when it starts, or remembered beside its state."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from flowledger.steps.source_kind import SourceKind
    from flowledger.steps.spec import Spec

_FILE: Final = "kinds.json"


def emulated(kind: SourceKind) -> dict[str, Any]:
    """A kind as an entry of the emulator's `extra_sources`."""
    return {
        "label": kind.label,
        "id": kind.connection_spec_id,
        "category": kind.family,
        "rowFilters": kind.row_filters,
        "auths": [
            {
                "name": auth.name,
                "required": {
                    param.name: {"description": param.meaning, "secret": param.secret}
                    for param in auth.params
                    if param.required and param.default is None
                },
                "optional": {
                    param.name: {"description": param.meaning, "secret": param.secret, "default": param.default}
                    for param in auth.params
                    if not param.required or param.default is not None
                },
            }
            for auth in kind.auths
        ],
        "tables": {table.path: dict(table.columns) for table in kind.tables},
    }


def kinds_in(places: Iterable[Path], environ: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    """The kinds of these files and folders and of FLOWLEDGER_KINDS. Raises SpecError for a file that is wrong."""
    from flowledger.engine.kindfile import KINDS_ENV, kinds_from

    named = os.pathsep.join(map(str, places))
    found = {**kinds_from(environ), **kinds_from({KINDS_ENV: named})}
    return tuple(map(emulated, found.values()))


def remember(state: Path, specs: Iterable[Spec]) -> None:
    """Keep the kinds that specs define beside the emulator of `--local`, for it and for every later one on `state`.

    Writes nothing when there is nothing new. Raises UsageError when it cannot be written.
    """
    import orjson

    from flowledger.errors import UsageError

    before = {kind["id"]: kind for kind in remembered(state)}
    own = [emulated(spec.source.definition) for spec in specs if spec.source.definition is not None]
    after = before | {kind["id"]: kind for kind in own}
    if after == before:
        return
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=state, prefix=_FILE, delete=False) as file:
            file.write(orjson.dumps(list(after.values()), option=orjson.OPT_INDENT_2))
        Path(file.name).replace(state / _FILE)  # whole or not at all: a killed program must not spoil the next
    except OSError as error:
        raise UsageError(
            f"the source kinds cannot be kept in {state}: {error.strerror}",
            hint=f"give this user the right to write in {state}, and room; then the same again",
        ) from error


def remembered(state: Path) -> tuple[dict[str, Any], ...]:
    """What `remember` has kept. Raises UsageError when it cannot be read."""
    import orjson

    from flowledger.errors import UsageError

    try:
        return tuple(orjson.loads((state / _FILE).read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return ()  # whether a state can be kept there is the emulator's to say
    except (OSError, orjson.JSONDecodeError) as error:
        raise UsageError(
            f"the source kinds in {state / _FILE} cannot be read: {error}",
            hint="remove the file: `flowledger apply SPEC --local` writes it anew",
        ) from error
