"""Who calls, on a real Envoy with TLS: what the sidecar decides by it is what the engine would.

Each request is decided twice, once by the engine and once as compiled. Certificates have any number of names
of every kind, names that begin alike, and names with commas, controls and letters beyond ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from stand import FUNCTION, Sent, Stand, in_memory

from palisade.explain.sidecar import decided, sight
from palisade.testing.certificates import Pair, TestAuthority

AUTHORITY = TestAuthority()
DECISION = "p/allow"

URIS = (
    "spiffe://a/b",
    "spiffe://a/bc",
    "spiffe://a/b,spiffe://c/d",
    "spiffe://c/d",
    "SPIFFE://a/b",
    "spiffe:/a",
    "spiffe://",
    "https://a/b",
    "",
    "spiffe://a/%2F?x=%CEL(1)%",
    "spiffe://a/'b'\\\"c\"",
    "spiffe://a/b\n",
    "spiffe://a/\x00b",
)
HOSTS = ("a.example", "a.example,b.example", "b.example", "", "spiffe://a/b")
SUBJECTS = (None, {"CN": "a.example"}, {"CN": "spiffe://a/b"}, {"CN": "jürgen, x", "O": "A+B", "C": "DE"})
CALLED = f"spiffe://palisade.local/function/{FUNCTION}"
TEXTS = (
    *URIS,
    *HOSTS,
    "CN=a.example",
    "CN=spiffe://a/b",
    CALLED,
    "C=DE,O=A\\+B,CN=j\\C3\\BCrgen\\, x",
    "CN=j\\C3\\BCrgen\\, x,O=A\\+B,C=DE",
    "spiffe://a/",
    "spiffe://a",
    "spiffe",
    "CN=",
    ",",
    "b",
)


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand(AUTHORITY) as running:
        yield running


_ISSUED: dict[tuple[object, ...], Pair] = {}


def issued(uris: tuple[str, ...], dns: tuple[str, ...], subject: int) -> Pair:
    """A certificate, the same one for the same names."""
    key = (uris, dns, subject)
    if key not in _ISSUED:
        _ISSUED[key] = AUTHORITY.issue(uris=uris, dns=dns, subject=SUBJECTS[subject])
    return _ISSUED[key]


def names(of: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(of), max_size=2).map(tuple)


CALLERS = st.none() | st.builds(issued, names(URIS), names(HOSTS), st.integers(0, len(SUBJECTS) - 1))


def quoted(text: str) -> str:
    return json.dumps(text)


WHO = st.sampled_from(
    (
        "input.peer",
        "input.attributes.source.principal",
        'object.get(input.attributes.source, "principal", "")',
        "input.attributes.destination.principal",
    )
)
ONE = st.sampled_from(TEXTS).map(quoted)
SOME = st.lists(ONE, min_size=1, max_size=8).map(", ".join)

CONDITIONS = st.one_of(
    st.builds("{} == {}".format, WHO, ONE),
    st.builds("{} != {}".format, WHO, ONE),
    st.builds("{} in {{{}}}".format, WHO, SOME),
    st.builds("not {} in {{{}}}".format, WHO, SOME),
    st.builds("{} in data.many".format, WHO),
    st.builds("data.grants[{}][_] == input.attributes.request.http.method".format, WHO),
    st.builds("startswith({}, {})".format, WHO, ONE),
    st.builds("startswith({}, data.prefixes[_])".format, WHO),
    st.builds("endswith({}, {})".format, WHO, ONE),
    st.builds("contains({}, {})".format, WHO, ONE),
    st.builds("regex.match(`^spiffe://[^/,]+/b`, {})".format, WHO),
    st.builds("{} == input.attributes.request.http.headers.x".format, WHO),
    st.builds('split({}, "/")[2] == {}'.format, WHO, ONE),
    st.builds('trim_prefix({}, "spiffe://") == "a/b"'.format, WHO),
    st.builds('trim_prefix({}, "spiffe://a/") in data.functions'.format, WHO),
    st.builds('glob.match("spiffe://*/b", ["/"], {})'.format, WHO),
    st.builds("lower({}) == {}".format, WHO, ONE),
    st.builds("count({}) > 10".format, WHO),
    st.builds('[_, _, domain, name] := split({}, "/"); domain == "a"; name in data.functions'.format, WHO),
    st.builds('input.attributes.request.http.headers.x == concat("/", ["spiffe:/", {}])'.format, WHO),
    WHO,
    st.just("not input.peer"),
    st.just("not input.attributes.source.principal"),
    st.just("input.peer == input.attributes.source.principal"),
    st.just("input.attributes.source.certificate"),
    st.builds("is_string({})".format, WHO),
    st.builds("{}.x".format, st.sampled_from(("input.peer", "input.attributes.source.principal"))),
)
# A variable is declared once in a body.
BODIES = st.lists(CONDITIONS, min_size=1, max_size=2).filter(
    lambda body: sum(":=" in each for each in body) < 2
)
RULES = st.lists(BODIES, min_size=1, max_size=4)

DATA = {
    "many": [f"spiffe://a/{n}" for n in range(40)] + ["spiffe://a/b", "CN=a.example"],
    "grants": {each: ["GET"] for each in ("spiffe://a/b", "spiffe://c/d", "a.example", "spiffe://a/x", "")},
    "functions": ["b", "bc", "d"],
    "prefixes": ["spiffe://a/b", "spiffe://c/", "CN=", "a."],
}


def policy(rules: list[list[str]]) -> str:
    bodies = ("\n\t".join(each) for each in rules)
    return "package p\n\ndefault allow := false\n\n" + "\n\n".join(f"allow if {{\n\t{b}\n}}" for b in bodies)


REQUEST = Sent(headers=(("x", "spiffe://a/b"),))


def outcomes(stand: Stand, callers: list[Pair | None]) -> list[tuple[int, bytes | None]]:
    """The status of each caller's request, and what the function got of it."""
    found = (stand.send(REQUEST, each) for each in callers)
    return [(each.status, each.reached) for each in found]


