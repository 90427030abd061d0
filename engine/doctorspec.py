"""Look at a spec before it is applied: its faults, its secrets, and whether the platform reaches its source."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from flowledger.engine.doctor import Check, Health
from flowledger.engine.ledger import Ledger, refuse_destroyed
from flowledger.engine.place import refuse_another_place
from flowledger.engine.planreads import PlanContext
from flowledger.engine.specfile import LoadedSpec, load_spec
from flowledger.errors import FlowledgerError, NotThere, SpecError
from flowledger.steps.base_connection import CreateBaseConnection
from flowledger.steps.client.paths import flow_service
from flowledger.steps.client.platform import Platform
from flowledger.steps.client.port import Request
from flowledger.steps.client.quoting import LEAVE_THEM_OUT, in_quotes
from flowledger.steps.client.secrets import resolve
from flowledger.steps.explore import Explore
from flowledger.steps.sources import secret_variables, source_kind
from flowledger.steps.spec import Spec
from flowledger.steps.step import Step
from flowledger.words import counted


def look_at_spec(file: Path, *, now: float, base_url: str) -> tuple[list[Check], Spec | None]:
    """Judge a spec offline. Returns the checks, and the spec unless it has faults.

    `now`: seconds since the epoch; `base_url`: the platform that a run would go to.
    """
    try:
        loaded: LoadedSpec = load_spec(file, now=now, base_url=base_url)
    except SpecError as error:
        more = f" (and {len(error.faults) - 1} more)" if len(error.faults) > 1 else ""
        found = error.faults[0] if error.faults else error.message
        return [_failed("spec", f"{found}{more}", error, next=f"flowledger validate {file}")], None
    spec = loaded.spec
    what = f"{spec.name}: {spec.source.table} of {spec.source.kind}"
    checks = [Check(name="spec", health=Health.OK, found=what)]
    checks += [Check(name="spec", health=Health.WARNING, found=warning) for warning in loaded.warnings]
    return checks, spec


async def look_at_secrets(spec: Spec, environ: Mapping[str, str]) -> list[Check]:
    """Read each secret that the spec refers to, as a run would. No value is kept or shown."""
    references = CreateBaseConnection().secrets(spec)
    withheld = secret_variables(spec.source)
    odd: list[Check] = []
    for reference in references:
        try:
            value = await resolve(reference, environ, withhold=withheld, folder=spec.folder)
        except FlowledgerError as error:
            odd.append(_failed("secrets", error.message, error))
            continue
        if in_quotes(value):
            where = reference.env or reference.file or (reference.command or ("",))[0]
            found = f"the secret from {where} has quotes around it, and is sent with them"
            odd.append(Check(name="secrets", health=Health.WARNING, found=found, next=LEAVE_THEM_OUT))
    if odd:
        return odd
    many = f"{len(references)} can be read" if references else "the spec needs none"
    return [Check(name="secrets", health=Health.OK, found=many)]


async def look_at_source(spec: Spec, ledger: Ledger | None, platform: Platform) -> AsyncIterator[Check]:
    """Ask the platform for the source's connection spec and, where a base connection exists, for the table.

    A base connection exists where the spec names one, or where the spec's run has made one. Changes nothing.
    """
    if ledger is not None:
        try:  # as `apply` would
            refuse_destroyed(ledger)
            refuse_another_place(ledger, platform, begins=True)
        except FlowledgerError as error:
            yield _failed("run", error.message, error)
            return
    kind = source_kind(spec.source)
    path = flow_service("/connectionSpecs", kind.connection_spec_id)
    context = _Looking(spec, ledger, platform)
    try:
        await context.ask(Request(method="GET", path=path))
    except NotThere as error:
        found = f"sandbox {platform.sandbox} offers no source {kind.kind} (connection spec {kind.connection_spec_id})"
        yield _failed("source", found, error, next="check that this source is enabled for the organisation")
        return
    except FlowledgerError as error:
        yield _failed("source", error.message, error)
        return
    if context.base is None:
        found = f"{kind.kind} is offered; table and credentials are tested once a base connection exists"
        yield Check(name="source", health=Health.OK, found=found)
        return
    try:
        settled = await Explore().prepare(context)
    except SpecError as error:
        found = "; ".join(error.faults) or error.message
        yield _failed("source", found, error)
    except FlowledgerError as error:
        yield _failed("source", error.message, error)
    else:
        columns = counted(len(settled.outputs["columns"]), "column")
        found = f"{spec.source.table} has {columns}, all that the spec names among them"
        yield Check(name="source", health=Health.OK, found=found)


class _Looking(PlanContext):
    """The context of a look at the source: its base connection is the spec's own, or the run's."""

    def __init__(self, spec: Spec, ledger: Ledger | None, platform: Platform) -> None:
        super().__init__(spec, ledger, platform)
        made = ledger.step(CreateBaseConnection.name).outputs if ledger is not None else None
        named = {"id": spec.source.connection.id} if spec.source.connection.id else None
        self.base: Mapping[str, Any] | None = made or named

    def outputs_of(self, step: type[Step]) -> Any:
        return self.base if step is CreateBaseConnection else super().outputs_of(step)


def _failed(name: str, found: str, error: FlowledgerError, *, next: str = "") -> Check:
    return Check(name=name, health=Health.FAILED, found=found, next=next or error.hint, exit_code=error.exit_code)
