"""Decisions with a status, headers or a body, given by the sidecar, are those that the engine would give."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest
from answering import compared, decider
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import ExtAuthz
from stand import FUNCTION, Sent, Stand, in_memory

from palisade import rego
from palisade.enforce.envoy.answers import filters
from palisade.enforce.envoy.answers.filters import MAX_ANSWERS, MAX_BYTES, Answer, Answers, answer, gate
from palisade.enforce.envoy.answers.templates import Template
from palisade.enforce.envoy.decision import decide
from palisade.enforce.envoy.matchers.entry import Verdict
from palisade.rego.partial import evaluate
from palisade.rego.text import dumps

LONG = "x" * 16_000

VALUES: dict[str, Any] = {
    "plain": {"allowed": False, "body": "plain"},
    "status": {"allowed": False, "http_status": 429},
    "login": {
        "allowed": False,
        "http_status": 302,
        "headers": {"location": "https://login.example/?to=%2Fa%20b", "set-cookie": ["a=1", "b=2"]},
    },
    "json": {
        "allowed": False,
        "http_status": 401,
        "body": 'nö 100% %REQ(x)% {"a": 1}\n',
        "headers": [
            {"Content-Type": "application/json", "X-Caps": "Yes", "x-two": ["a", "b"]},
            {
                "x-empty": "",
                "x-two": "c",
                "x-%": "%REQ(x-have)% %%",
                "server": "me",
                "www-authenticate": "Bearer",
            },
        ],
    },
    "empty": {"allowed": False, "http_status": 204, "body": "no content may follow"},
    "fine": {
        "allowed": False,
        "http_status": 200,
        "body": "teapot",
        "headers": {"grpc-status": "0", "date": "now"},
    },
    "long": {"allowed": False, "body": LONG, "headers": {"x-long": LONG}},
    "noted": {
        "allowed": False,
        "http_status": 503,
        "dynamic_metadata": {"why": {"n": [1, 2.5, None, "x", True]}},
    },
    "malformed": {"http_status": 200, "headers": {"x-user": "alice"}},
    "badly": {"allowed": False, "headers": {"x y": "z"}},
    "ticket": {
        "allowed": True,
        "http_status": 400,
        "body": "of no use",
        "headers": {
            "x-user": "alice",
            "x-two": ["1", "2"],
            "x-have": "new",
            "x-have2": ["n1", "n2"],
            "x-no": "",
        },
        "request_headers_to_remove": ["x-secret", "Authorization", "x-missing"],
        "response_headers_to_add": {"x-resp": "100%", "x-r2": ["a", "b"], "x-up": "mine", "Server": "mine"},
    },
    "cookie": {
        "allowed": True,
        "headers": {"cookie": ["z=1", "y=2"], "user-agent": "me", "x-%": "%REQ(x-have)%"},
    },
    "nothing": {"allowed": True, "headers": {"x-have": "", "x-no": ""}},
    "both": {"allowed": True, "headers": {"x-secret": "mine"}, "request_headers_to_remove": ["x-secret"]},
    "data": {"allowed": True, "dynamic_metadata": {"team": {"name": "blue", "size": 3}}},
    "idle": {"allowed": True, "http_status": 200, "headers": {}},
}

POLICY = f"""package p

import input.attributes.request.http

default allow := {dumps(VALUES["plain"])}

allow := data.values[http.headers["x-case"]] if http.headers["x-case"] != "plain"
"""

PLAIN = """package p

import input.attributes.request.http

default allow := false

