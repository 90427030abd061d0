"""What a step may know and ask while it is being taken: journaled, repeated, authenticated reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flowledger.engine.events import ReadAnswered
from flowledger.engine.evidence import answer_doc, call_doc
from flowledger.engine.ledger import ledger_of
from flowledger.engine.retry import back_off
from flowledger.engine.run import Run
from flowledger.errors import Unreachable
from flowledger.steps.client.judge import Verdict, fault_of, judge, not_served, refusal, retry_after
from flowledger.steps.client.port import Answer, Json, Reach, Request
from flowledger.steps.client.quoting import in_quotes
from flowledger.steps.client.secrets import AT_ONCE, FileRead, resolve
from flowledger.steps.marking import words_of
from flowledger.steps.spec import SecretRef, Spec
from flowledger.steps.step import Outputs, Step


class StepContext:
    """The driver's side of `flowledger.steps.step.Context`."""

    def __init__(self, run: Run, step: Step) -> None:
        self._run = run
        self._step = step
        self._facts: dict[str, Any] = dict(run.ledger.step(step.name).facts)
        self._secrets: dict[SecretRef, str] = {}

    @property
    def spec(self) -> Spec:
        return self._run.spec

    @property
    def run(self) -> str:
        return self._run.ledger.run

    @property
    def nonce(self) -> str:
        return self._run.ledger.nonce

    @property
    def sandbox(self) -> str:
        return self._run.ledger.sandbox

    @property
    def facts(self) -> Mapping[str, Any]:
        return self._facts

    def put_aside(self, **facts: Any) -> None:
        self._facts.update(facts)

    def outputs_of(self, step: type[Step]) -> Outputs:
        outputs = self._run.ledger.step(step.name).outputs
        assert outputs is not None, f"{step.name} is not done"
        return outputs

    def marker(self, step: Step) -> str:
        return f"fl-{self.nonce}-{step.slug}"

    def lendable(self, live: Json) -> bool:
        words = words_of(live)
        for name in self._run.journal.runs():
            if name in words and name != self.run:
                ledger = ledger_of(name, self._run.journal.events(name))
                if f"fl-{ledger.nonce}-{self._step.slug}" in words:
                    if ledger.unreadable:  # whether it is being destroyed is not known
                        return False
                    left = ledger.destroyed and any(one["id"] == live.get("id") for one in ledger.left)
                    return left or not ledger.destroying
        return True

    def wall(self) -> float:
        return self._run.clock.wall()

    async def read_secrets(self) -> None:
        """Read what the step's request will ask for, while other runs go on. Raises NotPermitted.

        Nothing is sent before that, so a stop need not wait for it: then it raises Interrupted at once.
        """
        folder = self._run.spec.folder
        for ref in self._step.secrets(self._run.spec):
            reading = FileRead(ref.file, folder) if ref.file is not None else None
            if reading is not None and reading.wait(AT_ONCE):
                value = reading.value()
            else:
                read = reading.get() if reading else resolve(ref, withhold=self._run.platform.secret_variables)
                value = await (read if ref.env else self._run.unless_stopped(read))
            self._secrets[ref] = value
            if in_quotes(value):
                where = ref.env or ref.file or (ref.command or ("",))[0]
                self._run.log.warning("a secret has quotes around it, and is sent with them", secret=where)
            self._run.platform.redactor.register(self._secrets[ref])

    def secret(self, ref: SecretRef) -> str:
        return self._secrets[ref]

    async def wait(self, seconds: float, why: str) -> None:
        await self._run.pause(self._step, seconds, why)

    async def ask(self, request: Request, *, allow: tuple[int, ...] = ()) -> Answer:
        run, retry = self._run, self._run.spec.retry
        request = replace(request, timeout=retry.timeout)
        renewed = False
        attempt = 1
        while True:
            run.check()
            await run.ready(self._step)
            async with run.slot():
                answer = await run.platform.send(request)
            run.note(
                ReadAnswered(
                    step=self._step.name,
                    call=call_doc(request, run.platform.redactor),
                    answer=answer_doc(answer, run.platform.redactor, names=(self.nonce, *run.ledger.ids())),
                )
            )
            await run.keep_up()
            whole = answer.reach is Reach.ANSWERED
            if answer.ok or (whole and answer.status in allow):
                return answer
            asked = None
            if judge(answer) is Verdict.NOT_DONE and whole:
                if answer.status == 401 and not renewed:
                    run.platform.forget_token()
                    renewed = True
                    continue
                if answer.status != 429:
                    raise refusal(
                        answer,
                        f"{request.method} {request.path} for the {self._step.label}",
                        run=self.run,
                        step=self._step.name,
                    )
            if whole:
                asked = retry_after(answer, run.clock.wall())
            if answer.hopeless:
                raise not_served(answer, then=run.again)
            if attempt >= retry.attempts:
                raise Unreachable(
                    f"{self.run}/{self._step.name}: {request.method} {request.path} "
                    f"gave no usable answer {attempt} times; the last one: {_last_words(answer)}",
                    hint=f"flowledger resume {self.run}",
                )
            await run.pause(self._step, back_off(retry, attempt, asked, run.chance), "back_off")
            attempt += 1


def _last_words(answer: Answer) -> str:
    """The last answer in a sentence part, for the error that gives up."""
    if answer.reach is not Reach.ANSWERED:
        return answer.trouble or str(answer.reach)
    fault = fault_of(answer)
    words = " ".join(part for part in (fault.code, fault.text) if part) or answer.json_fault or "no reason given"
    asked = f" (request id {fault.request_id})" if fault.request_id else ""
    return f"HTTP {answer.status}, {words}{asked}"
