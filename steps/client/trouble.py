"""What the network's trouble says about the settings: which variable to look at, and whether a later try can help."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from flowledger.steps.client.port import Host

VARIABLES: Final = {
    Host.PLATFORM: "FLOWLEDGER_BASE_URL",
    Host.IMS: "FLOWLEDGER_IMS_URL (or FLOWLEDGER_BASE_URL, where that serves both)",
}

# X509_V_ERR_*: no authority that this machine trusts has signed the certificate.
_UNTRUSTED: Final = frozenset({2, 18, 19, 20, 21})
_ANOTHER_HOST: Final = frozenset({62, 63, 64})
_OUT_OF_DATE: Final = frozenset({9, 10})
# What a server says that expects HTTP without TLS.
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})


@dataclass(frozen=True, slots=True)
class Advice:
    """What to set or to look at. `final`: no later try helps until it is set."""

    text: str = ""
    final: bool = False


def advice_for(error: BaseException, *, host: Host, base: str, proxied: bool) -> Advice:
    """The advice for an error of aiohttp at a call to `base`; an empty one where the error says nothing of settings.

    `proxied`: the call goes through the proxy that HTTPS_PROXY names.
    """
    where = urlsplit(base).netloc
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _of_a_proxy(error.status, where)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return Advice("check HTTPS_PROXY: the proxy that it names cannot be reached")
    tls = _tls_error(error)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return _of_a_certificate(tls.verify_code, host, where, proxied=proxied)
    if tls is not None and tls.reason in _NO_TLS:
        if proxied:
            return Advice(f"check HTTPS_PROXY: what answers for {where} behind the proxy speaks no TLS")
        return Advice(f"{where} speaks no TLS: check the scheme and the port in {VARIABLES[host]}", final=True)
    return Advice("check HTTPS_PROXY and the network") if proxied else Advice()


def _of_a_proxy(status: int, where: str) -> Advice:
    if status == 407:
        return Advice(
            "the proxy wants credentials: HTTPS_PROXY=http://USER:PASSWORD@PROXY:PORT; or name "
            f"{where} in NO_PROXY, if it can be reached without the proxy",
            final=True,
        )
    if status == 403:
        return Advice(
            f"the proxy of HTTPS_PROXY lets nothing through to {where}: have it allowed there, or name {where} in "
            "NO_PROXY, if it can be reached without the proxy",
            final=True,
        )
    final = 300 <= status < 500 and status not in (408, 429)
    return Advice(f"check HTTPS_PROXY: what it names answered {status} to CONNECT {where}", final=final)


def _of_a_certificate(code: int, host: Host, where: str, *, proxied: bool) -> Advice:
    if code in _UNTRUSTED:
        through = " (a proxy may put its own in the place of the server's)" if proxied else ""
        return Advice(
            f"set FLOWLEDGER_CA_FILE to a PEM file with the authority that signed the certificate of {where}{through}",
            final=True,
        )
    if code in _ANOTHER_HOST:
        return Advice(
            f"the certificate is not for {where}: write a host that it names in {VARIABLES[host]}", final=True
        )
    if code in _OUT_OF_DATE:
        return Advice(f"look at the clock of this machine, and at the dates of the certificate of {where}")
    return Advice(f"look at the certificate of {where}, and at FLOWLEDGER_CA_FILE")


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    """The error of TLS that aiohttp's stands for, or that caused it: aiohttp's own lack the fields of one."""
    inner = (getattr(error, name, None) for name in ("certificate_error", "os_error", "__cause__"))
    return next((one for one in inner if isinstance(one, ssl.SSLError) and hasattr(one, "reason")), None)
