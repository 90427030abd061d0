"""The reads that `plan` makes on the platform: what a spec would share instead of making. Nothing is journaled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowledger.engine.ledger import Ledger
from flowledger.engine.table import table_of
from flowledger.engine.together import all_of
from flowledger.errors import NotPermitted, Unreachable
from flowledger.steps.base_connection import CreateBaseConnection
from flowledger.steps.client.judge import Verdict, judge, not_served, refusal
from flowledger.steps.client.platform import Platform
from flowledger.steps.client.port import Answer, Json, Reach, Request
from flowledger.steps.sink import FindOrCreateSink
from flowledger.steps.spec import SecretRef, Spec
from flowledger.steps.step import Outputs, Settled, Step

NO_RUN = "----------"  # a nonce that no run has


async def existing(spec: Spec, ledger: Ledger | None, platform: Platform) -> dict[str, Settled]:
    """Ask the platform for what the spec adopts or shares: a named base connection, the sandbox's sink; by step.

    Steps that the journal has completed are not asked for. Raises as the steps do: NotThere for a base connection
    that does not exist, SpecError for one of another kind, NotPermitted, Unreachable.
    """
    table = table_of(spec.style)
    asking = [FindOrCreateSink.name, *([CreateBaseConnection.name] if spec.source.connection.id else [])]
    steps = [table.row_of(name).step for name in asking if name in table]
    steps = [step for step in steps if ledger is None or not ledger.step(step.name).done]
    settled = await all_of([step.prepare(PlanContext(spec, ledger, platform)) for step in steps])
    return {step.name: found for step, found in zip(steps, settled, strict=True) if found is not None}


class PlanContext:
    """A step's context that can read and nothing else: no journal, no effects, no secrets."""

    def __init__(self, spec: Spec, ledger: Ledger | None, platform: Platform) -> None:
        self._spec = spec
        self._ledger = ledger
        self._platform = platform
        self._facts: dict[str, Any] = {}

    @property
    def spec(self) -> Spec:
        return self._spec

    @property
    def run(self) -> str:
        return self._spec.name

    @property
    def nonce(self) -> str:
        return self._ledger.nonce if self._ledger else NO_RUN

    @property
    def sandbox(self) -> str:
        return self._platform.sandbox

    @property
    def facts(self) -> Mapping[str, Any]:
        return self._facts

    def put_aside(self, **facts: Any) -> None:
        self._facts.update(facts)

    def outputs_of(self, step: type[Step]) -> Outputs:
        outputs = self._ledger.step(step.name).outputs if self._ledger else None
        assert outputs is not None, f"{step.name} is not done"
        return outputs

    def marker(self, step: Step) -> str:
        return f"fl-{self.nonce}-{step.slug}"

    def lendable(self, live: Json) -> bool:  # noqa: ARG002 - the contract names it
        return True  # without a journal nothing else can be said

    def wall(self) -> float:
        return self._platform.clock.wall()

    def secret(self, ref: SecretRef) -> str:
        raise NotPermitted(f"planning needs no secret, so {ref} is not read")

    async def wait(self, seconds: float, why: str) -> None:  # noqa: ARG002 - the contract names it
        await self._platform.clock.sleep(seconds)

    async def ask(self, request: Request, *, allow: tuple[int, ...] = ()) -> Answer:
        await self._platform.ready()
        async with self._platform.slots:
            answer = await self._platform.send(request)
        whole = answer.reach is Reach.ANSWERED
        if answer.ok or (whole and answer.status in allow):
            return answer
        if whole and judge(answer) is Verdict.NOT_DONE and answer.status != 429:
            raise refusal(answer, f"{request.method} {request.path}")
        if answer.hopeless:
            raise not_served(answer)
        raise Unreachable(
            f"{request.method} {request.path} gave no usable answer: "
            f"{answer.trouble or answer.json_fault or f'HTTP {answer.status}'}",
            hint="try again, or flowledger plan --offline",
        )
