"""Both DAGs in a real Airflow, with a call that is lost: Airflow's task ends well, and there is one of everything."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

SOONER = {"timedelta(minutes=1)": "timedelta(seconds=1)"}


@pytest.mark.long
def test_the_shell_command_starts_an_unfinished_run_again_and_leaves_other_errors_to_airflow(farm: Any) -> None:
    command = _bash_command(farm)
    env = {"PATH": f"{farm.folder}/.venv/bin:/usr/bin:/bin", "FLOWLEDGER_PAUSE": "0"}
    farm.lose_one_call()
    assert farm.run("bash", "-c", command, env=env).code == 0
    assert farm.has_exactly_one_of_everything()
    (farm.folder / "dataflow.yaml").write_text("name: nothing")
    assert farm.run("bash", "-c", command, env=env).code == 3


@pytest.mark.long
def test_the_shell_command_stops_in_order_when_its_process_group_is_told_to(farm: Any) -> None:
    command = _bash_command(farm)
    env = {"PATH": f"{farm.folder}/.venv/bin:/usr/bin:/bin", "FLOWLEDGER_PAUSE": "0"}
    farm.ask("POST", "faults", {"route": "POST /data/foundation/flowservice/flows", "kind": "slow", "delay_ms": 1500})
    task = subprocess.Popen(["bash", "-c", command], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert task.stderr is not None
    for line in task.stderr:
        if '"create_base_connection"' in line:
            break
    os.killpg(task.pid, signal.SIGTERM)
    rest = task.stderr.read()  # until the last of the group has ended
    task.wait(60)
    task.stderr.close()
    assert '"exit_code":75' in rest
    assert farm.run("bash", "-c", command, env=env).code == 0
    assert farm.has_exactly_one_of_everything()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_airflow_provisions_although_a_call_is_lost(farm: Any, airflow: Path) -> None:
    farm.unpack("airflow.md", instead=SOONER)
    _write_credentials(farm)
    home = farm.folder / "airflow"
    env = {
        **farm.credentials,
        "PATH": f"{airflow}:/usr/bin:/bin",
        "HOME": str(farm.folder),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(farm.folder),
        "FLOWLEDGER_PAUSE": "0",
    }
    assert farm.run(str(airflow / "airflow"), "db", "migrate", env=env, timeout=200).code == 0
    for dag in ("provision_bash", "provision_python"):
        farm.ask("POST", "reset")
        shutil.rmtree(farm.folder / "journal", ignore_errors=True)
        farm.lose_one_call()
        ran = farm.run(str(airflow / "airflow"), "dags", "test", dag, env=env, timeout=200)
        assert ran.code == 0, ran.err[-3000:]
        assert farm.has_exactly_one_of_everything(), dag


def _bash_command(farm: Any) -> str:
    tree = ast.parse(farm.unpack("airflow.md")["provision_bash.py"])
    _write_credentials(farm)
    (command,) = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return command


def _write_credentials(farm: Any) -> None:
    lines = [f"{name}={value}\n" for name, value in farm.credentials.items()]
    (farm.folder / "credentials.env").write_text("".join(lines))
