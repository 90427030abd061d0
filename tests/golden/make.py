"""Make the golden pairs anew with the code of the checkout that this runs in.

For a released format: check the commit out, copy this folder's two modules into its tests/golden, and run there

    PYTHONPATH=. python tests/golden/make.py FOLDER COMMIT

Each pair is a folder with `journal/`, `emulator/` and `about.json`: the commit that made it, and its runs with
the states that this commit saw.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from flowledger.engine import api
from flowledger.engine.fleet import apply_many
from flowledger.engine.ledger import ledger_of
from flowledger.engine.specfile import spec_from_mapping
from flowledger.engine.watch import Until
from flowledger.errors import FlowledgerError
from flowledger.journal import JournalReader
from flowledger.steps.client.inprocess import Fate, InProcessPort, Moment
from flowledger.steps.client.platform import Credentials, Platform
from flowledger.steps.client.port import Request
from flowledger.steps.client.redact import Redactor
from flowledger.testing import platform_in_process, run_in_virtual_time
from tests.bench import EXAMPLE, Died
from tests.golden.pair import JOURNAL, Pair

SECRET: Final = "PAYPAL_CLIENT_SECRET"
CURRENT: Final = EXAMPLE.with_name("paypal-products-current.yaml")


def spec_like(file: Path, **changes: Any) -> Any:
    """The example, its secret from the environment: a golden journal names no folder of the machine that made it."""
    import yaml

    document = yaml.safe_load(file.read_text())
    document["source"]["connection"]["params"]["clientSecret"] = {"env": SECRET}
    return spec_from_mapping({**document, **changes})


def refused(pair: Pair, verb: Callable[..., Any], *args: Any, **options: Any) -> None:
    """The verb, which ends with an error that the journal keeps."""
    try:
        verb(*args, **options)
    except FlowledgerError as error:
        print(f"    {type(error).__name__}: {error}")
    else:
        raise AssertionError("nothing was refused")


def dies_at(pair: Pair, moment: Moment, path: str, method: str = "POST") -> None:
    """Let the process die at this moment of the first such call."""

    async def at(now: Moment, request: Request) -> None:
        if now is moment and request.method == method and request.effect and f"{path}/" in f"{request.path}/":
            raise Died

    pair.at = at


def provisioned(pair: Pair) -> None:
    pair.apply(spec_like(EXAMPLE))


def provisioned_current(pair: Pair) -> None:
    pair.apply(spec_like(CURRENT))


def killed_before_the_call(pair: Pair) -> None:
    dies_at(pair, Moment.CHECKED, "/dataSets")
    with suppress(Died):
        pair.apply(spec_like(EXAMPLE))


def in_doubt(pair: Pair) -> None:
    dies_at(pair, Moment.COMMITTED, "/dataSets")
    with suppress(Died):
        pair.apply(spec_like(EXAMPLE))


def in_doubt_current(pair: Pair) -> None:
    dies_at(pair, Moment.COMMITTED, "/targetConnections")
    with suppress(Died):
        pair.apply(spec_like(CURRENT))


def in_doubt_and_lost(pair: Pair) -> None:
    dies_at(pair, Moment.HANDED_OVER, "/flows")
    with suppress(Died):
        pair.apply(spec_like(EXAMPLE))


def before_the_last_look(pair: Pair) -> None:
    """A call was lost and sent again; the process died before its step was looked up once more."""
    lost: list[Request] = []

    def fate(request: Request) -> Fate:
        if request.effect and request.path.endswith("/mappingSets") and not lost:
            lost.append(request)
            return Fate.LOST
        return Fate.ANSWERED

    pair.fate = fate
    dies_at(pair, Moment.COMMITTED, "/flows")
    with suppress(Died):
        pair.apply(spec_like(EXAMPLE))


def unreachable(pair: Pair) -> None:
    pair.fate = lambda request: Fate.REFUSED if request.effect and "/mappingSets" in request.path else Fate.ANSWERED
    refused(pair, pair.apply, spec_like(EXAMPLE))


def interrupted(pair: Pair) -> None:
    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and request.effect and request.path.endswith("/dataSets"):
            pair.halt.request("SIGTERM")

    pair.at = at
    refused(pair, pair.apply, spec_like(EXAMPLE))


def refused_by_the_table(pair: Pair) -> None:
    """A column that the source's table does not have: only the platform can say so."""
    document = spec_like(EXAMPLE)
    mappings = tuple(
        mapping.model_copy(update={"source": "Product_Nam"}) if mapping.source == "Product_Name" else mapping
        for mapping in document.mappings
    )
    refused(pair, pair.apply, document.model_copy(update={"mappings": mappings}))


def wrong_organisation(pair: Pair) -> None:
    def elsewhere(**options: Any) -> Platform:
        return Platform(
            InProcessPort(pair.emulator.handle, pair.clock),
            Credentials(client_id="local-client", client_secret="local-secret", org="LOCALL@AdobeOrg"),
            sandbox="prod",
            clock=pair.time,
            redactor=Redactor(),
            base_url="http://127.0.0.1",
        )

    pair.connect = elsewhere  # type: ignore[method-assign] # the process is started with another organisation
    refused(pair, pair.apply, spec_like(EXAMPLE))


