"""Every kind of source that `init --list` shows, in both styles: what `init` writes is provisioned as it is.

In one process and in virtual time, with the journal on a simulated disk: real processes and sockets are the business
of the other tests here, and the same for every kind.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flowledger.cli.app import app
from flowledger.engine import api
from flowledger.engine.ledger import RunState
from flowledger.engine.specfile import load_spec
from flowledger.engine.table import TABLES
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
from flowledger.steps.sources import SOURCES
from flowledger.testing import VirtualTime, emulator_in_virtual_time, platform_in_process, run_in_virtual_time
from tests.bench import MADE_ONCE_IN


def init(folder: Path, *arguments: str) -> Path:
    """The spec that `flowledger init` writes, with its secrets beside it."""
    ran = CliRunner().invoke(app, ["init", *arguments[:1], str(folder), *arguments[1:]])
    assert ran.exit_code == 0, ran.output
    [spec] = folder.glob("*.yaml")
    return spec


def test_the_list_shows_every_kind_of_the_table() -> None:
    ran = CliRunner().invoke(app, ["init", "--list", "--json"])

    assert [kind["kind"] for kind in json.loads(ran.output)["kinds"]] == list(SOURCES)


@pytest.mark.parametrize("style", TABLES)
@pytest.mark.parametrize("kind", SOURCES)
def test_what_init_writes_is_provisioned_exactly_once(tmp_path: Path, kind: str, style: str) -> None:
    spec = load_spec(init(tmp_path, kind, "--style", style)).spec
    time, disk = VirtualTime(), SimulatedFileSystem()
    emulator = emulator_in_virtual_time(time)

    async def apply() -> Any:
        with_journal = Journal.open(Path("/journal"), fs=disk, committer=InlineCommitter(), wall=time.wall)
        platform = platform_in_process(emulator, time)
        try:
            return await api.apply(spec, journal=with_journal, platform=platform, clock=time, chance=random.Random(7))
        finally:
            with_journal.close()

    report = run_in_virtual_time(time, apply())
    again = run_in_virtual_time(time, apply())

    assert report.state is again.state is RunState.PROVISIONED
    made = {of: emulator.count(of) for of in MADE_ONCE_IN[style]}
    assert made == MADE_ONCE_IN[style] | ({} if spec.target.fields else {"fieldgroups": 0})
    ids = {resource.step: resource.id for resource in report.resources}
    stored = {of: emulator.world.store.all(of, "prod") for of in ("connections", "sourceConnections", "flows")}
    [base] = [one for one in stored["connections"] if one["id"] == ids["create_base_connection"]]
    [source] = stored["sourceConnections"]
    known = SOURCES[kind]
    assert base["connectionSpec"]["id"] == source["connectionSpec"]["id"] == known.connection_spec_id
    assert base["auth"]["specName"] == known.auths[0].name
    assert known.tables[0].path in (source["params"].get("path"), source["params"].get("tableName"))
    [flow] = stored["flows"]
    [copy] = [part for part in flow["transformations"] if part["name"] == "Copy"]
    assert copy["params"]["deltaColumn"] == {
        "name": known.tables[0].delta, "dateFormat": known.delta_format, "timezone": "UTC"
    }  # fmt: skip
