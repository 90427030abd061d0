"""What names a boot: readings of the monotonic clock compare only within one."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowledger.steps.client.clock import SystemClock


def proc(folder: Path, offsets: str | None) -> Path:
    (folder / "sys/kernel/random").mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text("a-boot\n")
    if offsets is not None:
        (folder / "self").mkdir()
        (folder / "self/timens_offsets").write_text(offsets)
    return folder


@pytest.mark.parametrize(
    "offsets", [None, "", "monotonic           0         0\nboottime            0         0\n", "boottime 5 0\n", "odd"]
)
def test_a_process_without_a_time_namespace_of_its_own_is_of_the_boot(tmp_path: Path, offsets: str | None) -> None:
    assert SystemClock(proc(tmp_path, offsets)).boot_id == "a-boot"


@pytest.mark.parametrize("line", ["monotonic 86400 0", "monotonic -5 0", "monotonic 0 5", "1 86400 0"])
def test_another_time_namespace_is_another_boot(tmp_path: Path, line: str) -> None:
    clock = SystemClock(proc(tmp_path, f"{line}\nboottime 0 0\n"))
    assert clock.boot_id.startswith("a-boot+")
    assert clock.boot_id != SystemClock(proc(tmp_path / "other", "monotonic 1 1\n")).boot_id


def test_where_the_system_tells_no_boot_its_moment_names_it(tmp_path: Path) -> None:
    assert SystemClock(tmp_path).boot_id.startswith("boot-")
