"""Members of an object decision of which nobody is told but the decision log: what Envoy cannot tell of them
is left out there, and decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import quote

import pytest
from answering import decider
from signed_tokens import SECRET, signed
from stand import Sent, Stand, in_memory

from palisade import rego
from palisade.decide.event import Event
from palisade.enforce.envoy.answers.filters import MAX_ANSWERS
from palisade.enforce.envoy.decision import decide
from palisade.rego.partial import evaluate

HEAD = """package p

import input.attributes.request.http

bearer := split(http.headers.authorization, " ")[1]

token := t if [true, _, t] = io.jwt.decode_verify(bearer, {"secret": "SECRET"})

deny contains sprintf("%s is wrong", [http.headers["x-user"]]) if http.method != "GET"

deny contains "no user" if not http.headers["x-user"]

many contains name if {
	some name in {"x-a", "x-b", "x-c", "x-d", "x-e", "x-f"}
	not http.headers[name]
}

default allow := {"allowed": false, "http_status": 404}

""".replace("SECRET", SECRET)

TOKENS = [
    '{"sub": "ann", "roles": ["a", "b"], "n": 4000000000, "x": null, "o": {}, "g": ["a b"]}',
    '{"sub": "a\\u00fc\\"b", "roles": [], "n": 1.5, "x": {"y": [null, {}, [], 0]}, "o": 7, "g": ""}',
    '{"sub": "", "n": -3, "x": "text", "g": ["", 1, null]}',
]
USERS = ("Ann", 'a"\\b', "", "x,y", "%REQ(x)% 100%", "x" * 1500, "x" * 9000)


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand() as running:
        yield running


def requests() -> Iterator[Sent]:
    for at, claims in enumerate(TOKENS):
        token = signed(claims, "secret", "HS256", "{}")
        for index, user in enumerate(USERS):
            named = (("x-user", user),) if index != 2 else ()
            yield Sent(
                "POST" if index % 2 else "GET",
                f"/p{at}{index}?why={quote('w h') if index % 3 else 'w'}",
                (*named, ("authorization", f"Bearer {token}"), ("x-case", str(index)), ("x-a", "")),
            )
    yield Sent("PUT", "/p?why=1", (("x-user", "eve"), ("x-user", "bob"), ("x-case", "1")))
    yield Sent("GET", "/p?why=1", (("x-user", "eve"), ("authorization", "Bearer x"), ("x-case", "a")))


def compared(stand: Stand, rule: str) -> list[tuple[Event, Event]]:
    """What is logged of each request where the sidecar answers, and where the engine does: the client and the
    function have got the same, byte for byte."""
    policy_set, asked = in_memory({"p.rego": HEAD + rule}), list(requests())
    stand.enforce(policy_set, "p/allow", ask=True)
    wanted = [stand.send(each) for each in asked]
    told = sorted(stand.log(len(asked)), key=_place)
    stand.enforce(policy_set, "p/allow")
    for request, engine in zip(asked, wanted, strict=True):
        assert stand.send(request) == engine, request
    return list(zip(sorted(stand.log(len(asked)), key=_place), told, strict=True))


def _place(event: Event) -> tuple[str, str]:
    http = event["input"]["attributes"]["request"]["http"]
    return http["path"], http["method"]


def without(result: Any, pointers: list[str]) -> Any:
    """The result without what these name; each must name something."""
    result = deepcopy(result)
    for each in pointers:
        keys = each.removeprefix("/result/").split("/")
        *way, last = (key.replace("~1", "/").replace("~0", "~") for key in keys)
        place = result
        for key in way:
            place = place[int(key) if isinstance(place, list) else key]
        del place[last]
    return result


HASHED = 'crypto.sha256(http.headers["x-case"])'

MEMBERS = {
    "claims of any type": ('"sub": token.sub, "roles": token.roles, "n": token.n, "all": token', ()),
    "null": ('"x": token.x, "in": {"o": token.o, "list": [token.n, {"deep": token.g}]}', ()),
    "headers": (
        '"id": http.headers["x-user"], "a/b~c": {"method": http.method, "path": http.path}',
        ("/id", "/a~1b~0c/method", "/a~1b~0c/path"),
    ),
    "what nothing writes": (f'"h": {HASHED}, "kept": [{{"h": {HASHED}, "one": 1}}]', ("/h", "/kept/0/h")),
    "numbers": (
        '"case": to_number(http.headers["x-case"]), "at": floor(time.now_ns() / 1000000000000000)',
        ("/case", "/at"),
    ),
    "messages": (
        '"deny": deny, "text": concat("; ", deny), "n": count(deny), "marshalled": json.marshal(deny)',
        ("/deny", "/text", "/marshalled"),
    ),
    "many messages": ('"many": many, "n": count(many), "sorted": [upper(x) | some x in many]', ()),
    "parameters": ('"why": input.parsed_query.why[0], "segment": input.parsed_path[0]', ("/why", "/segment")),
    "joined": (
        '"roles": {r | some r in token.roles}, "g": concat(",", token.roles), "part": split(token.sub, "n")',
        ("/roles", "/g", "/part"),
    ),
    "fails": (
        '"first": token.roles[1], "g": concat(",", token.g), "two": 2 / to_number(http.headers["x-case"])',
        ("/g", "/two"),
    ),
    "comprehensions": (
        '"by": {name: v | some name, v in http.headers}, "walked": [1 | walk(token, _)]',
        ("/by", "/walked"),
    ),
    "all": ('"claims": token, "input": input, "http": http', ("/input", "/http")),
}


@pytest.mark.parametrize(("members", "left_out"), MEMBERS.values(), ids=MEMBERS)
@pytest.mark.parametrize("rest", ['"http_status": 200', '"headers": {"x-by": http.headers["x-case"]}'])
def test_the_outcome_is_the_engine_s_and_so_is_what_the_log_shows(
    stand: Stand, members: str, left_out: tuple[str, ...], rest: str
) -> None:
    rule = f'allow := {{"allowed": true, {rest}, {members}}} if http.headers["x-case"] != "4"'
    rule += f'\n\nallow := {{"allowed": false, {rest}, {members}}} if http.headers["x-case"] == "4"'
    found = compared(stand, rule)
    for native, asked in found:
        erased = [each for each in native.get("erased", []) if each.startswith("/result/")]
        assert {each.removeprefix("/result") for each in erased} <= {*left_out}
        assert without(asked["result"], erased) == native["result"]
        assert native["palisade"]["allowed"] == asked["palisade"]["allowed"]
    assert sum(decider(native) == "native" for native, _ in found) > 0.6 * len(found)


def test_a_table_of_answers_has_its_room_all_the_same() -> None:
    """Each row is there twice, with what the log can have and without."""
    rows = {f"h{at}": f"v{at}" for at in range(MAX_ANSWERS - 10)}
    rule = 'allow := {"allowed": true, "headers": {"x-t": data.rows[http.host]}, "id": http.headers["x-id"]}'
    policy = rego.compile({"p.rego": f"{HEAD.partition('bearer')[0]}{rule}\n"}, {"rows": rows})
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)
    decision = decide(outcome, [])
    assert all(each.native for each in decision.coverage)
    assert len(decision.answers) == 2 * len(rows)
