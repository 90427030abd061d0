"""The life of one dataflow, as a table. What a step sends lives in `flowledger.steps`.

Read a row as: this step takes its branch from one state to the next, once the steps it needs are done. Branches run at
the same time and meet at the flow; the diagram, the docs and `plan` are drawn from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from flowledger.steps.mapping_set import CreateMappingSet
from flowledger.steps.sink import FindOrCreateSink
from flowledger.steps.source_connection import CreateSourceConnection
from flowledger.steps.spec import Spec
from flowledger.steps.step import Step
from flowledger.steps.target_connection import CreateTargetConnection
from flowledger.steps.target_schema import CreateTargetSchema
from flowledger.steps.tenant import ReadTenant

TUTORIAL: Final[list[tuple[type[Step], str, str, str, tuple[type[Step], ...]]]] = [
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
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One transition: `step` takes `branch` from `source` to `dest` once `needs` are done."""

    step: Step
    branch: str
    source: str
    dest: str
    needs: tuple[str, ...]


ROWS: Final[tuple[Row, ...]] = tuple(
    Row(step=step(), branch=branch, source=source, dest=dest, needs=tuple(need.name for need in needs))
    for step, branch, source, dest, needs in TUTORIAL
)
BRANCHES: Final[tuple[str, ...]] = tuple(dict.fromkeys(row.branch for row in ROWS))
_BY_BRANCH: Final = {branch: tuple(row for row in ROWS if row.branch == branch) for branch in BRANCHES}
_BY_STEP: Final = {row.step.name: row for row in ROWS}


def rows_of(branch: str) -> tuple[Row, ...]:
    """The transitions of one branch, in order."""
    return _BY_BRANCH[branch]


def row_of(step: str) -> Row:
    """The transition of a step, by the step's name."""
    return _BY_STEP[step]


def stages(spec: Spec) -> dict[str, int]:
    """For each step, how many calls one after another stand between the start and its end, the token included."""
    ends: dict[str, int] = {}

    def end(row: Row) -> int:
        if row.step.name not in ends:
            before = [end(row_of(need)) for need in row.needs]
            before += [end(other) for other in ROWS if other.branch == row.branch and other.dest == row.source]
            ends[row.step.name] = max(before, default=1) + len(row.step.calls(spec))
        return ends[row.step.name]

    for row in ROWS:
        end(row)
    return ends


def chain(spec: Spec) -> int:
    """The length of the longest chain of calls that must be made one after another, the token included."""
    return max(stages(spec).values())
