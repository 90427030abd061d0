"""The settle window is held against how long sent bytes may wait: rule 4 on other systems and behind a proxy."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from flowledger.engine.specfile import load_spec
from flowledger.steps.client.kernel import give_up_option
from tests.bench import EXAMPLE

ADOBE = "https://platform.adobe.io"


def warned(tmp_path: Path, *, base_url: str = ADOBE, **changes: object) -> list[str]:
    """Warnings about the settle window."""
    document = yaml.safe_load(EXAMPLE.read_text())
    document.pop("settle")
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({**document, **changes}))
    return [line for line in load_spec(path, base_url=base_url).warnings if "settle" in line.split(": ")[0]]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_the_default_window_is_right_where_the_kernel_gives_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert warned(tmp_path) == []
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)
    monkeypatch.setattr("sys.platform", "darwin")
    assert give_up_option() == (0x80, 10)
    assert warned(tmp_path) == []


@pytest.mark.parametrize("where", ["another system", "behind a proxy"])
def test_elsewhere_the_window_must_outlast_our_own_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "behind a proxy":
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    else:
        monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)
        monkeypatch.setattr("sys.platform", "other")
    (line,) = warned(tmp_path)
    assert "90 s is shorter than a call may take to show at Adobe" in line
    assert "write `settle: 135s`" in line
    assert warned(tmp_path, settle="135s") == []
    assert "write `settle: 165s`" in warned(tmp_path, settle="135s", retry={"timeout": "100s"})[0]
    assert warned(tmp_path, base_url="http://127.0.0.1:8480") == []


def test_a_proxy_that_is_not_used_for_the_platform_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", ".adobe.io")
    assert warned(tmp_path) == []
