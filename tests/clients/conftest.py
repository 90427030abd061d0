"""Clients that are not ours, configured for an emulator on loopback: aepp, which people use against the platform."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aepp
import aepp.config
import pytest

from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from tests.serving import served_from_a_thread

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost", None})
AEPPS_OWN = ("config_object", "header", "endpoints")  # its settings are dictionaries of the module aepp.config


@dataclass(frozen=True, slots=True)
class Served:
    """An emulator, its URL, and the folder that its tables are read from."""

    emulator: Emulator
    url: str
    sources: Path = field(default_factory=Path)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse each look-up of a host that is not this machine: a client that was misconfigured must not go out."""
    look_up = socket.getaddrinfo

    def guarded(host: Any, *more: Any, **named: Any) -> Any:
        if (host.decode() if isinstance(host, bytes) else host) not in LOOPBACK:
            raise AssertionError(f"{host} is not on loopback")
        return look_up(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", guarded)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def options() -> Options:
    """The emulator's options. A test module that wants others overrides this fixture."""
    return Options()


@pytest.fixture
def tables() -> dict[str, str]:
    """File name -> text of what the emulator's sources folder holds. Overridden by modules whose flows carry rows."""
    return {}


@pytest.fixture
def served(options: Options, tables: dict[str, str], tmp_path: Path) -> Iterator[Served]:
    """An emulator on loopback; with a sources folder if the module has tables."""
    sources = tmp_path / "sources"
    for name, text in tables.items():
        sources.mkdir(exist_ok=True)
        (sources / name).write_text(text, encoding="utf-8")
    emulator = Emulator(options=options, sources=sources if tables else None)
    with served_from_a_thread(emulator) as url:
        yield Served(emulator, url, sources)


@pytest.fixture
def configured(served: Served, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """aepp as people configure it, with its two addresses pointed at the emulator.

    The value connects to a sandbox by name: it answers a ConnectObject, to be given to a class of aepp as `config`.
    Classes that are given none use the sandbox prod. What aepp itself configures (its Synchronizer does) is pointed at
    the emulator too.
    """
    for name in AEPPS_OWN:
        for key, value in getattr(aepp.config, name).items():
            monkeypatch.setitem(getattr(aepp.config, name), key, value)  # put back after the test
    token_url, original = f"{served.url}/ims/token/v3", aepp.configure

    def configure(**settings: Any) -> Any:
        connection = original(**{**settings, "retry": 0})
        aepp.config.endpoints["global"] = served.url
        aepp.config.config_object["oauthTokenEndpointV2"] = token_url
        if connection is not None:
            connection.globalEndpoint, connection.oauthEndpointV2 = served.url, token_url
            connection.getConfigObject()["oauthTokenEndpointV2"] = token_url
        return connection

    def connect(sandbox: str = "prod") -> Any:
        return configure(
            org_id=served.emulator.options.org,
            client_id=served.emulator.options.client_id,
            secret=served.emulator.options.client_secret,
            tech_id="local@techacct.adobe.com",
            scopes="openid",
            sandbox=sandbox,
            connectInstance=True,
        )

    monkeypatch.setattr(aepp, "configure", configure)
    connect()
    return connect