@settings(max_examples=examples(40))
@given(RULES, st.lists(CALLERS, min_size=4, max_size=8))
def test_the_sidecar_decides_by_who_calls_as_the_engine_does(
    stand: Stand, rules: list[list[str]], callers: list[Pair | None]
) -> None:
    policies = in_memory({"p.rego": policy(rules)}, DATA)
    enforcement = stand.enforce(policies, DECISION)
    native = outcomes(stand, callers)
    events = stand.log(len(callers))
    stand.enforce(policies, DECISION, ask=True)
    asked = outcomes(stand, callers)
    stand.log(len(callers))
    assert native == asked
    if all(each.native for each in enforcement.coverage):
        assert {each["palisade"]["decider"] for each in events} == {"native"}


@pytest.mark.parametrize(
    ("rule", "passing"),
    [
        ('input.peer == "spiffe://a/b"', {"one", "two"}),
        ('input.attributes.source.principal == "a.example"', {"dns"}),
        ('input.attributes.source.principal == "CN=cn"', {"subject"}),
        ('startswith(input.peer, "spiffe://a/")', {"one", "two", "comma"}),
        ("input.peer in {`spiffe://a/b,spiffe://c/d`, `x`}", {"comma"}),
        ("not input.attributes.source.principal", {"nobody", "nameless"}),
        ("not input.peer", {"nobody", "nameless", "dns", "subject"}),
        ("data.grants[input.peer][_] == `GET`", {"one", "two"}),
    ],
)
def test_each_kind_of_caller_is_decided_natively(stand: Stand, rule: str, passing: set[str]) -> None:
    callers = {
        "nobody": None,
        "nameless": issued((), (), 0),
        "one": issued(("spiffe://a/b",), (), 0),
        "two": issued(("spiffe://a/b", "spiffe://c/x"), ("a.example",), 1),
        "comma": issued(("spiffe://a/b,spiffe://c/d",), (), 0),
        "dns": issued((), ("a.example", "b.example"), 1),
        "subject": AUTHORITY.issue(subject={"CN": "cn"}),
    }
    enforcement = stand.enforce(in_memory({"p.rego": policy([[rule]])}, DATA), DECISION)
    assert all(each.native for each in enforcement.coverage)
    found = dict(zip(callers, outcomes(stand, list(callers.values())), strict=True))
    assert {name for name, outcome in found.items() if outcome[0] == 200} == passing
    events = stand.log(len(callers))
    assert {each["palisade"]["decider"] for each in events} == {"native"}
    for name, event in zip(callers, events, strict=True):
        read = decided(enforcement.snapshot, sight(enforcement.snapshot, event["input"]))
        assert read.allowed == (name in passing), "`palisade explain` reads the configuration as Envoy does"
    logged = [each["input"]["attributes"]["source"].get("principal") for each in events]
    expected = (None, None, "spiffe://a/b", "spiffe://a/b", "spiffe://a/b,spiffe://c/d", "a.example", "CN=cn")
    assert logged == list(expected)


