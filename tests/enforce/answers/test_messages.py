"""Answers that tell of many messages which ones a request gets are what the engine would answer."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import jwt
import pytest
from answering import compared, decider, place
from stand import Sent, Stand, in_memory

from palisade.enforce.envoy.answers.filters import Answer, Answers
from palisade.enforce.envoy.answers.templates import Template
from palisade.enforce.envoy.decision import Decision
from palisade.enforce.envoy.matchers import dealing
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import NO, YES, Text, one_of
from palisade.enforce.envoy.parts import Rules, in_parts
from palisade.enforce.envoy.values.sources import PATH_TEXT, state_text
from palisade.enforce.envoy.whole import Place, whole
from palisade.policy.inventory import Address, Function, Inventory
from palisade.policy.revisions import build

BEARER = 'split(http.headers.authorization, " ")[1]'
VERIFIED = f'token := t if [true, _, t] = io.jwt.decode_verify({BEARER}, {{"secret": "{"s" * 64}"}})'
POLICY = f"""package p

import input.attributes.request.http

h := http.headers

{VERIFIED}

deny contains "no token" if not token

deny contains "a \\"quoted\\" \\\\ one" if h["x-a"]

deny contains "método <&> 100% %REQ(x-a)%\\n" if h["x-b"]

deny contains sprintf("role %s may not %v", [token.role, http.method]) if token.role != "admin"

deny contains sprintf("size %d", [token.size]) if token.size > 9

deny contains $"path {{http.path}}" if h["x-c"]

deny contains "twice" if h["x-d"]

deny contains "twice" if h["x-e"]

deny contains concat("", ["domain ", split(h["x-mail"], "@")[1]]) if h["x-mail"]

plain contains text if {{
	some text in ["a", "b", "c", "d", "e", "f"]
	h[sprintf("x-%s", [text])]
}}

default allow := {{"allowed": true}}

allow := {{"allowed": false, "body": reason, "headers": {{"x-n": "n"}}}} if {{
	startswith(http.path, "/text")
	reason := concat("; ", deny)
	reason != ""
}}

allow := {{
	"allowed": count(deny) == 0,
	"http_status": 422,
	"body": json.marshal({{"errors": deny, "of": [http.method], "z": 1}}),
}} if startswith(http.path, "/json")

errors contains {{"field": name, "why": "missing"}} if {{
	some name in ["x-a", "x-b", "x-c", "x-d", "x-e", "x-f"]
	not h[name]
}}

allow := {{
	"allowed": false,
	"headers": {{"x-why": concat(", ", plain), "x-first": sprintf("<%s>", [concat("|", sort(plain))])}},
	"body": json.marshal(errors),
}} if startswith(http.path, "/head")

faults contains {{"code": code, "why": why}} if {{
	some name, [code, why] in {{"x-a": [400, "z"], "x-b": [401, "y"], "x-c": [402, "x"], "x-d": [404, "w"]}}
	h[name]
}}

faults contains {{"code": 403, "why": sprintf("role %s", [token.role])}} if token.role != "admin"

faults contains {{"code": 429, "why": "v"}} if {{ h["x-e"]; not h["x-d"] }}

faults contains {{"code": 410, "why": "u"}} if h["x-mail"]

allow := {{
	"allowed": false,
	"http_status": max([fault.code | some fault in faults]),
	"headers": {{"x-least": format_int(min({{fault.code | some fault in faults}}), 10)}},
	"body": concat("; ", [fault.why | some fault in faults]),
}} if {{
	startswith(http.path, "/worst")
	count(faults) > 0
}}

allow := {{
	"allowed": false,
	"headers": {{"x-n": sprintf("%d", [count(plain)])}},
	"body": concat(", ", sort([text | some text in plain])),
}} if {{
	startswith(http.path, "/many")
}}

allow := {{"allowed": false, "body": concat("; ", sort([text | some text in deny]))}} if {{
	startswith(http.path, "/sorted")
}}

allow := {{
	"allowed": false,
	"body": json.marshal({{"errors": {{fault.code: fault.why | some fault in faults}}, "z": [http.method]}}),
}} if startswith(http.path, "/coded")

named["x-a"] := "z" if h["x-a"]

named["x-9"] := ["<9>", token.role] if h["x-b"]

named["x-10"] := token.role if h["x-c"]

