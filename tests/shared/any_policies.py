"""Hypothesis strategies: policies that compile, and inputs and data that reach into them.

Names, keys and constants come from small pools, so that rules meet: the same reference compared with several
constants, several rules of one name, values of every type where a rule expects another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

from hypothesis import strategies as st

WORDS = ("a", "b", "c", "GET", "admin", "")
KEYS = ("user", "role", "path", "roles", "n")
_CONSTANTS = (
    '"a"',
    '"b"',
    '"GET"',
    '"admin"',
    "0",
    "1",
    "2",
    "1.5",
    "true",
    "false",
    "null",
    '["a", 1]',
    '{"a"}',
)


_Signs: TypeAlias = Sequence[str]


def json_values(depth: int = 2) -> st.SearchStrategy[Any]:
    """JSON values over the pools."""
    leaves = st.one_of(
        st.sampled_from(WORDS), st.integers(-1, 3), st.booleans(), st.none(), st.sampled_from((1.5, 0.5))
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from((*KEYS, *WORDS)), inner, max_size=3)
        ),
        max_leaves=4 * depth,
    )


def documents() -> st.SearchStrategy[dict[str, Any]]:
    """An input, or data: an object with the keys that policies look for."""
    return st.dictionaries(st.sampled_from(KEYS), json_values(), max_size=len(KEYS))


@cache
def _among(options: tuple[str, ...]) -> st.SearchStrategy[str]:
    """One of these. Kept, since making a strategy takes as long as drawing from it many times."""
    return st.sampled_from(options)


_constants = _among(_CONSTANTS)
_first_constants = _among(_CONSTANTS[:4])
_defaults = _among(_CONSTANTS[:11])
_references = _among(tuple(f"{root}.{key}" for root in ("input", "input", "data.base") for key in KEYS))
_either, _up_to_three, _up_to_four = st.booleans(), st.integers(1, 3), st.integers(1, 4)
_words = _among(tuple(f'"{word}"' for word in WORDS))
_CALLS = (
    "startswith({operand}, {constant})",
    "count({reference}) > {number}",
    "{operand} in {reference}",
    'object.get({reference}, "a", 1) == {operand}',
)
_COMPREHENSIONS = (
    "[w | some w in {first}; {inner}]",
    "{{1 | {inner}}}",
    "{{w: v | some w, v in {first}; {inner}}}",
    "{{w: v | some w in {first}; some v in {second}; {inner}}}",
    "{{{first}: w | some w in {second}}}",
    "{{w: {first} | some w in {second}}}",
)


def _operand(draw: st.DrawFn, earlier: list[str], variables: list[str], *more: str) -> str:
    """A constant, a reference, or the name of a rule or a variable; with "word" also one of the words."""
    kind = draw(_among((*more, *_operand_kinds(bool(earlier), bool(variables)))))
    if kind == "word":
        return draw(_words)
    if kind == "constant":
        return draw(_constants)
    if kind == "reference":
        return draw(_references)
    return draw(_among(tuple(earlier if kind == "earlier" else variables)))


@cache
def _operand_kinds(earlier: bool, variables: bool) -> tuple[str, ...]:
    found = ["constant", "reference", "reference"]
    return (*found, *["earlier"] * earlier, *["variable", "variable"] * variables)


@st.composite
def _literal(draw: st.DrawFn, earlier: list[str], variables: list[str], depth: int, signs: _Signs) -> str:
    """A statement of a body; it may add to `variables` what it binds."""
    kinds: tuple[str, ...] = ("compare", "same", "some", "assign", "call", "truth")
    if depth:
        kinds += ("not", "every", "comprehension", "with")
    kind = draw(_among(kinds))
    new = f"v{len(variables)}_{depth}"
    if kind == "compare":
        left = _operand(draw, earlier, variables)
        return f"{left} {draw(_among(tuple(signs)))} {_operand(draw, earlier, variables)}"
    if kind == "same":
        return f"{draw(_references)} == {draw(_constants)}"
    if kind == "some":
        source = draw(_references)
        variables.append(new)
        return f"some {draw(_among(('', 'k{}, '))).format(new)}{new} in {source}"
    if kind == "assign":
        value = _operand(draw, earlier, variables)
        variables.append(new)
        return f"{new} := {value}"
    if kind == "call":
        return _call(draw, earlier, variables)
    if kind == "truth":
        return draw(_references)
    if kind == "not":
        return f"not {draw(_references)} == {draw(_constants)}"
    if kind == "with":
        target = draw(_among(("input.role", "input", "data.base.roles")))
        subject = draw(_among(tuple(earlier))) if earlier else "input.role"
        value = draw(_among(('"a"', '{"role": "b"}', '["a", "b"]')))
        return f"{subject} == {draw(_constants)} with {target} as {value}"
    if kind == "every":
        inner = draw(_body(earlier, list(variables), depth - 1, signs))
        return f"every {new} in {draw(_references)} {{ {new} != 1; {inner} }}"
    form = draw(_among(_COMPREHENSIONS))
    inner = draw(_body(earlier, list(variables), depth - 1, signs)) if "{inner}" in form else ""
    variables.append(new)
    return f"{new} := {form.format(first=draw(_references), second=draw(_references), inner=inner)}"


def _call(draw: st.DrawFn, earlier: list[str], variables: list[str]) -> str:
    form = draw(_among(_CALLS))
    return form.format(
        operand=_operand(draw, earlier, variables) if "{operand}" in form else "",
        constant=draw(_first_constants) if "{constant}" in form else "",
        reference=draw(_references) if "{reference}" in form else "",
        number=draw(_among(("0", "1", "2"))) if "{number}" in form else "",
    )


@st.composite
def _body(draw: st.DrawFn, earlier: list[str], variables: list[str], depth: int, signs: _Signs) -> str:
    count = draw(_up_to_three)
    return "; ".join(draw(_literal(earlier, variables, depth, signs)) for _ in range(count))


@st.composite
def _rules(draw: st.DrawFn, name: str, earlier: list[str], signs: _Signs) -> list[str]:
    """The rules of one name."""
    kind = draw(_among(("complete", "complete", "set", "object", "alike", "function", "else")))
    many = range(draw(_up_to_four))
    rules: list[str] = []
    if kind in ("complete", "alike", "else") and draw(_either):
        rules.append(f"default {name} := {draw(_defaults)}")
    shared = draw(_body(earlier, [], 0, signs))
    for _ in many:
        variables: list[str] = []
        body = draw(_body(earlier, variables, 1, signs))
        value = _operand(draw, [], variables)
        if kind == "complete":
            rules.append(f"{name} := {draw(_constants)} if {{ {body} }}")
        elif kind == "else":
            other = draw(_constants)
            rules.append(f"{name} := {value} if {{ {body} }} else := {other} if {{ {shared} }}")
        elif kind == "set":
            rules.append(f"{name} contains {value} if {{ {body} }}")
        elif kind == "object":
            key = _operand(draw, [], variables, "word")
            rules.append(f"{name}[{key}] := {value} if {{ {body} }}")
        elif kind == "function":
            rules.append(f"{name}(x) := {value} if {{ x == {draw(_constants)}; {body} }}")
        else:
            # Rules alike but for constants, which become a table.
            first, second, third = (draw(_constants) for _ in range(3))
            rules.append(
                f"{name} := {first} if {{ input.user == {second}; input.role == {third}; {shared} }}"
            )
    return rules


@st.composite
def policies(draw: st.DrawFn, most: int = 4, signs: _Signs = ("<", ">=", "!=")) -> str:
    """The source of a module `p` whose rules are `r0`, `r1`, ...; a function's is called by `r0_called`.

    There are at most so many names; `signs` are the comparisons of any operands with each other.
    """
    lines = ["package p", ""]
    earlier: list[str] = []
    for number in range(draw(st.integers(1, most))):
        rules = draw(_rules(f"r{number}", earlier, signs))
        lines += rules
        if any(rule.startswith(f"r{number}(x)") for rule in rules):
            lines.append(f"r{number}_called := r{number}({draw(_constants)})")
            earlier = [*earlier, f"r{number}_called"]
        else:
            earlier = [*earlier, f"r{number}"]
    return "\n".join(lines) + "\n"
