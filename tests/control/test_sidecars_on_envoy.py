"""Engine and real sidecars together: edits under traffic, keys that rotate, an engine that comes back."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import re
import socket
import time

import httpx
import jwt
import jwt.algorithms
import pytest
from control_helpers import ALLOW, SUM, Project
from cryptography.hazmat.primitives.asymmetric import ec
from envoy_helpers import client_for, eventually, function, running, settings, settled, until
from shared_helpers import Lines, beside, free_port, run

from palisade.control import announced
from palisade.control.engine import Engine
from palisade.control.metrics import render
from palisade.control.sidecars import Sidecars
from palisade.control.status import problems, status
from palisade.policy.inventory import Function
from palisade.xds import Snapshot
from palisade_sidecar.envoy import EnvoyError
from palisade_sidecar.sidecar import State


def test_edits_take_effect_under_traffic_and_no_request_fails(project: Project) -> None:
    sink = Lines()
    seen: list[int] = []

    async def traffic(client: httpx.AsyncClient) -> None:
        while True:
            seen.append((await client.get("/open")).status_code)

    async def session() -> None:
        async with running(project, "hello", sink=sink) as (_, _, client, _):
            await until(client, "/open", 200)
            await until(client, "/new", 403)
            async with beside(traffic(client)):
                for turn in range(5):
                    project.open_path(f"/new{turn}")
                    await until(client, f"/new{turn}", 200)
                    project.allow.write_text(ALLOW + "\nallow if x\n")  # broken: changes nothing
                    await asyncio.sleep(0.1)
                    assert (await client.get(f"/new{turn}")).status_code == 200
                await eventually(lambda: len(seen) > 20)
        assert set(seen) == {200}

    run(session())
    native = [each for each in sink.entries if each["palisade"]["decider"] == "native"]
    opened = [each for each in native if each["input"]["attributes"]["request"]["http"]["path"] == "/new0"]
    allowed = next(each for each in opened if each["result"] is True)
    assert allowed["palisade"]["rule"].endswith("policies/identity/allow.rego:7")


def test_an_engine_that_is_late_for_a_handshake_is_waited_for(project: Project) -> None:
    """As long as a question may take. With a shorter limit of the connection's own all that waited for it
    were denied, though the revision before an edit and the one behind it allowed them."""

    async def session() -> None:
        project.allow.write_text(ALLOW + SUM % 1)
        async with running(project, "hello") as (engine, sidecars, _, _):
            await settled(engine)
            place = sidecars.statuses["hello"].listen
            for _ in range(5):  # on a busy machine two seconds may be over
                with socket.create_connection((place.host, place.port)) as asking:
                    asking.sendall(b"GET /sum?n=3 HTTP/1.1\r\nhost: hello\r\n\r\n")
                    time.sleep(1.2)  # noqa: ASYNC251 -- holds up the engine, which runs in this very thread
                    asking.setblocking(False)
                    answer = await asyncio.get_running_loop().sock_recv(asking, 1_000)
                if answer.startswith(b"HTTP/1.1 200"):
                    return
            pytest.fail(f"always denied: {answer!r}")

    run(session())


def test_a_rollback_takes_effect_under_traffic_and_no_request_fails(project: Project) -> None:
    seen: list[int] = []

    async def traffic(client: httpx.AsyncClient) -> None:
        while True:
            seen.append((await client.get("/open")).status_code)

    async def session() -> None:
        async with running(project, "hello") as (engine, _, client, _):
            await until(client, "/open", 200)
            project.open_path("/new")
            await until(client, "/new", 200)
            async with beside(traffic(client)):
                for _ in range(3):
                    back = await engine.releases.rollback()
                    await until(client, "/new", 403)
                    assert status(engine)["functions"]["hello"]["offered"] == back.revision
                    await engine.releases.resume()
                    await until(client, "/new", 200)
                await eventually(lambda: len(seen) > 20)
        assert set(seen) == {200}

    run(session())


def test_native_decisions_go_on_without_the_engine_and_it_is_found_again(project: Project) -> None:
    port = free_port()

    async def session() -> None:
        async with function() as upstream:
            project.file.write_text(settings(upstream, port, "hello"))
            async with Engine(project.file, sink=Lines()) as engine:
                sidecars = Sidecars(engine)
                await sidecars.__aenter__()
                client = client_for(sidecars, "hello")
                await until(client, "/open", 200)
            try:
                for _ in range(20):
                    assert (await client.get("/open")).status_code == 200
                    assert (await client.get("/closed")).status_code == 403
                    await asyncio.sleep(0.02)
                project.open_path("/new")
                async with Engine(project.file, sink=Lines()) as engine:
                    await until(client, "/new", 200)
                    assert engine.cache.status()["hello"].connected
            finally:
                await client.aclose()
                await sidecars.__aexit__()

    run(session())


def test_what_a_sidecar_answers_without_a_revision_is_a_setting(project: Project) -> None:
    project.allow.write_text("package palisade.identity\nallow if x\n")

    async def session() -> None:
        async with function() as upstream:
            text = settings(upstream, 0, "hello", "orders")
            project.file.write_text(text.replace("'}", "', failure: {no_revision: 429}}", 1))
            async with (
                Engine(project.file, sink=Lines()) as engine,
                Sidecars(engine) as sidecars,
                client_for(sidecars, "hello") as one,
                client_for(sidecars, "orders") as other,
            ):
                assert (await one.get("/open")).status_code == 429
                assert (await other.get("/open")).status_code == 503
                project.allow.write_text(ALLOW)
                await until(one, "/open", 200)

    run(session())


def test_sidecars_come_and_go_with_the_inventory(project: Project) -> None:
    async def session() -> None:
        async with running(project, "hello") as (engine, sidecars, _, upstream):
            state = engine.inventory.engine.state
            before = sidecars.statuses["hello"].listen
            project.set_up(settings(upstream, 0, "hello", "orders"))
            await eventually(lambda: announced.ask(state, announced.sidecar("orders")))
            async with client_for(sidecars, "orders") as other:
                await until(other, "/open", 200)
            assert sidecars.statuses["hello"].listen == before, "the others are left alone"
            project.set_up(settings(upstream, 0, "orders"))
            await eventually(lambda: "hello" not in sidecars.statuses)
            await eventually(lambda: not announced.ask(state, announced.sidecar("hello")))
            with pytest.raises(httpx.ConnectError):
                async with httpx.AsyncClient(trust_env=False) as late:
                    await late.get(f"http://{before}/open")

    run(session())


def test_functions_that_come_while_others_start_have_sidecars(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody saves the inventory once more, and for as long the function could not be reached."""
    start = Sidecars._start

    async def session() -> None:
        async with function() as upstream:
            project.file.write_text(settings(upstream, 0, "hello"))
            async with Engine(project.file, sink=Lines()) as engine:

                async def meanwhile(self: Sidecars, started: Function) -> None:
                    if started.name == "hello":
                        project.set_up(settings(upstream, 0, "hello", "orders"))
                        await eventually(lambda: "orders" in engine.inventory.functions)
                        await eventually(lambda: engine.reloads == 2)
                    await start(self, started)

                monkeypatch.setattr(Sidecars, "_start", meanwhile)
                async with Sidecars(engine) as sidecars:
                    await eventually(lambda: "orders" in sidecars.statuses)

    run(session())


