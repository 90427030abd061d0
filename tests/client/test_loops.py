"""One Platform serves one event loop after another, and says so where a second one runs at the same time."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.core import Emulator
from flowledger.emulator.server import serve
from flowledger.engine.api import apply_sync, drift_sync
from flowledger.engine.ledger import RunState
from flowledger.errors import UsageError
from flowledger.journal import Journal
from flowledger.steps.client.config import platform_from_env
from flowledger.steps.client.platform import Platform
from flowledger.steps.client.port import Request
from tests.bench import example


@pytest.fixture
def url() -> Iterator[str]:
    """An emulator in a thread and a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    emulator = Emulator()
    server = asyncio.run_coroutine_threadsafe(serve(emulator), loop).result()
    yield server.url
    asyncio.run_coroutine_threadsafe(server.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    emulator.close()


@pytest.fixture
def platform(url: str) -> Platform:
    credentials = {"CLIENT_ID": "local-client", "CLIENT_SECRET": "local-secret", "ORG_ID": "LOCAL@AdobeOrg"}
    return platform_from_env({f"FLOWLEDGER_{key}": value for key, value in {**credentials, "BASE_URL": url}.items()})


def test_the_sync_verbs_share_a_platform_and_a_journal(platform: Platform, tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j") as journal:
        for name in ("one", "two"):
            spec = example().model_copy(update={"name": name})
            assert apply_sync(spec, journal=journal, platform=platform).state is RunState.PROVISIONED
        assert drift_sync("one", journal=journal, platform=platform).exit_code == 0
    asyncio.run(platform.close())


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # each loop is closed with its connections open, by its caller
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_platform_whose_loop_was_closed_connects_anew(platform: Platform) -> None:
    async def ask() -> int | None:
        await platform.ready()
        return (await platform.send(Request(method="GET", path="/data/foundation/catalog/dataSets"))).status

    assert asyncio.run(ask()) == 200
    assert asyncio.run(ask()) == 200
    asyncio.run(platform.close())
    gc.collect()  # the warnings about it come here, and not in another test


def test_a_second_loop_at_the_same_time_is_refused_before_anything_is_written(
    platform: Platform, tmp_path: Path
) -> None:
    refused: list[Any] = []

    def elsewhere() -> None:
        try:
            apply_sync(example(), journal=tmp_path / "j", platform=platform)
        except UsageError as error:
            refused.append(error)

    async def here() -> None:
        await platform.ready()
        await asyncio.to_thread(elsewhere)
        await platform.close()

    asyncio.run(here())
    assert "another event loop" in str(refused[0])
    assert not (tmp_path / "j").exists()
