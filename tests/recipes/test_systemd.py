"""The unit files: read by systemd's own checker, and the service restarted by the rules that it states."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Mapping
from configparser import RawConfigParser
from typing import Any

import pytest

from flowledger import errors


class Unit(RawConfigParser):
    """A unit file; a key that comes several times keeps all its values, a line each."""

    def __init__(self, text: str) -> None:
        super().__init__(strict=False, dict_type=dict)
        self.environment = [line.partition("=")[2] for line in text.splitlines() if line.startswith("Environment=")]
        self.read_string(text)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def variables(lines: list[str]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines if line)


def start(farm: Any, unit: Unit) -> tuple[list[str], Mapping[str, str]]:
    """The service's command and environment."""
    service = unit["Service"]
    environment = [line.replace("%S", str(farm.folder / "state")) for line in unit.environment]
    file = (farm.folder / service["EnvironmentFile"].rpartition("/")[2]).read_text().splitlines()
    return shlex.split(service["ExecStart"]), variables(environment) | variables(file)


def restarts(unit: Unit, code: int) -> bool:
    """systemd.service(5): on-failure restarts after an unclean end, but for the statuses that prevent it."""
    service = unit["Service"]
    assert service["Restart"] == "on-failure"
    return code != 0 and str(code) not in service["RestartPreventExitStatus"].split()


@pytest.fixture
def unit(farm: Any) -> Unit:
    return Unit(farm.unpack("systemd.md")["flowledger-products.service"])


@pytest.mark.long
def test_the_service_is_restarted_until_the_run_is_provisioned(farm: Any, unit: Unit) -> None:
    command, env = start(farm, unit)
    farm.lose_one_call()
    codes = [farm.run(*command, env=env).code]
    while restarts(unit, codes[-1]):
        codes.append(farm.run(*command, env=env).code)
    assert codes == [75, 0]
    assert farm.has_exactly_one_of_everything()


def test_what_a_person_has_to_look_at_is_not_restarted(farm: Any, unit: Unit) -> None:
    command, env = start(farm, unit)
    code = farm.run(*command, env={**env, "FLOWLEDGER_CLIENT_ID": "nobody"}).code
    assert code == 4
    assert not restarts(unit, code)


def test_every_error_that_no_later_start_can_mend_is_left_to_a_person(unit: Unit) -> None:
    codes = {
        value.exit_code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.FlowledgerError)
    }
    assert {code for code in codes if restarts(unit, code)} == {6, 75}


@pytest.mark.long
def test_a_stop_is_heard_and_the_next_start_carries_on(farm: Any, unit: Unit) -> None:
    command, env = start(farm, unit)
    farm.ask("POST", "faults", {"route": "POST /data/foundation/flowservice/flows", "kind": "slow", "delay_ms": 1500})
    service = subprocess.Popen(
        command, cwd=farm.folder, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert service.stderr is not None
    for line in service.stderr:
        if '"create_base_connection"' in line:
            break
    service.send_signal(signal.SIGTERM)
    assert service.wait(60) == 75
    service.stderr.close()
    assert farm.run(*command, env=env).code == 0
    assert farm.has_exactly_one_of_everything()


@pytest.mark.needs_system
def test_systemd_accepts_the_units(farm: Any) -> None:
    farm.unpack("systemd.md")
    for name in ("flowledger-products.service", "flowledger-products.timer"):
        told = subprocess.run(
            ["systemd-analyze", "verify", "--recursive-errors=no", str(farm.folder / name)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (told.returncode, told.stderr) == (0, ""), told.stderr
