"""The flow in a real Prefect, with a call that is lost: retried, provisioned, one of everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.mark.long
@pytest.mark.timeout(900)
def test_prefect_retries_what_a_retry_can_mend_and_nothing_else(farm: Any, prefect: Path) -> None:
    farm.unpack("prefect.md")
    env = {
        **farm.credentials,
        "PATH": f"{prefect}:/usr/bin:/bin",
        "HOME": str(farm.folder),
        "PREFECT_HOME": str(farm.folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "FLOWLEDGER_PAUSE": "1",
    }
    farm.lose_one_call()
    ran = farm.run(str(prefect / "python"), "provision.py", env=env, timeout=300)
    assert ran.code == 0, ran.err[-3000:]
    assert "Retry 1/20" in ran.err or "AwaitingRetry" in ran.err
    assert farm.has_exactly_one_of_everything()
    (farm.folder / "dataflow.yaml").write_text("name: nothing")
    refused = farm.run(str(prefect / "python"), "provision.py", env=env, timeout=300)
    assert refused.code != 0
    assert "SpecError" in refused.err
    assert "AwaitingRetry" not in refused.err
