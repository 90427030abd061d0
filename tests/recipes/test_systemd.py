"""The unit files: read by systemd's own checker, and the service restarted by the rules that it states."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest

from flowledger import errors
from tests.program import Ran
from tests.recipes.conftest import Farm


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


@pytest.fixture
def unit_of_a_service(farm: Any) -> Iterator[tuple[Farm, Unit]]:
    """The recipe in a folder that user 11111 may enter, with what the unit says of homes, users and the disk."""
    folder = Path(tempfile.mkdtemp(prefix="flowledger-", dir="/var/lib"))
    folder.chmod(0o755)
    shutil.copytree(farm.folder, folder / "farm")
    place = Farm(folder / "farm", farm.url)
    unit = Unit(place.unpack("systemd.md")["flowledger-products.service"])
    (place.folder / "state").mkdir()
    for path in (place.folder / "state", *place.folder.rglob("*")):
        os.chown(path, 11111, 11111)
    yield place, unit
    shutil.rmtree(folder)


def as_the_unit(place: Farm, unit: Unit, *command: str) -> Ran:
    """Run a command as systemd would: its own user, homes that cannot be entered, a disk that is read-only."""
    service = unit["Service"]
    assert (service["User"], service["ProtectHome"], service["ProtectSystem"]) == ("flowledger", "yes", "strict")
    hidden = ["/home", *([] if Path(sys.base_prefix).is_relative_to("/root") else ["/root"])]
    script = (
        f"mount --make-rprivate / && mount -o remount,ro,bind / && for m in {' '.join(hidden)} /tmp /var/tmp; do "
        "mount -t tmpfs -o mode=000 none $m || exit 99; done; chmod 1777 /tmp /var/tmp; "
        f"mount --bind {place.folder}/state {place.folder}/state && "
        f"mount -o remount,rw,bind {place.folder}/state && cd {place.folder} && "
        'exec setpriv --reuid 11111 --regid 11111 --clear-groups "$@"'
    )
    _, env = start(place, unit)
    return place.run(
        # Python itself and not the farm's script: setpriv may start one that lies in a home.
        "unshare", "-m", "bash", "-c", script, "sh", sys.executable, "-m", "flowledger", *command[1:],
        env={**env, "PATH": os.environ["PATH"], "HOME": "/home/flowledger"},
    )  # fmt: skip


@pytest.mark.needs_system
def test_the_unit_provisions_as_a_user_whose_home_cannot_be_entered(unit_of_a_service: tuple[Farm, Unit]) -> None:
    place, unit = unit_of_a_service
    command, _ = start(place, unit)
    ran = as_the_unit(place, unit, *command)
    assert ran.code == 0, ran.err
    assert place.has_exactly_one_of_everything()
    assert as_the_unit(place, unit, command[0], "status", "paypal-products").code == 0


@pytest.mark.needs_system
def test_a_journal_of_another_user_is_not_restarted_and_names_the_owner(unit_of_a_service: tuple[Farm, Unit]) -> None:
    place, unit = unit_of_a_service
    command, env = start(place, unit)
    assert as_the_unit(place, unit, *command).code == 0
    ran = place.run(*command, env={**env, "PATH": os.environ["PATH"]})  # as root
    assert ran.code == 1
    assert not restarts(unit, ran.code)
    assert "sudo -u '#11111'" in ran.err
    assert place.has_exactly_one_of_everything()


@pytest.mark.needs_system
def test_systemd_accepts_the_units(farm: Any) -> None:
    farm.unpack("systemd.md")
    for name in ("flowledger-products.service", "flowledger-products.timer"):
        told = subprocess.run(
            ["systemd-analyze", "verify", "--recursive-errors=no", str(farm.folder / name)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (told.returncode, told.stderr) == (0, ""), told.stderr
