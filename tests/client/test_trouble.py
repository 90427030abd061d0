"""What has to be set is named when a certificate, a proxy or a URL stands in the way, and no try is made in vain."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowledger.errors import FlowledgerError, NotPermitted, Unreachable
from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.config import Places, base_url, platform_from_env, proxies_from
from flowledger.steps.client.http import HttpPort
from flowledger.steps.client.judge import refusal
from flowledger.steps.client.port import Answer, Host, Reach, Request
from flowledger.steps.client.trouble import advice_for

CERTIFICATE = Path(__file__).with_name("loopback.pem")
POST = Request(method="POST", path="/a", body={"a": 1}, effect=True)
HTTPS = "https://platform.invalid"


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


async def silent(peer: Any) -> None:
    await peer.everything()


def environment(url: str, **more: str) -> dict[str, str]:
    return {
        "FLOWLEDGER_BASE_URL": url,
        "FLOWLEDGER_IMS_URL": url,
        "FLOWLEDGER_CLIENT_ID": "id",
        "FLOWLEDGER_CLIENT_SECRET": "a secret that is long",
        "FLOWLEDGER_ORG_ID": "1@AdobeOrg",
        **more,
    }


async def token_error(environ: dict[str, str]) -> FlowledgerError:
    platform = platform_from_env(environ)
    try:
        with pytest.raises((NotPermitted, Unreachable)) as caught:
            await platform.ready()
    finally:
        await platform.close()
    return caught.value


async def test_an_untrusted_certificate_is_final_and_names_the_file_of_authorities(net: Any) -> None:
    async with net.serving(silent, ssl=server_tls()) as server:
        error = await token_error(environment(server.url))
    assert error.exit_code == 4
    assert "FLOWLEDGER_CA_FILE" in error.hint
    assert "CLIENT_SECRET" not in error.hint


async def test_a_certificate_of_another_host_is_final_and_names_the_url(net: Any) -> None:
    async with net.serving(silent, ssl=server_tls()) as server:
        url = server.url.replace("127.0.0.1", "127.0.0.2")
        error = await token_error(environment(url, FLOWLEDGER_CA_FILE=str(CERTIFICATE)))
    assert error.exit_code in (4, 75)  # 75 where this machine has no 127.0.0.2
    if error.exit_code == 4:
        assert "FLOWLEDGER_IMS_URL" in error.hint


@pytest.mark.parametrize(("code", "final"), [(20, True), (18, True), (62, True), (64, True), (10, False), (9, False)])
def test_what_may_pass_by_itself_is_not_final(code: int, final: bool) -> None:
    inner = ssl.SSLCertVerificationError()
    inner.verify_code = code
    inner.reason = "CERTIFICATE_VERIFY_FAILED"
    error = aiohttp.ClientError()
    error.__cause__ = inner
    advice = advice_for(error, host=Host.PLATFORM, base=HTTPS, proxied=False)
    assert advice.final is final
    assert advice.text


async def test_https_to_a_server_without_tls_is_final_and_names_the_scheme(net: Any) -> None:
    async def plain(peer: Any) -> None:
        await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with net.serving(plain) as server:
        error = await token_error(environment(server.url.replace("http:", "https:")))
    assert error.exit_code == 4
    assert "scheme" in error.hint
    assert "FLOWLEDGER_IMS_URL" in error.hint


@pytest.mark.parametrize(
    ("status", "code", "named"),
    [
        (407, 4, "HTTPS_PROXY=http://USER:PASSWORD@"),
        (403, 4, "NO_PROXY"),
        (405, 4, "HTTPS_PROXY"),
        (404, 4, "HTTPS_PROXY"),
        (302, 4, "HTTPS_PROXY"),
        (429, 75, "HTTPS_PROXY"),
        (502, 75, "HTTPS_PROXY"),
        (503, 75, "HTTPS_PROXY"),
    ],
)
async def test_a_proxy_that_refuses_is_named_with_what_to_set(net: Any, status: int, code: int, named: str) -> None:
    async def proxy(peer: Any) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)

    async with net.serving(proxy) as between:
        error = await token_error(environment(HTTPS, HTTPS_PROXY=between.url))
    assert error.exit_code == code
    assert named in error.hint
    assert str(status) in error.message


async def test_a_proxy_that_cannot_be_reached_may_be_there_later(net: Any) -> None:
    async with net.serving(silent) as gone:
        url = gone.url
    error = await token_error(environment(HTTPS, HTTPS_PROXY=url))
    assert error.exit_code == 75
    assert "HTTPS_PROXY" in error.hint


async def test_a_final_trouble_of_the_platforms_host_ends_the_call_at_once(net: Any) -> None:
    async with net.serving(silent, ssl=server_tls()) as server:
        port = HttpPort(base_url=server.url, clock=SystemClock())
        answer = await port.send(POST)
        await port.close()
    assert (answer.reach, answer.hopeless) == (Reach.NOT_SENT, True)
    assert "FLOWLEDGER_CA_FILE" in answer.advice


def test_an_empty_lower_case_proxy_switches_the_upper_case_one_off() -> None:
    places = Places(platform=HTTPS, ims=HTTPS)
    proxy = {"HTTPS_PROXY": "http://proxy.example:3128"}
    assert set(proxies_from(proxy, places)) == {*Host}
    assert proxies_from({**proxy, "https_proxy": ""}, places) == {}
    assert proxies_from({**proxy, "NO_PROXY": "platform.invalid"}, places) == {}
    assert set(proxies_from({**proxy, "NO_PROXY": "platform.invalid", "no_proxy": ""}, places)) == {*Host}


@pytest.mark.parametrize(
    "url",
    [
        "https://platform.adobe.io/data/foundation",
        "https://platform.adobe.io/data/foundation/",
        "https://platform.adobe.io/data/foundation/flowservice",
        "https://ims-na1.adobelogin.com/ims/token/v3",
        "http://127.0.0.1:8480/data/foundation",
    ],
)
def test_a_url_with_the_path_of_an_api_is_refused_with_the_right_one(url: str) -> None:
    with pytest.raises(NotPermitted, match="ends with /") as caught:
        base_url("FLOWLEDGER_BASE_URL", url)
    right = caught.value.hint.partition("FLOWLEDGER_BASE_URL=")[2]
    assert base_url("FLOWLEDGER_BASE_URL", right) == right


@pytest.mark.parametrize(
    "url", ["https://gateway.example/adobe", "https://platform.adobe.io/", "https://gw.example/ims"]
)
def test_a_url_with_a_prefix_of_a_gateway_is_taken(url: str) -> None:
    assert base_url("FLOWLEDGER_BASE_URL", url) == url.rstrip("/")


HTML = b"<html>welcome</html>"


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (404, b"application/json", b'{"error_code":"404000","message":"Resource not found"}'),
        (405, b"application/json", b'{"error_code":"405000","message":"Method not allowed"}'),
        (404, b"text/html", HTML),
        (405, b"text/html", HTML),
        (403, b"text/html", HTML),
        (401, b"text/html", HTML),
        (400, b"text/plain", b"no"),
        (404, b"text/html", b""),
    ],
)
async def test_a_token_route_that_is_not_there_blames_the_url_and_not_the_credentials(
    net: Any, status: int, kind: bytes, body: bytes
) -> None:
    async def handler(peer: Any) -> None:
        await peer.request()
        head = b"HTTP/1.1 %d X\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (status, kind, len(body))
        await peer.say(head + body)

    async with net.serving(handler) as server:
        error = await token_error(environment(server.url))
    assert isinstance(error, NotPermitted)
    assert "FLOWLEDGER_IMS_URL" in error.hint
    assert "FLOWLEDGER_CLIENT_SECRET" not in error.hint
    assert str(status) in error.message


@pytest.mark.parametrize("body", [b'{"error":"invalid_client"}', b'{"error":"invalid_client","error_description":"x"}'])
async def test_credentials_that_ims_refuses_are_blamed(net: Any, body: bytes) -> None:
    async def handler(peer: Any) -> None:
        await peer.request()
        head = b"HTTP/1.1 400 X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        await peer.say(head + body)

    async with net.serving(handler) as server:
        error = await token_error(environment(server.url))
    assert "FLOWLEDGER_CLIENT_SECRET" in error.hint


def test_an_unknown_route_of_the_platform_blames_the_base_url() -> None:
    answer = Answer(
        reach=Reach.ANSWERED, status=404, json={"error_code": "404000", "message": "Resource not found"}, body=b"x"
    )
    assert "FLOWLEDGER_BASE_URL" in refusal(answer, "a look").hint
