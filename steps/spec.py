"""What a run is to provision, as its steps read it: the model of the spec.

Reading the file, naming the place of each fault and filling in defaults is `flowledger.engine.specfile`'s work.
The model lives here, below the engine, because steps read it and imports point one way. What of it was written is
journaled and compared (`written`); defaults, a kind's among them, are this version's whenever it is read. It holds
references to secrets and never a secret.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from flowledger.steps.source_kind import SourceKind

RunName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$")]
FieldType = Literal["string", "date", "date-time", "integer", "long", "number", "boolean"]


class Model(BaseModel):
    """Immutable, and strict about unknown keys."""

    # hide_input_in_errors: a secret typed into the wrong place must not come back in an error's text.
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)


class SecretRef(Model):
    """Where a secret is to be found; exactly one of the three. The value itself never enters the spec."""

    env: str | None = None
    file: str | None = None  # as written: a relative path counts from the spec's `folder`
    command: tuple[str, ...] | None = None  # its standard output, without the last newline

    @model_validator(mode="after")
    def _names_one_place(self) -> Self:
        if sum(bool(place) for place in (self.env, self.file, self.command)) != 1:
            raise ValueError("a secret is exactly one of env, file and command")
        return self


class BaseConnection(Model):
    """The base connection to create (`params`), or the id of an existing one to adopt."""

    id: str | None = None
    auth: str | None = None  # auth.specName; None = the source kind's default
    params: dict[str, str | SecretRef] = Field(default_factory=dict)


class Delta(Model):
    """The column that tells new rows from old ones (platform-api.md §11)."""

    column: str
    date_format: str | None = None  # None = the source kind's
    timezone: Literal["UTC"] = "UTC"


class Source(Model):
    """Where rows come from."""

    kind: str
    definition: SourceKind | None = None  # of a kind that flowledger does not bring along: all that is known of it
    connection: BaseConnection
    table: str
    filter: dict[str, JsonValue] | None = None  # which rows: PQL as the platform takes it (platform-api.md §4.5)
    delta: Delta | None = None  # None only for a schedule `once`


class Dataset(Model):
    """How the dataset is described to people; its name on the platform also carries the marker."""

    title: str = ""
    description: str = ""


class Target(Model):
    """Where rows go: class + field groups + own fields make the target schema, which the dataset follows."""

    class_: str = Field(alias="class", default="https://ns.adobe.com/xdm/context/profile")
    field_groups: tuple[str, ...] = ()
    fields: dict[str, FieldType] = Field(default_factory=dict)  # own fields: dotted path without tenant prefix
    dataset: Dataset = Dataset()

    def path_of(self, to: str, tenant: str) -> str:
        """The path of a mapping's destination on the platform: own fields live under `_<tenant>`.

        `tenant` is the tenant id without its underscore (platform-api.md §2.3, §2.5).
        """
        return f"_{tenant}.{to}" if to in self.fields else to


class Mapping(Model):
    """One column to one field. `to` is a dotted path; an own field is written without the tenant prefix."""

    source: str
    to: str


class Schedule(Model):
    """When the dataflow runs. `start` is "+<n>s|m|h|d" (resolved when the flow is asked for) or epoch seconds."""

    frequency: Literal["once", "minute", "hour", "day", "week"] = "minute"
    interval: int | None = None
    start: str | int = "+10m"
    backfill: bool | None = None


class Retry(Model):
    """How patient a run is. Times in seconds."""

    attempts: int = 6  # sends of one step, the first included
    deadline: float = 900.0  # for one sitting of the run; what is left is for `resume`
    first_wait: float = 0.5  # doubles at each attempt, with jitter
    longest_wait: float = 60.0  # caps back-off and Retry-After
    timeout: float = 70.0  # one call


class Settle(Model):
    """How long a look-up may still miss what a call made (protocol rule 4). Times in seconds."""

    window: float = 90.0  # S: counted from an unanswered attempt's send deadline
    send_within: float = 5.0  # D: longest pause between an intent and its send


class VerifyRows(Model):
    """What a run that is provisioned has brought: its last two steps, only if the spec asks for them."""

    wait: float = 1800.0  # seconds from the schedule's start until a flow run is over
    least: int = 1  # rows that arrive
    rejected: int = 0  # rows that may be rejected at most
    otherwise: Literal["fail", "warn"] = "fail"  # what comes of it if it is not so


class Spec(Model):
    """One dataflow."""

    name: RunName
    style: Literal["tutorial", "current"] = "tutorial"  # of the calls: those of 2020, or those of today's guides
    source: Source
    target: Target
    mappings: tuple[Mapping, ...]
    schedule: Schedule = Schedule()
    retry: Retry = Retry()
    settle: Settle = Settle()
    verify_rows: VerifyRows | None = None
    folder: str = Field(default="", exclude=True)  # where relative paths of secret files count from; "" = where we are

    def __eq__(self, other: object) -> bool:
        """Equal if they say the same, whatever folder they were written in."""
        return isinstance(other, Spec) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]  # it holds mappings

    def written(self) -> dict[str, JsonValue]:
        """What the user has written of it, without defaults and without the folder that it was written in."""
        document: dict[str, JsonValue] = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return document
