"""A shadow beside a large decision in a real sidecar: in parts too, before and behind the wait for a body."""

from __future__ import annotations

import random

import httpx
import pytest
from control_helpers import Project, put
from envoy_helpers import eventually, running, settled
from shared_helpers import Lines, run

from palisade.control.engine import Engine
from palisade.control.status import status
from palisade.enforce.envoy.matchers.dealing import PARTS
from palisade.enforce.envoy.parts import name_of, told_name_of
from palisade.xds.resources import EXTENSION

pytestmark = pytest.mark.usefixtures("parts_of_few")

COUNT = 600
HEAD = "package palisade.identity\n\ndefault allow := false\n\n"


def rules(op: str = "op", first: int = 0) -> str:
    """On path and method, and for each third the body, of which the shadow may want another."""
    found = (
        "allow if {\n"
        f'\tinput.attributes.request.http.method == "{"POST" if at % 3 else "PUT"}"\n'
        f'\tinput.attributes.request.http.path == "/things/{at}"\n'
        + (f'\tinput.parsed_body.op == "{op}"\n' if at % 3 == 2 else "")
        + "}\n"
        for at in range(first, first + COUNT)
    )
    return HEAD + "\n".join(found)


def versions(engine: Engine) -> dict[str, str]:
    snapshot = engine.cache.snapshot("hello")
    assert snapshot is not None
    return {name: resource.version for name, resource in snapshot.packed(EXTENSION).items()}


def requests(engine: Engine) -> dict[str, int]:
    found: dict[str, int] = status(engine)["shadow"]["requests"]
    return found


async def asked(client: httpx.AsyncClient, at: int, op: str = "op") -> int:
    method = "POST" if at % 3 else "PUT"
    return (await client.request(method, f"/things/{at}", json={"op": op})).status_code


@pytest.mark.long
def test_a_shadow_beside_a_decision_in_parts(project: Project) -> None:
    """It is compared on every request, also where bodies are read; edits in force change their parts."""
    sink = Lines()
    sample = random.Random(7).sample(range(40, COUNT), 40)

    async def session() -> None:
        project.allow.write_text(rules())
        async with running(project, "hello", sink=sink) as (engine, _, client, _):
            await eventually(lambda: name_of(0) in versions(engine))
            await engine.set_shadow(put(project, rules(op="other", first=40)))
            await settled(engine)
            names = {name(at) for name in (name_of, told_name_of) for at in range(PARTS)}
            assert names <= versions(engine).keys()
            assert status(engine)["shadow"]["notes"] == []
            for at in sample:
                assert await asked(client, at) == 200, at
            for at in range(0, 40, 3):  # taken away in the shadow
                assert await asked(client, at) == 200, at
            for at in range(COUNT, COUNT + 40, 3):  # put in there
                assert await asked(client, at) == 403, at
            assert await asked(client, COUNT + 2, "other") == 403
            assert await asked(client, COUNT - 1, "other") == 403
            read = sum(at % 3 == 2 for at in sample)
            wanted = {
                "same": len(sample) - read,
                "newly_allowed": 14 + 2,
                "newly_denied": read + 14,
                "undecided": 0,
            }
            await eventually(lambda: sum(requests(engine).values()) == sum(wanted.values()))
            assert requests(engine) == wanted

            # An edit in force, beside the shadow, changes the parts of its rule.
            before = versions(engine)
            project.allow.write_text(rules().replace('"/things/6"', '"/things/six"'))
            await eventually(lambda: versions(engine) != before)
            await settled(engine)
            after = versions(engine)
            changed = {name for name in after if after[name] != before[name]} & names
            assert 0 < len(changed) <= 4
            assert await asked(client, 6) == 403
            assert await asked(client, 41, "other") == 403

            # Without it, nothing is reported any more.
            await engine.set_shadow(None)
            await settled(engine)
            assert await asked(client, 5) == 200
            await eventually(lambda: sum(wanted.values()) + 3 <= len(sink.entries))

    run(session())
    deciders = {entry["palisade"]["decider"] for entry in sink.entries}
    assert deciders == {"native"}
    reported = [
        entry["palisade"]["shadow"]["allowed"] for entry in sink.entries if "shadow" in entry["palisade"]
    ]
    assert True in reported
    assert False in reported


READS = HEAD + 'allow if input.parsed_body.op == "read"\n'
BESIDE = {
    "one that reads none": (HEAD + 'allow if input.parsed_path == ["open"]\n', "native"),
    "one that reads others": (HEAD + "allow if input.parsed_body.level > 3\n", "native"),
    "one that the engine reads": (
        HEAD + 'allow if json.unmarshal(input.attributes.request.http.body).op == "write"\n',
        "residual",
    ),
}


@pytest.mark.parametrize("beside", BESIDE)
def test_a_shadow_beside_bodies(project: Project, beside: str) -> None:
    """Both are decided where the body is read, or by the engine; none is undecided."""
    shadow, decider = BESIDE[beside]
    sink = Lines()

    async def session() -> None:
        project.allow.write_text(READS)
        async with running(project, "hello", sink=sink) as (engine, _, client, _):
            await engine.set_shadow(put(project, shadow))
            await settled(engine)
            for path, op, status_ in (("/x", "read", 200), ("/open", "read", 200), ("/x", "write", 403)):
                answer = await client.post(path, json={"op": op, "level": 4})
                assert answer.status_code == status_, (path, op)
            await eventually(lambda: sum(requests(engine).values()) == 3)
            assert (
                requests(engine)
                == {
                    "one that reads none": {"same": 2, "newly_allowed": 0, "newly_denied": 1, "undecided": 0},
                    "one that reads others": {
                        "same": 2,
                        "newly_allowed": 1,
                        "newly_denied": 0,
                        "undecided": 0,
                    },
                    "one that the engine reads": {
                        "same": 0,
                        "newly_allowed": 1,
                        "newly_denied": 2,
                        "undecided": 0,
                    },
                }[beside]
            )

    run(session())
    assert {entry["palisade"]["decider"] for entry in sink.entries} == {decider}
