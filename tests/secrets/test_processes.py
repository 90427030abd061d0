"""What other processes can see of a run's secrets: nothing in arguments, children, or images of its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.wire import Request, Response

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, and asks prctl(2)")

VAULT = """
import os, pathlib, sys
here = pathlib.Path(sys.argv[1])
name = "vault" if not (here / "vault").exists() else "vault-2"
said = [*(f"{key}={value}" for key, value in os.environ.items()), *sys.argv]
(here / name).write_bytes("\\n".join(said).encode())
sys.stdout.write((here / "secret").read_text())
sys.stderr.write("the secret is " + (here / "secret").read_text())
"""


@linux_only
async def test_a_secret_command_sees_the_environment_but_no_other_secret(shell: Any, platform: Any) -> None:
    (shell.folder / "vault.py").write_text(VAULT)
    shell.environment["VAULT_TOKEN"] = "the-vault-needs-this"
    shell.environment["OTHER_SECRET"] = "canary-of-another-parameter"
    command = f"{{command: [{sys.executable}, vault.py, {shell.folder}]}}"
    spec = shell.spec(command)
    path = shell.folder / spec
    path.write_text(path.read_text().replace("clientId: my-paypal-client-id", "clientId: {env: OTHER_SECRET}"))
    assert await shell.run("apply", spec, "-vv") == 0, shell.printed.decode()
    assert set(platform.heard) == {"client secret", "token", "source secret"}
    seen = (shell.folder / "vault").read_bytes()
    assert b"VAULT_TOKEN=the-vault-needs-this" in seen
    assert b"PATH=" in seen
    platform.heard["another parameter"] = "canary-of-another-parameter"
    assert shell.hits(only=seen) == []
    assert shell.hits() == []


@linux_only
async def test_the_command_that_gives_the_client_secret_sees_none_either(shell: Any, platform: Any) -> None:
    """The same place for both commands: each sees the other's secret nowhere."""
    (shell.folder / "vault.py").write_text(VAULT.replace('"secret"', "sys.argv[2]"))
    (shell.folder / "ims").write_text(shell.environment.pop("FLOWLEDGER_CLIENT_SECRET"))
    shell.environment["FLOWLEDGER_CLIENT_SECRET_COMMAND"] = f"{sys.executable} vault.py {shell.folder} ims"
    shell.environment["OTHER_SECRET"] = "canary-of-another-parameter"
    spec = shell.spec(f"{{command: [{sys.executable}, vault.py, {shell.folder}, secret]}}")
    path = shell.folder / spec
    path.write_text(path.read_text().replace("clientId: my-paypal-client-id", "clientId: {env: OTHER_SECRET}"))
    assert await shell.run("apply", spec, "-vv") == 0, shell.printed.decode()
    assert len(platform.heard) == 3
    platform.heard["another parameter"] = "canary-of-another-parameter"
    for name in ("vault", "vault-2"):
        assert shell.hits(only=(shell.folder / name).read_bytes()) == []
    assert shell.hits() == []


@linux_only
@pytest.mark.parametrize("given", ["environment", "file"])
async def test_a_running_apply_shows_no_secret_in_its_arguments_and_can_leave_no_core(
    shell: Any, platform: Any, given: str
) -> None:
    if given == "file":
        (shell.folder / "ims").write_text(shell.environment.pop("FLOWLEDGER_CLIENT_SECRET") + "\n")
        shell.environment["FLOWLEDGER_CLIENT_SECRET_FILE"] = str(shell.folder / "ims")
    else:
        shell.environment["PAYPAL"] = (shell.folder / shell.spec()).with_name("secret").read_text().rstrip("\n")
    seen: dict[str, bytes] = {}

    def look(request: Request, right: Response, heard: dict[str, str]) -> Response:
        if request.method == "POST" and request.raw_path.endswith("/connections"):
            for name in ("cmdline", "limits"):
                seen[name] = Path(f"/proc/{process.pid}/{name}").read_bytes()
        return right

    platform.echo = look
    process = await shell.start("apply", shell.spec("{env: PAYPAL}" if given == "environment" else "{file: secret}"))
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert len(platform.heard) == 3
    assert b"flowledger" in seen["cmdline"]
    assert shell.hits(only=seen["cmdline"] + out + err) == []
    core = next(line for line in seen["limits"].decode().splitlines() if line.startswith("Max core file size"))
    assert core.split()[4] == "0"


DUMPABLE = """
import ctypes, resource, sys
from flowledger.cli import main
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
sys.argv = ["flowledger", "--version"]
libc = ctypes.CDLL(None)
before = libc.prctl(3, 0, 0, 0, 0)
try:
    main()
except SystemExit as ended:
    print(before, libc.prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE)[0], ended.code)
"""


@linux_only
def test_the_program_is_undumpable_and_its_core_limit_is_nil() -> None:
    done = subprocess.run([sys.executable, "-c", DUMPABLE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1 0 0 0"
