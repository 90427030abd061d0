"""The verb that prints JSON Schemas: of a spec file, and of what each verb prints with --json."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowledger.cli.command import command

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SPEC = "spec"


def schema(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="spec, or a verb, like status or journal-verify.", show_default=False),
    ] = "",
) -> int:
    """Print a JSON Schema (draft 2020-12): of a spec file, for editors, or of the document of a verb's --json.

    Without NAME, list them. `error` is what every verb prints with --json when it fails and has no document of its own.
    """
    from flowledger.cli.show import print_json, print_lines, table
    from flowledger.engine.specfault import did_you_mean
    from flowledger.errors import UsageError

    known = schemas()
    if not name:
        print_lines(table([(one, schema_of(one)["title"]) for one in known], head=("NAME", "OF"), indent=0))
        return 0
    if name not in known:
        raise UsageError(
            f"there is no schema {name!r}: {did_you_mean(name, known)}", hint="flowledger schema lists them"
        )
    print_json(schema_of(name))
    return 0


def schemas() -> list[str]:
    """The names of all schemas: the spec's first, then the verbs' in order."""
    stored = sorted(file.name.removesuffix(".json") for file in _folder().iterdir() if file.name.endswith(".json"))
    return [SPEC, *stored]


def schema_of(name: str) -> dict[str, Any]:
    """One schema whole: what it takes from others stands in its own `$defs`."""
    import orjson

    if name == SPEC:
        from flowledger.engine.specschema import spec_schema

        return spec_schema()
    own: dict[str, Any] = {}
    document: dict[str, Any] = _bundled(orjson.loads((_folder() / f"{name}.json").read_bytes()), own)
    return document | ({"$defs": own} if own else {})


def _bundled(part: Any, own: dict[str, Any]) -> Any:
    """`part` with each reference to another file made one to `own`, where what it means is put."""
    import orjson

    if isinstance(part, list):
        return [_bundled(inner, own) for inner in part]
    if not isinstance(part, dict):
        return part
    made = {key: _bundled(inner, own) for key, inner in part.items()}
    target = str(made.get("$ref", ""))
    if target.endswith(".json"):
        name = target.removesuffix(".json")
        made["$ref"] = f"#/$defs/{name}"
        if name not in own:
            own[name] = {}  # holds the place: what it means may lead back here
            read = orjson.loads((_folder() / target).read_bytes())
            own[name] = {key: inner for key, inner in _bundled(read, own).items() if key != "$schema"}
    return made


def _folder() -> Traversable:
    return files("flowledger.cli.schemas")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    command(
        app,
        "schema",
        summary="Print the JSON Schema of a spec, or of a --json.",
        example="flowledger schema\nflowledger schema spec > spec.schema.json\nflowledger schema status",
        exit_codes="0 printed, 2 there is no such schema.",
    )(schema)
