"""A scripted platform for steps: rules say what each call is answered, and every call is kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from flowledger.engine.table import TABLES
from flowledger.steps.client import strictjson
from flowledger.steps.client.judge import refusal
from flowledger.steps.client.port import Answer, Reach, Request
from flowledger.steps.spec import (
    BaseConnection,
    Dataset,
    Delta,
    SecretRef,
    Source,
    Spec,
    Target,
)
from flowledger.steps.spec import (
    Mapping as ColumnMapping,
)
from flowledger.steps.step import Outputs, Step

NONCE = "k3x9q2w7ma"
NOW = 1_800_000_000.0
PROFILE = "https://ns.adobe.com/xdm/context/profile"
DETAILS = "https://ns.adobe.com/xdm/context/profile-personal-details"
PAYPAL = "221c7626-58f6-4eec-8ee2-042b0226f03b"
OUTPUTS: dict[str, Outputs] = {
    "read_tenant": {"id": "acme", "namespace": "_acme"},
    "create_base_connection": {"id": "base-1", "etag": ""},
    "explore": {
        "id": "PayPal.Catalog_Products",
        "format": "flat",
        "columns": [
            {"name": "Product_Id", "type": "string", "xdm": {"type": "string"}},
            {"name": "Product_Name", "type": "string", "xdm": {"type": "string"}},
            {"name": "Create_Time", "type": "string", "xdm": {"type": "string", "format": "date-time"}},
        ],
    },
    "create_adhoc_class": {"id": "https://ns.adobe.com/acme/classes/aa11", "namespace": "_aa11", "version": "1.0"},
    "create_adhoc_schema": {"id": "https://ns.adobe.com/acme/schemas/bb22", "version": "1.0"},
    "create_source_connection": {"id": "source-1", "etag": ""},
    "create_field_group": {"id": "https://ns.adobe.com/acme/mixins/cc33", "version": "1.0"},
    "create_target_schema": {"id": "https://ns.adobe.com/acme/schemas/dd44", "version": "1.0"},
    "create_dataset": {"id": "5e8918669cbbee18ad9771f3"},
    "find_or_create_sink": {"id": "sink-1", "etag": ""},
    "create_target_connection": {"id": "target-1", "etag": ""},
    "create_mapping_set": {"id": "b54a8dc38e8d4e31a2dc096e413ae8e5", "version": 0},
    "find_flow_spec": {
        "id": "14518937-270c-4525-bdec-c2ba7cce3860",
        "name": "CRMToAEP",
        "version": "1.0",
        "draft_mode": False,
    },
    "create_flow": {"id": "flow-1", "etag": ""},
}


class ScriptedContext:
    """The driver's side of a step, answered from rules; the first rule that fits a call answers it."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.run = spec.name
        self.nonce = NONCE
        self.sandbox = "prod"
        self.facts: dict[str, Any] = {}
        self.outputs: dict[str, Any] = copy.deepcopy(OUTPUTS)
        self.asked: list[Request] = []
        self.waits: list[float] = []
        self.now = NOW
        self._rules: list[tuple[str, str, Mapping[str, str], list[tuple[int, Any]]]] = []

    def when(self, method: str, path_end: str, *replies: tuple[int, Any], **query: str) -> None:
        """Answer calls whose path ends so, and whose query has these values, with the replies in turn; the last
        one stays."""
        self._rules.append((method, path_end, query, list(replies)))

    def calls(self, path_end: str) -> list[Request]:
        """The calls made so far to paths that end so."""
        return [request for request in self.asked if request.path.endswith(path_end)]

    def lendable(self, live: Any) -> bool:
        return True

    async def ask(self, request: Request, *, allow: tuple[int, ...] = ()) -> Answer:
        assert not request.effect, "a read that is marked as an effect"
        self.asked.append(request)
        for method, path_end, query, replies in self._rules:
            given = dict(request.query)
            if method == request.method and request.path.endswith(path_end) and query.items() <= given.items():
                status, body = replies.pop(0) if len(replies) > 1 else replies[0]
                answer = Answer(
                    reach=Reach.ANSWERED,
                    status=status,
                    body=strictjson.encode(body),
                    json=body,
                    headers={"x-request-id": "request-7"},
                )
                if answer.ok or status in allow:
                    return answer
                raise refusal(answer, f"{request.method} {request.path}", run=self.run)
        raise AssertionError(f"no rule for {request.method} {request.path} {request.query}")

    async def wait(self, seconds: float, why: str) -> None:
        assert why
        self.waits.append(seconds)

    def put_aside(self, **facts: Any) -> None:
        self.facts.update(facts)

    def outputs_of(self, step: type[Step]) -> Outputs:
        outputs: Outputs = self.outputs[step.name]
        return outputs

    def marker(self, step: Step) -> str:
        return f"fl-{self.nonce}-{step.slug}"

    def wall(self) -> float:
        return self.now

    def secret(self, ref: SecretRef) -> str:
        return f"the secret in {ref.env}"


def spec_of(**changes: Any) -> Spec:
    """A whole spec of the tutorial's table, with parts replaced."""
    parts: dict[str, Any] = {
        "name": "paypal-products",
        "source": Source(
            kind="paypal",
            connection=BaseConnection(
                params={"clientId": "client-1", "clientSecret": SecretRef(env="PAYPAL_CLIENT_SECRET")}
            ),
            table="PayPal.Catalog_Products",
            delta=Delta(column="Create_Time"),
        ),
        "target": Target(
            field_groups=(DETAILS, DETAILS),
            fields={"product.name": "string", "product.weight": "integer", "listed": "boolean"},
            dataset=Dataset(title="Products, all of them", description="What PayPal sells"),
        ),
        "mappings": (
            ColumnMapping(source="Product_Id", to="_id"),
            ColumnMapping(source="Product_Name", to="product.name"),
        ),
    }
    return Spec(**{**parts, **changes})


@pytest.fixture
def make_spec() -> Callable[..., Spec]:
    return spec_of


@pytest.fixture
def make_context() -> Callable[..., Any]:
    """A context of a whole spec, of which parts can be replaced."""
    return lambda **changes: ScriptedContext(spec_of(**changes))


@pytest.fixture
def ctx() -> Any:
    """A context of the whole spec."""
    return ScriptedContext(spec_of())


@pytest.fixture
def answered() -> Callable[..., Answer]:
    """An answer with a JSON body."""

    def answer(body: Any, status: int = 201) -> Answer:
        return Answer(reach=Reach.ANSWERED, status=status, body=strictjson.encode(body), json=body)

    return answer


@pytest.fixture
def all_steps() -> list[Step]:
    return [row.step for row in TABLES["tutorial"].rows]
