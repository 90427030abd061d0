"""Ids that follow from names: the tenant of an org, the id and type of a sandbox, the user behind a client."""

from __future__ import annotations

import hashlib

from flowledger.emulator.options import Options


def tenant_of(options: Options, org: str) -> str:
    """The tenant id of an org, without underscore (§2.3): the option's, or a derived one for other orgs."""
    if org == options.org:
        return options.tenant
    return "t" + hashlib.sha256(org.encode()).hexdigest()[:12]


def sandbox_id(sandbox: str) -> str:
    """A UUID that is always the same for a sandbox's name."""
    text = hashlib.sha256(f"sandbox:{sandbox}".encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"


def sandbox_type(options: Options, sandbox: str) -> str:
    """`production` for the default sandbox, `development` for the others."""
    return "production" if sandbox == options.default_sandbox else "development"


def user_of(client_id: str) -> str:
    """The technical account that acts for a client id."""
    return f"{client_id}@techacct.adobe.com"
