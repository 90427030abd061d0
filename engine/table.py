"""The life of one dataflow, as a table for each style. What a step sends lives in `flowledger.steps`.

Read a row as: this step takes its branch from one state to the next, once the steps it needs are done. Branches run at
the same time and meet at the flow; the diagram, the docs and `plan` are drawn from these tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from flowledger.steps.adhoc_class import CreateAdHocClass
from flowledger.steps.adhoc_schema import CreateAdHocSchema
from flowledger.steps.base_connection import CreateBaseConnection
from flowledger.steps.dataset import CreateDataset
from flowledger.steps.explore import Explore
from flowledger.steps.field_group import CreateFieldGroup
from flowledger.steps.flow import CreateFlow
from flowledger.steps.flow_ready import AwaitFlow
from flowledger.steps.flow_spec import FindFlowSpec
from flowledger.steps.mapping_set import CreateLabelledMappingSet, CreateMappingSet
from flowledger.steps.sink import FindOrCreateSink
from flowledger.steps.source_connection import CreateSourceConnection, CreateTabularSourceConnection
from flowledger.steps.spec import Spec
from flowledger.steps.step import Step
from flowledger.steps.target_connection import CreateDirectTargetConnection, CreateTargetConnection
from flowledger.steps.target_schema import CreateTargetSchema
from flowledger.steps.tenant import ReadTenant
from flowledger.steps.verify_rows import AwaitFirstRun, CheckRows

# A row as it is written: step, branch, from, to, the steps that it needs.
Written = tuple[type[Step], str, str, str, tuple[type[Step], ...]]

TUTORIAL: Final[tuple[Written, ...]] = (
    # step                   branch     from                    to                      needs
    (ReadTenant,             "tenant",  "planned",              "tenant_known",         ()),
    (CreateBaseConnection,   "source",  "planned",              "base_connected",       ()),
    (Explore,                "source",  "base_connected",       "explored",             ()),
    (CreateAdHocClass,       "source",  "explored",             "adhoc_class_created",  ()),
    (CreateAdHocSchema,      "source",  "adhoc_class_created",  "adhoc_schema_created", ()),
    (CreateSourceConnection, "source",  "adhoc_schema_created", "source_connected",     ()),
    (CreateFieldGroup,       "target",  "planned",              "field_group_created",  (ReadTenant,)),
    (CreateTargetSchema,     "target",  "field_group_created",  "target_schema_created", ()),
    (CreateDataset,          "target",  "target_schema_created", "dataset_created",     ()),
    (CreateTargetConnection, "target",  "dataset_created",      "target_connected",     (FindOrCreateSink,)),
    (FindOrCreateSink,       "sink",    "planned",              "dataset_base_connected", ()),
    (CreateMappingSet,       "mapping", "planned",              "mapped",               (CreateTargetSchema, Explore)),
    (FindFlowSpec,           "lookup",  "planned",              "flow_spec_found",      ()),
    (CreateFlow,             "flow",    "planned",              "flow_created",         (
        CreateSourceConnection, CreateTargetConnection, CreateMappingSet, FindFlowSpec)),
    (AwaitFlow,              "flow",    "flow_created",         "flow_ready",           ()),
)  # fmt: skip

# Adobe's guides have changed since: a source connection carries its table's columns itself, so that no class and no
# schema of the raw rows is needed, and a target connection needs no base connection (platform-api.md §13).
CURRENT: Final[tuple[Written, ...]] = (
    # step                          branch     from                    to                       needs
    (ReadTenant,                    "tenant",  "planned",              "tenant_known",          ()),
    (CreateBaseConnection,          "source",  "planned",              "base_connected",        ()),
    (Explore,                       "source",  "base_connected",       "explored",              ()),
    (CreateTabularSourceConnection, "source",  "explored",             "source_connected",      ()),
    (CreateFieldGroup,              "target",  "planned",              "field_group_created",   (ReadTenant,)),
    (CreateTargetSchema,            "target",  "field_group_created",  "target_schema_created", ()),
    (CreateDataset,                 "target",  "target_schema_created", "dataset_created",      ()),
    (CreateDirectTargetConnection,  "target",  "dataset_created",      "target_connected",      ()),
    (CreateLabelledMappingSet,      "mapping", "planned",              "mapped",                (
        CreateTargetSchema, Explore)),
    (FindFlowSpec,                  "lookup",  "planned",              "flow_spec_found",       ()),
    (CreateFlow,                    "flow",    "planned",              "flow_created",          (
        CreateTabularSourceConnection, CreateDirectTargetConnection, CreateLabelledMappingSet, FindFlowSpec)),
    (AwaitFlow,                     "flow",    "flow_created",         "flow_ready",            ()),
)  # fmt: skip

# The last two rows of either, in a run whose spec has `verify_rows`: without it a run walks none of this, and ends as
# soon as the dataflow stands.
VERIFYING: Final[tuple[Written, ...]] = (
    # step          branch   from              to                needs
    (AwaitFirstRun, "flow",  "flow_ready",     "first_run_over", ()),
    (CheckRows,     "flow",  "first_run_over", "rows_checked",   ()),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One transition: `step` takes `branch` from `source` to `dest` once `needs` are done."""

    step: Step
    branch: str
    source: str
    dest: str
    needs: tuple[str, ...]


