"""What others do on the platform: take our names, touch what is ours, and go away again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from crashmatrix.styles import EFFECTS
from flowledger.emulator.wire import Request as CoreRequest
from flowledger.steps.client.port import Request
from tests.stateful.telling import id_of

if TYPE_CHECKING:
    from tests.stateful.conftest import World

REFERENCES = {  # where an object says what it belongs to; a stranger's says something else
    "connections": ("connectionSpec", {"id": "ffffffff-0000-4000-8000-000000000000", "version": "1.0"}),
    "sourceConnections": ("baseConnectionId", "ffffffff-0000-4000-8000-000000000001"),
    "targetConnections": ("connectionSpec", {"id": "ffffffff-0000-4000-8000-000000000002", "version": "1.0"}),
    "dataSets": ("schemaRef", {"id": "https://ns.adobe.com/else/schemas/ff", "contentType": "x"}),
    "mappingSets": ("xdmSchema", "https://ns.adobe.com/else/schemas/ff"),
    "flows": ("sourceConnectionIds", ["ffffffff-0000-4000-8000-000000000003"]),
}


def theirs(world: World) -> dict[str, Any]:
    """What strangers have on the platform, by its id, as it is now."""
    kinds = dict.fromkeys(effect.kind for effect in EFFECTS.values()) if world.strangers else ()
    there = (item for kind in kinds for item in world.emulator.objects(kind) if id_of(item) in world.strangers)
    return {id_of(item): dict(item) for item in there}


def squat(world: World, step: str, request: Request) -> None:
    """Somebody makes an object of our name: what differs is its description, and what it belongs to.

    A namesake of a unique title would do as well as ours: only the description says whose it is.
    """
    create, emulator = EFFECTS[step], world.emulator
    before = {id_of(item) for item in emulator.objects(create.kind)}
    deliver(world, request)
    for item in emulator.objects(create.kind):
        id = id_of(item)
        if id not in before:
            changed = emulator.world.store.get(create.kind, "prod", id)
            assert changed is not None
            changed.update(description="mine", tags={})
            if "outputSchema" in changed:  # the other style's word for a mapping set's schema
                changed["outputSchema"] = {"schemaRef": {"id": REFERENCES["mappingSets"][1], "contentType": "x"}}
            if create.kind in REFERENCES:
                changed.update([REFERENCES[create.kind]])
            emulator.world.store.put(create.kind, "prod", id, changed)
            world.strangers.add(id)


def deliver(world: World, request: Request) -> None:
    """Have the platform take the call, past the faults that are armed: those are for the client's own."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    call = CoreRequest(
        method="POST", raw_path=request.path, query=request.query, headers=headers, body=orjson.dumps(request.body)
    )
    world.emulator._answer(call, world.emulator._router.find("POST", request.path))


def send_away(world: World) -> None:
    """Somebody cleans up what others had put in our way."""
    for effect in EFFECTS.values():
        for id in world.strangers:
            world.emulator.world.store.delete(effect.kind, "prod", id)


def meddle(world: World, step: str, how: str) -> bool:
    """Somebody renames, edits or deletes what the run has made in `step`, or in the next one of which there is
    something. False if there is nothing at all."""
    steps = tuple(EFFECTS)
    at = steps.index(step)
    step = next((other for other in (*steps[at:], *steps[:at]) if world.ours(other)), step)
    kind, store = EFFECTS[step].kind, world.emulator.world.store
    for item in world.ours(step):
        id = id_of(item)
        changed = store.get(kind, "prod", id)
        assert changed is not None
        if how == "delete":
            store.delete(kind, "prod", id)
            world.deleted.add(id)
        else:
            key = "description" if how == "edit" else "title" if EFFECTS[step].titled else "name"
            changed[key] = "changed by hand"
            store.put(kind, "prod", id, changed)
        world.damaged.update((run, step) for run in world.runs)  # the sink is shared by all
        return True
    return False