def shared(pair: Pair) -> None:
    """Three runs with one base connection and one sink; the last of them is killed amid its flow."""
    done: list[Request] = []

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and request.effect and request.path.endswith("/flows"):
            done.append(request)
            if len(done) == 3:
                raise Died

    pair.at = at
    with suppress(Died):
        pair.sit(apply_many, [spec_like(EXAMPLE, name=f"shared-{letter}") for letter in "abc"])


def remove(pair: Pair, path: str) -> None:
    """Somebody else deletes an object."""

    async def delete() -> None:
        platform = platform_in_process(pair.emulator, pair.time)
        await platform.ready()
        answer = await platform.send(Request(method="DELETE", path=path, effect=True))
        assert answer.ok, answer
        await platform.close()

    run_in_virtual_time(pair.time, delete())


def drifted(pair: Pair) -> None:
    """The dataset was deleted on the platform, and `drift` has seen it."""
    pair.apply(spec_like(EXAMPLE))
    (dataset,) = pair.emulator.world.store.all("dataSets", "prod")
    pair.time.advance(3600)
    remove(pair, f"/data/foundation/catalog/dataSets/{dataset['id']}")
    report = pair.drift("paypal-products")
    assert report.differences, report


def twin(pair: Pair) -> None:
    """A gateway delivered a call twice, and `drift` has seen the twin."""
    from flowledger.emulator.wire import Request as CoreRequest

    body = json.dumps({"kind": "twice", "route": "POST /dataSets"}).encode()
    assert pair.emulator.handle(CoreRequest(method="POST", raw_path="/_emulator/faults", body=body)).status == 201
    pair.apply(spec_like(EXAMPLE))
    pair.time.advance(3600)
    report = pair.drift("paypal-products")
    assert report.twins, report


def watched(pair: Pair) -> None:
    """Two flow runs came, one of which failed, and `watch` has seen them."""
    from flowledger.emulator.wire import Request as CoreRequest

    pair.apply(spec_like(EXAMPLE))
    (flow,) = pair.emulator.world.store.all("flows", "prod")
    for outcome in ({"status": "success", "input_records": 7, "output_records": 7}, {"status": "failed"}):
        body = json.dumps({"flowId": flow["id"]}).encode()
        made = pair.emulator.handle(CoreRequest(method="POST", raw_path="/_emulator/runs/", body=body))
        run = json.loads(made.body)["id"]
        body = json.dumps({"outcome": outcome}).encode()
        ended = pair.emulator.handle(CoreRequest(method="POST", raw_path=f"/_emulator/runs/{run}", body=body))
        assert ended.status == 200, ended.body
        pair.time.advance(60)
    pair.sit(api.watch, "paypal-products", until=Until(seconds=1.0), on_run=lambda run: None)


def destroying(pair: Pair) -> None:
    """A process died once the platform had deleted the flow, before it kept the answer."""
    pair.apply(spec_like(EXAMPLE))
    pair.time.advance(3600)
    dies_at(pair, Moment.COMMITTED, "/flows", "DELETE")
    with suppress(Died):
        pair.destroy("paypal-products")


def half_destroyed(pair: Pair) -> None:
    """The next process began to destroy the run, and died at its first delete."""
    dies_at(pair, Moment.CHECKED, "", "DELETE")
    with suppress(Died):
        pair.destroy("paypal-products")


def destroyed(pair: Pair) -> None:
    pair.apply(spec_like(EXAMPLE))
    pair.time.advance(3600)
    pair.destroy("paypal-products")


def destroyed_but_the_dataset(pair: Pair) -> None:
    pair.apply(spec_like(EXAMPLE))
    pair.time.advance(3600)
    pair.destroy("paypal-products", keep_dataset=True)


#: Each pair with what the processes did that wrote it, one after the other.
CASES: Final[dict[str, tuple[Callable[[Pair], None], ...]]] = {
    "provisioned": (provisioned,),
    "provisioned-current": (provisioned_current,),
    "killed-before-the-call": (killed_before_the_call,),
    "in-doubt": (in_doubt,),
    "in-doubt-current": (in_doubt_current,),
    "in-doubt-and-lost": (in_doubt_and_lost,),
    "before-the-last-look": (before_the_last_look,),
    "unreachable": (unreachable,),
    "interrupted": (interrupted,),
    "refused-by-the-table": (refused_by_the_table,),
    "wrong-organisation": (wrong_organisation,),
    "shared": (shared,),
    "drifted": (drifted,),
    "twin": (twin,),
    "watched": (watched,),
    "destroying": (destroying,),
    "destroying-in-doubt": (in_doubt, half_destroyed),
    "destroyed": (destroyed,),
    "destroyed-but-the-dataset": (destroyed_but_the_dataset,),
}


def apart(place: Path, act: Callable[[Pair], None], hours: int) -> None:
    """Run one process of a pair in a child, whose end lets go of the journal's lock as a kill does."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            pair = Pair(place, days=hours / 24)
            act(pair)
            pair.close()
            code = 0
        except BaseException:  # noqa: BLE001 - a child must not go on with its parent's work
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{place.name} could not be made")


def main(folder: Path, commit: str) -> None:
    """Make every pair below `folder`."""
    for name, acts in CASES.items():
        print(name, flush=True)
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        for hours, act in enumerate(acts):
            apart(place, act, hours)
        with JournalReader.open(place / JOURNAL) as reader:
            runs = {run: str(ledger_of(run, reader.events(run)).state) for run in reader.runs()}
        about = {"commit": commit, "runs": runs}
        (place / "about.json").write_text(json.dumps(about, indent=1) + "\n")
        print(f"    {runs}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
