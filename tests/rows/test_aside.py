"""Rows are put aside in memory up to a bound; beyond it a missing temporary folder is said in words."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import pytest

from flowledger.cli.rowformats import print_csv
from flowledger.engine.aside import Aside
from flowledger.errors import DiskFull, UsageError


@pytest.fixture
def no_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> NoReturn:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", missing)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/t")


@pytest.mark.usefixtures("no_temporary_folder")
async def test_rows_are_printed_as_csv_without_a_temporary_folder(capsys: pytest.CaptureFixture[str]) -> None:
    async def rows() -> AsyncIterator[Any]:
        yield {"a": 1}
        yield {"b": "x"}

    assert await print_csv(rows()) == 2
    assert capsys.readouterr().out == "a,b\n1,\n,x\n"


@pytest.mark.usefixtures("no_temporary_folder")
def test_more_rows_than_fit_into_memory_need_a_temporary_folder_which_is_said_in_words() -> None:
    with Aside(in_memory=10) as aside:
        aside.write(b"12345")
        aside.seek(0)
        assert aside.read() == b"12345"
        with pytest.raises(UsageError) as caught:
            aside.write(b"6789012345")
    assert caught.value.exit_code == 2
    assert "TMPDIR" in caught.value.hint


def test_a_temporary_folder_without_room_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with Aside(in_memory=10) as aside, pytest.raises(DiskFull) as caught:
        aside.write(b"x" * 20)
    assert caught.value.exit_code == 75
    assert "TMPDIR" in caught.value.hint


def test_what_is_beyond_memory_is_read_back_whole() -> None:
    with Aside(in_memory=10) as aside:
        for n in range(100):
            aside.write(b"%d\n" % n)
        aside.flush()
        aside.seek(0)
        assert [int(line) for line in aside] == [*range(100)]
