"""Secrets as files and env files have them: byte order marks, line ends of Windows, pipes, mounts that hang."""

from __future__ import annotations

import asyncio
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flowledger.errors import NotPermitted
from flowledger.steps.client import secrets
from flowledger.steps.client.config import credentials_from, places_from, platform_from_env, sandbox_from
from flowledger.steps.client.secrets import FileRead, from_environment, from_file, resolve
from flowledger.steps.spec import SecretRef

ENVIRON = {
    "FLOWLEDGER_BASE_URL": "http://127.0.0.1:1", "FLOWLEDGER_CLIENT_ID": "local-client",
    "FLOWLEDGER_CLIENT_SECRET": "a-made-up-secret", "FLOWLEDGER_ORG_ID": "LOCAL@AdobeOrg",
}  # fmt: skip


@pytest.mark.parametrize(
    "raw", [b"s3cret", b"s3cret\n", b"s3cret\r\n", b"\xef\xbb\xbfs3cret\r\n", b"s3cret\n\n", b"s3cret\r"], ids=ascii
)
def test_a_byte_order_mark_and_the_line_break_at_the_end_are_no_part_of_a_secret(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "s").write_bytes(raw)
    assert from_file(str(tmp_path / "s")) == "s3cret"
    assert from_environment("S", {"S": raw.decode()}) == "s3cret"


def test_a_blank_at_an_end_is_part_of_a_sources_secret_and_not_of_the_client_secret(tmp_path: Path) -> None:
    (tmp_path / "s").write_text(" s3cret \n")
    assert from_file(str(tmp_path / "s")) == " s3cret "
    assert credentials_from({**ENVIRON, "FLOWLEDGER_CLIENT_SECRET": "s3cret \r\n"}).client_secret == "s3cret"
    by_file = {**ENVIRON, "FLOWLEDGER_CLIENT_SECRET": "", "FLOWLEDGER_CLIENT_SECRET_FILE": str(tmp_path / "s")}
    assert credentials_from(by_file).client_secret == "s3cret"


@pytest.mark.parametrize(
    ("value", "said"),
    [("s3cret\t", "ends with a tab"), ("s3cret\x1a", "ends with a Ctrl-Z"), ("\ns3cret", "begins with a line break"),
     ("s3cret\u200b", "ends with a zero-width space"), ("\u00a0s3cret", "begins with a no-break space"),
     ("s3cret\u2028", "ends with a line separator"), ("s3cret\x07", "ends with the character U+0007"),
     ("s3cret\ufeff", "ends with a byte order mark")],
)  # fmt: skip
def test_another_unseen_character_at_an_end_is_refused_by_its_name_and_without_the_value(
    tmp_path: Path, value: str, said: str
) -> None:
    (tmp_path / "s").write_text(value)
    for read in (partial(from_file, str(tmp_path / "s")), partial(from_environment, "S", {"S": value})):
        with pytest.raises(NotPermitted) as caught:
            read()
        assert said in str(caught.value)
        assert "s3cret" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_a_secret_file_that_is_none_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = {"device": Path("/dev/zero")}.get(kind, tmp_path / "s")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(NotPermitted, match=r"not a regular file|Is a directory"):
        from_file(str(path))
    with pytest.raises(NotPermitted, match=r"not a regular file|Is a directory"):
        asyncio.run(resolve(SecretRef(file=str(path))))


async def test_a_file_on_a_mount_that_hangs_is_given_up_while_the_loop_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    back = threading.Event()
    monkeypatch.setattr(secrets, "_of_file", lambda name, folder: str(back.wait()))
    monkeypatch.setattr(secrets, "AT_ONCE", 0.0)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    going = asyncio.ensure_future(others())
    try:
        with pytest.raises(NotPermitted, match="not read in time"):
            await FileRead("/away/secret").get(0.01)
        assert turns > 1
    finally:
        back.set()
        going.cancel()


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize(
    "name",
    ["BASE_URL", "IMS_URL", "CLIENT_ID", "ORG_ID", "SANDBOX", "CA_FILE", "CLIENT_SECRET_FILE", "CLIENT_SECRET_COMMAND"],
)
def test_a_setting_that_arrives_in_quotes_is_refused_by_its_name(name: str, quote: str) -> None:
    secret = {} if name.startswith("CLIENT_SECRET") else {"FLOWLEDGER_CLIENT_SECRET": "a-made-up-secret"}
    environ: dict[str, Any] = {**ENVIRON, "FLOWLEDGER_CLIENT_SECRET": "", **secret}
    environ[f"FLOWLEDGER_{name}"] = f"{quote}pass show x{quote}"
    with pytest.raises(NotPermitted, match=f"FLOWLEDGER_{name} has quotes around its value") as caught:
        platform_from_env(environ)
    assert "--env-file" in caught.value.hint


def test_a_quote_at_one_end_or_within_is_a_value_like_any_other() -> None:
    assert sandbox_from({"FLOWLEDGER_SANDBOX": "'dev"}) == "'dev"
    command = {**ENVIRON, "FLOWLEDGER_CLIENT_SECRET": "", "FLOWLEDGER_CLIENT_SECRET_COMMAND": "'pass' show 'x y'"}
    credentials_from(command)
    assert places_from({"FLOWLEDGER_BASE_URL": "http://127.0.0.1:1"}).platform == "http://127.0.0.1:1"


async def test_a_client_secret_in_quotes_is_warned_of() -> None:
    for value, quoted in (('"a-made-up-secret"', True), ("a-made-up-secret", False)):
        platform = platform_from_env({**ENVIRON, "FLOWLEDGER_CLIENT_SECRET": value})
        assert platform.secret_in_quotes is quoted
        await platform.close()
