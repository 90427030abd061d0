"""A kind of source of the user's own: read from a file, with the place of each fault."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError, field_validator

from flowledger.engine.folders import files_in
from flowledger.engine.specfault import KeyPath, echo, nearest, one_of, shown_path
from flowledger.engine.specyaml import Tree, parse, read_text
from flowledger.errors import SpecError
from flowledger.steps.client.quoting import LEAVE_THEM_OUT, in_quotes
from flowledger.steps.source_kind import AuthSpec, Param, SampleTable, SourceKind
from flowledger.steps.sources import REFUSED, SOURCES
from flowledger.words import counted

KINDS_ENV: Final = "FLOWLEDGER_KINDS"
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_WHERE_TO_READ: Final = "docs/sources.md describes every key of a kind, with an example"
_KEYS: Final = sorted({key for part in (SourceKind, AuthSpec, Param, SampleTable) for key in part.model_fields})


def load_kind(path: Path | str) -> SourceKind:
    """The kind that a file defines. Raises SpecError that names each fault as `file:line:column key.path: ...`."""
    path = Path(path)
    tree, findings = parse(read_text(path)[0], str(path))
    faults = [f"{_place(path, tree, fault.path)}: {fault}" for fault in findings.faults]
    if not faults:
        try:
            return kind_from_mapping(tree.data)
        except ValidationError as error:
            faults = [f"{_place(path, tree, where)}: {what}" for where, what in kind_faults(error)]
    count = counted(len(faults), "fault")
    raise SpecError(f"{path}: the source kind has {count}", faults=tuple(faults), hint=_WHERE_TO_READ)


def kind_from_mapping(data: Mapping[Any, Any]) -> SourceKind:
    """The kind that a mapping defines. Raises pydantic's ValidationError, for `kind_faults`."""
    return SourceKind.model_validate(_NewKind.model_validate(data).model_dump())


def kind_schema() -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON Schema of a kind's definition, and the definitions to which it refers as `#/$defs/...`."""
    schema = SourceKind.model_json_schema()
    definitions = schema.pop("$defs")
    return schema | {"title": "A kind of source", "description": _WHERE_TO_READ}, definitions


def kind_faults(error: ValidationError) -> list[tuple[KeyPath, str]]:
    """What is wrong with a kind, in our words: key paths and texts."""
    found: list[tuple[KeyPath, str]] = []
    told = error.errors(include_input=False, include_url=False)
    for fault in told:
        where: KeyPath = tuple(part for part in fault["loc"] if part != "[key]")
        what = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        if fault["type"] == "missing":
            what = "missing"
        elif fault["type"] == "too_short":
            if any(len(other["loc"]) > len(where) and other["loc"][: len(where)] == where for other in told):
                continue  # it counts only what is right, and says so of what is wrong below
            what = "is empty"
        elif fault["type"] == "extra_forbidden":
            near = nearest(str(where[-1]), _KEYS)
            what = f"unknown key; did you mean {near!r}?" if near else "unknown key"
        elif fault["type"] == "string_pattern_mismatch":
            what = _PATTERNS.get(str(where[-1]), "holds a control character, or has the wrong form")
        elif fault["type"] == "string_type":
            what = "must be text: put it in quotes"
        found.append((where, what[:1].lower() + what[1:]))
    return found


_PATTERNS: Final = {
    "connection_spec_id": "is not the id of a connection spec: it looks like 221c7626-58f6-4eec-8ee2-042b0226f03b",
    "kind": "must have lower-case letters, digits and '-' only, like my-database",
    "family": "must have lower-case letters, digits and '-' only, like database",
}


def kinds_from(environ: Mapping[str, str]) -> dict[str, SourceKind]:
    """The kinds that FLOWLEDGER_KINDS names: files, and folders of files, separated as PATH is.

    Raises SpecError for a file that is wrong, and when two files define one kind.
    """
    kinds: dict[str, SourceKind] = {}
    where: dict[str, Path] = {}
    named = environ.get(KINDS_ENV, "")
    if in_quotes(named):
        raise SpecError(f"{KINDS_ENV} has quotes around its value", hint=LEAVE_THEM_OUT)
    for place in filter(None, named.split(os.pathsep)):
        for path in _files(place):
            kind = load_kind(path)
            if kind.kind in kinds:
                raise SpecError(
                    f"{KINDS_ENV}: {where[kind.kind]} and {path} both define the kind {kind.kind}",
                    hint="rename one of the two",
                )
            kinds[kind.kind], where[kind.kind] = kind, path
    return kinds


def _files(named: str) -> list[Path]:
    try:
        place = Path(named).expanduser()
        return _files_of(place)
    except RuntimeError:
        raise SpecError(f"{KINDS_ENV}: {named}: there is no such home folder", hint="write the whole path") from None
    except OSError as error:
        raise SpecError(
            f"{KINDS_ENV}: {named}: cannot be read: {error.strerror}", hint="check the path, and its mode"
        ) from None


def _files_of(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    return files_in(place, _SUFFIXES)


class _NewKind(SourceKind):
    """A kind as it is written: it may not take the name of one that is known or refused."""

    @field_validator("kind")
    @classmethod
    def _is_new(cls, kind: str) -> str:
        if kind in SOURCES or kind in REFUSED:
            raise ValueError(f"{kind} is a kind of flowledger's own: give yours another name")
        return kind


def _place(path: Path, tree: Tree, where: KeyPath) -> str:
    for length in range(len(where), -1, -1):
        found = tree.keys.get(where[:length]) or tree.values.get(where[:length])
        if found is not None:
            return f"{path}:{found.line}:{found.column} {shown_path(where)}"
    return f"{path} {shown_path(where)}"


def said(error: SpecError) -> tuple[str, ...]:
    """What an error about a kind's file says, a line each."""
    return error.faults or (error.message,)


def unknown_kind(word: str, known: Mapping[str, SourceKind]) -> tuple[str, str]:
    """What to say of a word that is no kind: what is wrong, and what would be right."""
    if word in REFUSED:
        return f"{word} {REFUSED[word]}", "docs/sources.md lists the sources of tables, which it does provision"
    what, options = f"{echo(word)} is not known", [*known, *REFUSED]
    near = nearest(word, options) or next((option for option in options if word.lower() in option.split("-")), None)
    if near is None:
        return what, f"it is one of {one_of(known)}"
    return what, f"did you mean {near!r}?" + (f" but {near} {REFUSED[near]}" if near in REFUSED else "")