class Table:
    """The machine of one style. There is one for each style in a process: two are equal only if they are the same."""

    def __init__(self, style: str, written: Iterable[Written]) -> None:
        self.style = style
        self.rows: tuple[Row, ...] = tuple(
            Row(step=step(), branch=branch, source=source, dest=dest, needs=tuple(need.name for need in needs))
            for step, branch, source, dest, needs in written
        )
        self.branches: tuple[str, ...] = tuple(dict.fromkeys(row.branch for row in self.rows))
        self._by_branch = {branch: tuple(row for row in self.rows if row.branch == branch) for branch in self.branches}
        self._by_step = {row.step.name: row for row in self.rows}

    def __repr__(self) -> str:
        return f"Table({self.style!r})"

    def __contains__(self, step: str) -> bool:
        """Whether a run of this style takes a step of that name."""
        return step in self._by_step

    def rows_of(self, branch: str) -> tuple[Row, ...]:
        """The transitions of one branch, in order. Raises KeyError."""
        return self._by_branch[branch]

    def row_of(self, step: str) -> Row:
        """The transition of a step, by the step's name. Raises KeyError for a step that this style does not take."""
        return self._by_step[step]

    def before(self, row: Row) -> tuple[Row, ...]:
        """The transitions that must be made before this one: those it needs, and the one before it on its branch."""
        needed = tuple(self.row_of(need) for need in row.needs)
        return (*needed, *(other for other in self.rows_of(row.branch) if other.dest == row.source))

    def stages(self, spec: Spec) -> dict[str, int]:
        """For each step, how many calls one after another stand between the start and its end, the token included."""
        ends: dict[str, int] = {}

        def end(row: Row) -> int:
            if row.step.name not in ends:
                latest = max((end(other) for other in self.before(row)), default=1)
                ends[row.step.name] = latest + len(row.step.calls(spec))
            return ends[row.step.name]

        for row in self.rows:
            end(row)
        return ends

    def chain(self, spec: Spec) -> int:
        """The length of the longest chain of calls that must be made one after another, the token included."""
        return max(self.stages(spec).values())


TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {"tutorial": Table("tutorial", TUTORIAL), "current": Table("current", CURRENT)}
)

TABLES_WITH_ROWS: Final[Mapping[str, Table]] = MappingProxyType(
    {
        "tutorial": Table("tutorial", (*TUTORIAL, *VERIFYING)),
        "current": Table("current", (*CURRENT, *VERIFYING)),
    }
)


def table_for(spec: Spec) -> Table:
    """The machine of a spec: that of its style, with the rows of `verify_rows` if it asks for them. Raises KeyError."""
    return (TABLES if spec.verify_rows is None else TABLES_WITH_ROWS)[spec.style]


def table_of(style: str) -> Table:
    """The machine of a spec's `style`. Raises KeyError for a style that this version does not know."""
    return TABLES[style]
