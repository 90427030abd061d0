"""Look at everything that a run needs before there is a run: journal, credentials, reachability, permissions, clock."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from flowledger.engine.api import read_ledgers
from flowledger.engine.ledger import RunState
from flowledger.errors import FlowledgerError, JournalDenied, NotPermitted, NotThere, Unreachable
from flowledger.journal import verify
from flowledger.journal.refusal import refused, unwritable
from flowledger.steps.client.judge import SKEW, date_of, fault_of
from flowledger.steps.client.paths import catalog, conversion, flow_service, registry
from flowledger.steps.client.platform import Platform
from flowledger.steps.client.port import Answer, Reach, Request
from flowledger.words import counted

LIST: Final = {"Accept": "application/vnd.adobe.xed-id+json"}  # platform-api.md §2.1
SANDBOXES: Final = "/data/foundation/sandbox-management/"  # platform-api.md §1.4
ROOM: Final = 256 * 1024 * 1024  # bytes that a journal's disk should have left

LookAtSource = Callable[[Platform], AsyncIterator["Check"]]

# One harmless read of each API that a run calls, and what the platform calls the permission (platform-api.md §1-§5).
READS: Final = (
    ("schema registry", Request(method="GET", path=registry("/stats"), headers=LIST)),
    ("catalog", Request(method="GET", path=catalog("/dataSets"), query=(("limit", "1"), ("properties", "name")))),
    ("flow service", Request(method="GET", path=flow_service("/connections"), query=(("limit", "1"),))),
    ("conversion", Request(method="GET", path=conversion("/mappingSets"), query=(("limit", "1"), ("start", "0")))),
)

# States that a run is not meant to stay in, and the verb that carries it on.
UNFINISHED: Final[Mapping[RunState, str]] = {
    RunState.IN_DOUBT: "resume", RunState.PROVISIONING: "resume", RunState.DESTROYING: "destroy",
}  # fmt: skip


class Health(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"  # an earlier failure leaves nothing to look at


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one look has found. `next` is what to do about it; `exit_code` is what `doctor` ends with if it failed."""

    name: str
    health: Health
    found: str
    next: str = ""
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        """As `doctor --json` prints it."""
        return {"check": self.name, "health": str(self.health), "found": self.found, "next": self.next}


def look_at_journal(directory: Path) -> list[Check]:
    """The journal's folder, its disk and its records, and what runs it holds. Needs no lock and writes nothing."""
    try:
        return _look_at_journal(directory)
    except OSError as error:
        refusal = refused(error, directory, reading=True)
        return [_failed("journal", refusal.message, refusal.hint, refusal.exit_code)]


def _look_at_journal(directory: Path) -> list[Check]:
    none_yet = Check(name="journal", health=Health.OK, found=f"none yet at {directory}; the first run makes it")
    if not directory.exists():
        parent = next(parent for parent in directory.absolute().parents if parent.exists())
        if not os.access(parent, os.W_OK | os.X_OK):
            return [
                _failed(
                    "journal",
                    f"user {os.geteuid()} may not write in {parent}, so no journal can be made there",
                    "give the right to write there; or, if there is no journal yet, --journal DIR names another folder",
                    JournalDenied.exit_code,
                )
            ]
        return [none_yet]
    try:
        report = verify(directory)
        ledgers = read_ledgers(directory)
    except NotThere:  # a folder that somebody has made ready
        report, ledgers = None, []
    except FlowledgerError as error:
        return [_failed("journal", error.message, error.hint, error.exit_code)]
    if report is not None and not report.sound:
        return [_failed("journal", f"{directory} is damaged: {report.damage}", "flowledger journal repair --to DIR", 9)]
    checks = [none_yet]
    if report is not None:
        found = f"{directory}: {counted(len(ledgers), 'run')}, {report.size / 2**20:.1f} MiB, sound"
        checks = [Check(name="journal", health=Health.OK, found=found)]
    if (denied := unwritable(directory)) is not None:
        checks = [_failed("journal", denied.message, denied.hint, denied.exit_code)]
    left = shutil.disk_usage(directory).free
    if left < ROOM:
        checks.append(
            Check(
                name="disk",
                health=Health.WARNING,
                found=f"{left // 2**20} MiB are left where the journal is",
                next="make room: a run that cannot write its journal stops",
            )
        )
    checks += [
        Check(
            name="runs",
            health=Health.WARNING,
            found=f"run {ledger.run} cannot be read by this version: {ledger.unreadable}",
            next=f"use {ledger.writer} for it",
        )
        for ledger in ledgers
        if ledger.unreadable
    ]
    open_runs = [ledger for ledger in ledgers if ledger.state in UNFINISHED]
    if open_runs:
        named = [ledger.run for ledger in open_runs]
        shown = ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
        verb = UNFINISHED[open_runs[0].state]
        checks.append(
            Check(
                name="runs",
                health=Health.WARNING,
                found=f"unfinished: {shown}",
                next=f"flowledger {verb} {named[0]}",
            )
        )
    return checks