allow if http.headers["x-case"] == "fine"
"""


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand() as running:
        running.reply = (
            b"HTTP/1.1 200 OK\r\nserver: function\r\nx-up: theirs\r\nx-up: t2\r\ncontent-length: 2\r\n\r\nok"
        )
        yield running


def requests() -> Iterator[Sent]:
    """Each value, asked for in each way in which Envoy answers otherwise."""
    have = (("x-have", "old"), ("x-have2", "o1"), ("x-have2", "o2"), ("x-secret", "s"), ("cookie", "c=1"))
    for name in VALUES:
        headers = (*have, ("authorization", "tok"), ("x-case", name))
        yield Sent("GET", "/p?a=1", headers)
        yield Sent("HEAD", "/p", headers)
        yield Sent("POST", "/p", (*headers, ("accept", "application/json")), b"{}")
        yield Sent("POST", "/s/m", (*headers, ("content-type", "application/grpc"), ("te", "trailers")))
        yield Sent("HEAD", "/s/m", (*headers, ("content-type", "application/grpc"), ("te", "trailers")))


def test_the_sidecar_answers_as_the_engine_would(stand: Stand) -> None:
    """Byte for byte, for the client and for the function."""
    policy_set = in_memory({"p.rego": POLICY}, {"values": VALUES})
    asked = list(requests())
    stand.enforce(policy_set, "p/allow", ask=True)
    wanted = [stand.send(each) for each in asked]
    told = stand.log(len(asked))
    enforcement = stand.enforce(policy_set, "p/allow")
    assert all(rule.native for rule in enforcement.coverage)
    for request, engine in zip(asked, wanted, strict=True):
        sidecar = stand.send(request)
        assert sidecar.answer == engine.answer, request
        assert sidecar.reached == engine.reached, request
    for request, native, residual in zip(asked, stand.log(len(asked)), told, strict=True):
        _same_in_the_log(native, residual, request)


def test_a_plain_denial_is_the_same_from_the_sidecar_and_the_engine(stand: Stand) -> None:
    """One kind of 403, whoever decided: without a body, to HTTP, HEAD and gRPC requests."""
    policy_set = in_memory({"p.rego": PLAIN})
    asked = [each for each in requests() if dict(each.headers)["x-case"] in ("plain", "fine")]
    stand.enforce(policy_set, "p/allow", ask=True)
    wanted = [stand.send(each) for each in asked]
    enforcement = stand.enforce(policy_set, "p/allow")
    assert all(rule.native for rule in enforcement.coverage)
    for request, engine in zip(asked, wanted, strict=True):
        assert stand.send(request) == engine, request
    assert {each.status for each in wanted} == {200, 403}
    assert all(b"RBAC" not in each.answer for each in wanted)
    assert {each["palisade"]["decider"] for each in stand.log(2 * len(asked))} == {"native", "residual"}


def _same_in_the_log(native: dict[str, Any], asked: dict[str, Any], request: Sent) -> None:
    assert asked["palisade"]["decider"] == "residual"
    assert native["palisade"]["decider"] == "native"
    assert native["palisade"]["allowed"] == asked["palisade"]["allowed"], request
    assert native["palisade"]["rule"].startswith(("p.rego:7", "p.rego:5")), request
    assert native.get("result") == asked.get("result"), request
    assert native.get("error") == asked.get("error"), request
    if not native["palisade"]["allowed"] and dict(request.headers).get("content-type") is None:
        assert native["palisade"]["status"] == asked["palisade"]["status"], request


def test_the_log_names_a_rule_that_always_holds(stand: Stand) -> None:
    """There is a line to change where a request passes or not."""
    rules = {"default allow := true\n\nallow := false if 1 == 2": 3, "allow if 1 == 1": 3}
    rules |= {"default allow := false": 3, 'allow if input.function == ""\n\nallow if true': 5}
    for rule, row in rules.items():
        stand.enforce(in_memory({"p.rego": f"package p\n\n{rule}\n"}), "p/allow")
        stand.send(Sent())
        [told] = stand.log(1)
        assert told["palisade"]["rule"] == f"p.rego:{row}", rule
        assert told["palisade"]["decider"] == "native"


def test_all_values_of_a_header_arrive(stand: Stand) -> None:
    """Of several values none is lost, and what the function itself says stays."""
    stand.enforce(in_memory({"p.rego": POLICY}, {"values": VALUES}), "p/allow")
    seen = stand.send(Sent("GET", "/p", (("x-case", "ticket"), ("x-have", "old"))))
    stand.log(1)
    assert seen.reached is not None
    assert {b"x-two: 1,2", b"x-have: new", b"x-have2: n1,n2"} <= set(seen.reached.split(b"\r\n"))
    lines = seen.answer.split(b"\r\n")
    assert [each for each in lines if each.startswith((b"x-up", b"x-r2"))] == [
        *(b"x-up: theirs", b"x-up: t2"),
        *(b"x-r2: a", b"x-r2: b", b"x-up: mine"),
    ]


def test_an_upstream_that_is_away_gets_the_same_headers(stand: Stand) -> None:
    """`response_headers_to_add` stand on Envoy's own reply too, as ext_authz has it."""
    policy_set = in_memory({"p.rego": POLICY}, {"values": VALUES})
    request = Sent("GET", "/p", (("x-case", "ticket"),))
    stand.reply, reply = b"nonsense\r\n\r\n", stand.reply
    try:
        stand.enforce(policy_set, "p/allow", ask=True)
        wanted = stand.send(request)
        stand.enforce(policy_set, "p/allow")
        assert stand.send(request).answer == wanted.answer
        assert wanted.status == 502
        stand.log(2)
    finally:
        stand.reply = reply


def test_answers_of_another_revision_are_the_engines(stand: Stand) -> None:
    """The two filters change one after the other: a name that the second does not know is never let pass."""
    policy = 'package p\n\nallow := {"allowed": false, "http_status": 429}'
    stand.enforce(in_memory({"p.rego": policy}), "p/allow")
    for other in (policy.replace("429", "401"), "package p\n\nallow := true"):
        stand.enforce(in_memory({"p.rego": policy}), "p/allow")
        stand.swap(in_memory({"p.rego": other}), "p/allow")
        assert stand.send(Sent()).status == 429, other
        [told] = stand.log(1)
        assert told["palisade"]["decider"] == "residual"


def _decided(rules: str) -> Any:
    policy = rego.compile({"p.rego": f"package p\n\nimport input.attributes.request.http\n\n{rules}"})
    plan = policy.plan(["data.p.allow"])
    return decide(evaluate(plan, ("p", "allow"), policy.data, {("function",): FUNCTION}), [])


