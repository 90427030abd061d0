"""The kinds of sources that Flow Service knows and what each holds, from `source_kinds.json` (platform-api.md §7).

A kind's tables hold the same rows on every machine: explore and preview show them, and a flow may read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

PREVIEW_ROWS = 100  # the user interface shows up to that many
FIRST_ROW = datetime(2024, 1, 1, tzinfo=UTC)
LONG = 2**53  # how far JSON carries whole numbers
TYPES = frozenset({"string", "number", "integer", "boolean", "date-time", "date"})
EXPLORATIONS = frozenset({"root", "table", "folder", "file", "rest"})
FIELDS = frozenset(
    ["label", "name", "id", "category", "explores", "flowSpec", "rowFilters", "auths", "openAuth", "tables"]
)


class SourceKindInvalid(ValueError):
    """A user's own source kind is not what it should be; the text says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its name, its type (one of TYPES), and the texts or numbers that it draws from."""

    name: str
    type: str = "string"
    values: tuple[Any, ...] = ()

    @property
    def xdm(self) -> dict[str, Any]:
        """The column as a field of a schema."""
        match self.type:
            case "date-time" | "date":
                return {"type": "string", "format": self.type}
            case "integer":
                return {"type": "integer", "minimum": -LONG, "maximum": LONG}  # as the protocols' guide shows it
        return {"type": self.type}

    def described(self, *, with_xdm: bool = True) -> dict[str, Any]:
        """As `explore` shows it; some examples leave the `xdm` part out."""
        shown = {"name": self.name, "type": self.xdm["type"], "meta:xdmType": self.type}
        return {**shown, "xdm": self.xdm} if with_xdm else shown

    def value(self, row: int) -> Any:
        """The value in a row, a pure function of the row's number."""
        if self.values:
            return self.values[row % len(self.values)]
        match self.type:
            case "date-time":
                return f"{FIRST_ROW + timedelta(hours=3 * row):%Y-%m-%dT%H:%M:%SZ}"
            case "date":
                return f"{FIRST_ROW + timedelta(days=row):%Y-%m-%d}"
            case "number":
                return round(1.5 + (row * 7919 % 100_000) / 100, 2)
            case "integer":
                return row + 1
            case "boolean":
                return row % 3 != 0
        return f"{self.name}-{row:05d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthParam:
    """One parameter of `auth.params`."""

    name: str
    description: str = ""
    secret: bool = False
    default: str | None = None
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """One way to authenticate (§4.4)."""

    name: str
    type: str
    params: tuple[AuthParam, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind:
    """One kind of source. Where nobody documents how it authenticates for sure, its auth is open."""

    label: str
    name: str  # of the connection spec
    id: str  # of the connection spec
    category: str
    explores: tuple[str, ...]  # the object types that it can be asked for
    flow_spec: str | None  # the name of the flow spec that takes it
    row_filters: bool
    auths: tuple[Auth, ...]
    open_auth: bool  # any credentials that look right are taken
    tables: Mapping[str, tuple[Column, ...]]

    def rows(self, path: str, count: int = PREVIEW_ROWS) -> list[dict[str, Any]]:
        """The first rows of a table or file. Raises KeyError for one that is not there."""
        return [{column.name: column.value(row) for column in self.tables[path]} for row in range(count)]


@cache
def known_kinds() -> tuple[SourceKind, ...]:
    """Every kind of platform-api.md §7, and one each for files and streams."""
    written = orjson.loads(files("flowledger.emulator").joinpath("source_kinds.json").read_bytes())
    return tuple(source_kind(one) for one in written)


def source_kind(written: Any) -> SourceKind:
    """A kind from its JSON form; `label` and `id` are all that it must say.

    A user's own kind has by default one table that is explored, is taken by CRMToAEP, and takes any credentials.
    Raises SourceKindInvalid.
    """
    if not isinstance(written, Mapping) or not all(isinstance(written.get(name), str) for name in ("label", "id")):
        raise SourceKindInvalid("a source kind is an object with a label and the id of its connection spec")
    label = written["label"]
    unknown = sorted(set(written) - FIELDS)
    if unknown:
        raise SourceKindInvalid(f"{label}: unknown: {', '.join(unknown)}; known: {', '.join(sorted(FIELDS))}")
    explores = tuple(written.get("explores", ("root", "table")))
    if not set(explores) <= EXPLORATIONS:
        raise SourceKindInvalid(f"{label}: explores may hold {', '.join(sorted(EXPLORATIONS))}")
    auths, tables = written.get("auths"), written.get("tables", {})
    if not isinstance(auths, list | tuple | None) or not isinstance(tables, Mapping):
        raise SourceKindInvalid(f"{label}: auths is a list, and tables maps paths to columns")
    return SourceKind(
        label=label,
        name=written.get("name", label),
        id=written["id"],
        category=written.get("category", "databases"),
        explores=explores,
        flow_spec=written.get("flowSpec", "CRMToAEP"),
        row_filters=bool(written.get("rowFilters", False)),
        auths=tuple(_auth(label, auth) for auth in auths or ()),
        open_auth=auths is None or bool(written.get("openAuth", False)),
        tables={path: _columns(f"{label}: {path}", columns) for path, columns in tables.items()},
    )


def _columns(place: str, written: Any) -> tuple[Column, ...]:
    if not isinstance(written, Mapping) or not written:
        raise SourceKindInvalid(f"{place}: a table maps the names of its columns to their types")
    return tuple(_column(place, name, column) for name, column in written.items())


def _column(place: str, name: str, written: Any) -> Column:
    described = written if isinstance(written, Mapping) else {"type": written}
    type_ = described.get("type", "string")
    if type_ not in TYPES:
        raise SourceKindInvalid(f"{place}.{name}: a type is one of {', '.join(sorted(TYPES))}, not {type_!r}")
    return Column(name=name, type=type_, values=tuple(described.get("values", ())))


def _auth(label: str, written: Any) -> Auth:
    if not isinstance(written, Mapping) or not isinstance(written.get("name"), str):
        raise SourceKindInvalid(f"{label}: each of auths is an object with a name, required and optional")
    if not all(isinstance(written.get(side, {}), Mapping) for side in ("required", "optional")):
        raise SourceKindInvalid(f"{label}: {written['name']}: required and optional map names to what is said of them")
    params = [*_params(written.get("required", {}), required=True), *_params(written.get("optional", {}))]
    return Auth(name=written["name"], type=written.get("type", "generic"), params=tuple(params))


def _params(written: Mapping[str, Mapping[str, Any]], *, required: bool = False) -> Iterable[AuthParam]:
    for name, said in written.items():
        if not isinstance(said, Mapping):
            raise SourceKindInvalid(f"{name}: a parameter is an object: description, secret, default")
        yield AuthParam(
            name=name,
            description=said.get("description", ""),
            secret=said.get("secret", False),
            default=said.get("default"),
            required=required,
        )
