"""Many runs, one journal, one platform, in one process and in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from flowledger.engine.fleet import FleetReport, apply_many, resume_many
from flowledger.steps.client.port import Request
from flowledger.steps.client.secrets import from_file
from flowledger.steps.spec import SecretRef, Spec
from flowledger.testing import platform_in_process, run_in_virtual_time
from tests.bench import JOURNAL, MADE_ONCE, Bench, Died


class Yard(Bench):
    """The bench, for as many runs as a test wants."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.events: list[tuple[str, str]] = []  # run and kind, as they became durable
        self.on_fleet_event: Callable[[str, int, Any], None] | None = None

    def specs(self, count: int, **changes: Any) -> list[Spec]:
        """So many specs, equal but for their names."""
        return [self.spec.model_copy(update={"name": f"run-{number:02d}", **changes}) for number in range(count)]

    def _told(self, run: str, number: int, doc: Any) -> None:
        self.events.append((run, doc["kind"]))
        if self.on_fleet_event is not None:
            self.on_fleet_event(run, number, doc)

    def apply_all(self, specs: Iterable[Any], **options: Any) -> FleetReport:
        """`flowledger apply A B C` as a process of its own."""
        report: FleetReport = self.sit(apply_many, specs, on_event=self._told, **options)
        return report

    def resume_all(self, **options: Any) -> FleetReport:
        """`flowledger resume --all` as a process of its own."""
        report: FleetReport = self.sit(resume_many, on_event=self._told, **options)
        return report

    def remove(self, path: str) -> None:
        """Somebody else deletes an object."""

        async def delete() -> None:
            platform = platform_in_process(self.emulator, self.time)
            await platform.ready()
            answer = await platform.send(Request(method="DELETE", path=path, effect=True))
            assert answer.ok, answer
            await platform.close()

        run_in_virtual_time(self.time, delete())

    def journal_files(self) -> list[Path]:
        """Every file of the journal."""
        return [JOURNAL / name for name in self.disk.names(JOURNAL)]

    def source_secret(self) -> bytes:
        """The secret that the example refers to."""
        secret = self.spec.source.connection.params["clientSecret"]
        assert isinstance(secret, SecretRef)
        assert secret.file is not None
        return from_file(secret.file, self.spec.folder).encode()


@pytest.fixture
def yard() -> Yard:
    return Yard()


@pytest.fixture
def died() -> type[BaseException]:
    """What a test raises where the process is to die."""
    return Died


@pytest.fixture
def shared_by() -> Callable[[int], dict[str, int]]:
    """The platform when so many equal specs are provisioned: one base connection and one sink for all."""

    def counts(runs: int) -> dict[str, int]:
        each = dict.fromkeys(MADE_ONCE, runs)
        return {**each, "schemas": 2 * runs, "connections": 2}

    return counts


@pytest.fixture
def make_yard() -> Callable[..., Yard]:
    """For tests that need a fresh platform and disk many times, or an emulator with options."""
    return Yard