def test_the_first_answer_counts() -> None:
    """Answers that differ stand one after the other, never among each other, whatever a map would gain."""
    tests = " else ".join(
        f':= {{"allowed": false, "http_status": {400 + at % 2}}} if http.method == "M{at}"'
        for at in range(12)
    )
    decision = _decided(f"allow {tests}")
    kinds = [(entry.verdict, entry.answer) for entry in decision.entries if entry.answer]
    assert len(set(kinds)) == len(list(groupby(kinds))) == 2


def test_rules_that_answer_alike_share_an_answer() -> None:
    rules = "\n".join(
        f'allow := {{"allowed": true, "headers": {{"x-a": "b"}}}} if http.path == "/{at}"'
        for at in range(100)
    )
    decision = _decided(f"default allow := false\n\n{rules}")
    assert len(decision.answers) == 1
    assert {entry.name.rpartition("%3A")[2] for entry in decision.entries if entry.answer} == {
        str(row) for row in range(7, 107)
    }
    assert all(each.native and each.verdict is Verdict.ALLOW for each in decision.coverage)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"allowed": True, "query_parameters_to_set": {"a": "b"}}, "query parameters"),
        ({"allowed": True, "query_parameters_to_remove": ["a"]}, "query parameters"),
        ({"allowed": True, "headers": {"Host": "other"}}, '"host"'),
        ({"allowed": True, "headers": {":path": "/other"}}, '":path"'),
        ({"allowed": True, "request_headers_to_remove": ["Upgrade"]}, '"upgrade"'),
        ({"allowed": True, "dynamic_metadata": {"palisade": 1}}, '"palisade"'),
        ({"allowed": False, "body": "ü" * 9000}, "16384 bytes"),
    ],
)
def test_what_the_sidecar_cannot_answer(value: Any, why: str) -> None:
    """It is left to the engine, and the account says what it is."""
    found = answer(Template(value, {}))
    assert isinstance(found, str)
    assert why in found
    decision = _decided(f'allow := {dumps(value)} if http.method == "GET"')
    assert decision.residual
    assert [why in each.text for entry in decision.coverage for each in entry.reasons] == [True]


def test_a_table_of_answers_is_the_sidecar_s(stand: Stand) -> None:
    """Each row is an answer of its own; behind the 64th the engine was asked."""
    rows = {f"/old/{at}": f"/new/{at}" for at in range(150)}
    policy = f"""package p

import input.attributes.request.http

default allow := {{"allowed": true, "headers": {{"x-new": "no"}}}}

allow := {{"allowed": false, "http_status": 308, "headers": {{"location": {dumps(rows)}[http.path]}}}}
"""
    asked = [Sent(path=path) for path in ("/old/0", "/old/77", "/old/149", "/old/150", "/old")]
    found = compared(stand, policy, asked)
    assert {decider(each) for each in found} == {"native"}
    assert {each["result"].get("headers", {}).get("location") for each in found} == {
        "/new/0",
        "/new/77",
        "/new/149",
        None,
    }


def test_answers_are_found_by_what_their_names_begin_with() -> None:
    """Of many at most a few are asked for in turn, at each place of the name."""
    answers = Answers()
    made = [answers.to(Template({"allowed": False, "body": str(at)}, {})) for at in range(400)]
    slot = gate(ExtAuthz(), [each for each in made if isinstance(each, Answer)])
    lists = [slot.xds_matcher.matcher_list.matchers[0].on_match.matcher]
    found = 0
    while lists:
        own = lists.pop().matcher_list.matchers
        found += sum(each.on_match.HasField("action") for each in own)
        assert len(own) <= 16
        lists += [each.on_match.matcher for each in own if each.on_match.HasField("matcher")]
    assert found == 400


def test_beyond_the_room_it_is_told_what_makes_one_answer_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was advised to use other headers, which is not what keeps Envoy from it."""
    monkeypatch.setattr(filters, "MAX_ANSWERS", 2)
    rules = [f'allow := {{"allowed": false, "body": "{n}"}} if http.path == "/{n}"' for n in range(3)]
    decision = _decided("\n\n".join(rules))
    [reason] = [each for entry in decision.coverage for each in entry.reasons]
    assert "more than 2 different ones" in reason.text
    assert "one answer for all" in reason.hint


def test_large_answers_have_less_room() -> None:
    """An edit of any sends all of them again."""
    answers = Answers()
    many = 2 * MAX_BYTES // (1 << 14)
    found = [answers.to(Template({"allowed": False, "body": f"{at:>15000}"}, {})) for at in range(many)]
    given = [each for each in found if isinstance(each, Answer)]
    assert MAX_BYTES // 2 < sum(len(part) for each in given for part in each.filters) <= MAX_BYTES
    assert [isinstance(each, Answer) for each in found].index(False) == len(given)
    assert "4 MiB together" in str(found[-1])


def test_so_many_answers_and_no_more() -> None:
    answers = Answers()
    found = [answers.to(Template({"allowed": False, "body": str(at)}, {})) for at in range(MAX_ANSWERS + 2)]
    assert [isinstance(each, Answer) for each in found] == [True] * MAX_ANSWERS + [False] * 2
    assert answers.to(Template({"allowed": False, "body": "0"}, {})) is found[0]
