"""What schemathesis asks of every answer beside its own checks; loaded by it, not by pytest (see schemathesis.toml)."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.generation.meta import CoveragePhaseData, CoverageScenario

# platform-api.md §1.3: the oddity that a missing token is 403 and an invalid one 401; §2.1, §4.2 for the others.
REFUSED_WITH = {
    "authorization": 403,
    "x-api-key": 403,
    "x-gw-ims-org-id": 400,
    "x-sandbox-name": 400,
    "if-match": 400,
    "accept": 400,
}


@schemathesis.check
def a_search_takes_every_body(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> bool | None:
    """A search whose body and headers are right is answered, unless it has a token that no page gave (then 400)."""
    if not case.path.endswith("/search") or not (case.meta and case.meta.generation.mode.is_positive):
        return None
    if "continuationToken" in (case.query or {}) or response.status_code < 300 or response.status_code in (404, 414):
        return None
    raise Failure(
        operation=case.operation.label,
        title="A right search is refused",
        message=f"2xx, 404 or 414 was expected, not {response.status_code}",
    )


@schemathesis.check
def a_missing_header_is_refused(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> bool | None:
    """A required header that is left out is refused with the documented status; an unknown id may come first."""
    phase = case.meta.phase.data if case.meta else None
    if not isinstance(phase, CoveragePhaseData) or phase.scenario is not CoverageScenario.MISSING_PARAMETER:
        return None
    if phase.parameter is None or phase.parameter_location is None or phase.parameter_location.value != "header":
        return None
    expected = REFUSED_WITH[phase.parameter.lower()]
    if response.status_code == expected or (phase.parameter.lower() == "if-match" and response.status_code == 404):
        return None
    raise Failure(
        operation=case.operation.label,
        title="A missing header is not refused as documented",
        message=f"{phase.parameter} is missing: {expected} was expected, not {response.status_code}",
    )
