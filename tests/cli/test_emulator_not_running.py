"""Where nothing listens at the emulator's address, every verb ends at once and names the command that helps."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

VERBS = (
    ("apply", "spec.yaml"),
    ("resume", "unfinished"),
    ("plan", "again.yaml"),
    ("drift", "paypal-products"),
    ("watch", "paypal-products", "--until", "first"),
    ("read", "paypal-products"),
    ("destroy", "paypal-products", "--yes"),
    ("doctor",),
)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine at which nothing listens, and that no other program can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_every_verb_ends_at_once_and_says_how_to_start_the_emulator(
    connected: Any, emulator: Any, closed_port: int, host: str
) -> None:
    assert connected("apply", connected.spec(name="again.yaml")).code == 0
    emulator.fault("POST /flows", "answer", status=403, times=1)
    assert connected("apply", connected.spec(("name: paypal-products", "name: unfinished"))).code == 4
    connected.spec(("name: paypal-products", "name: new"))
    nowhere = {"FLOWLEDGER_BASE_URL": f"http://{host}:{closed_port}", "FLOWLEDGER_IMS_URL": ""}

    for verb in VERBS:
        ran = connected(*verb, env=nowhere)
        said = ran.out + ran.err
        if verb == ("plan", "again.yaml"):  # the run is finished: nothing is asked
            assert ran.code == 0
            continue
        assert ran.code == 75, (verb, said)
        assert "waiting" not in said, verb
        assert f"nothing listens at http://{host}:{closed_port}: is the emulator running?" in said, verb
        assert f"next: flowledger emulator start -d --port {closed_port}, then " in said, verb
        assert "Errno" not in said, verb
        assert "ssl" not in said, verb


def test_a_call_that_a_port_of_this_machine_refused_is_journaled_as_not_sent(
    connected: Any, emulator: Any, closed_port: int
) -> None:
    emulator.fault("POST /flows", "answer", status=403, times=1)
    assert connected("apply", connected.spec()).code == 4
    nowhere = {"FLOWLEDGER_BASE_URL": f"http://127.0.0.1:{closed_port}"}

    assert connected("resume", "paypal-products", env=nowhere).code == 75
    stopped = connected("status", "paypal-products", "--json").json["stopped"]
    assert stopped["error"] == "NotServed"
    assert connected("resume", "paypal-products").code == 0
    assert emulator.counts["flows"] == 1
