"""Each request through a real Envoy is logged as exactly one decision, by whoever made it."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from shared_helpers import run

from palisade.decide.ids import id_of
from palisade.decide.question import Evaluation
from palisade.rego.errors import EvalError

RULES = {"/ok": "allow", "/error": "error"} | {
    f"/ask/{name}": "residual" for name in ("yes", "no", "object", "ticket", "late", "broken", "echo")
}
TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


async def _late() -> Evaluation:
    await asyncio.sleep(1.5)  # longer than the sidecar waits, and not as long as the engine does
    return Evaluation(True)


def evaluate(function: str, document: Any) -> Any:
    path = document["attributes"]["request"]["http"]["path"].partition("?")[0]
    value: Any = path.endswith("yes")
    if path.endswith("late"):
        return _late()
    if path.endswith("broken"):
        raise EvalError("eval_conflict_error", "complete rules must not produce multiple outputs")
    if path.endswith("object"):
        value = {
            "allowed": False,
            "http_status": 302,
            "headers": {"location": "https://login.example/", "set-cookie": ["a=1", "b=2"]},
            "body": "please log in",
        }
    if path.endswith("ticket"):
        value = {
            "allowed": True,
            "headers": {"x-user": "alice"},
            "request_headers_to_remove": ["x-secret"],
            "response_headers_to_add": {"x-decided": "yes"},
            "dynamic_metadata": {"team": "blue"},
        }
    if path.endswith("echo"):
        value = document["parsed_body"] == {"n": 1}
    return Evaluation(value, path="palisade/identity/allow", rule=f"policy.rego:9 {function}", revision="r1")


def on_envoy(rig: Any, make_revision: Any, until: Any, play: Any, **settings: Any) -> list[dict[str, Any]]:
    """Run `play` with a client once the revision is in force; returns the events that it caused."""
    rig.evaluator = evaluate

    async def scenario() -> list[dict[str, Any]]:
        await rig.engine(make_revision("r1", RULES))
        async with rig.sidecar(**settings) as (_, client):
            await until(lambda: _in_force(client))
            # A sidecar hands its entries on in their order: what came before this one is in the log with it.
            await client.get("/ok?last")
            await until(lambda: any(path_of(event) == "/ok?last" for event in rig.sink.entries))
            rig.sink.entries.clear()
            answers: list[httpx.Response] = []
            client.event_hooks = {"response": [partial(_keep, answers)]}
            await play(client)
            await until(lambda: len(rig.sink.entries) >= len(answers))
        events: list[dict[str, Any]] = rig.sink.entries
        return events

    return run(scenario())


async def _keep(answers: list[httpx.Response], answer: httpx.Response) -> None:
    answers.append(answer)


async def _in_force(client: httpx.AsyncClient) -> bool:
    return (await client.get("/ask/yes")).status_code == 200


def path_of(event: dict[str, Any]) -> str:
    path: str = event["input"]["attributes"]["request"]["http"]["path"]
    return path


def test_every_decision_is_logged_once(rig: Any, make_revision: Any, until: Any) -> None:
    requests = [
        "/ok",
        "/no",
        "/error",
        *(path for path in RULES if path.startswith("/ask")),
        "/ok",
        "/bad%2fpath",
    ]
    statuses: dict[str, int] = {}

    async def play(client: httpx.AsyncClient) -> None:
        for path in requests:
            statuses[path] = (await client.get(path)).status_code

    events = on_envoy(rig, make_revision, until, play)
    assert statuses == {
        "/ok": 200,
        "/no": 403,
        "/error": 403,
        "/ask/yes": 200,
        "/ask/no": 403,
        "/ask/object": 302,
        "/ask/ticket": 200,
        "/ask/late": 403,
        "/ask/broken": 403,
        "/ask/echo": 403,
        "/bad%2fpath": 400,
    }
    told = sorted(
        (path_of(event), event["palisade"]["decider"], event["palisade"]["allowed"], error_of(event))
        for event in events
    )
    assert told == [
        ("/ask/broken", "residual", False, "eval_conflict_error"),
        ("/ask/echo", "residual", False, ""),
        ("/ask/late", "residual", False, "residual_unanswered"),
        ("/ask/no", "residual", False, ""),
        ("/ask/object", "residual", False, ""),
        ("/ask/ticket", "residual", True, ""),
        ("/ask/yes", "residual", True, ""),
        ("/bad/path", "sidecar", False, "request_refused"),
        ("/error", "native", False, "evaluation_error"),
        ("/no", "native", False, ""),
        ("/ok", "native", True, ""),
        ("/ok", "native", True, ""),
    ]


def test_the_engine_and_the_access_log_name_a_decision_alike(
    rig: Any, make_revision: Any, until: Any
) -> None:
    """Where both tell of a request, as of one whose answer was lost on the way, one can tell that the two
    entries are of one decision."""
    asked: list[str] = []

    def late(function: str, document: Any) -> Any:
        request = document["attributes"]["request"]
        if not request["http"]["path"].endswith("late"):
            return evaluate(function, document)
        place = document["attributes"]["source"]["address"]["socketAddress"]
        sender = f"{place['address']}:{place['portValue']}"
        nanoseconds = nanoseconds_of(request["time"])
        asked.append(id_of(function, nanoseconds, request["http"]["headers"]["x-request-id"], sender))
        return _late()

    async def play(client: httpx.AsyncClient) -> None:
        rig.evaluator = late
        for _ in range(5):
            await client.get("/ask/late", headers={"x-forwarded-for": "192.0.2.1"})

    events = on_envoy(rig, make_revision, until, play)
    assert {error_of(event) for event in events} == {"residual_unanswered"}
    assert sorted(event["decision_id"] for event in events) == sorted(asked)
    assert len(set(asked)) == 5


def test_what_a_sidecar_gave_up_is_told_to_the_engine_once(rig: Any, make_revision: Any, until: Any) -> None:
    """A person who looks at the engine is to see that decisions are in no log."""
    asked = 0

    async def scenario() -> None:
        nonlocal asked
        await rig.engine(make_revision("r1", RULES))
        async with rig.sidecar() as (sidecar, client):
            await until(lambda: _in_force(client))
            spool = sidecar._handover.spool
            # All before this one has been handed on with it, and nothing of it comes again.
            await client.get("/ok?last")
            await until(lambda: any(path_of(event) == "/ok?last" for event in rig.sink.entries))
            await until(lambda: spool.waiting == 0)
            await rig.kill_engine()
            rig.sink.entries.clear()
            spool._segment_bytes, spool._spool_bytes = 2_000, 6_000
            for _ in range(6):
                for _ in range(20):
                    await client.get("/ok")
                    asked += 1
                await asyncio.sleep(0.6)  # while no engine answers, the spool is looked at once in a while
            await until(lambda: spool.given_up.count)
            await rig.engine(make_revision("r1", RULES))
            await until(lambda: len(rig.sink.entries) + rig.access.unlogged["hello"] >= asked)
            await client.get("/ok")
            await until(lambda: len(rig.sink.entries) + rig.access.unlogged["hello"] > asked)
            assert rig.access.unlogged["hello"] == spool.given_up.count
            assert len(rig.sink.entries) + spool.given_up.count == asked + 1

    run(scenario())


def test_what_was_given_up_is_told_where_nothing_else_waits(rig: Any, make_revision: Any, until: Any) -> None:
    """Nobody calls any more, and the engine is to know of what is missing all the same."""

    async def scenario() -> None:
        await rig.engine(make_revision("r1", RULES))
        async with rig.sidecar() as (sidecar, client):
            await until(lambda: _in_force(client))
            await until(lambda: sidecar._handover.spool.waiting == 0)
            await rig.kill_engine()
            spool = sidecar._handover.spool
            spool._segment_bytes, spool._spool_bytes = 1, 0
            for _ in range(5):
                await client.get("/ok")
            await until(lambda: spool.given_up.count and spool.waiting == 0, 20)
            lost = spool.given_up.count
            await rig.engine(make_revision("r1", RULES))
            await until(lambda: rig.access.unlogged["hello"] == lost, 20)

    run(scenario())


def nanoseconds_of(timestamp: str) -> int:
    """Nanoseconds since the epoch, of a time as Protobuf's JSON has it."""
    found = Timestamp()
    found.FromJsonString(timestamp)
    return found.ToNanoseconds()


