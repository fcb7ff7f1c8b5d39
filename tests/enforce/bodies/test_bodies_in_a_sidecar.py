"""Bodies in a whole sidecar: what its log says, what changes while a request waits, and what waits at all."""

from __future__ import annotations

import pytest
from stand import Sent, Stand, in_memory

from palisade.enforce.envoy.compile import ASK, BODY, TOLD

JSON = ("content-type", "application/json")
HEAD = "package p\nimport input.attributes.request.http\n"
RULE = 'allow if input.parsed_body.op == "read"\n'
POLICY = """package p
import input.attributes.request.http
allow if { http.method == "POST"; input.parsed_body.op in {"read", "list"} }
allow if { http.method == "PUT"; input.parsed_body.user == http.headers["x-user"]; not input.truncated_body }
allow if http.path == "/open"
"""


def posted(body: bytes, *headers: tuple[str, str], method: str = "POST", path: str = "/") -> Sent:
    return Sent(method, path, (JSON, *headers), body)


def test_the_log_names_the_rule_and_the_sidecar(stand: Stand) -> None:
    """The decision is logged as any native one, and nothing of the body with it."""
    stand.enforce(in_memory({"p.rego": POLICY}), "p/allow")
    asked = [
        posted(b'{"op": "read", "secret": "hunter2"}'),
        posted(b'{"op": "drop", "secret": "hunter2"}'),
        posted(b'{"user": "eve"}', ("x-user", "eve"), method="PUT"),
        posted(b"[" * 100 + b"]" * 100),
    ]
    seen = [stand.send(each) for each in asked]
    assert [each.status for each in seen] == [200, 403, 200, 403]
    told = stand.log(4)
    deciders = sorted((each["palisade"]["decider"], each["palisade"].get("rule", "")) for each in told)
    assert deciders[:3] == [("native", "default"), ("native", "p.rego:3"), ("native", "p.rego:4")]
    assert deciders[3][0] == "residual"
    assert "hunter2" not in str(told)


def test_the_reader_of_another_revision_is_not_believed(stand: Stand) -> None:
    """Slots change one after the other: what was read by another one's wish goes to the engine."""
    stand.enforce(in_memory({"p.rego": POLICY}), "p/allow")
    other = POLICY.replace("parsed_body.op", "parsed_body.other.op")
    stand.swap(in_memory({"p.rego": other}), "p/allow", BODY)
    assert stand.send(posted(b'{"op": "read"}')).status == 200
    assert stand.send(posted(b'{"op": "drop", "other": {"op": "read"}}')).status == 403
    assert [each["palisade"]["decider"] for each in stand.log(2)] == ["residual", "residual"]


@pytest.mark.parametrize("slot", [TOLD, ASK])
def test_a_request_that_waits_for_its_body_outlives_what_stood_behind(stand: Stand, slot: str) -> None:
    """Envoy picked filters by a configuration that was gone by then, and ended by SIGSEGV."""
    answer = 'allow := {{"allowed": false, "http_status": 4{:02}}} if http.path == "/no"\n'
    sets = [in_memory({"p.rego": f"{HEAD}{RULE}{answer.format(each)}"}) for each in range(8)]
    stand.enforce(sets[0], "p/allow")
    asked = [posted(b'{"op": "read"}'), posted(b'{"op": "drop"}'), posted(b"[" * 70 + b"]" * 70)] * 10

    def change() -> None:
        for each in sets[1:]:
            stand.swap(each, "p/allow", slot)

    assert stand.send_around(asked, change) == [200, 403, 403] * 10
    stand.log(len(asked))


def test_nothing_waits_for_a_body_without_need(stand: Stand) -> None:
    """What the head of a request decides is decided before a byte of the body has come."""
    stand.enforce(in_memory({"p.rego": POLICY}), "p/allow")
    for method, path, status in (("DELETE", "/", 403), ("GET", "/", 403)):
        head_only = Sent(method, path, (JSON, ("content-length", "100")))
        assert stand.send(head_only).status == status
    stand.log(2)
