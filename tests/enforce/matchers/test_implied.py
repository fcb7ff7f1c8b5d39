"""What is asked before an expression holds wherever that does, and tells many of them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from cel.expr.syntax_pb2 import Expr
from effort import examples, some
from envoy.config.rbac.v3.rbac_pb2 import Action
from hypothesis import event, given, settings
from hypothesis import strategies as st
from xds.type.matcher.v3.matcher_pb2 import Matcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.matchers import cel, entry, together
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.implied import Guarded
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    YES,
    All,
    Check,
    OneOf,
    Predicate,
    Prefixed,
    all_of,
    any_of,
    header_text,
    negate,
    text_check,
)
from palisade.enforce.envoy.matchers.tree import build
from palisade.enforce.envoy.matchers.writing import to_proto
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.values.sources import JWT_AUTHN
from palisade.explain.sidecar import matchers
from palisade.explain.sidecar.matchers import action_of, holds
from palisade.explain.sidecar.request import Sight
from palisade.explain.sidecar.values import takes_text

PATH, OTHER = cel.header(":path"), cel.header("x-other")
CLAIM, ROLES = cel.metadata(JWT_AUTHN, "main", "sub"), cel.metadata(JWT_AUTHN, "main", "roles")
METHOD = cel.header(":method")

CAPTURES = (
    "(?s)^(.*)$",
    "(?s)^(.*?)(?:/)?$",
    "(?s)^(?:/a)?(.*)$",
    "(?s)^(?:[^/]*/){1}([^/]*)(?:/.*)?$",
    "(?s)^(?:.*?//)*(.*)$",
    "(?s)^[\\x{2f}]*(.*?)[\\x{2f}]*$",
    "^/(?:[!-.0->@-~]*/){1}([!-.0->@-~]*)(?:[/?](?s:.*))?$",
    "(?s)^(?:.*?/|.{0,2})(.*)$",
    "(?s)^(?:x(.*)|.*)$",
    "(?s)^(?:(.)/)*.*$",
    "^([^/])/.*$",
    "(.*)/b",
)
"""Those of `conditions.views`, and others of which less is known."""
OPEN = (
    ("^/a/", "$", "/a/{}"),
    ("^/a", "(/.*)?$", "/a{}/b"),
    ("^(?s)(?:\\x2fa\\x2f", "\\x2f[^\\x2f]*)$", "/a/{}/b"),
    ("^/a/", "+b", "/a/{}b"),
    ("^/a?", "|b", "/{}"),
    ("(?i)^/A/", "/b", "/a/{}/B"),
    ("^/ü*", "$", "/üü{}"),
    ("^(/a)?/", "{2}$", "/{}"),
    ("^/[^/]/", "", "/ü/{}"),
    ("/a/", "/b", "x/a/{}/b"),
    ("^a.b/", "$|^c", "aüb/{}"),
    ("^/[\\W]/", "$", "/ü/{}"),
    ("^/[[:^alpha:]]/", "", "/ü/{}"),
    ("^/[\\x{80}-\\x{ff}]/", "", "/ü/{}"),
    ("^/[a\\pL]/", "$", "/ü/{}"),
    ("^/ü{1}/", "", "/ü/{}"),
)
"""What stands before a value in a pattern, and behind it; and what such a pattern is found in."""
OF_METHOD = (
    *(
        "^GET:/a",
        "^(?:(?s)(?:GET\\x3aa[^\\x3a]*))$",
        "^GET",
        "^G",
        "^POST:",
        "^GET:?/a",
        "^GET/a:b$",
        "^GETa",
    ),
    *("^GET::", "^GET:(a|/a)", "^(GET|POST):a", "GET:a", "^$"),
)
_words = st.sampled_from(("", "/", "/a/", "a", "ü", "\\", "1", "/b"))
_values = st.sampled_from(("", "a", "b", "a-b", "ü", "\n", "/"))
_taken = st.recursive(
    st.just(PATH), lambda inner: st.builds(cel.captured, inner, st.sampled_from(CAPTURES)), max_leaves=2
)
_paths = st.sampled_from(("{}", "{}", "{}/", "/a{}", "x/{}/y", "//{}", "{}?x", "/{}/b", "a{}{}", "{}\n", ""))


def _sight(path: str, other: str, claim: str, roles: object = ("a", "GET:kind700")) -> Sight:
    return Sight(
        {":method": "GET", ":path": path, "x-other": other},
        {JWT_AUTHN: {"main": {"sub": claim, "roles": list(roles) if isinstance(roles, tuple) else roles}}},
        {},
        "10.0.0.1",
        0,
    )


@st.composite
def _asked(draw: st.DrawFn) -> tuple[Expr, Sight]:
    """An expression on the path, and a request of which it may hold."""
    before, middle, behind = (draw(_words) for _ in range(3))
    first, second = draw(_values), draw(_values)
    taken = draw(_taken)
    kind = draw(st.sampled_from(("constant", "one", "two", "pattern", "method")))
    if kind == "method":
        text = draw(st.sampled_from(("a", "/a", "a:b", "")))
        asked = cel.put_before(cel.header(":method"), draw(st.sampled_from((":", "/", "::", ""))), taken)
        expr = cel.method(asked, "matches", cel.text(draw(st.sampled_from(OF_METHOD))))
    elif kind == "pattern":
        begin, end, found_in = draw(st.sampled_from(OPEN))
        text = found_in.format(first)
        taken = draw(st.sampled_from((PATH, taken)))
        expr = cel.method(taken, "matches", cel.around(begin, OTHER, end))
    else:
        if kind == "constant":
            written, text = cel.text(before), before
        elif kind == "one":
            inner = cel.around(middle, OTHER, "")
            written, text = cel.around(before, inner, behind), before + middle + first + behind
        else:  # values, and what stands between them, have no backslash there
            middle = middle.replace("\\", "")
            written = cel.between(before, cel.put_before(OTHER, middle, CLAIM), behind)
            text = before + first + middle + second + behind
        expr = draw(
            st.sampled_from(
                (
                    cel.equal(taken, written),
                    cel.equal(written, taken),
                    cel.call("@in", taken, cel.texts((before, text))),
                    cel.method(taken, "startsWith", written),
                    cel.method(taken, "endsWith", written),
                    cel.method(taken, "contains", written),
                    cel.method(written, "startsWith", taken),
                )
            )
        )
    return expr, _sight(draw(_paths).format(text, draw(_values)), first, second)


def _takes_bytes(matcher: StringMatcher, text: str) -> bool:
    """As Envoy matches headers, which reads each byte as a character."""
    told = StringMatcher()
    told.CopyFrom(matcher)
    if told.HasField("safe_regex"):
        told.safe_regex.regex = told.safe_regex.regex.encode().decode("latin-1")
        text = text.encode().decode("latin-1")
    return takes_text(told, text)


@settings(max_examples=examples(1000), deadline=None)
@given(_asked())
def test_what_is_implied_holds_where_the_expression_does(asked: tuple[Expr, Sight]) -> None:
    """A request that met a rule and not what is asked before it would be decided as if there were no rule."""
    expr, seen = asked
    check = cel.check(cel.conjunction(cel.has_type(CLAIM, "string"), expr))
    found = holds(to_proto(check), seen)
    event(f"{'holds' if found else 'does not hold'}, {'some' if check.implied else 'nothing'} is known")
    if found and check.implied is not None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(matchers, "takes_text", _takes_bytes)
            assert holds(to_proto(check.implied), seen)


def _is_member(text: Expr, *kinds: str) -> Check:
    """It is among the roles; and they are of each of the kinds."""
    typed = (cel.has_type(ROLES, kind) for kind in kinds)
    return cel.check(cel.conjunction(*typed, cel.call("@in", text, ROLES)))


@settings(max_examples=examples(300), deadline=None)
@given(
    _words,
    _values,
    _words,
    st.sampled_from(((), ("list",), ("map",), ("list", "list"))),
    st.sampled_from(("{0}{1}{2}", "{1}", "{0}x{2}", "x{2}", "{2}")),
    st.sampled_from((list, dict.fromkeys, str)),
)
def test_what_is_implied_of_lists_holds_where_a_text_is_a_member(
    before: str, value: str, behind: str, kinds: Sequence[str], member: str, among: Callable[[Any], object]
) -> None:
    """Of objects `in` asks for a key, which no matcher of lists finds: without the type nothing is known."""
    check = _is_member(cel.around(before, OTHER, behind), *kinds)
    assert check.implied is None or "list" in kinds
    seen = _sight("/", value, "", among(["b", member.format(before, value, behind)]))
    found = holds(to_proto(check), seen)
    event(f"{'holds' if found else 'does not hold'}, {'some' if check.implied else 'nothing'} is known")
    if found and check.implied is not None:
        assert holds(to_proto(check.implied), seen)


def _captured(pattern: str) -> Expr:
    found = cel.captured(PATH, pattern)
    assert found is not None
    return found


def _compared(text: Expr, before: str, value: Expr, behind: str) -> Check:
    return cel.check(cel.equal(text, cel.around(before, value, behind)))


@pytest.mark.parametrize(
    ("expression", "prefix", "taken"),
    [
        (cel.equal(PATH, cel.around("/users/", CLAIM, "")), "/users/", None),
        (cel.equal(cel.around("/users/", CLAIM, "/all"), PATH), "/users/", r"\/users\/.*\/all"),
        (cel.equal(PATH, cel.put_before(CLAIM, "/of/", CLAIM)), None, StringMatcher(contains="/of/")),
        (cel.equal(PATH, cel.around("", CLAIM, "/all")), None, StringMatcher(suffix="/all")),
        (cel.method(PATH, "endsWith", cel.around("/a/", CLAIM, "/b")), None, StringMatcher(suffix="/b")),
        (cel.method(PATH, "contains", cel.around("/", CLAIM, "/b/")), None, StringMatcher(contains="/b/")),
        (cel.method(PATH, "startsWith", cel.around("/a/", CLAIM, "/b/")), "/a/", r"\/a\/.*\/b\/.*"),
        (
            cel.equal(cel.call("re.capture", PATH, cel.text(CAPTURES[1])), cel.text("/a")),
            "/a",
            r"(?:\/a)(?:/)?",
        ),
        (
            cel.method(PATH, "matches", cel.around("^/users/", CLAIM, "/res1(/.*)?$")),
            "/users/",
            "/users/.*/res1(/.*)?",
        ),
        (cel.equal(_captured(CAPTURES[5]), cel.text("a")), None, r"[\x{2f}]*(?:a)[\x{2f}]*"),
        (cel.equal(PATH, CLAIM), None, None),
    ],
)
def test_what_is_implied(expression: Expr, prefix: str | None, taken: str | StringMatcher | None) -> None:
    """Prefixes are for maps, endings, parts and patterns that begin where the text does for what RE2 takes
    together: less would be compared one by one."""
    text = header_text(":path")
    expected: list[Predicate] = []
    if prefix is not None:
        expected.append(Prefixed(text, frozenset((prefix,))))
    if taken is not None:
        matcher = patterns.regex(f"(?s){taken}") if isinstance(taken, str) else taken
        expected.append(text_check(text, matcher))
    assert cel.check(expression).implied == (all_of(expected) if expected else None)


def test_what_is_implied_of_other_texts() -> None:
    """Fields of bodies are compared with texts as well; permissions are made of a method and a segment."""
    named = cel.check(cel.equal(CLAIM, cel.around("", OTHER, "-k7"))).implied
    assert isinstance(named, Check)
    seen = {each: holds(to_proto(named), _sight("", "", each)) for each in ("a-k7", "a-k77", "-k7")}
    assert seen == {"a-k7": True, "a-k77": False, "-k7": True}
    segment = cel.captured(PATH, CAPTURES[6])
    assert segment is not None
    asked = cel.put_before(cel.header(":method"), ":", segment)
    found = cel.check(cel.method(asked, "matches", cel.text("^GET:orders[^:]*$"))).implied
    assert isinstance(found, All)
    assert OneOf(header_text(":method"), frozenset(("GET",))) in found.parts
    seen = {
        path: holds(to_proto(found), _sight(path, "", "")) for path in ("/a/orders7", "/orders", "/a/order")
    }
    assert seen == {"/a/orders7": True, "/orders": False, "/a/order": False}


def test_it_is_asked_wherever_the_expression_is() -> None:
    check = _compared(PATH, "/users/", CLAIM, "")
    assert check.implied is not None
    whole = all_of((check.implied, check))
    other = text_check(header_text("x-other"), StringMatcher(exact="a"))
    assert Guarded().of(any_of((all_of((other, check)), negate(check)))) == any_of(
        (all_of((other, whole)), negate(whole))
    )
    assert Guarded().of(negate(other)) == negate(other)


OTHERS = [text_check(header_text("x-other"), StringMatcher(exact=each)) for each in "abcd"]
RULES: dict[str, Callable[[int], Predicate]] = {
    "owner of a kind": lambda n: _compared(PATH, "/users/", CLAIM, f"/kind{n}"),
    "owner at a service": lambda n: _compared(PATH, f"/service{n}/users/", CLAIM, ""),
    "pattern": lambda n: cel.check(
        cel.method(PATH, "matches", cel.around("^/users/", CLAIM, f"/kind{n}(/.*)?$"))
    ),
    "slash at the end": lambda n: cel.check(cel.equal(_captured(CAPTURES[1]), cel.text(f"/kind{n}"))),
    "end": lambda n: cel.check(cel.method(PATH, "endsWith", cel.around("/", CLAIM, f"/kind{n}"))),
    "part": lambda n: cel.check(cel.method(PATH, "contains", cel.around("/", CLAIM, f"/kind{n}/"))),
    "permission of a method": lambda n: _is_member(cel.around("", METHOD, f":kind{n}"), "list"),
    "or a token with no text": lambda n: any_of((_compared(PATH, "/users/", CLAIM, f"/kind{n}"), NO_TEXT)),
}
NO_TEXT = negate(cel.check(cel.has_type(CLAIM, "string")))


@pytest.mark.long
@pytest.mark.parametrize("negated", [False, True], ids=["rules", "a negation"])
@pytest.mark.parametrize("rule", some([*RULES], 4))
def test_a_thousand_rules_cost_a_request_what_ten_do(
    monkeypatch: pytest.MonkeyPatch, rule: str, negated: bool
) -> None:
    """Each was an expression, and a request that met the last of them waited for all: milliseconds."""
    asked = Counter[str]()
    single = matchers._single

    def counted(predicate: Any, seen: Sight) -> bool:
        asked["expressions" if "CelMatcher" in str(predicate) else "others"] += 1
        return single(predicate, seen)

    monkeypatch.setattr(matchers, "_single", counted)
    rules = [RULES[rule](n) for n in range(1000)]
    if negated:
        rules = [all_of((OTHERS[0], negate(any_of(rules))))]
    entries = [Entry(each, Verdict.RESIDUAL, "residual") for each in rules]
    matcher = build(entries, Entry(YES, Verdict.DENY, "")).matcher
    for path in ("/users/bob/kind700", "/service700/users/bob", "/kind700/", "/", "/users/bob/"):
        asked.clear()
        action_of(matcher, _sight(path, "a", "bob"))
        assert asked["expressions"] <= 2, path
        assert asked["others"] <= 60, path


def test_a_rule_that_is_found_to_hold_always_or_never_is_none_to_write() -> None:
    """Envoy has no matcher for such: with what is asked before an expression, a policy did not load."""
    check = _compared(PATH, "/users/", CLAIM, "")
    assert check.implied is not None
    last = Entry(YES, Verdict.DENY, "")
    always = any_of((all_of((check.implied, check)), negate(check)))
    never = all_of((negate(check.implied), check))
    seen = _sight("/", "", "")
    for predicate, allowed in ((always, True), (never, False)):
        assert predicate not in (YES, NO)
        rules = [Entry(predicate, Verdict.ALLOW, "rule"), Entry(NO_TEXT, Verdict.RESIDUAL, "residual")]
        found = action_of(build(rules, last).matcher, seen)
        action = Action()
        assert found is not None
        assert found.typed_config.Unpack(action)
        assert action.name == ("rule" if allowed else "")


def test_what_the_rest_of_a_rule_excludes_is_not_set_apart() -> None:
    """Of many rules one way may hold never, which Envoy has no matcher for: the policy did not load."""
    other = OTHERS[0]
    rules = [
        Entry(
            all_of((negate(other), RULES["owner of a kind"](n), any_of((other, OTHERS[1], NO_TEXT)))),
            Verdict.ALLOW,
            "rule",
        )
        for n in range(40)
    ]
    assert all(rule.predicate != NO for rule in entry.set_apart(rules))
    assert build(rules, Entry(YES, Verdict.DENY, "")).matcher.IsInitialized()


@pytest.mark.parametrize("count", [40, 300])
def test_no_gate_asks_what_the_one_before_it_asked(count: int) -> None:
    """Few enough for one short expression, they were behind it twice."""
    rules = [text_check(header_text(":path"), patterns.regex(f"/a{n}/[^/]*/b")) for n in range(count)]
    entries = [Entry(each, Verdict.ALLOW, f"rule {n}") for n, each in enumerate(rules)]

    def asked(matcher: Matcher, before: frozenset[str]) -> None:
        for item in matcher.matcher_list.matchers:
            own = str(item.predicate)
            assert own not in before
            if item.on_match.HasField("matcher"):
                asked(item.on_match.matcher, before | {own})

    matcher = build(entries, Entry(YES, Verdict.DENY, "")).matcher
    assert len(matcher.matcher_list.matchers) < 10
    asked(matcher, frozenset())


_alternatives = st.lists(st.lists(st.sampled_from(OTHERS), min_size=1), min_size=3, max_size=8)


@given(_alternatives, st.sampled_from("abcde"))
def test_what_is_set_apart_leads_to_the_same(alternatives: list[list[Predicate]], said: str) -> None:
    """What many rules share is asked once; each must still hold where it did."""
    path = text_check(header_text(":path"), StringMatcher(prefix="/"))
    rules = [
        Entry(all_of((path, any_of(each))), Verdict.ALLOW, f"rule {len(each) % 2}") for each in alternatives
    ]
    kept = together.MANY, together.COMMON
    together.MANY = together.COMMON = 2
    try:
        found = entry.set_apart(rules)
    finally:
        together.MANY, together.COMMON = kept
    event("some set apart" if found != rules else "none")
    seen = _sight("/", said, "")
    assert _names(found, seen) == _names(rules, seen)


def _names(rules: list[Entry], seen: Sight) -> set[str]:
    return {each.name for each in rules if holds(to_proto(each.predicate), seen)}
