"""The JSON Schema of a spec file, for editors: the shapes that `flowledger.engine.specshape` takes, and their meaning.

It is made from the same types, patterns, defaults and kinds by which a spec is judged, and holds the friendly forms as
a file has them, not the normalised model. What values mean together is judged by `flowledger validate` alone.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from pydantic import BaseModel

from flowledger.engine.kindfile import kind_schema
from flowledger.engine.specshape import ENV_NAME, RELATIVE, RUN_NAME, URI
from flowledger.engine.specvalues import DIGITS, DURATION, LARGEST
from flowledger.steps.source_kind import AuthSpec, Param, SourceKind
from flowledger.steps.sources import SOURCES
from flowledger.steps.spec import FieldType, Retry, Schedule, Settle, VerifyRows
from flowledger.steps.xdm_paths import PROFILE, RESOURCES, ResourceKind, short_forms

Schema = dict[str, Any]
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
STYLES: Final = ("tutorial", "current")

_OR_REFERENCE: Final = r"|\$\{"  # `${NAME}`: what it holds is judged when the file is read
_REFERENCE: Final[Schema] = {"$ref": "#/$defs/reference"}
_DURATION: Final[Schema] = {"$ref": "#/$defs/duration"}
_SECRET: Final[Schema] = {"$ref": "#/$defs/secret"}
_TEXT: Final[Schema] = {"type": "string"}
_NULL: Final[Schema] = {"type": "null"}
_ISO: Final = r"[0-9]{4}-?[0-9W][-0-9]*[^-0-9].*([Zz]|[-+][0-9:.]+)"

# What each key says, and samples; docs/spec.md has the long version.
_SAID: Final[dict[str, tuple[str, tuple[Any, ...]]]] = {
    "name": ("The run's name: a-z, 0-9 and '-', 1 to 48 characters, no '-' at either end.", ("paypal-products",)),
    "style": ("Which calls are made: those of Adobe's tutorial of 2020, or those of its guides now.", ()),
    "source": ("Where rows come from.", ()),
    "source.kind": ("The kind of source; `flowledger init --list` shows all.", ("paypal", "salesforce")),
    "source.kind_file": ("A file that defines a kind of your own; counts from the spec's folder.", ("my-kind.yaml",)),
    "source.definition": ("A kind of your own, written out here.", ()),
    "source.connection": ("The base connection: `params` to create one, or the `id` of one that exists.", ()),
    "source.connection.id": ("Id of an existing base connection, a UUID.", ("24151d58-ffa7-4960-951d-58ffa7396097",)),
    "source.connection.auth": ("The platform's name for the way to authenticate; the kind's first if left out.", ()),
    "source.connection.params": ("The base connection's parameters; a secret is always a reference.", ()),
    "source.table": ("The table, by the path under which the connector lists it.", ("PayPal.Catalog_Products",)),
    "source.filter": (
        "Which rows are taken: a condition, or PQL. Only kinds that filter, only `style: current`.",
        ("city == 'Paris' and total > 10",),
    ),
    "source.delta": ("How new rows are told from old ones: a column, or `column` and `date_format`.", ("Create_Time",)),
    "source.delta.column": ("A date-time column of the table.", ("Create_Time",)),
    "source.delta.date_format": ("The pattern of its values, in Java's letters.", ("yyyy-MM-dd HH:mm:ss",)),
    "source.delta.timezone": ("UTC; the platform takes no other.", ()),
    "target": ("Where rows go: class, field groups and own fields make the target schema.", ()),
    "target.class": ("$id of the XDM class; `profile` stands for the default, `experienceevent` for events.", ()),
    "target.field_groups": ("$ids of field groups, or the last part of those that flowledger knows.", ()),
    "target.fields": (
        "Own fields, nested or dotted, without the tenant prefix.",
        ({"product": {"name": "string", "price": "number"}},),
    ),
    "target.dataset": ("What people see of the dataset.", ()),
    "target.dataset.title": ("Its title; from the run's name if left out.", ("PayPal products",)),
    "target.dataset.description": ("Its description.", ()),
    "mappings": (
        "One column to one field each: a list of `source` and `to`, or a mapping from column to field.",
        ([{"source": "Product_Id", "to": "_id"}], {"Product_Id": "_id"}),
    ),
    "mappings.source": ("A column of the table.", ("Product_Id",)),
    "mappings.to": ("A field: a dotted path without tenant prefix and xdm:.", ("_id", "person.name.firstName")),
    "schedule": ("When the dataflow runs.", ()),
    "schedule.frequency": ("The unit of `interval`; `once` goes without interval, backfill and delta.", ()),
    "schedule.interval": ("How many of them lie between two runs; at least 15 for `minute`.", (30,)),
    "schedule.start": (
        "From when on: +10m (from when the dataflow is created), a time with its zone, or seconds since 1970.",
        ("+10m", "2030-01-01T00:00:00Z"),
    ),
    "schedule.backfill": ("true: the first run takes all rows that are there; false: only those newer.", ()),
    "retry": ("How patient a run is.", ()),
    "retry.attempts": ("Sends of one step, the first included.", ()),
    "retry.deadline": ("How long one sitting waits to try again; what is left is for `flowledger resume`.", ("15m",)),
    "retry.first_wait": ("First wait before another attempt; doubles each time.", ("500ms",)),
    "retry.longest_wait": ("The longest such wait, and the longest Retry-After that is obeyed.", ("60s",)),
    "retry.timeout": ("Time for one call.", ("70s",)),
    "settle": ("How long a call without an answer may still take to show; a time alone is its window.", ("90s",)),
    "settle.window": ("Only after it is such a call sent again: 90s for Adobe, 1s for the emulator.", ("90s",)),
    "verify_rows": ("Check what the first run of the dataflow brings; a time alone is its wait.", (True, "30m")),
    "verify_rows.wait": ("Time from the schedule's start until a run of the dataflow is over.", ("30m",)),
    "verify_rows.least": ("Rows that must arrive at least.", (1,)),
    "verify_rows.rejected": ("Rows that may be rejected at most.", (0,)),
    "verify_rows.otherwise": ("If it is not so: fail, or warn and be provisioned all the same.", ()),
    "settle.send_within": ("Longest time between the journal's note of a call and its sending.", ("5s",)),
}  # fmt: skip


def spec_schema() -> Schema:
    """The schema of a spec file, draft 2020-12."""
    definition, definitions = kind_schema()
    return {
        "$schema": DIALECT,
        "title": "flowledger spec",
        "description": "One dataflow of Adobe Experience Platform: source, target, mappings and schedule.",
        **_mapping(
            {
                "name": _said("name", _text(RUN_NAME.pattern)),
                "style": _said("style", {**_choice(STYLES), "default": "tutorial"}),
                "source": _source(definition),
                "target": _target(),
                "mappings": _mappings(),
                "schedule": _schedule(),
                "retry": _said("retry", _mapping(_durations("retry", Retry) | {"attempts": _attempts()})),
                "settle": _said("settle", {"anyOf": [_DURATION, _mapping(_durations("settle", Settle))]}),
                "verify_rows": _verify_rows(),
            },
            required=("name", "source", "target", "mappings", "schedule"),
        ),
        "$defs": {
            "reference": {
                "description": "${NAME} or ${NAME:-default}: what the environment holds when the file is read.",
                "type": "string",
                "pattern": r"\$\{",
            },
            "duration": {
                "description": "90s, 15m, 1.5h, 500ms, 1d, or a number of seconds.",
                "anyOf": [
                    {"type": "number", "minimum": -LARGEST, "maximum": LARGEST},
                    {"type": "string", "pattern": f"^({DURATION.pattern})${_OR_REFERENCE}"},
                ],
            },
            "secret": _secret(),
            "fields": {
                "description": "Fields by name: a type each, or further fields.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"$ref": "#/$defs/field"},
            },
            "field": {"anyOf": [_choice(get_args(FieldType)), {"$ref": "#/$defs/fields"}]},
            **definitions,
        },
    }


def _source(definition: Schema) -> Schema:
    delta = _mapping(
        {
            "column": _said("source.delta.column", _TEXT),
            "date_format": _said("source.delta.date_format", _TEXT),
            "timezone": _said("source.delta.timezone", {"anyOf": [{"const": "UTC"}, _REFERENCE]}),
        },
        required=("column",),
    )
    condition = {**_TEXT, "minLength": 1}
    kinds = [{"const": kind.kind, "title": kind.label} for kind in SOURCES.values()]
    own = {
        "type": "string",
        "pattern": f"{SourceKind.model_json_schema()['properties']['kind']['pattern']}{_OR_REFERENCE}",
    }
    return {
        **_said(
            "source",
            _mapping(
                {
                    "kind": _said("source.kind", {"anyOf": [*kinds, own]}),
                    "kind_file": _said("source.kind_file", {**_TEXT, "minLength": 1}),
                    "definition": _said("source.definition", {"anyOf": [definition, _NULL]}),
                    "connection": _connection(),
                    "table": _said("source.table", _TEXT),
                    "filter": _said("source.filter", {"anyOf": [condition, {"type": "object"}, _NULL]}),
                    "delta": _said("source.delta", {"anyOf": [_TEXT, delta, _NULL]}),
                },
                required=("connection", "table"),
            ),
        ),
        "anyOf": [{"required": [key]} for key in ("kind", "kind_file", "definition")],
        "not": {"required": ["kind_file", "definition"], "properties": {"definition": {"not": _NULL}}},
        "allOf": [_of_kind(kind) for kind in SOURCES.values()],
    }


def _connection() -> Schema:
    any_value = {"anyOf": [_TEXT, {"type": ["boolean", "integer"]}, _SECRET]}
    connection = _mapping(
        {
            "id": _said("source.connection.id", {"type": ["string", "null"]}),
            "auth": _said("source.connection.auth", {"type": ["string", "null"]}),
            "params": _said("source.connection.params", {"type": "object", "additionalProperties": any_value}),
        }
    )
    return {**_said("source.connection", connection), "anyOf": [{"required": ["id"]}, {"required": ["params"]}]}


def _of_kind(kind: SourceKind) -> Schema:
    """What the connection of one kind may hold: the parameters of its ways to authenticate."""
    params = {param.name: _param(param, kind.auths) for auth in kind.auths for param in auth.params}
    return {
        "if": {"properties": {"kind": {"const": kind.kind}}, "required": ["kind"]},
        "then": {
            "properties": {
                "connection": {
                    "properties": {
                        "auth": {"anyOf": [_choice(tuple(auth.name for auth in kind.auths)), _NULL]},
                        "params": {"properties": params, "additionalProperties": False},
                    }
                }
            }
        },
    }


def _param(param: Param, auths: tuple[AuthSpec, ...]) -> Schema:
    alike = [other for auth in auths for other in auth.params if other.name == param.name]
    taken: list[Schema] = [_SECRET]
    if not all(other.secret for other in alike):
        taken.append(_TEXT)
    if any(other.type != "string" for other in alike):
        taken.append({"type": ["boolean", "integer"]})
    said: Schema = {"description": param.meaning, "anyOf": taken}
    if param.default is not None:
        said["default"] = param.default
    return said | ({"examples": [param.example]} if param.example else {})


def _secret() -> Schema:
    words = {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}
    places: dict[str, tuple[str, Schema]] = {
        "env": ("the environment variable that holds it", _text(ENV_NAME.pattern)),
        "file": ("the file that holds it; counts from the spec's folder", {**_TEXT, "minLength": 1}),
        "command": ("the command that prints it, run without a shell", {"anyOf": [words, {**_TEXT, "minLength": 1}]}),
    }
    return {
        "description": "Where a secret is to be found; the secret itself never stands in a spec.",
        "oneOf": [
            _mapping({key: {"description": what, **schema}}, required=(key,)) for key, (what, schema) in places.items()
        ],
    }


def _target() -> Schema:
    groups = {"type": "array", "items": _resource("field group")}
    fields = {"type": "object", "additionalProperties": {"$ref": "#/$defs/field"}}
    dataset = _mapping({key: _said(f"target.dataset.{key}", _TEXT) for key in ("title", "description")})
    return _said(
        "target",
        _mapping(
            {
                "class": _said("target.class", {**_resource("class"), "default": PROFILE}),
                "field_groups": _said("target.field_groups", groups),
                "fields": _said("target.fields", fields),
                "dataset": _said("target.dataset", dataset),
            }
        ),
    )


def _resource(kind: ResourceKind) -> Schema:
    forms = short_forms(kind)
    others = [id_ for id_, resource in RESOURCES.items() if resource.kind != kind]
    foreign = {**_text(URI.pattern), "not": {"enum": others}}
    return {"anyOf": [{"enum": [*forms, *dict.fromkeys(forms.values())]}, foreign]}


def _mappings() -> Schema:
    pair = _mapping({key: _said(f"mappings.{key}", _TEXT) for key in ("source", "to")}, required=("source", "to"))
    return _said(
        "mappings",
        {
            "anyOf": [
                {"type": "array", "minItems": 1, "items": pair},
                {"type": "object", "minProperties": 1, "additionalProperties": _TEXT},
            ]
        },
    )


def _schedule() -> Schema:
    fields = Schedule.model_fields
    start = f"^\\s*({RELATIVE.pattern}|{DIGITS.pattern}|{_ISO})\\s*${_OR_REFERENCE}"
    truth = {"type": "string", "pattern": f"^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])${_OR_REFERENCE}"}
    return _said(
        "schedule",
        _mapping(
            {
                "frequency": _said(
                    "schedule.frequency",
                    {**_choice(get_args(fields["frequency"].annotation)), "default": fields["frequency"].default},
                ),
                "interval": _said("schedule.interval", {"anyOf": [*_whole(), _NULL]}),
                "start": _said(
                    "schedule.start",
                    {
                        "anyOf": [_whole()[0], {"type": "string", "pattern": start}],
                        "default": fields["start"].default,
                    },
                ),
                "backfill": _said("schedule.backfill", {"anyOf": [{"type": "boolean"}, truth, _NULL]}),
            }
        ),
    )


def _verify_rows() -> Schema:
    fields = VerifyRows.model_fields
    counts = {
        key: _said(f"verify_rows.{key}", {"anyOf": [*_whole(), _NULL], "default": fields[key].default})
        for key in ("least", "rejected")
    }
    wait = {"anyOf": [_DURATION, _NULL], "default": fields["wait"].default}
    otherwise = {"anyOf": [*_choice(("fail", "warn"))["anyOf"], _NULL], "default": "fail"}
    whole = _mapping(
        {
            "wait": _said("verify_rows.wait", wait),
            **counts,
            "otherwise": _said("verify_rows.otherwise", otherwise),
        }
    )
    return _said("verify_rows", {"anyOf": [_DURATION, {"type": "boolean"}, whole, _NULL]})


def _attempts() -> Schema:
    return _said("retry.attempts", {"anyOf": _whole(), "default": Retry.model_fields["attempts"].default})


def _durations(above: str, model: type[BaseModel]) -> dict[str, Schema]:
    return {
        key: _said(f"{above}.{key}", {**_DURATION, "default": field.default})
        for key, field in model.model_fields.items()
    }


def _whole() -> list[Schema]:
    return [
        {"type": "integer", "minimum": -LARGEST, "maximum": LARGEST},
        {"type": "string", "pattern": f"^\\s*{DIGITS.pattern}\\s*${_OR_REFERENCE}"},
    ]


def _text(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^({pattern})${_OR_REFERENCE}"}


def _choice(options: tuple[str, ...]) -> Schema:
    return {"anyOf": [{"enum": list(options)}, _REFERENCE]}


def _mapping(properties: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return made | ({"required": list(required)} if required else {})


def _said(path: str, schema: Schema) -> Schema:
    meaning, examples = _SAID[path]
    return {"description": meaning, **schema} | ({"examples": list(examples)} if examples else {})
