"""What the logging of the embedding program raises never decides over a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, cast

import pytest
import structlog

from flowledger.engine.ledger import RunState
from flowledger.engine.log import logger_of
from flowledger.testing import VirtualTime, run_in_virtual_time


@pytest.fixture(autouse=True)
def configured_anew() -> Iterator[None]:
    structlog.reset_defaults()
    factory, level = logging.getLogRecordFactory(), logging.getLogger("flowledger").level
    yield
    logging.setLogRecordFactory(factory)
    logging.getLogger("flowledger").setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("name", ["run", "step", "status", "outcome", "attempt"])
def test_a_record_factory_that_sets_a_field_of_ours_costs_no_run_and_no_line(
    bench: Any, made_once: dict[str, int], caplog: Any, name: str
) -> None:
    original = logging.getLogRecordFactory()

    def factory(*args: Any, **options: Any) -> logging.LogRecord:
        record = original(*args, **options)
        setattr(record, name, "job-7")
        return record

    logging.setLogRecordFactory(factory)
    caplog.set_level(logging.DEBUG, logger="flowledger")
    assert bench.apply().state is RunState.PROVISIONED
    assert bench.counts() == made_once
    lines = [record.getMessage() for record in caplog.records if record.name == "flowledger"]
    assert any(line.startswith("call answered") and "step='create_flow'" in line for line in lines)


@pytest.mark.parametrize("where", ["factory", "filter", "processor", "wrapper"])
def test_logging_that_raises_wherever_it_can_costs_no_run(bench: Any, made_once: dict[str, int], where: str) -> None:
    def broken(*args: Any, **options: Any) -> Any:
        raise KeyError("the program's own logging")

    logger = logging.getLogger("flowledger")
    logger.setLevel(logging.DEBUG)
    if where == "factory":
        logging.setLogRecordFactory(broken)
    elif where == "filter":
        logger.addFilter(broken)
    elif where == "processor":
        structlog.configure(processors=[broken])
    else:
        structlog.configure(wrapper_class=cast(Any, broken))
    try:
        assert bench.apply().state is RunState.PROVISIONED
    finally:
        logger.removeFilter(broken)
    assert bench.counts() == made_once


def test_an_asynchronous_structlog_logger_is_written_to_without_being_awaited(caplog: Any) -> None:
    structlog.configure(
        wrapper_class=structlog.stdlib.AsyncBoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        processors=[structlog.stdlib.render_to_log_kwargs],
    )
    caplog.set_level(logging.INFO, logger="flowledger")

    async def log() -> None:
        logger_of(run="a-run").info("adopted", step="create_flow")

    run_in_virtual_time(VirtualTime(), log())
    assert [record.getMessage() for record in caplog.records] == ["adopted"]


def test_a_logger_whose_methods_are_coroutines_is_said_in_the_standard_librarys_way(caplog: Any) -> None:
    class Awaited:
        def bind(self, **fields: Any) -> Awaited:
            return self

        async def info(self, event: str, **fields: Any) -> None:
            raise AssertionError("nobody awaits it")

    structlog.configure(wrapper_class=cast(Any, lambda *args, **options: Awaited()))
    caplog.set_level(logging.INFO, logger="flowledger")
    logger_of(run="a-run").info("adopted", step="create_flow")
    assert [record.getMessage() for record in caplog.records] == ["adopted run='a-run' step='create_flow'"]
