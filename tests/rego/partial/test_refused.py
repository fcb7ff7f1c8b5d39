"""Which calls partial evaluation knows to be undefined, whatever the request brings."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from agreement import judged, outcome_of

from palisade.rego.builtins import BUILTINS
from palisade.rego.builtins.registry import Context
from palisade.rego.check.signatures import builtin_signatures
from palisade.rego.check.types import ANY, BOOLEAN, NUMBER, STRING, Array, Type
from palisade.rego.check.types import Any as AnyType
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.formula import TRUE
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Element, Gathered, Input, Known, Part, Symbol
from palisade.rego.partial.symbols.kinds import is_another, is_no_text, refuses
from palisade.rego.values import UNDEFINED, Set, Value, type_name

OF_ANY_KIND = (
    *("base64.is_valid", "json.is_valid", "net.cidr_is_valid", "regex.is_valid", "uri.is_valid"),
    *("uuid.rfc4122", "yaml.is_valid"),
)
OF_ONE_KIND = [
    (name, at, each)
    for name, declared in sorted(builtin_signatures().items())
    for at, each in enumerate(declared.args)
    if each in (NUMBER, STRING) and name in BUILTINS and name not in OF_ANY_KIND
]
OTHERS = (None, True, 1, "a", [], {}, Set())
MADE = (
    Apply("count", (Input(("x",)),)),
    Apply("lower", (Input(("x",)),)),
    Apply("split", (Input(("x",)), Known(","))),
    Apply("is_string", (Input(("x",)),)),
    ArrayOf((Input(("x",)),)),
)


def _some(of: Type) -> Any:
    """A value of the type."""
    if isinstance(of, AnyType) and of != ANY:
        return _some(of.of[0])
    if isinstance(of, Array):
        return [_some(each) for each in of.static] or [_some(of.dynamic or STRING)]
    return {STRING: "a", NUMBER: 1, BOOLEAN: True}.get(of, Set() if "set" in str(of) else {})


@pytest.mark.parametrize(("name", "at", "kind"), OF_ONE_KIND)
def test_others_are_refused_where_builtins_take_texts_or_numbers(name: str, at: int, kind: Type) -> None:
    """The evaluator refuses each value of another kind, and calls of it end without a value."""
    call = BUILTINS[name]
    for other in OTHERS:
        if type_name(other) == str(kind):
            continue
        args = [_some(each) for each in builtin_signatures()[name].args]
        args[at] = other
        with pytest.raises(BuiltinError) as told:
            call.function(*args) if call.pure else call.function(Context(0), *args)
        assert not told.value.fatal
        assert refuses(name, _with(name, at, Known(other)))
    assert not refuses(name, _with(name, at, Input(("x",))))
    refused = [refuses(name, _with(name, at, each)) for each in MADE]
    assert refused == ([False, True, True, True, True] if kind == NUMBER else [True, False, True, True, True])


def _with(name: str, at: int, term: Symbol) -> list[Symbol]:
    count = len(builtin_signatures()[name].args)
    return [term if place == at else Input(("x",)) for place in range(count)]


@pytest.mark.parametrize("left", [*OTHERS, Set(("a",))])
@pytest.mark.parametrize("right", [*OTHERS, Set(("a",))])
def test_minus_takes_two_numbers_or_two_sets(left: Value, right: Value) -> None:
    """A flag in `data` for a number was taken for 1, and what OPA leaves undefined was allowed."""
    try:
        BUILTINS["minus"].function(left, right)
    except BuiltinError:
        refused = True
    else:
        refused = False
    assert refuses("minus", [Known(left), Known(right)]) == refused


@pytest.mark.parametrize("name", ["and", "or", "minus"])
@pytest.mark.parametrize("value", [*OTHERS, Set(("a",))])
def test_no_set_is_in_what_a_request_brings(name: str, value: Value) -> None:
    """`claims.groups & {"a"}`, of an array, is undefined whoever asks; each request was the engine's."""
    known = Set(("a",))
    for at in (0, 1):
        sides: list[Value] = [known, known]
        sides[at] = value
        with contextlib.nullcontext() if isinstance(value, Set) else pytest.raises(BuiltinError):
            BUILTINS[name].function(*sides)
    claims = Apply(".", (Apply("io.jwt.decode", (Input(("x",)),)), Known(1)))
    for brought in (Input(("x", "groups")), Element(Input(("x",)), 1), Apply(".", (claims, Known("groups")))):
        assert refuses(name, [brought, Known(known)])
        assert refuses(name, [Known(known), brought])
    gathered = Gathered("set", (Part(TRUE, ((Input(("x",)), 1),), Element(Input(("x",)), 1)),))
    assert not refuses(name, [gathered, Known(known)])