def error_of(event: dict[str, Any]) -> str:
    code: str = event.get("error", {}).get("code", "")
    return code


def test_a_native_decision_names_its_rule_and_its_revision(rig: Any, make_revision: Any, until: Any) -> None:
    async def play(client: httpx.AsyncClient) -> None:
        await client.get("/ok?page=2")
        await client.get("/ok")

    denied, allowed = on_envoy(rig, make_revision, until, play)
    assert denied["result"] is False
    assert denied["input"]["parsed_query"] == {"page": ["2"]}
    assert allowed["result"] is True
    assert allowed["path"] == "palisade/identity/allow"
    assert allowed["bundles"] == {"palisade": {"revision": "r1"}}
    assert allowed["palisade"]["rule"] == "policy.rego:1 /ok"
    assert allowed["palisade"]["status"] == 200
    assert allowed["requested_by"].startswith("127.0.0.1:")


def test_an_object_decision_shapes_the_answer(rig: Any, make_revision: Any, until: Any) -> None:
    answers: list[httpx.Response] = []

    async def play(client: httpx.AsyncClient) -> None:
        answers.append(await client.get("/ask/object"))
        client.cookies.clear()
        answers.append(await client.get("/ask/ticket", headers={"x-secret": "s", "x-user": "mallory"}))

    on_envoy(rig, make_revision, until, play)
    denied, allowed = answers
    assert (denied.status_code, denied.text) == (302, "please log in")
    assert denied.headers["location"] == "https://login.example/"
    assert denied.headers.get_list("set-cookie") == ["a=1", "b=2"]
    headers = rig.function.requests[-1]["headers"]
    assert [value for name, value in headers if name == "x-user"] == ["alice"]
    assert "x-secret" not in dict(headers)
    assert allowed.headers["x-decided"] == "yes"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"n": 1}', 200),
        (b'{"n": 2}', 403),
        (b"no json", 403),
        (b'{"n": 1, "x": "%s"}' % (b"x" * 5000), 403),
    ],
    ids=["right", "wrong", "malformed", "cut"],
)
def test_a_body_is_read_by_the_policy_and_reaches_the_function(
    rig: Any, make_revision: Any, until: Any, content: bytes, status: int
) -> None:
    answers: list[int] = []

    async def play(client: httpx.AsyncClient) -> None:
        response = await client.post(
            "/ask/echo", content=content, headers={"content-type": "application/json"}
        )
        answers.append(response.status_code)

    (event,) = on_envoy(rig, make_revision, until, play)
    assert answers == [status]
    if status == 200:
        assert rig.function.requests[-1]["body"] == content.decode()
    assert content.decode()[:8] not in json.dumps(event)


