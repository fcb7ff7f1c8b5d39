"""What patterns capture, laid down once: it is what expressions capture, and no decision depends on it."""

from __future__ import annotations

import pytest
import re2
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata_pb2 import Config
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from google.protobuf.message import Message
from hypothesis import assume, given
from hypothesis import strategies as st
from stand import Sent, Stand, in_memory

from palisade.enforce.envoy.compile import NATIVE
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.captures import (
    CAPTURES,
    MOST_LAID,
    Capture,
    Capturing,
    capturing,
)
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import (
    YES,
    Check,
    all_of,
    any_of,
    header_text,
    negate,
    one_of,
)
from palisade.enforce.envoy.matchers.tree import build
from palisade.rego.re2_options import QUIET
from palisade.xds.resources import EXTENSION

SEGMENT = "^/(?:[!-.0->@-~]*/){1}([!-.0->@-~]*)(?:[/?](?s:.*))?$"
PATTERNS = (
    SEGMENT,
    "(?s)^[^?]*[?](?:[^&]*&)*?id=([^&]*)(?:&.*)?$",
    "/t([a-z]*)/|x(y)?",
    "^/a(b*)|c$",
    "(?:/([a-z]+))?$",
    "(?s)^(.*?)/$",
    "[a-z]+([0-9])",
)


def taken(pattern: str, text: str, group: int, *, whole: bool) -> str | None:
    """What an expression captures, None where it is an error."""
    compiled = re2.compile(pattern, QUIET)
    found = (compiled.fullmatch if whole else compiled.search)(text)
    return None if found is None else found[group] or ""


@given(st.sampled_from(PATTERNS), st.text("/abctxyé?&=id0\n", max_size=12), st.integers(1, 2), st.booleans())
def test_the_filter_writes_what_an_expression_captures(
    pattern: str, header: str, group: int, whole: bool
) -> None:
    """Or all of it where the pattern finds nothing, which is asked, too."""
    assume(group <= re2.compile(pattern, QUIET).groups)
    capture = Capture(":path", pattern, group, whole)
    rewriting = re2.compile(f"^(?:{capture.of_all})$", QUIET)
    found = taken(pattern, header, group, whole=whole)
    assert (re2.fullmatch(capture.of_all, header, QUIET) is None) == (found is None)
    assert rewriting.sub(f"\\{group}", header) == (header if found is None else found)


def path_is(call: str, *more: str) -> Check:
    found = cel.call(call, cel.header(":path"), *map(cel.text, (SEGMENT, *more)))
    return cel.check(cel.equal(found, cel.header("x-user")))


OTHER = cel.check(cel.equal(cel.header("x-user"), cel.header("x-other")))


@pytest.mark.parametrize(
    "kept",
    [
        OTHER,
        path_is("re.extract", "is \\1"),  # of a path without a match there would be a text, too
        path_is("re.extract", "\\0"),
        cel.check(
            cel.equal(cel.call("re.capture", cel.header(":path"), cel.text("^/([a-é]+)$")), cel.text("a"))
        ),
        cel.check(cel.equal(cel.call("re.capture", cel.header("x-a"), cel.text(SEGMENT)), cel.text("a"))),
        cel.check(cel.equal(cel.call("re.capture", cel.header("cookie"), cel.text(SEGMENT)), cel.text("a"))),
    ],
)
def test_what_is_no_capture_of_the_target_or_the_host_is_asked_as_it_was(kept: Check) -> None:
    """The filter reads Latin-1. Of other headers a request may have several."""
    capturing_ = Capturing(9)
    assert capturing_.of(kept) is kept
    assert not capturing_.texts


@pytest.mark.parametrize(
    ("found", "whole"), [(path_is("re.capture"), True), (path_is("re.extract", "\\1"), False)]
)
def test_others_stand_beside_what_reads_the_metadata(found: Check, whole: bool) -> None:
    """What is laid down is asked first."""
    capture = Capture(":path", SEGMENT, 1, whole)
    reading = cel.check(cel.equal(capture.expr(), cel.header("x-user")))
    expected = any_of((all_of((capture.laid(), reading)), all_of((negate(capture.laid()), found))))

    capturing_ = Capturing(9)
    assert capturing_.of(found) == expected
    assert list(capturing_.texts) == [capture.text]


def test_only_so_many_expressions_are_written_twice() -> None:
    """Each takes Envoy 8 kB, and rules come by the ten thousand."""
    found = path_is("re.capture")
    capturing_ = Capturing(1)
    assert capturing_.of(found) != found
    assert capturing_.of(found) is found


