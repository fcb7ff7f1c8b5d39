"""A shadow in a real sidecar: it decides what its policy says, beside one that alone counts."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jwt
import jwt.algorithms
import pytest
from control_helpers import ALLOW, NEXT, SUM, Project, put
from cryptography.hazmat.primitives.asymmetric import ec
from envoy_helpers import client_for, eventually, function, running, settings, settled, spoiled, until
from shared_helpers import Lines, beside, run

from palisade.control import admin, announced
from palisade.control.engine import Engine
from palisade.control.sidecars import Sidecars
from palisade.control.status import problems, status, undecided
from palisade.enforce.envoy import compile_sidecar

LIMITED = '\nallow := %s if input.parsed_path == ["limited"]\n'
MORE = '\nallow if input.parsed_path == ["more"]\n'


def shadows(sink: Lines) -> dict[str, tuple[bool, str, bool, str]]:
    """What was logged as different, by path: the decision, by whom, the shadow's, and its rule."""
    found = {}
    for entry in sink.entries:
        detail = entry["palisade"]
        if "shadow" in detail:
            path = entry["input"]["attributes"]["request"]["http"]["path"]
            shadow = detail["shadow"]
            rule = shadow.get("rule", "").rpartition("/")[2]
            found[path] = detail["allowed"], detail["decider"], shadow["allowed"], rule
    return found


def requests(engine: Engine) -> dict[str, int]:
    found: dict[str, int] = status(engine)["shadow"]["requests"]
    return found


def test_a_shadow_is_decided_and_not_enforced(project: Project) -> None:
    sink = Lines()

    async def session() -> None:
        project.allow.write_text(ALLOW + SUM % 3 + LIMITED % "true")
        async with running(project, "hello", sink=sink) as (engine, _, client, _):
            await until(client, "/open", 200)
            answered = '{"allowed": false, "http_status": 429}'
            await engine.set_shadow(put(project, NEXT + SUM % 5 + LIMITED % answered))
            await settled(engine)
            asked = {"/open": 200, "/opened": 403, "/closed": 403, "/sum?n=4": 200, "/sum?n=9": 200}
            asked |= {"/sum?n=1": 403, "/limited": 200}
            for path, answer in asked.items():
                assert (await client.get(path)).status_code == answer, path
            await eventually(lambda: sum(requests(engine).values()) == len(asked))
            assert requests(engine) == {"same": 3, "newly_allowed": 1, "newly_denied": 3, "undecided": 0}
            assert undecided(engine) == []
            # Its edits are followed, and take effect in the sidecar.
            put(project, ALLOW + SUM % 3 + LIMITED % "true" + MORE)
            await eventually(lambda: sum(requests(engine).values()) == 0)
            await settled(engine)
            assert (await client.get("/more")).status_code == 403
            await eventually(lambda: requests(engine)["newly_allowed"] == 1)

    run(session())
    assert shadows(sink) == {
        "/open": (True, "native", False, "allow.rego:3"),
        "/opened": (False, "native", True, "allow.rego:5"),
        "/sum?n=4": (True, "residual", False, "allow.rego:3"),
        "/limited": (True, "native", False, "allow.rego:12"),
        "/more": (False, "native", True, "allow.rego:14"),
    }


def test_what_only_the_engine_could_tell_of_a_shadow_is_counted_and_not_guessed(project: Project) -> None:
    sink = Lines()

    async def session() -> None:
        async with running(project, "hello", sink=sink) as (engine, _, client, _):
            await until(client, "/open", 200)
            await engine.set_shadow(put(project, ALLOW + SUM % 5))
            await settled(engine)
            for path in ("/sum?n=4", "/sum?n=9", "/closed"):
                assert (await client.get(path)).status_code == 403
            await eventually(lambda: sum(requests(engine).values()) == 3)
            assert requests(engine) == {"same": 1, "newly_allowed": 0, "newly_denied": 0, "undecided": 2}
            [example] = undecided(engine)
            assert example["latest"] == "GET /sum", "without its query"
            assert (example["function"], example["requests"], "would ask the engine" in example["why"]) == (
                "hello",
                2,
                True,
            )
            put(project, ALLOW)
            await eventually(lambda: not undecided(engine))

    run(session())
    assert shadows(sink) == {}


def test_a_shadow_that_reads_bodies_has_none_sent(project: Project) -> None:
    body = '\nallow if {\n\tinput.parsed_path[0] == "sum"\n\tinput.parsed_body.secret == 7\n}\n'

    async def session() -> None:
        project.allow.write_text(ALLOW + SUM % 3)
        async with running(project, "hello") as (engine, _, client, _):
            await until(client, "/open", 200)
            await engine.set_shadow(put(project, ALLOW + body))
            await settled(engine)
            assert (await client.post("/sum?n=4", json={"secret": 7})).status_code == 200
            await eventually(lambda: sum(requests(engine).values()) == 1)
            assert requests(engine)["undecided"] == 1
            assert engine.deployment is not None
            assert not engine.deployment.enforcements["hello"].body

    run(session())


