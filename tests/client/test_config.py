"""Where and who from the environment; secrets from a variable, a file or a program, and never shown."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pytest

from flowledger.errors import NotPermitted
from flowledger.steps.client.config import Places, credentials_from, places_from, platform_from_env, proxies_from
from flowledger.steps.client.port import Host
from flowledger.steps.client.secrets import resolve
from flowledger.steps.spec import SecretRef

SECRET = "s3cr3t-of-the-client"
WHO = {"FLOWLEDGER_CLIENT_ID": "local-client", "FLOWLEDGER_ORG_ID": "LOCAL@AdobeOrg"}
FULL = {**WHO, "FLOWLEDGER_CLIENT_SECRET": SECRET, "FLOWLEDGER_BASE_URL": "http://127.0.0.1:1"}


def printing(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", code)


# Places


def test_the_defaults_are_adobes_hosts() -> None:
    assert places_from({}) == Places(platform="https://platform.adobe.io", ims="https://ims-na1.adobelogin.com")


@pytest.mark.parametrize("base", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"])
def test_a_platform_on_loopback_serves_ims_too(base: str) -> None:
    assert places_from({"FLOWLEDGER_BASE_URL": base + "/"}) == Places(platform=base, ims=base)


def test_another_platform_does_not_get_the_client_secret_by_default() -> None:
    places = places_from({"FLOWLEDGER_BASE_URL": "https://platform-stage.adobe.io"})
    assert places.ims == "https://ims-na1.adobelogin.com"


def test_each_base_can_be_named() -> None:
    environ = {"FLOWLEDGER_BASE_URL": "http://127.0.0.1:1", "FLOWLEDGER_IMS_URL": "http://127.0.0.1:2/"}
    assert places_from(environ) == Places(platform="http://127.0.0.1:1", ims="http://127.0.0.1:2")


@pytest.mark.parametrize(
    "url",
    [
        "http://platform.adobe.io", "http://10.0.0.1", "http://localhost.evil.example", "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example", "ftp://127.0.0.1", "platform.adobe.io", "https://", "https://user:pw@host",
        "https://host/?a=b", "https://host/#a", "https://host:99999", "https://ho st", "https://host\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["FLOWLEDGER_BASE_URL", "FLOWLEDGER_IMS_URL"])
def test_what_would_send_credentials_in_the_clear_or_is_no_base_url_is_refused(name: str, url: str) -> None:
    if url.endswith("\n"):
        assert places_from({name: url})  # a newline at the end of a variable is a slip of the shell, and no harm
        return
    with pytest.raises(NotPermitted, match=name) as caught:
        places_from({name: url})
    assert "pw" not in caught.value.message


def test_proxies_are_for_https_bases_and_obey_no_proxy() -> None:
    proxy = {"HTTPS_PROXY": "http://proxy.example:3128"}
    adobe, local = Places(), Places(platform="http://127.0.0.1:1", ims="http://127.0.0.1:1")
    assert proxies_from(proxy, adobe) == dict.fromkeys(Host, "http://proxy.example:3128")
    assert proxies_from({**proxy, "NO_PROXY": "adobe.io"}, adobe) == {Host.IMS: "http://proxy.example:3128"}
    assert proxies_from({**proxy, "no_proxy": "*"}, adobe) == {}
    assert proxies_from(proxy, local) == {}
    assert proxies_from({"HTTP_PROXY": "http://proxy.example:3128"}, adobe) == {}
    with pytest.raises(NotPermitted) as caught:
        proxies_from({"https_proxy": "socks5://u:pa55@proxy"}, adobe)
    assert "pa55" not in str(caught.value)


# Credentials


def test_every_missing_variable_is_named_at_once() -> None:
    with pytest.raises(NotPermitted) as caught:
        platform_from_env({})
    for name in ("FLOWLEDGER_CLIENT_ID", "FLOWLEDGER_CLIENT_SECRET", "FLOWLEDGER_ORG_ID"):
        assert name in caught.value.message
    with pytest.raises(NotPermitted) as caught:
        credentials_from({**WHO, "FLOWLEDGER_CLIENT_ID": " "})
    assert "FLOWLEDGER_ORG_ID" not in caught.value.message


def test_a_secret_that_is_given_twice_is_refused() -> None:
    with pytest.raises(NotPermitted, match="2 times"):
        credentials_from({**FULL, "FLOWLEDGER_CLIENT_SECRET_FILE": "/x"})


async def test_the_secret_may_come_from_a_file_or_a_program(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    assert credentials_from({**WHO, "FLOWLEDGER_CLIENT_SECRET_FILE": str(file)}).client_secret == SECRET
    command = f"{sys.executable} -S -c 'print(\"{SECRET}\")'"
    fetch = credentials_from({**WHO, "FLOWLEDGER_CLIENT_SECRET_COMMAND": command}).client_secret
    assert not isinstance(fetch, str)
    assert await fetch(withhold=()) == SECRET


async def test_the_platform_knows_its_place_and_shows_no_secret() -> None:
    platform = platform_from_env({**FULL, "FLOWLEDGER_SANDBOX": "dev"})
    assert (platform.org, platform.sandbox, platform.base_url) == ("LOCAL@AdobeOrg", "dev", "http://127.0.0.1:1")
    assert SECRET not in repr(platform) + repr(vars(platform)) + repr(credentials_from(FULL))
    assert SECRET not in platform.redactor.redact_text(f"x{SECRET}y")
    assert platform_from_env({**FULL, "FLOWLEDGER_SANDBOX": "dev"}, sandbox="prod").sandbox == "prod"
    assert platform_from_env(FULL).sandbox == "prod"


@pytest.mark.parametrize("name", ["FLOWLEDGER_CLIENT_ID", "FLOWLEDGER_ORG_ID", "FLOWLEDGER_SANDBOX"])
def test_what_cannot_stand_in_a_header_is_refused(name: str) -> None:
    with pytest.raises(NotPermitted, match=name):
        platform_from_env({**FULL, name: "a\r\nX-Evil: 1"})


# References to secrets


async def test_each_kind_of_reference_is_resolved(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b" a b \r\n")
    assert await resolve(SecretRef(env="A"), {"A": "from env"}) == "from env"
    assert await resolve(SecretRef(file=str(file)), {}) == " a b "
    assert await resolve(SecretRef(command=printing("print('a'); print('b')")), {}) == "a\nb"


async def test_a_command_runs_without_a_shell_and_sees_the_environment() -> None:
    code = "import os, sys; print(os.environ['A'] + sys.argv[1])"
    assert await resolve(SecretRef(command=(*printing(code), "$(id); $A")), {"A": "1"}) == "1$(id); $A"


@pytest.mark.parametrize(
    ("ref", "named"),
    [
        (SecretRef(env="ABSENT"), "ABSENT"),
        (SecretRef(env="EMPTY"), "EMPTY"),
        (SecretRef(file="/no/such/file"), "/no/such/file"),
        (SecretRef(file="/"), "/"),
        (SecretRef(file="a\0b"), "a"),
        (SecretRef(command=("/no/such/program",)), "/no/such/program"),
        (SecretRef.model_construct(command=()), "command"),
        (SecretRef(command=("a\0b",)), "a"),
    ],
)
async def test_a_reference_that_leads_nowhere_is_named(ref: SecretRef, named: str) -> None:
    with pytest.raises(NotPermitted, match=named):
        await resolve(ref, {"EMPTY": ""})


@pytest.mark.parametrize(
    "code",
    [
        f"print('{SECRET}'); raise SystemExit(3)",
        f"import sys; sys.stderr.write('{SECRET}'); raise SystemExit(1)",
        f"import sys; sys.stdout.buffer.write(b'{SECRET}' + bytes([255]))",
        f"print('{SECRET}' * 10000)",
    ],
)
async def test_a_failing_command_is_named_without_what_it_printed(code: str) -> None:
    with pytest.raises(NotPermitted) as caught:
        await resolve(SecretRef(command=printing(code)), {})
    assert Path(sys.executable).name in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(caught.value.__context__)


async def test_a_command_that_hangs_is_ended() -> None:
    with pytest.raises(NotPermitted, match="did not end within"):
        await resolve(SecretRef(command=printing("import time; time.sleep(60)")), {}, timeout=0.2)


async def test_a_command_that_says_nothing_gives_no_secret() -> None:
    with pytest.raises(NotPermitted, match="gave nothing"):
        await resolve(SecretRef(command=printing("")), {})
