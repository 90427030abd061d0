"""Explore the source: that its credentials work, that the table is there, and which columns it has."""

from __future__ import annotations

import difflib
import re
from collections.abc import Awaitable

from flowledger.errors import NotPermitted, Rejected, SpecError, StepError
from flowledger.steps.answers import dig, short_text, text_or_none
from flowledger.steps.base_connection import CreateBaseConnection
from flowledger.steps.client.paths import flow_service
from flowledger.steps.client.port import Answer, Json, Request
from flowledger.steps.differences import without_meta
from flowledger.steps.row_filter import columns_of
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Settled, Step, begin_anew
from flowledger.steps.together import together

# How explore may name a column's type when it gives no `xdm` part (platform-api.md §4.4, §4.5).
_TYPES: dict[str, dict[str, Json]] = {
    "string": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
    "datetime": {"type": "string", "format": "date-time"},
    "timestamp": {"type": "string", "format": "date-time"},
    "byte": {"type": "integer"},
    "short": {"type": "integer"},
    "int": {"type": "integer"},
    "integer": {"type": "integer"},
    "long": {"type": "integer"},
    "float": {"type": "number"},
    "double": {"type": "number"},
    "decimal": {"type": "number"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
}


class Explore(Step):
    """Test the base connection, list its tables and read the table's columns, all at once (platform-api.md §4.4)."""

    name = "explore"
    slug = "explore"
    label = "source table"
    row = "3"
    tutorial = "Prise en main"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return (
            (
                Call(method="GET", path="/connections/{id}/test"),
                Call(method="GET", path="/connections/{id}/explore?objectType=root"),
                Call(method="GET", path="/connections/{id}/explore?objectType=table&object={table}"),
            ),
        )

    async def prepare(self, ctx: Context) -> Settled:
        connection, table = ctx.outputs_of(CreateBaseConnection)["id"], ctx.spec.source.table
        explore = flow_service("/connections", connection, "explore")
        of_table = (("objectType", "table"), ("object", table))
        async with together(
            ctx.ask(Request(method="GET", path=flow_service("/connections", connection, "test"))),
            ctx.ask(Request(method="GET", path=explore, query=(("objectType", "root"),))),
            ctx.ask(Request(method="GET", path=explore, query=of_table)),
        ) as (tested, root, described):
            # In this order, because each may be the reason why the next one failed.
            await self._require_credentials(ctx, connection, tested)
            await self._require_table(ctx, await root, described)
            columns = self._columns(ctx, await described)
            format = short_text((await described).json, "format") or "flat"
        _require_columns(ctx.spec, columns)
        return Settled(outputs={"id": table, "format": format, "columns": columns})

    async def _require_credentials(self, ctx: Context, connection: str, test: Awaitable[Answer]) -> None:
        refused: Rejected | None = None
        try:
            answer = (await test).json
            result = answer.get("result") if isinstance(answer, dict) else answer
            if result is True or (isinstance(result, str) and result.lower() == "true"):
                return
        except Rejected as error:
            refused = error
        raise NotPermitted(
            f"base connection {connection} cannot reach {ctx.spec.source.kind} in sandbox {ctx.sandbox}"
            + (f": {refused.message}" if refused else ": its test answers false"),
            hint=f"the source's credentials or host are wrong: correct them in base connection {connection} "
            f"on the platform, then `flowledger resume {ctx.run}`",
        ) from refused

    async def _require_table(self, ctx: Context, root: Answer, described: Awaitable[Answer]) -> None:
        tables = [
            path
            for item in (root.json if isinstance(root.json, list) else [])
            if (path := text_or_none(item, "path") or text_or_none(item, "name"))
        ]
        table = ctx.spec.source.table
        if table not in tables:
            said = await _refusal(described)
            raise SpecError(
                f"{ctx.spec.source.kind} has no table {table!r}",
                faults=(f"source.table: {table!r} is not there{_near(table, tables)}{said}",),
                hint=f"correct source.table, {begin_anew(ctx.run)}",
            )

    def _columns(self, ctx: Context, described: Answer) -> list[Json]:
        """Name, type and XDM shape of every column."""
        listed = dig(described.json, "schema", "columns")
        columns = [
            {"name": name, "type": text_or_none(column, "type") or "string", "xdm": _xdm(column)}
            for column in (listed if isinstance(listed, list) else [])
            if (name := text_or_none(column, "name"))
        ]
        if not columns:
            raise StepError(
                f"exploring {ctx.spec.source.table!r} showed no columns",
                run=ctx.run,
                step=self.name,
                request_id=described.headers.get("x-request-id", ""),
                hint="check in the source that the table has columns which these credentials may read",
            )
        return columns


async def _refusal(described: Awaitable[Answer]) -> str:
    """Why the platform does not describe a table, as the end of a sentence; "" where it does not say so."""
    try:
        await described
    except Rejected as refused:
        return f"; the platform says: {refused.message}" if refused.message else ""
    except StepError:
        return ""
    return ""


def _xdm(column: Json) -> dict[str, Json]:
    """A column's XDM shape: as explore gives it, else from the type that it names. Unknown types count as text."""
    given = column.get("xdm")
    if isinstance(given, dict) and isinstance(given.get("type"), str):
        shape: dict[str, Json] = without_meta(given)
        shape["type"] = shape["type"].lower()  # some examples write "String" (platform-api.md §4.5)
        return shape
    for key in ("meta:xdmType", "type"):
        named = (text_or_none(column, key) or "").lower()
        if named in _TYPES:
            return dict(_TYPES[named])
    return {"type": "string"}


def _require_columns(spec: Spec, columns: list[Json]) -> None:
    """Refuse mappings, row filters and delta columns that the table does not have, all at once (T9, T10)."""
    names, table = [column["name"] for column in columns], spec.source.table
    faults = [
        f"mappings[{index}].source: column {mapping.source!r} is not in {table}{_near(mapping.source, names)}"
        for index, mapping in enumerate(spec.mappings)
        if _column_of(mapping.source) not in names
    ]
    faults += [
        f"source.filter: column {column!r} is not in {table}{_near(column, names)}"
        for column in columns_of(spec.source.filter or {})
        if column not in names
    ]
    if spec.source.delta is not None:
        delta = spec.source.delta.column
        shape = next((column["xdm"] for column in columns if column["name"] == delta), None)
        if shape is None:
            faults.append(f"source.delta.column: {delta!r} is not in {spec.source.table}{_near(delta, names)}")
        elif shape.get("format") != "date-time":
            fitting = [column["name"] for column in columns if column["xdm"].get("format") == "date-time"]
            faults.append(
                f"source.delta.column: {delta!r} is {shape.get('format', shape['type'])}, and must be date-time; "
                + (
                    f"{spec.source.table} has {', '.join(fitting)}"
                    if fitting
                    else "no column of the table is a date-time"
                )
            )
    if faults:
        raise SpecError(
            f"the spec does not fit the columns of {spec.source.table}",
            faults=tuple(faults),
            hint=f"correct the spec, {begin_anew(spec.name)}",
        )


def _column_of(source: str) -> str:
    """The column that a mapping's source names; odd names are written `${name}` (platform-api.md §5)."""
    wrapped = re.fullmatch(r"\$\{(.*)\}", source)
    return wrapped[1] if wrapped else source


def _near(wanted: str, there: list[str]) -> str:
    """What may have been meant, as the end of a sentence."""
    lowered = {name.lower(): name for name in there}
    near = difflib.get_close_matches(wanted.lower(), list(lowered), n=3, cutoff=0.5)
    named = [lowered[name] for name in near] or there[:10]
    word = "near" if near else "there"
    shown = [name if name == name.strip() else repr(name) for name in named]  # a blank at an end is to be seen
    return f" ({word}: {', '.join(shown)})" if shown else ""