async def look_at_platform(
    open_platform: Callable[[], Platform], look_at_source: LookAtSource | None = None
) -> AsyncIterator[Check]:
    """Credentials, IMS, the platform's clock, the sandbox, each API and a spec's source. Changes nothing."""
    try:
        platform = open_platform()
    except NotPermitted as error:
        yield _failed("credentials", error.message, error.hint, error.exit_code)
        for name in ("token", "sandbox", *(name for name, _ in READS)):
            yield Check(name=name, health=Health.SKIPPED, found="no credentials to ask with")
        return
    try:
        yield Check(name="credentials", health=Health.OK, found=f"for {platform.org}, at {platform.base_url}")
        async for check in _asked(platform, look_at_source):
            yield check
    finally:
        await platform.close()


async def _asked(platform: Platform, look_at_source: LookAtSource | None) -> AsyncIterator[Check]:
    try:
        await platform.ready()
    except FlowledgerError as error:
        yield _failed("token", error.message, error.hint, error.exit_code)
        for name in ("sandbox", *(name for name, _ in READS), *(["source"] if look_at_source else [])):
            yield Check(name=name, health=Health.SKIPPED, found="no token to ask with")
        return
    yield Check(name="token", health=Health.OK, found="IMS gives one")
    answer = await platform.send(Request(method="GET", path=SANDBOXES))
    clock = _clock(answer, platform.clock.wall())
    if clock is not None:
        yield clock
    yield _sandbox(answer, platform.sandbox)
    for name, request in READS:
        yield _read(name, await platform.send(request))
    if look_at_source is not None:
        async for check in look_at_source(platform):
            yield check


def _clock(answer: Answer, now: float) -> Check | None:
    """The platform's clock by its Date header, whose resolution is a second; None if it has none."""
    there = date_of(answer)
    if there is None:
        return None
    skew = now - there
    if abs(skew) <= SKEW:
        return Check(name="clock", health=Health.OK, found=f"within {max(1, round(abs(skew)))} s of the platform's")
    return Check(
        name="clock",
        health=Health.WARNING,
        found=f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the platform's",
        next="set this machine's clock: a schedule's start is counted from it",
    )


def _sandbox(answer: Answer, wanted: str) -> Check:
    if not answer.ok:
        return _unanswered("sandbox", answer, "sandboxes cannot be listed")
    listed = answer.json.get("sandboxes") if isinstance(answer.json, dict) else None
    known = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    for one in known:
        if one.get("name") == wanted:
            if one.get("state", "active") == "active":
                return Check(name="sandbox", health=Health.OK, found=f"{wanted} ({one.get('type', 'active')})")
            return _failed("sandbox", f"{wanted} is {one.get('state')}", "wait until it is active", 75)
    names = ", ".join(str(one.get("name")) for one in known) or "none"
    return _failed("sandbox", f"there is no sandbox {wanted!r} for these credentials; there are: {names}",
                   "set FLOWLEDGER_SANDBOX, or have the product profile include it", 5)  # fmt: skip


def _read(name: str, answer: Answer) -> Check:
    if answer.ok:
        took = f"{answer.duration * 1000:.0f} ms"
        return Check(name=name, health=Health.OK, found=f"answers ({took})")
    return _unanswered(name, answer, "cannot be read")


def _unanswered(name: str, answer: Answer, what: str) -> Check:
    fault = fault_of(answer)
    why = str(fault) if answer.reach is Reach.ANSWERED else answer.trouble or str(answer.reach)
    asked = f" (request id {fault.request_id})" if fault.request_id else ""
    if answer.status in (401, 403):
        return _failed(
            name,
            f"{what}: {why}{asked}",
            "give the credential's product profile the permissions for it in Adobe's Admin Console",
            NotPermitted.exit_code,
        )
    if answer.status is not None and answer.status < 500:
        return _failed(name, f"{what}: {why}{asked}", "check FLOWLEDGER_BASE_URL and FLOWLEDGER_SANDBOX", 1)
    return _failed(name, f"{what}: {why}{asked}", "check the network, and try later", Unreachable.exit_code)


def _failed(name: str, found: str, next: str, exit_code: int) -> Check:
    return Check(name=name, health=Health.FAILED, found=found, next=next, exit_code=exit_code)