@pytest.mark.parametrize(
    "made",
    [
        'array.concat(input.xs, [{"a"}])[0]',
        'array.reverse(array.concat(input.xs, [{"a"}]))[0]',
        'object.union(input.o, {"s": {"a"}}).s',
        'object.union(input.o, {"t": {"s": {"a"}}}).t.s',
        'object.get(input.o, "s", {"a"})',
        'json.patch(input.o, [{"op": "add", "path": "s", "value": {"a"}}]).s',
        "{x | some x in input.ys}",
        "[{x | some x in input.ys}, input.o][0]",
    ],
)
@pytest.mark.parametrize("asked", ["MADE & {`a`}", "MADE | {`a`}", "{`a`, `b`} - MADE", "MADE - {`b`}"])
def test_a_set_may_be_in_what_a_policy_makes_of_a_request(made: str, asked: str) -> None:
    """Below something of the request all is JSON; below something that is made of it there may be sets."""
    told = asked.replace("MADE", made)
    for rules in (f"r := {told}", f"r if not {told} == {{`a`}}", f"r if not count({told}) > 0"):
        policy, outcome = outcome_of(rules, {})
        for document in ({"xs": [], "o": {}, "ys": ["a"]}, {"xs": ["a"], "o": {"s": "a"}, "ys": []}, {}):
            judged(policy, outcome, document)


@pytest.mark.parametrize("other", [True, None, "a", [], {}, Set()])
def test_a_count_less_what_is_no_number_is_undefined(other: Value) -> None:
    count = Apply("count", (Input(("x",)),))
    assert refuses("minus", [count, Known(other)])
    assert refuses("minus", [Known(other), count])
    assert not refuses("minus", [count, Input(("y",))])
    assert not refuses("minus", [count, Known(2)])


@pytest.mark.parametrize("name", OF_ANY_KIND)
def test_what_answers_for_any_value_is_not_refused(name: str) -> None:
    """They say that it is not valid, which is an answer."""
    call = BUILTINS[name]
    for other in OTHERS:
        assert (call.function(other) if call.pure else call.function(Context(0), other)) is not UNDEFINED
        assert not refuses(name, [Known(other)])
    assert not any(refuses(name, [each]) for each in MADE)


def test_what_is_joined_is_refused_where_an_item_is_no_text() -> None:
    """Of what only the request tells the kind is taken."""
    x = Input(("x",))
    count = Apply("count", (x,))
    part = Apply(".", (Apply("split", (x, Known(","))), Known(0)))
    assert refuses("concat", [Known(","), ArrayOf((x, count))])
    assert refuses("concat", [Known(","), ArrayOf((x, Known(1)))])
    assert not refuses("concat", [Known(","), ArrayOf((x, part))])
    assert not refuses("concat", [Known(","), x])
    assert not is_no_text(Apply(".", (Apply("json.unmarshal", (x,)), Known("a"))))


def test_what_builtins_answer_is_of_the_kind_that_it_is_said_to_be() -> None:
    """Of another kind it is said that no request brings it about."""
    answered: dict[str, Value] = {}
    for name, declared in builtin_signatures().items():
        if name in BUILTINS and BUILTINS[name].pure:
            with contextlib.suppress(BuiltinError):
                answered[name] = BUILTINS[name].function(*map(_some, declared.args))
    assert len(answered) > 100
    for name, value in answered.items():
        assert value is UNDEFINED or not is_another(Apply(name, (Input(("x",)),)), value), name


def test_claims_that_a_builtin_verified_are_an_object() -> None:
    """A rule that asks `not claims` does not conflict with one that needs a claim."""
    verified = Apply("io.jwt.decode_verify", (Input(("x",)), Known({"secret": "s"})))
    valid, _, claims = (Apply(".", (verified, Known(at))) for at in range(3))
    assert is_another(claims, False)
    assert not is_another(claims, {})
    assert not is_another(valid, False)
    assert not is_another(Apply(".", (claims, Known("sub"))), False)
    assert not is_another(Apply(".", (verified, Input(("x",)))), False)
