"""What one kind of source is: how it authenticates, how it names tables, how it writes times (platform-api.md §14)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

KindName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$")]
Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
ColumnType = Literal["string", "date", "date-time", "integer", "number", "boolean"]
ParamType = Literal["string", "integer", "boolean"]
ParamValue = str | int | bool


class _Part(BaseModel):
    """Immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Param(_Part):
    """One parameter of a base connection's `auth.params`. One that is required and has no default must be given."""

    name: Line
    meaning: Line
    secret: bool = False  # True: the spec holds a reference to it, never the value
    required: bool = True
    default: str | None = None
    type: ParamType = "string"  # how the value stands in the body
    example: str = ""  # what `flowledger init` writes in its place

    @model_validator(mode="after")
    def _keeps_secrets_out(self) -> Self:
        if self.secret and (self.default is not None or self.example):
            raise ValueError("a secret has neither a default nor an example")
        if self.default is not None:
            self.value_of(self.default)
        return self

    def value_of(self, text: str) -> ParamValue:
        """The value in the type that the platform expects. Raises ValueError when the text is none of that type."""
        if self.type == "integer":
            if not text.strip().isdecimal():
                raise ValueError("must be a whole number")
            return int(text)
        if self.type == "boolean":
            if text.strip().lower() not in ("true", "false"):
                raise ValueError("must be true or false")
            return text.strip().lower() == "true"
        return text


class Ends(_Part):
    """The end of a source, or of a way to authenticate, as Adobe has announced it. Whether it has come is not known."""

    when: Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]  # the month, like 2025-06
    source: Line  # the page of Adobe's documentation that says so
    instead: str = ""  # what to use then, as that page says

    def sentence(self, what: str) -> str:
        """One sentence for people, of `what` ends."""
        return f"Adobe has announced the end of {what} for {self.when}" + (f": {self.instead}" if self.instead else "")


class AuthSpec(_Part):
    """One way to authenticate: `name` is the platform's `auth.specName` (platform-api.md §4.4)."""

    name: Line
    params: tuple[Param, ...]
    source: Literal["contract", "guide", "unsure", "user"] = "user"  # how sure these names are, and from where
    guide: str = ""  # Adobe's guide, below help/sources/tutorials/api/create/ of its public documentation
    note: str = ""  # what is doubtful about it
    ends: Ends | None = None  # set when Adobe has announced that this way to authenticate ends

    @field_validator("params")
    @classmethod
    def _names_each_once(cls, params: tuple[Param, ...]) -> tuple[Param, ...]:
        names = [param.name for param in params]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands twice")
        return params

    @property
    def plain_params(self) -> tuple[str, ...]:
        """Names of the parameters that may stand in the spec as they are."""
        return tuple(param.name for param in self.params if not param.secret)

    @property
    def secret_params(self) -> tuple[str, ...]:
        """Names of the parameters that must be references to secrets."""
        return tuple(param.name for param in self.params if param.secret)

    @property
    def defaults(self) -> dict[str, str]:
        """Values of the parameters that may be left out because they have one."""
        return {param.name: param.default for param in self.params if param.default is not None}

    def in_types(self, values: dict[str, str]) -> dict[str, ParamValue]:
        """The values as the platform expects them; of an unknown name as it is.

        Raises ValueError that names the parameter and never repeats its value, which may be a secret.
        """
        params = {param.name: param for param in self.params}
        typed: dict[str, ParamValue] = {}
        for name, text in values.items():
            try:
                typed[name] = params[name].value_of(text) if name in params else text
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
        return typed


class SampleTable(_Part):
    """A table such as the source has, for `flowledger init` and for the emulator."""

    path: Line  # as explore lists it
    columns: dict[Line, ColumnType] = Field(min_length=1)
    delta: str  # the date-time column that tells new rows from old ones
    mappings: dict[str, Line] = Field(default_factory=dict)  # column to destination, for `flowledger init`
    title: str = ""  # of the dataset that `flowledger init` writes; "" = from the kind and the path

    @model_validator(mode="after")
    def _names_its_own_columns(self) -> Self:
        if self.columns.get(self.delta) != "date-time":
            raise ValueError(f"delta {self.delta!r} is no date-time column of {self.path}")
        foreign = [column for column in self.mappings if column not in self.columns]
        if foreign:
            raise ValueError(f"mappings name {', '.join(foreign)}, which is no column of {self.path}")
        return self


class SourceKind(_Part):
    """Everything that a table-like source of one kind does not share with the others."""

    kind: KindName  # the spec's word, like "paypal"
    label: Line  # for people, like "PayPal"
    family: KindName = "own"
    connection_spec_id: Uuid  # platform-api.md §7
    connection_spec_version: Line = "1.0"
    auths: tuple[AuthSpec, ...] = Field(min_length=1)  # the first is the default
    table_naming: str = ""  # for people, like "schema.table, like public.orders"
    delta_format: Line = "yyyy-MM-dd HH:mm:ss"  # of the delta column's values (platform-api.md §11)
    row_filters: bool = False  # whether the source connection takes `params.filters` (platform-api.md §4.5)
    tables: tuple[SampleTable, ...] = Field(min_length=1)  # the first is the one that `flowledger init` writes
    ends: Ends | None = None  # set when Adobe has announced the end of the source

    @field_validator("auths")
    @classmethod
    def _names_each_auth_once(cls, auths: tuple[AuthSpec, ...]) -> tuple[AuthSpec, ...]:
        names = [auth.name for auth in auths]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands twice")
        return auths

    @property
    def sample_tables(self) -> tuple[str, ...]:
        """Paths of the sample tables."""
        return tuple(table.path for table in self.tables)

    def announced_ends(self, auth: str | None = None) -> tuple[str, ...]:
        """What Adobe has announced to end, a sentence each: the source, and the way to authenticate called `auth`.

        `auth` None means the default.
        """
        way = next((one for one in self.auths if auth in (None, one.name)), None)
        told = [self.ends.sentence(f"the source {self.label}")] if self.ends is not None else []
        if way is not None and way.ends is not None:
            told.append(way.ends.sentence(f"{way.name} at {self.label}"))
        return tuple(told)

    def auth(self, name: str | None = None) -> AuthSpec:
        """The way to authenticate that is called `name`, or the default for None. Raises KeyError."""
        if name is None:
            return self.auths[0]
        for auth in self.auths:
            if auth.name == name:
                return auth
        raise KeyError(name)
