"""The verb that looks at everything a run needs: doctor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowledger.cli.command import DEFAULT_JOURNAL, JournalOption, JsonOption, Voice, command, run_async
from flowledger.cli.hints import as_typed, called_with
from flowledger.cli.provision import LocalOption
from flowledger.errors import FlowledgerError

if TYPE_CHECKING:
    from flowledger.engine.doctor import Check, LookAtSource
    from flowledger.steps.spec import Spec


def doctor(
    spec: Annotated[
        Path | None, typer.Argument(metavar="SPEC", help="A spec whose secrets and source to look at as well.")
    ] = None,
    journal: JournalOption = DEFAULT_JOURNAL,
    local: LocalOption = False,
    offline: Annotated[bool, typer.Option("--offline", help="Look at this machine only; ask nobody.")] = False,
    as_json: JsonOption = False,
    voice: Voice = Voice(),
) -> int:
    """Look at journal, credentials, reachability, clock, sandbox and permissions, and say what to do.

    With SPEC: at its faults, whether its secrets can be read, and whether the platform offers its source; once a base
    connection exists, at its credentials and its table too. Makes only harmless reads. Changes nothing, here or there.
    """
    from flowledger.cli.printable import printable
    from flowledger.cli.provision import aimed_at
    from flowledger.cli.show import print_json
    from flowledger.engine.doctor import Health, look_at_journal
    from flowledger.engine.doctorspec import look_at_spec

    told: list[Check] = []

    def tell(check: Check) -> None:
        told.append(check)
        if as_json or (voice.quiet and check.health is Health.OK):
            return
        print(printable(f"{MARKS[str(check.health)]:7}  {check.name}: {check.found}"), flush=True)
        if check.next:
            print(printable(f"         next: {as_typed(check.next)}"), flush=True)

    called_with(journal=journal, local=local)
    for check in look_at_journal(journal):
        tell(check)
    judged: Spec | None = None
    if spec is not None:
        checks, judged = look_at_spec(spec, now=time.time(), base_url=aimed_at(local=local))
        for check in checks:
            tell(check)
    run_async(_ask(tell, judged, journal, local=local, offline=offline))
    failed = [check for check in told if check.health is Health.FAILED]
    code = failed[0].exit_code if failed else 0
    if as_json:
        print_json({"schema_version": 1, "healthy": not failed, "checks": [check.to_json() for check in told]})
    return code


MARKS = {"ok": "ok", "warning": "warning", "failed": "FAILED", "skipped": "-"}


async def _ask(tell: Callable[[Check], None], spec: Spec | None, journal: Path, *, local: bool, offline: bool) -> None:
    """The checks that wait for something: secrets, and the platform unless `offline`."""
    from flowledger.cli.local import local_platform, state_beside
    from flowledger.engine.doctor import Check, Health, look_at_platform
    from flowledger.engine.doctorspec import look_at_secrets
    from flowledger.steps.client.config import platform_from_env

    if spec is not None:
        for check in await look_at_secrets(spec, os.environ):
            tell(check)
    if offline:
        return
    if not local:
        async for check in look_at_platform(lambda: platform_from_env(os.environ), _source_of(spec, journal)):
            tell(check)
        return
    state = state_beside(journal)
    if not state.exists():  # to open an emulator there would make it
        tell(
            Check(name="emulator", health=Health.OK, found=f"none yet at {state}; the first run with --local makes it")
        )
        return
    try:
        async with local_platform(state, os.environ) as platform:
            async for check in look_at_platform(lambda: platform, _source_of(spec, journal)):
                tell(check)
    except FlowledgerError as error:
        tell(
            Check(
                name="emulator", health=Health.FAILED, found=error.message, next=error.hint, exit_code=error.exit_code
            )
        )


def _source_of(spec: Spec | None, journal: Path) -> LookAtSource | None:
    """What looks at the spec's source once the platform answers."""
    from flowledger.cli.provision import known_ledger
    from flowledger.engine.doctorspec import look_at_source

    if spec is None:
        return None
    ledger = known_ledger(spec.name, journal)
    return lambda platform: look_at_source(spec, ledger, platform)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    command(
        app,
        "doctor",
        summary="Look at everything a run needs, and say what to do.",
        example="flowledger doctor\nflowledger doctor paypal-products.yaml\n"
        "flowledger doctor --json | jq '.checks[] | select(.health != \"ok\")'",
        exit_codes="0 healthy (warnings too), else that of the first check that failed: "
        "1 a journal that this user may not use, 4 credentials or permission, 5 no such sandbox, 9 journal damaged, "
        "75 unreachable.",
    )(doctor)
