"""The Job's command in the Job's environment, and what its pod failure policy makes of each exit code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def job(farm: Any) -> Any:
    return list(yaml.safe_load_all(farm.unpack("kubernetes.md")["job.yaml"]))[-1]["spec"]


def action(job: Any, code: int) -> str:
    """Kubernetes: the first rule whose exit codes match decides; none: the failure counts."""
    for rule in job["podFailurePolicy"]["rules"]:
        on = rule.get("onExitCodes")
        if on and (code in on["values"]) == (on["operator"] == "In"):
            return str(rule["action"])
    return "Count"


def pod(farm: Any, job: Any, **more: str) -> int:
    """Run the container's command with its environment, its volumes as folders."""
    (container,) = job["template"]["spec"]["containers"]
    named = {mount["name"]: Path(mount["mountPath"]) for mount in container["volumeMounts"]}
    for folder in named.values():
        folder.mkdir(exist_ok=True)
    spec = (farm.folder / "dataflow.yaml").read_text()
    (named["spec"] / "dataflow.yaml").write_text(spec.replace("file: secrets/", f"file: {named['secrets']}/"))
    (named["secrets"] / "client-secret").write_text("local-secret")
    env = farm.credentials | {one["name"]: one["value"] for one in container["env"]}
    program, *arguments = container["command"]
    return int(farm.run(str(farm.folder / ".venv" / "bin" / program), *arguments, env={**env, **more}).code)


@pytest.mark.long
def test_pods_follow_each_other_until_the_run_is_provisioned(farm: Any, job: Any) -> None:
    farm.lose_one_call()
    codes = [pod(farm, job)]
    while codes[-1] and action(job, codes[-1]) == "Count":
        codes.append(pod(farm, job))
    assert codes == [75, 0]
    assert farm.has_exactly_one_of_everything()


def test_what_a_person_has_to_look_at_fails_the_job_at_once(farm: Any, job: Any) -> None:
    code = pod(farm, job, FLOWLEDGER_CLIENT_ID="nobody")
    assert (code, action(job, code)) == (4, "FailJob")


@pytest.mark.parametrize("code", [6, 75, 137, 143])
def test_a_held_journal_an_unfinished_run_and_a_killed_pod_are_tried_again(job: Any, code: int) -> None:
    assert action(job, code) == "Count"


@pytest.mark.needs_system
def test_a_pod_of_another_user_fails_the_job_and_names_the_owner_and_chown_mends_it(farm: Any, job: Any) -> None:
    user = job["template"]["spec"]["securityContext"]["runAsUser"]
    assert pod(farm, job) == 0
    journal = next(farm.folder.glob("journal/products"))
    for path in (journal, *journal.iterdir()):
        os.chown(path, user, user)
    assert action(job, pod(farm, job)) == "FailJob"  # this one is of the user who runs the tests
    for path in (journal, *journal.iterdir()):
        os.chown(path, os.geteuid(), os.getegid())
    assert pod(farm, job) == 0
    assert farm.has_exactly_one_of_everything()