CALLED_BY = """package p

default allow := false

allow if input.attributes.destination.principal == "%s"

allow if {
	input.attributes.request.http.path == "/other"
	not startswith(input.attributes.destination.principal, "spiffe://")
}
"""


def test_who_is_called_is_known_by_the_certificate_that_the_sidecar_shows(stand: Stand) -> None:
    """Policies written for meshes name both ends. One who comes without a certificate is told the same."""
    for named, status in ((CALLED, 200), ("spiffe://a/b", 403)):
        enforcement = stand.enforce(in_memory({"p.rego": CALLED_BY % named}), DECISION)
        assert all(each.native for each in enforcement.coverage)
        native = outcomes(stand, [None, issued(("spiffe://a/b",), (), 0)])
        assert [status for status, _ in native] == [status] * 2
        events = stand.log(2)
        assert {each["palisade"]["decider"] for each in events} == {"native"}
        document = events[0]["input"]
        document["attributes"]["destination"] = {"principal": CALLED}
        assert decided(enforcement.snapshot, sight(enforcement.snapshot, document)).allowed == (status == 200)
        stand.enforce(in_memory({"p.rego": CALLED_BY % named}), DECISION, ask=True)
        assert outcomes(stand, [None, issued(("spiffe://a/b",), (), 0)]) == native
        stand.log(2)


ANSWERS = """package p

default allow := {"allowed": false, "http_status": 401, "body": "show a certificate"}

allow := {"allowed": true, "headers": {"x-caller": input.peer, "x-for": concat("", ["by ", input.peer])}} if {
	startswith(input.peer, "spiffe://a/")
}

else := {"allowed": false, "body": sprintf("not for %s", [who]), "headers": {"x-who": who}} if {
	who := input.attributes.source.principal
}
"""


def test_answers_that_name_the_caller_are_those_of_the_engine(stand: Stand) -> None:
    """Byte for byte, to the client and to the function; and the log shows what was answered."""
    callers = {
        "nobody": None,
        "peer": issued(("spiffe://a/b",), (), 0),
        "odd": issued(("spiffe://a/%2F?x=%CEL(1)%",), (), 0),
        "quoted": issued(("spiffe://a/'b'\\\"c\"",), (), 0),
        "broken": issued(("spiffe://a/b\n",), (), 0),
        "dns": issued((), ("a.example,b.example",), 1),
        "subject": issued((), (), 3),
    }
    policies = in_memory({"p.rego": ANSWERS})
    enforcement = stand.enforce(policies, DECISION)
    assert all(not each.always for rule in enforcement.coverage for each in rule.reasons)
    native = [stand.send(REQUEST, each) for each in callers.values()]
    told = by_caller(stand.log(len(callers)))
    stand.enforce(policies, DECISION, ask=True)
    asked = [stand.send(REQUEST, each) for each in callers.values()]
    known = by_caller(stand.log(len(callers)))
    assert native == asked
    deciders = {principal: each["palisade"]["decider"] for principal, each in told.items()}
    assert deciders == dict.fromkeys(known, "native") | {"spiffe://a/b\n": "residual"}
    for principal, event in told.items():
        assert event["result"] == known[principal]["result"]


def by_caller(events: list[dict[str, Any]]) -> dict[str | None, dict[str, Any]]:
    """Entries of the log by the principal; of their answers all but the bodies, which native ones lack."""
    for event in events:
        event["result"].pop("body", None)
    return {each["input"]["attributes"]["source"].get("principal"): each for each in events}
