"""Keep secrets out of everything that is kept or shown: by the name of a key, and by value anywhere in a text.

What replaces a secret says which key held it, how long it was, and a fingerprint salted for this process, so that
two places with the same secret can be told to be the same, and nothing can be computed back.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, AnyStr, Final
from urllib.parse import quote, quote_plus

import orjson

from flowledger.steps.client.needles import Needles

Json = Any

_EXACT: Final = frozenset({
    "authorization", "proxyauthorization", "cookie", "setcookie", "pwd", "pass", "secret", "token", "jwt", "sig",
    "accountkey", "sharedaccesskey", "accesskey", "signature", "apitoken", "authtoken", "idtoken", "credential",
})  # fmt: skip
_ENDINGS: Final = (
    "password", "passphrase", "passwd", "clientsecret", "secretkey", "privatekey", "secretaccesskey", "appsecret",
    "accesstoken", "refreshtoken", "securitytoken", "sastoken", "bearertoken", "jwttoken", "sessiontoken",
    "connectionstring", "sasuri", "sharedaccesssignature", "encryptionkey", "serviceaccountkey",
)  # fmt: skip

# The same names inside texts: `client_secret=...`, `"clientSecret": "..."`, `Pwd=...;`, `Bearer ...`.
_IN_TEXT = re.compile(
    r"""(?P<key>\b(?:client[_-]?secret|access[_-]?token|refresh[_-]?token|security[_-]?token|jwt[_-]?token|
        secret[_-]?key|private[_-]?key|password|passwd|pwd|account[_-]?key|shared[_-]?access[_-]?key))
        (?P<between>\\?["']?\s*[:=]\s*\\?["']?)(?P<value>(?!<redacted)[^"'&;,\s\\}<>]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_BEARER = re.compile(r"\b(?P<key>bearer|basic)(?P<between>\s+)(?P<value>[A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE)
_SHORTEST_IN_TEXT: Final = 4  # shorter values are replaced only where they are the whole text
_NESTED: Final = 3  # levels of JSON inside a text of JSON, as gateways quote what a service answered
_SHORTEST_ANYWHERE: Final = 12  # shorter ones may stand in an id or a name by chance

# Without one of these in a JSON text that is lower case and bare of punctuation, none of its keys is a secret's, and
# without one of the second tuple in a text the patterns above cannot match. Cheaper by far than looking at each string.
_STEMS: Final = tuple(
    b"secret token pass pwd authorization cookie jwt sig accountkey accesskey privatekey encryptionkey "
    b"serviceaccountkey credential connectionstring sasuri bearer basic".split()
)
_STEMS_IN_TEXT: Final = ("secret", "token", "passw", "pwd", "key", "bearer", "basic")
_PUNCTUATION: Final = bytes(code for code in range(128) if not chr(code).isalnum())


class Redactor:
    """Replaces secrets in JSON values and in texts. One for a process: secrets are registered as they are resolved."""

    def __init__(self, *, salt: bytes | None = None) -> None:
        self._salt = os.urandom(16) if salt is None else salt
        self._secrets: dict[str, str] = {}  # form of a secret -> the secret
        self._inside: Needles[str] = Needles()  # forms to be found inside texts
        self._inside_json: Needles[bytes] = Needles()
        self._long: Needles[str] = Needles()  # those that no text holds by chance
        self._long_in_json: Needles[bytes] = Needles()  # as they stand in a JSON text
        self._short = False  # whether there is a secret too short to be found inside a text
        self._withheld: frozenset[str] = frozenset()  # names within `params` that only a spec knows for secrets
        self._withheld_in_json: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"Redactor({len(set(self._secrets.values()))} secrets)"

    def register(self, secret: str) -> None:
        """From now on replace this value wherever it shows, also url-encoded, base64-encoded or escaped for JSON."""
        if not secret or secret in self._secrets:
            return
        self._short = self._short or len(secret) < _SHORTEST_IN_TEXT
        for form in _forms(secret):
            self._secrets.setdefault(form, secret)
            if len(form) >= _SHORTEST_IN_TEXT:
                self._inside.add(form)
                self._inside_json.add(form.encode("utf-8", "surrogatepass"))
            if len(form) >= _SHORTEST_ANYWHERE:
                self._long.add(form)
                self._long_in_json.add(json.dumps(form, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass"))

    def withhold(self, names: Iterable[str]) -> None:
        """From now on replace what stands under these names in a mapping called `params`, whatever they sound like.

        A process that resumes a run never reads the secrets of what is made already, and so cannot know their values.
        """
        self._withheld = self._withheld.union(names)
        self._withheld_in_json = tuple(orjson.dumps(name) for name in self._withheld)

    def redact(self, value: Json) -> Json:
        """A JSON value without secrets: a copy, or the value itself if there are none in it."""
        return value if self._surely_clean(value) else self._redacted(value)

    def redact_text(self, text: str) -> str:
        """A text without secrets: registered values, and what follows a secret's name."""
        if text in self._secrets:
            return self._instead("", self._secrets[text])
        text = self._inside.replaced(text, self._replacement)
        lowered = text.lower()
        if _any_in(_STEMS_IN_TEXT, lowered):
            if ":" in text or "=" in text:
                text = _IN_TEXT.sub(self._after_key, text)
            text = _BEARER.sub(self._after_key, text)
        return text

    def holds_secret(self, value: Json) -> bool:
        """Whether a JSON value holds a registered secret that is too long to be there by chance."""
        return self.without_long_secrets(value) is not value

    def without_long_secrets(self, value: Json) -> Json:
        """A JSON value with nothing replaced but registered secrets too long to be there by chance.

        For what a machine reads again, ids and texts that are compared: there a name that only sounds like a secret's
        must change nothing. The value itself if there are none in it.
        """
        try:
            text = orjson.dumps(value)
        except (TypeError, ValueError):
            return self._without_long(value)
        return self._without_long(value) if self._long_in_json.are_in(text) else value

    def _without_long(self, value: Json) -> Json:
        if isinstance(value, str):
            return self._long.replaced(value, self._replacement)
        if isinstance(value, Mapping):
            return {self._without_long(str(name)): self._without_long(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._without_long(item) for item in value]
        return value

    def _surely_clean(self, value: Json) -> bool:
        """Whether one look at the whole value as text rules out secrets. False when in doubt."""
        if self._short:
            return False
        try:
            text = orjson.dumps(value)
        except (TypeError, ValueError):
            return False
        # Names are compared without punctuation, so what hides punctuation from the look below is not for it.
        if not text.isascii() or b"\\" in text.replace(b'\\"', b""):
            return False
        if self._inside_json.are_in(text) or _any_in(self._withheld_in_json, text):
            return False
        bare = text.lower().translate(None, _PUNCTUATION)
        return not _any_in(_STEMS, bare)

    def _redacted(self, value: Json, withheld: frozenset[str] = frozenset()) -> Json:
        if isinstance(value, str):
            return self.redact_text(value)
        if isinstance(value, Mapping):
            return {
                self.redact_text(str(key)): self._under(_effective_key(str(key), value), item, withheld)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._redacted(item) for item in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            text = str(value)  # a secret of digits alone may come back as a number
            return value if self._without_long(text) == text else self.redact_text(text)
        return value

    def _under(self, key: str, value: Json, withheld: frozenset[str]) -> Json:
        """The value of a key. A mapping below a secret's name is looked into: it may be a reference or a schema."""
        if key in withheld or is_secret_key(key):
            if isinstance(value, (str, int, float)) and not isinstance(value, bool):
                text = str(value)
                return text if not text or text.startswith("<redacted") else self._instead(self.redact_text(key), text)
            if isinstance(value, (list, tuple)):
                return [self._under(key, item, withheld) for item in value]
        return self._redacted(value, self._withheld if key == "params" else frozenset())

    def _after_key(self, match: re.Match[str]) -> str:
        return f"{match['key']}{match['between']}{self._instead('', match['value'])}"

    def _replacement(self, form: str) -> str:
        return self._instead("", self._secrets[form])

    def _instead(self, key: str, secret: str) -> str:
        print_of_it = hashlib.blake2b(
            secret.encode("utf-8", "surrogatepass"), key=self._salt, digest_size=4
        ).hexdigest()
        return f"<redacted {key + ', ' if key else ''}{len(secret)} characters, fingerprint {print_of_it}>"


def _any_in(parts: Iterable[AnyStr], text: AnyStr) -> bool:
    """Whether any of them is part of the text. A plain loop: asked many times a call, a generator costs twice that."""
    for part in parts:  # noqa: SIM110 - see above
        if part in text:
            return True
    return False


@lru_cache(maxsize=4096)
def is_secret_key(key: str) -> bool:
    """Whether a key's value is a secret by its name alone, however it is spelt: clientSecret, client_secret, ..."""
    bare = "".join(char for char in key.lower() if char.isalnum())
    return bare in _EXACT or bare.endswith(_ENDINGS)


def _effective_key(key: str, around: Mapping[Any, Json]) -> str:
    """The name that tells what `key` holds: in `{"path": "/auth/params/password", "value": ...}` that of the path."""
    if key != "value":
        return key
    for naming in ("path", "name", "key"):
        name = around.get(naming)
        if isinstance(name, str):
            return name.rsplit("/", 1)[-1]
    return key


def _forms(secret: str) -> list[str]:
    """How a secret may be spelt in a text."""
    raw = secret.encode("utf-8", "surrogatepass")
    forms = [
        secret,
        quote(raw, safe=""),
        quote(raw),
        quote_plus(raw),
        repr(secret)[1:-1],
        html.escape(secret),
        html.escape(secret).replace("&#x27;", "&#39;"),
        html.escape(secret, quote=False),
    ]
    level = list(forms)
    for _ in range(_NESTED):
        level = [json.dumps(form, ensure_ascii=ascii)[1:-1] for form in dict.fromkeys(level) for ascii in (True, False)]
        forms += level
    if len(raw) >= 8:
        # Base64 of a longer text that contains the secret, as in `id:secret`, at each of the three alignments:
        # the characters that depend on the secret alone.
        for ahead in range(3):
            coded = base64.b64encode(b"\0" * ahead + raw).decode().rstrip("=")
            sure = coded[(0, 2, 3)[ahead] : len(coded) - (1 if (ahead + len(raw)) % 3 else 0)]
            forms += [sure, sure.replace("+", "-").replace("/", "_")]
    return [form for form in dict.fromkeys(forms) if form]