def test_a_request_that_is_no_utf8_is_denied_and_harms_nothing(
    rig: Any, make_revision: Any, until: Any
) -> None:
    """Protobuf strings are UTF-8, HTTP is not: neither headers nor bodies may break the engine's answer."""
    answers: list[int] = []

    async def play(client: httpx.AsyncClient) -> None:
        for headers in ({"x-name": b"caf\xe9"}, {"content-type": "application/json"}):
            response = await client.post("/ask/echo", content=b'{"n": 1}\xff', headers=headers)
            answers.append(response.status_code)
        answers.append((await client.get("/ask/yes", headers={"x-name": b"caf\xe9"})).status_code)

    on_envoy(rig, make_revision, until, play)
    assert answers == [403, 403, 200]


def test_no_token_reaches_the_log(rig: Any, make_revision: Any, until: Any) -> None:
    async def play(client: httpx.AsyncClient) -> None:
        for path in ("/ok", "/ask/yes", "/ask/no"):
            await client.get(
                f"{path}?access_token=s3cr3t-in-query&page=2&t={TOKEN}",
                headers={
                    "authorization": f"Bearer {TOKEN}",
                    "cookie": "session=s3cr3t-in-cookie",
                    "x-odd": f"token {TOKEN}",
                    "referer": f"https://a/?code=s3cr3t-in-referer&t={TOKEN}",
                },
            )

    events = on_envoy(rig, make_revision, until, play)
    text = json.dumps(events)
    assert len(events) == 3
    assert "s3cr3t" not in text
    assert TOKEN.split(".")[1] not in text
    assert "page=2" in text


@pytest.mark.parametrize(("hops", "client"), [(0, "127.0.0.1"), (1, "192.0.2.1"), (2, "198.51.100.7")])
def test_the_source_in_the_log_is_the_one_that_policies_see(
    rig: Any, make_revision: Any, until: Any, hops: int, client: str
) -> None:
    """What a client says in X-Forwarded-For is no source, however many proxies are trusted. The address that
    the first of those saw is in a header, which no client chooses: docs/policies.md names it to authors."""
    forwarded = {
        "x-forwarded-for": "203.0.113.9, 198.51.100.7, 192.0.2.1",
        "x-envoy-external-address": "203.0.113.66",
    }
    seen: list[Any] = []

    async def play(asking: httpx.AsyncClient) -> None:
        rig.evaluator = lambda function, document: seen.append(document) or evaluate(function, document)
        assert (await asking.get("/ok", headers=forwarded)).status_code == 200
        assert (await asking.get("/ask/no", headers=forwarded)).status_code == 403

    events = on_envoy(rig, make_revision, until, play, trusted_hops=hops)
    assert sorted(each["palisade"]["decider"] for each in events) == ["native", "residual"]
    [document] = seen
    source = document["attributes"]["source"]
    assert source["address"]["socketAddress"]["address"] == "127.0.0.1"
    assert document["attributes"]["request"]["http"]["headers"]["x-envoy-external-address"] == client
    # Both came by one connection: the port is the same, too.
    assert [each["input"]["attributes"]["source"] for each in events] == [source, source]
