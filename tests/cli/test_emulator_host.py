"""An emulator serves at the loopback address that is asked for, and at no other address."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from flowledger.errors import NotServed


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as taken:
            taken.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]"])
def test_an_emulator_serves_at_the_loopback_address_that_is_named(program: Any, host: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no ::1")
    started = program.apart("emulator", "start", "-d", "--port", "0", "--host", host)
    try:
        assert started.code == 0, started.err
        shown = f"[{host.strip('[]')}]" if ":" in host else host
        assert started.out.startswith(f"Ready. http://{shown}:")
        assert program("emulator", "status").code == 0
    finally:
        assert program("emulator", "stop").code == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.invalid", ""])
def test_an_address_that_is_not_loopback_is_refused_in_words(program: Any, host: str) -> None:
    ran = program("emulator", "start", "--port", "0", "--host", host)
    assert ran.code == 2
    assert "loopback only" in ran.err
    assert "--host ::1" in ran.err


def test_the_command_that_starts_an_emulator_names_the_host_of_the_url() -> None:
    assert "--port 8480 --host ::1, then" in NotServed("http://[::1]:8480", port=8480).hint
    assert "--host" not in NotServed("http://127.0.0.1:8480", port=8480).hint
    assert "--host" not in NotServed("http://localhost:8480", port=8480).hint


def test_init_keeps_secrets_and_journal_out_of_a_repository(program: Any) -> None:
    ran = program("init")
    assert ran.code == 0
    assert (program.folder / ".gitignore").read_text() == "secrets/\n.flowledger/\n"
    assert "Wrote .gitignore" in ran.out


@pytest.mark.parametrize(
    ("before", "advice"),
    [
        ("*.log\n", "Add to .gitignore: secrets/ and .flowledger/"),
        ("secrets\n", "Add to .gitignore: .flowledger/"),
        ("/secrets/\n/.flowledger/*\n", ""),
    ],
)
def test_init_leaves_a_gitignore_alone_and_says_what_it_lacks(program: Any, before: str, advice: str) -> None:
    (program.folder / ".gitignore").write_text(before)
    ran = program("init")
    assert ran.code == 0
    assert (program.folder / ".gitignore").read_text() == before
    assert ("Add to" in ran.out) == bool(advice)
    assert advice in ran.out
