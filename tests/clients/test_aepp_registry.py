"""The community's client aepp works with schemas, classes, field groups and data types of the emulator as at Adobe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aepp.schema


def test_aepp_reads_the_tenant_and_the_stats(configured: Callable[[str], Any]) -> None:
    schemas = aepp.schema.Schema()

    assert schemas.getTenantId() == "localtenant"
    assert schemas.getStats()["tenantId"] == "localtenant"