def test_only_so_many_captures_are_laid_down() -> None:
    """Each is made of every request, also of one that no rule asks for it."""
    texts = [Capture(":path", f"^/{n}/([a-z]+)$", 1, True).text for n in range(MOST_LAID + 1)]
    assert len(capturing(texts).request_rules) == MOST_LAID
    assert isinstance(capturing([]), RBAC)


POLICY = """package p

import input.attributes.request.http

user := http.headers["x-user"]

allow if user == input.parsed_path[1]

allow if {
    input.parsed_path[0] == "of"
    not user == input.parsed_path[2]
}
"""

LONG = "x" * 9000
REQUESTS = [
    *(Sent(path=path, headers=(("x-user", "alice"),)) for path in ("/u/alice", "/u/alice/a?b=/c", "/u/bob")),
    *(Sent(path=path, headers=(("x-user", "alice"),)) for path in ("/of/x/alice", "/of/x/bob", "/of/x", "/")),
    *(Sent(path=path, headers=(("x-user", ""),)) for path in ("/u/", "/u", "/of/x/", "/u//a")),
    *(Sent(path=path, headers=(("x-user", LONG),)) for path in (f"/u/{LONG}", f"/u/{LONG}y")),
    Sent(path=f"/of/x/{LONG}", headers=(("x-user", LONG),)),
    *(Sent(path=path, headers=(("x-user", path),)) for path in ("/u", "/of/x", "/")),
    Sent(path="/u/%61lice", headers=(("x-user", "alice"),)),
    Sent(path="/u/a%20b", headers=(("x-user", "a b"),)),
]


def _slot(filter_: Message, name: str = CAPTURES) -> TypedExtensionConfig:
    found = TypedExtensionConfig(name=name)
    found.typed_config.Pack(filter_)
    return found


@pytest.fixture
def laid(stand: Stand) -> Config:
    """What its sidecar gets to capture for the policy, which is in force."""
    enforcement = stand.enforce(in_memory({"p.rego": POLICY}), "p/allow")
    config = Config()
    assert enforcement.snapshot.resources[EXTENSION][CAPTURES].typed_config.Unpack(config)
    return config


def test_no_decision_depends_on_the_filter(stand: Stand, laid: Config) -> None:
    """It leaves out what is empty or long. A sidecar of an older release has no place for it."""
    wanted, seen, _ = stand.both_ways(in_memory({"p.rego": POLICY}), "p/allow", REQUESTS)
    assert seen == wanted
    assert {200, 403} <= set(seen)
    stand.enforce(in_memory({"p.rego": POLICY}), "p/allow", instead=[_slot(RBAC())])
    assert [stand.send(request).status for request in REQUESTS] == wanted
    stand.log(len(REQUESTS))


def test_expressions_read_what_it_wrote(stand: Stand, laid: Config) -> None:
    """Were it to write something else, they would decide by that: nothing else is evaluated."""
    wrong = Config()
    wrong.CopyFrom(laid)
    for rule in wrong.request_rules:
        rule.on_header_present.regex_value_rewrite.substitution = "mallory"
    stand.enforce(in_memory({"p.rego": POLICY}), "p/allow", instead=[_slot(wrong)])
    request = Sent(path="/u/alice", headers=(("x-user", "mallory"),))
    assert stand.send(request).status == 200
    stand.log(1)


@pytest.mark.parametrize("function", ["re.capture", "re.extract"])
def test_expressions_capture_so_on_a_real_envoy(stand: Stand, function: str) -> None:
    """Of all of a text, or of what is found in it."""
    paths = ("/u/alice", "/u/alice/b?c", "/x?a=1&id=7&id=8", "/ta/", "/y/xy", "/abb", "/ab12", "/a/b/")
    form = ["\\1"] if function == "re.extract" else []
    wanted, rules = {}, []
    for number, pattern in enumerate(PATTERNS):
        found = cel.call(function, cel.header(":path"), *map(cel.text, (pattern, *form)))
        asked = one_of(header_text("x-of"), [str(number)])
        rules.append(all_of((asked, cel.check(cel.equal(found, cel.header("x-user"))))))
        for path in paths:
            wanted[number, path] = taken(pattern, path, 1, whole=function == "re.capture")
    rule = Entry(any_of(rules), Verdict.ALLOW, "p.rego:1")
    native = RBAC(matcher=build([rule], Entry(YES, Verdict.DENY, "p.rego:2")).matcher)
    stand.enforce(in_memory({"p.rego": POLICY}), "p/allow", instead=[_slot(native, NATIVE)])
    for (number, path), user in wanted.items():
        request = Sent(path=path, headers=(("x-of", str(number)), ("x-user", user or "")))
        assert stand.send(request).status == (403 if user is None else 200), (number, path)
    assert len(set(map(bool, wanted.values()))) == 2
    stand.log(len(wanted))