def test_both_read_the_claims_that_each_of_them_needs(project: Project) -> None:
    """Maps on claims want them laid down: the attributes' filter does so for the one and for the other."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    jwks = {"keys": [{**public, "kid": "k", "alg": "ES256"}]}
    provider = {"issuer": "https://corp.example", "audiences": ["a"], "jwks": jwks}
    rules = f'\nproviders := {{"corp": {json.dumps(provider)}}}\n'

    def names(prefix: str) -> str:
        return ", ".join(f'"{prefix}{number}"' for number in range(12))

    in_force = f"allow if input.identity.claims.sub in {{{names('s')}}}\n"
    shadow = f"allow if input.identity.claims.team in {{{names('t')}}}\n"

    def bearer(**claims: str) -> dict[str, str]:
        content = {"iss": "https://corp.example", "aud": "a", "exp": 4_000_000_000, **claims}
        return {"authorization": f"Bearer {jwt.encode(content, key, 'ES256', headers={'kid': 'k'})}"}

    async def session() -> None:
        project.allow.write_text(f"{ALLOW}\n{in_force}{rules}")
        async with running(project, "hello") as (engine, _, client, _):
            await until(client, "/x", 200, headers=bearer(sub="s3"))
            await engine.set_shadow(put(project, f"{ALLOW}\n{shadow}{rules}"))
            await settled(engine)
            asked = [
                (bearer(sub="s3"), 200),
                (bearer(sub="s3", team="t4"), 200),
                (bearer(team="t4"), 403),
                (bearer(sub="t4", team="s3"), 403),
                ({}, 403),
            ]
            for headers, answer in asked:
                assert (await client.get("/x", headers=headers)).status_code == answer
            await eventually(lambda: sum(requests(engine).values()) == len(asked))
            assert requests(engine) == {"same": 3, "newly_allowed": 1, "newly_denied": 1, "undecided": 0}

    run(session())


def test_edits_of_both_under_traffic_fail_no_request_and_never_enforce_the_shadow(project: Project) -> None:
    seen: list[tuple[int, int]] = []

    async def traffic(client: httpx.AsyncClient) -> None:
        while True:
            answers = [(await client.get(path)).status_code for path in ("/open", "/shadow")]
            seen.append((answers[0], answers[1]))

    async def session() -> None:
        async with running(project, "hello") as (engine, _, client, _):
            await until(client, "/open", 200)
            async with beside(traffic(client)):
                for turn in range(4):
                    shadow = 'package palisade.identity\nallow if input.parsed_path == ["shadow"]\n'
                    await engine.set_shadow(put(project, f"{shadow}# {turn}\n"))
                    project.open_path(f"/new{turn}")
                    await until(client, f"/new{turn}", 200)
                await engine.set_shadow(None)
                await settled(engine)
        assert set(seen) == {(200, 403)}

    run(session())


def test_a_shadow_that_a_sidecar_refuses_is_taken_out(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Envoy takes a filter whole or not at all: the next edit of what is in force must not suffer for it."""

    def compiled(revision: Any, function: Any, keys: Any, shadow: Any = None, **more: Any) -> Any:
        good = compile_sidecar(revision, function, keys, shadow, **more)
        return good if shadow is None else spoiled(good)

    async def session() -> None:
        async with running(project, "hello") as (engine, _, client, _):
            await until(client, "/open", 200)
            monkeypatch.setattr("palisade.control.loading.compile_sidecar", compiled)
            await engine.set_shadow(put(project, NEXT))
            await eventually(lambda: any("the shadow is not compared" in each for each in problems(engine)))
            project.open_path("/new")
            await until(client, "/new", 200)
            assert (await client.get("/opened")).status_code == 403
            shown = status(engine)
            assert shown["functions"]["hello"]["rejection"] is None
            assert "the sidecar of hello refused it" in shown["shadow"]["notes"][0]

    run(session())


def test_differences_are_streamed_as_they_happen(project: Project) -> None:
    async def session() -> None:
        async with function() as upstream:
            project.file.write_text(settings(upstream, 0, "hello"))
            async with (
                Engine(project.file, sink=Lines()) as engine,
                admin.serve(engine),
                Sidecars(engine) as sidecars,
                client_for(sidecars, "hello") as client,
            ):
                await until(client, "/open", 200)
                await engine.set_shadow(put(project, NEXT))
                await settled(engine)
                path = announced.ask(engine.inventory.engine.state, announced.CONTROL)
                transport = httpx.AsyncHTTPTransport(uds=path)
                async with (
                    httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=60) as local,
                    local.stream("GET", "/differences") as stream,
                ):
                    for asked in ("/closed", "/opened", "/open"):
                        await client.get(asked)
                    lines = (line async for line in stream.aiter_lines() if line)
                    events = [json.loads(await anext(lines)) for _ in range(2)]
                    await engine.set_shadow(None)
                    assert [line async for line in lines] == [], "it ends with the shadow"
                paths = {each["input"]["attributes"]["request"]["http"]["path"] for each in events}
                assert paths == {"/opened", "/open"}

    run(session())
