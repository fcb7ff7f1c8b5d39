"""What is put together and compared with the target is taken out of it: the two say the same."""

from __future__ import annotations

import pytest
import re2
from cel.expr.syntax_pb2 import Expr
from hypothesis import example, given
from hypothesis import strategies as st
from stand import Sent, Stand, in_memory

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.captures import CAPTURES, Capturing
from palisade.enforce.envoy.matchers.framed import Framed, framed
from palisade.rego.re2_options import QUIET
from palisade.xds.resources import EXTENSION

USER = cel.header("x-user")
TARGET, BARE = cel.header(":path"), cel.field(cel.name("request"), "url_path")
TEXTS = st.text("/ab?\n", max_size=4)


def wanted(asked: Framed, target: str, value: str) -> bool:
    text = target.partition("?")[0] if asked.bare else target
    whole = asked.before + value + asked.behind
    return text.startswith(whole) if asked.more else text == whole


def told(asked: Framed, target: str, value: str) -> bool | None:
    """What is known by the capture; None where the expression is asked as it was."""
    if not re2.fullmatch(asked.plain, target, QUIET):
        return None
    found = re2.search(asked.capture, target, QUIET)
    if found[1] == value:
        return True
    return None if asked.more and asked.behind[0] in value else False


@example("/u/", "/", "/u/a/b/", "a/b", "", False, True)
@example("/u/", "", "/u/a?b", "a", "", True, False)
@given(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, st.booleans(), st.booleans())
def test_what_is_taken_out_says_the_same(
    before: str, behind: str, target: str, value: str, rest: str, bare: bool, more: bool
) -> None:
    """Of targets that nearly are of the form, too."""
    asked = framed(expression(before, behind, bare=bare, more=more))
    if asked is None:
        assert (bare and "?" in before + behind) or (more and not behind) or not before + behind
        return
    assert (asked.before, asked.behind, asked.bare, asked.more) == (before, behind, bare, more)
    for each in (target, before + value + behind, before + value + behind + rest, before + target + behind):
        said = told(asked, each, value)
        assert said in (None, wanted(asked, each, value)), each
    if behind[:1] not in value and not (bare and "?" in value):
        assert told(asked, before + value + behind, value), (
            "what is asked for is found without the expression"
        )


def expression(before: str, behind: str, *, bare: bool = False, more: bool = False) -> Expr:
    target, text = BARE if bare else TARGET, cel.between(before, USER, behind)
    return cel.method(target, "startsWith", text) if more else cel.equal(text, target)


@pytest.mark.parametrize(
    "kept",
    [
        cel.equal(cel.header("x-a"), cel.between("/u/", USER, "/")),
        cel.equal(TARGET, USER),
        cel.equal(TARGET, cel.put_before(USER, "/", cel.header("x-a"))),
        cel.equal(TARGET, cel.between("/ü/", USER, "/")),
        cel.method(TARGET, "endsWith", cel.between("/u/", USER, "/")),
        cel.call("!_", cel.equal(TARGET, cel.between("/u/", USER, "/"))),
    ],
)
def test_what_is_of_another_form_is_asked_as_it_was(kept: Expr) -> None:
    assert framed(kept) is None
    check = cel.check(kept)
    assert Capturing(9).of(check) is check


RULES = {
    "whole": 'http.path == sprintf("/users/%s/things/1", [user])',
    "many": 'http.path in {sprintf("/users/%s/things/1", [user]), sprintf("/users/%s/rest", [user])}',
    "end": 'http.path == concat("", ["/users/", user])',
    "bare": 'split(http.path, "?")[0] == concat("/", ["", "users", user, "things"])',
    "below": 'startswith(http.path, sprintf("/users/%s/", [user]))',
    "not": 'not startswith(http.path, sprintf("/users/%s/", [user]))',
    "not whole": 'not http.path == sprintf("/users/%s/things/1", [user])',
}
USERS = ("alice", "a/b", "", "\u00fc", "things/1")
PATHS = tuple(
    f"/users/{name}{rest}"
    for name in ("alice", "a/b", "", "%C3%BC", "things/1")
    for rest in ("", "/", "/things/1", "/things/1/things/1", "/things?a=/", "/rest", "?/things/1")
)


@pytest.mark.parametrize("name", RULES)
def test_a_real_envoy_decides_as_the_policy_does(stand: Stand, name: str) -> None:
    policy = (
        "package p\n\nimport input.attributes.request.http\n\n"
        f'user := http.headers["x-user"]\n\nallow if {RULES[name]}\n'
    )
    requests = [Sent(path=path, headers=(("x-user", user),)) for path in PATHS for user in USERS]
    found, seen, _ = stand.both_ways(in_memory({"p.rego": policy}), "p/allow", requests)
    assert seen == found
    assert {200, 403} <= set(seen)
    enforcement = stand.enforce(in_memory({"p.rego": policy}), "p/allow")
    laid = enforcement.snapshot.resources[EXTENSION][CAPTURES].typed_config
    assert b"users" in laid.value, "what stands behind /users/ is captured"
