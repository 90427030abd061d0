"""What an apply or a resume would do now: for the verb plan, and for --dry-run. Nothing is sent that changes things."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from flowledger.cli.command import run_async
from flowledger.cli.logs import warn

if TYPE_CHECKING:
    from flowledger.engine.ledger import Ledger
    from flowledger.engine.place import Aim
    from flowledger.engine.plan import Plan
    from flowledger.steps.spec import Spec

Begun = tuple["Spec", "Ledger | None"]


def dry_run(files: Sequence[Path], *, journal: Path, local: bool, as_json: bool, quiet: bool) -> int:
    """Print what an apply of these files would do. Writes nothing, so that of `local` only the journal is asked.

    Raises SpecError for specs that are wrong or have changed, and whatever asking the platform raises.
    """
    from flowledger.cli.fleet import load_all
    from flowledger.cli.provision import aimed_at, known_ledger
    from flowledger.cli.show import print_json, print_lines
    from flowledger.cli.showplan import plan_lines
    from flowledger.engine.plan import plan_of
    from flowledger.engine.specfile import load_spec

    base_url = aimed_at(local=local)
    if len(files) > 1:
        specs = [loaded.spec for loaded in load_all(files, journal, base_url=base_url, quiet=quiet)]
    else:
        loaded = load_spec(files[0], base_url=base_url)
        if known_ledger(loaded.spec.name, journal) is None:
            loaded.refuse_passed(time.time())
        for warning in () if quiet else loaded.warnings:
            warn(warning, run=loaded.spec.name)
        specs = [loaded.spec]
    begun = [(spec, known_ledger(spec.name, journal)) for spec in specs]
    refuse_elsewhere([ledger for _, ledger in begun], local=local, begins=True)
    for spec, ledger in begun:
        refuse_changed(spec, ledger)
    if local or all(_is_done(ledger) for _, ledger in begun):
        plans = [plan_of(spec, ledger) for spec, ledger in begun]
    else:
        plans = run_async(planned(begun))
    if as_json and len(files) > 1:
        documents = [{**plan.to_json(), "journal": str(journal)} for plan in plans]
        print_json({"schema_version": 1, "plans": documents, "journal": str(journal)})
    elif as_json:
        print_json({**plans[0].to_json(), "journal": str(journal)})
    else:
        for plan in plans:
            print_lines([*plan_lines(plan), ""])
        print("Dry run: nothing was changed and nothing was written.")
    return 0


async def planned(begun: Iterable[Begun], *, local: Path | None = None) -> list[Plan]:
    """The plans of specs, the platform asked for what exists already. `local`: where its own emulator keeps its state.

    A provisioned run is planned from its journal alone. Raises NotPermitted without credentials, Unreachable.
    """
    from flowledger.cli.kinds import remember
    from flowledger.cli.local import local_platform
    from flowledger.engine.plan import plan_of
    from flowledger.engine.planreads import existing
    from flowledger.errors import NotPermitted
    from flowledger.steps.client.config import platform_from_env

    pairs = list(begun)
    async with AsyncExitStack() as stack:
        if local is not None:
            remember(local, [spec for spec, _ in pairs])
            platform = await stack.enter_async_context(local_platform(local, os.environ))
        else:
            try:
                platform = platform_from_env(os.environ)
            except NotPermitted as error:
                raise NotPermitted(
                    error.message, hint=f"{error.hint}; or plan without asking the platform: flowledger plan --offline"
                ) from error
            stack.push_async_callback(platform.close)
        return [
            plan_of(spec, ledger, None if _is_done(ledger) else await existing(spec, ledger, platform))
            for spec, ledger in pairs
        ]


def show_resume_plan(run: str, journal: Path, *, local: bool, as_json: bool) -> int:
    """`resume RUN --plan`: from the journal only, without a write and without a call."""
    from flowledger.cli.show import print_json, print_lines
    from flowledger.cli.showplan import resume_plan_lines
    from flowledger.engine.api import read_ledger
    from flowledger.engine.plan import resume_plan

    ledger, place = read_ledger(run, journal)
    refuse_elsewhere([ledger], local=local, begins=False)
    plan = resume_plan(ledger)
    if as_json:
        print_json({**plan.to_json(), "journal": place})
    else:
        print_lines(resume_plan_lines(plan))
    return 0


def show_resume_plans(journal: Path, *, local: bool, as_json: bool) -> int:
    """`resume --all --plan`: the same of every run that it would carry on.

    Raises NotThere without a journal, NotPermitted for a base URL that is none.
    """
    from flowledger.cli.show import print_json, print_lines
    from flowledger.cli.showplan import resume_plan_lines
    from flowledger.engine.fleet import unfinished
    from flowledger.engine.plan import resume_plan
    from flowledger.journal import JournalReader

    with JournalReader.open(journal) as book:
        place = str(book.directory)
        ledgers = list(unfinished(book, _aim(local=local)))
    plans = [resume_plan(ledger) for ledger in ledgers if ledger.spec is not None]
    if as_json:
        documents = [{**plan.to_json(), "journal": place} for plan in plans]
        print_json({"schema_version": 1, "plans": documents, "journal": place})
        return 0
    for plan in plans:
        print_lines([*resume_plan_lines(plan), ""])
    if sum(ledger.shares for ledger in ledgers) > 1:
        print("What runs share is named for each of them: one makes it, the others find it.\n")
    print(
        f"{len(plans)} run{'' if len(plans) == 1 else 's'} would be carried on."
        if plans
        else "Nothing to do: no run of this journal is unfinished."
    )
    return 0


def refuse_elsewhere(ledgers: Iterable[Ledger | None], *, local: bool, begins: bool) -> None:
    """Raise UsageError for a run of another organisation, sandbox or platform than the command points at.

    Needs no credentials: where the environment names no organisation, it points nowhere.
    """
    from flowledger.engine.place import refuse_another_place

    here = _aim(local=local)
    for ledger in ledgers:
        if ledger is not None:
            refuse_another_place(ledger, here, begins=begins)


def _aim(*, local: bool) -> Aim | None:
    """Where a run would be carried on; None if the environment does not name an org."""
    from flowledger.cli.local import NOWHERE, local_environment
    from flowledger.engine.place import aim_from
    from flowledger.steps.client.config import sandbox_from

    return aim_from(local_environment(NOWHERE, sandbox=sandbox_from(os.environ)) if local else os.environ)


def refuse_changed(spec: Spec, ledger: Ledger | None) -> None:
    """Raise SpecError if an apply would refuse the spec, because its run began with another one."""
    from flowledger.engine.ledger import refuse_destroyed
    from flowledger.engine.specchange import changes_since, instead_of_changing
    from flowledger.errors import SpecError

    if ledger is None:
        return
    refuse_destroyed(ledger)
    differences = changes_since(ledger, spec)
    if differences:
        raise SpecError(
            f"the spec of run {spec.name} has changed since the run began, and apply would refuse it",
            faults=tuple(differences),
            hint=instead_of_changing(ledger),
        )


def _is_done(ledger: Ledger | None) -> bool:
    from flowledger.engine.ledger import RunState

    return ledger is not None and ledger.state is RunState.PROVISIONED