named["é\\"x"] := {{"size": [9], "why": null}} if h["x-d"]

named["x-a"] := "z" if {{ h["x-a"]; h["x-b"] }}

named["x-a"] := "other" if {{ h["x-e"]; not h["x-a"] }}

named[name] := at if {{ some at, name in ["never", "not", "none", "no"]; h[name] }}

named.m := "m" if h["x-mail"]

named.role := sprintf("may not %s", [http.method]) if token.role != "admin"

named.n := [] if h["x-none"]

named.o := {{}} if not h["x-a"]

allow := {{"allowed": false, "body": json.marshal(named)}} if startswith(http.path, "/named")

allow := {{
	"allowed": false,
	"http_status": 200,
	"body": json.marshal({{"errors": [{{"message": why, "n": [1]}} | some why in sort(deny)], "data": null}}),
}} if startswith(http.path, "/graph")
"""
NAMES = ("x-a", "x-b", "x-c", "x-d", "x-e")
WAYS = ("text", "json", "head", "worst", "many", "sorted", "coded", "named", "graph")


def _asked() -> list[Sent]:
    tokens: list[dict[str, object] | None] = [
        {"role": "admin"},
        {"role": "clerk", "size": 7},
        {"role": "clerk", "size": 10},
        {"role": 'a"b'},
        {"role": "ü"},
        {"role": ["a"]},
        None,
    ]
    sent: list[Sent] = []
    for at, held in enumerate(product((False, True), repeat=len(NAMES))):
        headers = [(name, "1") for name, holds in zip(NAMES, held, strict=True) if holds]
        token = tokens[at % len(tokens)]
        if token is not None:
            signed = jwt.encode(token, "s" * 64, algorithm="HS256")
            headers.append(("authorization", f"Bearer {signed}"))
        if at % 4 < 2:
            headers.append(("x-mail", ("a@b.example", "odd")[at % 2]))
        sent += [Sent("GET", f"/{way}/{at}", tuple(headers)) for way in WAYS]
    return sent


@pytest.mark.long
def test_each_set_of_messages_is_told_as_the_engine_tells_it(stand: Stand) -> None:
    """As text, in JSON and in headers, with what is escaped there, values of the request and messages that
    stand under two conditions, or in objects with the status of the worst of them, and as objects with an
    entry for each; nearly all by the sidecar.
    A value that is no plain text is the engine's."""
    found = compared(stand, POLICY, _asked())
    deciders = Counter((place(each)[0].split("/")[1], decider(each)) for each in found)
    # Without any of the conditions a header would be empty. Of seven tokens three make the engine tell, and
    # in JSON four; where there are no messages at all, the default allows.
    assert deciders["head", "native"] == 31
    assert deciders["text", "native"] == 23
    assert deciders["json", "native"] == 14
    assert deciders["worst", "native"] == 28
    assert deciders["many", "native"] == 32
    assert deciders["sorted", "native"] >= 23
    assert deciders["coded", "native"] == 19
    assert deciders["graph", "native"] == 14
    assert deciders["named", "native"] == 29  # a claim that stands there by itself may be no text


LOOPED = f"""package p

import input.attributes.request.http

{VERIFIED}

deny contains "private" if {{ some segment in input.parsed_path; startswith(segment, "_") }}

deny contains "banned" if {{ some role in token.roles; role in ["bad", "evil"] }}

deny contains "twice" if {{ some i, j in input.parsed_path; some k, l in input.parsed_path; i < k; j == l }}

deny contains "debug" if {{ some name, _ in http.headers; startswith(name, "x-debug") }}

deny contains "debug" if input.parsed_query.debug

default allow := {{"allowed": false}}

allow := {{"allowed": true}} if count(deny) == 0

allow := {{"allowed": false, "http_status": 400, "body": concat("; ", deny)}} if count(deny) > 0
"""


@pytest.mark.long
def test_constant_messages_stand_under_loops_over_the_request(stand: Stand) -> None:
    """They were for the engine with their whole answer, though it is only asked whether some member is so."""
    tokens = [
        {"authorization": f"Bearer {jwt.encode({'roles': roles}, 's' * 64, algorithm='HS256')}"}
        for roles in (["a"], ["a", "evil"], ["bad", "evil"], "evil", [])
    ]
    drawn = product(
        ("/a/b?", "/_a/b?", "/a/_b?debug=1&", "/a/x/a?", "/_/_?", "/?debug&", "/_%61?"),
        ({}, *tokens),
        ({}, {"x-debug-all": "1"}),
    )
    sent = [
        Sent("GET", f"{path}n={at}", tuple({**token, **extra}.items()))
        for at, (path, token, extra) in enumerate(drawn)
    ]
    found = compared(stand, LOOPED, sent)
    assert {each["result"]["allowed"] for each in found} == {True, False}
    native = Counter(decider(each) for each in found)["native"]
    assert native > 0.7 * len(sent), native


def test_a_message_without_a_letter_stands_between_the_others(stand: Stand) -> None:
    """The script left it out, and one separator with it: the engine tells it."""
    messages = {**dict(enumerate("abcdef")), "none": ""}
    rules = "".join(f'deny contains "{text}" if http.headers["x-{at}"]\n\n' for at, text in messages.items())
    answer = 'allow := {"allowed": false, "body": concat(",", deny)}\n'
    policy = f"package p\nimport input.attributes.request.http\n\n{rules}{answer}"
    held = (("x-1", "1"), ("x-4", "1"))
    found = compared(stand, policy, [Sent(headers=held), Sent(headers=(*held, ("x-none", "1")))])
    assert sorted(map(decider, found)) == ["native", "residual"]


def test_the_same_messages_under_other_conditions_are_another_answer(stand: Stand) -> None:
    """Both were told by the conditions of the first: who came by the second got none of them."""
    rules = "".join(
        f'{name} contains "{each}" if http.headers["x-{each}"] == "{value}"\n'
        for name, value in {"deny": 1, "warn": 2}.items()
        for each in "abcdef"
    )
    rules += "".join(
        f'allow := {{"allowed": false, "body": concat(",", {name})}} if http.path == "/{name}"\n'
        for name in ("deny", "warn")
    )
    policy = f"package p\nimport input.attributes.request.http\n\n{rules}"
    asked = [
        Sent("GET", f"/{name}", (("x-a", value), ("x-d", value)))
        for name, value in (("deny", "1"), ("warn", "2"))
    ]
    found = compared(stand, policy, asked)
    assert [decider(each) for each in found] == ["native"] * 2


def test_what_only_messages_read_is_laid_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule need not read it. That the attributes are those of its own revision it asks even so, and in
    parts of its own layout, as filters change one after the other."""
    for limit, value in {"WORTH": 60, "_MOST_IN_ONE": 10**9, "_MOST_COPIES": 10**9}.items():
        monkeypatch.setattr(dealing, limit, value)
    read = Text("read", state_text("palisade.read").config, "palisade.read", "%REQ(x-read)%")
    told = Template({"allowed": False, "body": "?"}, {}, asked=(one_of(read, ("a",)),))
    answer = Answers().to(told)
    assert isinstance(answer, Answer)
    assert answer.texts == (read,)
    rules = [Entry(one_of(PATH_TEXT, (f"/{at}",)), Verdict.ALLOW, f"p.rego:{at}") for at in range(70)]
    last = Entry(YES, Verdict.DENY, answer.name("p.rego:99"), answer.prefix)
    function = Function("orders", Address("127.0.0.1", 1), Address("127.0.0.1", 1))
    inventory = Inventory(Path("/palisade.yaml"), Path("/"), {"orders": function}, "p/allow")
    revision = build(inventory, in_memory({"p.rego": "package p\n\nallow := true"}))
    place = Place(Decision(tuple(rules), last, (), (answer,)), None, NO)
    rbac, texts, *_ = whole(place, revision, None, 8)
    assert texts == (read,)
    assert b"palisade.revision" in rbac.SerializeToString()
    found = [in_parts(Rules(rules, last, own), "r", linear=8) for own in ((), answer.texts)]
    assert [each and each.texts for each in found] == [(), (read,)]
    assert len({each and each.layout.form for each in found}) == 2


DEFAULTED = """package p

import input.attributes.request.http

user := name if name := http.headers["x-user"] else := "unknown"

tenant := object.get(http.headers, "x-tenant", "none")

deny contains sprintf("path for %s", [user]) if not startswith(http.path, "/free")

deny contains sprintf("method for %s", [tenant]) if http.method != "GET"

allow := {
	"allowed": count(deny) == 0,
	"body": concat("; ", deny),
	"headers": {
		"x-why": json.marshal({"reasons": deny, "first": sort(deny)}),
		"x-count": format_int(count(deny), 10),
	},
}
"""


def test_messages_have_values_with_a_default(stand: Stand) -> None:
    """One message, or several of which the order is known: where the value is there, and where it is not."""
    sent: list[Sent] = []
    for at, user in enumerate(("ann", "", "a b", 'a"b', "é", None)):
        for turn, tenant in enumerate(("t", None)):
            given = {"x-user": user, "x-tenant": tenant}
            headers = tuple((name, value) for name, value in given.items() if value is not None)
            for method in ("GET", "PUT"):
                sent += [Sent(method, f"/{path}?{at}{turn}", headers) for path in ("free", "x")]
    found = compared(stand, DEFAULTED, sent)
    natively = [place(each) for each in found if decider(each) == "native"]
    assert {
        (f"/x?{at}{turn}", method) for at in (0, 2, 5) for turn in (0, 1) for method in ("GET", "PUT")
    } <= {*natively}