def test_a_function_that_goes_while_its_sidecar_is_started_anew_has_none(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two it has none either, and so its end was no news."""
    stop, going = Sidecars._stop, asyncio.Event()

    async def session() -> None:
        async with running(project, "hello", "orders") as (engine, sidecars, _, upstream):

            async def slowly(self: Sidecars, name: str) -> None:
                await stop(self, name)
                if name == "orders" and not going.is_set():
                    told = engine.reloads
                    project.set_up(both.replace(of_orders, ""))
                    await eventually(lambda: list(engine.inventory.functions) == ["hello"])
                    await eventually(lambda: engine.reloads > told)
                    going.set()

            both = settings(upstream, 0, "hello", "orders")
            of_orders = f"  orders: {{upstream: '{upstream}', listen: '127.0.0.1:0'}}\n"
            monkeypatch.setattr(Sidecars, "_stop", slowly)
            project.set_up(both.replace(of_orders, of_orders.replace("}", ", protocol: http1}")))
            await eventually(going.is_set)
            await eventually(lambda: not sidecars._following)
            assert list(sidecars.statuses) == ["hello"]

    run(session())


def test_a_token_counts_from_the_moment_its_key_is_published(project: Project) -> None:
    issuer = "https://corp.example"
    old, new = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def publish(*keys: ec.EllipticCurvePrivateKey) -> None:
        jwks = [json.loads(jwt.algorithms.ECAlgorithm.to_jwk(each.public_key())) for each in keys]
        keys_of = [{**each, "kid": each["x"], "alg": "ES256"} for each in jwks]
        provider = {"issuer": issuer, "audiences": ["a"], "jwks": {"keys": keys_of}}
        clerk = 'allow if input.identity.claims.role == "clerk"'
        rules = f'providers := {{"corp": {json.dumps(provider)}}}'
        project.allow.write_text(f"{ALLOW}\n{clerk}\n\n{rules}\n")

    def bearer(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
        kid = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))["x"]
        claims = {"iss": issuer, "aud": "a", "role": "clerk", "exp": 4_000_000_000}
        return {"authorization": f"Bearer {jwt.encode(claims, key, 'ES256', headers={'kid': kid})}"}

    async def session() -> None:
        publish(old)
        async with running(project, "hello") as (_, _, client, _):
            await until(client, "/x", 200, headers=bearer(old))
            assert (await client.get("/x", headers=bearer(new))).status_code == 403
            publish(old, new)
            await until(client, "/x", 200, headers=bearer(new))
            publish(new)
            await until(client, "/x", 403, headers=bearer(old))

    run(session())


def test_a_sidecar_whose_port_is_taken_is_an_error_that_names_it(project: Project) -> None:
    async def session() -> None:
        async with function() as upstream:
            text = settings(upstream, 0, "hello").replace("listen: '127.0.0.1:0'}", f"listen: '{upstream}'}}")
            project.file.write_text(text.replace(f"upstream: '{upstream}'", "upstream: '127.0.0.1:9'"))
            async with Engine(project.file, sink=Lines()) as engine:
                with pytest.raises(EnvoyError, match=upstream):
                    async with Sidecars(engine):
                        pass

    run(session())


def test_where_one_sidecar_cannot_start_none_is_left_starting(project: Project) -> None:
    """Their files go with the command: an Envoy that lost its own told of that, not of what was wrong."""

    async def session() -> None:
        async with function() as upstream:
            text = settings(upstream, 0, "orders", "hello")
            hello = f"  hello: {{upstream: '127.0.0.1:9', listen: '{upstream}'}}\n"
            project.file.write_text(text.replace(text.splitlines(keepends=True)[3], hello))
            async with Engine(project.file, sink=Lines()) as engine:
                sidecars = Sidecars(engine)
                with pytest.raises(EnvoyError, match="the sidecar of hello cannot listen"):
                    await sidecars.__aenter__()
                assert not [task for task in asyncio.all_tasks() if "Sidecars._start" in repr(task)]
                assert sidecars.statuses == {}

    run(session())


def test_a_sidecar_that_is_stopping_when_all_end_is_stopped_to_the_end(project: Project) -> None:
    """Its Envoy was left half drained, and ran on."""
    states: list[tuple[str, State]] = []

    async def session() -> None:
        async with function() as upstream:
            project.file.write_text(settings(upstream, 0, "hello", "orders"))
            async with Engine(project.file, sink=Lines()) as engine:
                async with Sidecars(
                    engine, on_change=lambda each: states.append((each.function, each.state))
                ):
                    project.set_up(settings(upstream, engine.listen.port, "hello"))
                    await eventually(lambda: ("orders", State.DRAINING) in states)
                assert {("orders", State.STOPPED), ("hello", State.STOPPED)} <= set(states)

    run(session())


def test_the_engine_tells_of_a_revision_that_a_sidecar_refuses(project: Project) -> None:
    async def session() -> None:
        async with running(project, "hello") as (engine, _, client, _):
            await until(client, "/open", 200)
            await engine.cache.set_snapshot("hello", spoiled(engine))
            await eventually(lambda: problems(engine))
            assert "the sidecar of hello refused revision bad" in problems(engine)[0]
            assert engine.deployment is not None
            shown = status(engine)["functions"]["hello"]
            assert shown["rejection"]["revision"] == "bad"
            assert shown["running"] == engine.deployment.id
            assert _metrics(engine) == {"streams": 1, "current": 0, "rejected": 1}
            assert (await client.get("/open")).status_code == 200
            project.open_path("/new")
            await until(client, "/new", 200)
            assert problems(engine) == []
            await eventually(lambda: _metrics(engine) == {"streams": 1, "current": 1, "rejected": 0})

    run(session())


def _metrics(engine: Engine) -> dict[str, float]:
    """What the metrics tell of the sidecar of `hello`."""
    found = re.findall(
        r'^palisade_sidecar_(\w+)\{function="hello"\} (.+)$', render(engine).decode(), re.MULTILINE
    )
    return {name: float(value) for name, value in found}


def spoiled(engine: Engine) -> Snapshot:
    """The snapshot in force, with a filter that Envoy does not take."""
    good = engine.cache.snapshot("hello")
    assert good is not None
    messages = [copy.deepcopy(each) for named in good.resources.values() for each in named.values()]
    for message in messages:
        if message.name == "palisade.native":  # type: ignore[attr-defined]
            message.typed_config.type_url = "type.googleapis.com/google.protobuf.Empty"  # type: ignore[attr-defined]
            message.typed_config.value = b""  # type: ignore[attr-defined]
    return Snapshot.of("bad", messages)


ASKED = """package palisade.identity

default allow := false

allow if {
	startswith(input.attributes.request.http.path, "/asked/")
	crypto.sha256(input.parsed_path[1]) == "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"
}
"""


def test_what_envoy_cannot_decide_is_decided_by_the_engine(project: Project) -> None:
    """The gate between the two: a request that slips past it unasked would be let through."""
    sink = Lines()

    async def session() -> None:
        project.allow.write_text(ASKED)
        async with running(project, "hello", sink=sink) as (_, _, client, _):
            await until(client, "/asked/alice", 200)
            assert (await client.get("/asked/bob")).status_code == 403
            assert (await client.get("/other")).status_code == 403
            assert (await client.get("/asked/alice")).status_code == 200

    run(session())
    told = {
        (entry["input"]["attributes"]["request"]["http"]["path"], entry["palisade"]["decider"])
        for entry in sink.entries
        if "error" not in entry
    }
    assert told == {("/asked/alice", "residual"), ("/asked/bob", "residual"), ("/other", "native")}


def test_a_residual_request_is_denied_without_an_engine(project: Project) -> None:
    async def session() -> None:
        project.allow.write_text(ASKED)
        async with function() as upstream:
            project.file.write_text(settings(upstream, 0, "hello"))
            async with contextlib.AsyncExitStack() as stack:
                engine = await Engine(project.file, sink=Lines()).__aenter__()
                sidecars = await stack.enter_async_context(Sidecars(engine))
                client = await stack.enter_async_context(client_for(sidecars, "hello"))
                await until(client, "/asked/alice", 200)
                await engine.__aexit__(None, None, None)
                assert (await client.get("/asked/alice")).status_code == 403
                assert (await client.get("/other")).status_code == 403

    run(session())
