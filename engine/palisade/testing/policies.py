"""Hypothesis strategies: policies that compile, and inputs and data that reach into them.

Names, keys and constants come from small pools, so that rules meet: the same reference compared with several
constants, several rules of one name, values of every type where a rule expects another.
"""

from __future__ import annotations

from collections.abc import Sequence
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


@st.composite
def _reference(draw: st.DrawFn) -> str:
    root = draw(st.sampled_from(("input", "input", "data.base")))
    return f"{root}.{draw(st.sampled_from(KEYS))}"


def _operand(earlier: list[str], variables: list[str]) -> st.SearchStrategy[str]:
    choices: list[st.SearchStrategy[str]] = [st.sampled_from(_CONSTANTS), _reference(), _reference()]
    if earlier:
        choices.append(st.sampled_from(earlier))
    if variables:
        choices += [st.sampled_from(variables)] * 2
    return st.one_of(choices)


@st.composite
def _literal(draw: st.DrawFn, earlier: list[str], variables: list[str], depth: int, signs: _Signs) -> str:
    """A statement of a body; it may add to `variables` what it binds."""
    operand = _operand(earlier, variables)
    kinds = ["compare", "same", "some", "assign", "call", "truth"]
    if depth:
        kinds += ["not", "every", "comprehension", "with"]
    kind = draw(st.sampled_from(kinds))
    new = f"v{len(variables)}_{depth}"
    if kind == "compare":
        return f"{draw(operand)} {draw(st.sampled_from(signs))} {draw(operand)}"
    if kind == "same":
        return f"{draw(_reference())} == {draw(st.sampled_from(_CONSTANTS))}"
    if kind == "some":
        source = draw(_reference())
        variables.append(new)
        other = draw(st.sampled_from(("", f"k{new}, ")))
        return f"some {other}{new} in {source}"
    if kind == "assign":
        value = draw(operand)
        variables.append(new)
        return f"{new} := {value}"
    if kind == "call":
        return draw(
            st.sampled_from(
                (
                    f"startswith({draw(operand)}, {draw(st.sampled_from(_CONSTANTS[:4]))})",
                    f"count({draw(_reference())}) > {draw(st.integers(0, 2))}",
                    f"{draw(operand)} in {draw(_reference())}",
                    f'object.get({draw(_reference())}, "a", 1) == {draw(operand)}',
                )
            )
        )
    if kind == "truth":
        return draw(_reference())
    inner = draw(_body(earlier, list(variables), depth - 1, signs))
    if kind == "not":
        return f"not {draw(_reference())} == {draw(st.sampled_from(_CONSTANTS))}"
    if kind == "every":
        return f"every {new} in {draw(_reference())} {{ {new} != 1; {inner} }}"
    if kind == "with":
        target = draw(st.sampled_from(("input.role", "input", "data.base.roles")))
        subject = draw(st.sampled_from(earlier)) if earlier else "input.role"
        value = draw(st.sampled_from(('"a"', '{"role": "b"}', '["a", "b"]')))
        return f"{subject} == {draw(st.sampled_from(_CONSTANTS))} with {target} as {value}"
    first, second = draw(_reference()), draw(_reference())
    made = draw(
        st.sampled_from(
            (
                f"[w | some w in {first}; {inner}]",
                f"{{1 | {inner}}}",
                f"{{w: v | some w, v in {first}; {inner}}}",
                f"{{w: v | some w in {first}; some v in {second}; {inner}}}",
                f"{{{first}: w | some w in {second}}}",
                f"{{w: {first} | some w in {second}}}",
            )
        )
    )
    variables.append(new)
    return f"{new} := {made}"


@st.composite
def _body(draw: st.DrawFn, earlier: list[str], variables: list[str], depth: int, signs: _Signs) -> str:
    count = draw(st.integers(1, 3))
    return "; ".join(draw(_literal(earlier, variables, depth, signs)) for _ in range(count))


@st.composite
def _rules(draw: st.DrawFn, name: str, earlier: list[str], signs: _Signs) -> list[str]:
    """The rules of one name."""
    kind = draw(st.sampled_from(("complete", "complete", "set", "object", "alike", "function", "else")))
    many = range(draw(st.integers(1, 4)))
    rules: list[str] = []
    if kind in ("complete", "alike", "else") and draw(st.booleans()):
        rules.append(f"default {name} := {draw(st.sampled_from(_CONSTANTS[:11]))}")
    shared = draw(_body(earlier, [], 0, signs))
    for _ in many:
        variables: list[str] = []
        body = draw(_body(earlier, variables, 1, signs))
        value = draw(_operand([], variables))
        if kind == "complete":
            rules.append(f"{name} := {draw(st.sampled_from(_CONSTANTS))} if {{ {body} }}")
        elif kind == "else":
            other = draw(st.sampled_from(_CONSTANTS))
            rules.append(f"{name} := {value} if {{ {body} }} else := {other} if {{ {shared} }}")
        elif kind == "set":
            rules.append(f"{name} contains {value} if {{ {body} }}")
        elif kind == "object":
            key = draw(
                st.one_of(st.sampled_from(WORDS).map(lambda word: f'"{word}"'), _operand([], variables))
            )
            rules.append(f"{name}[{key}] := {value} if {{ {body} }}")
        elif kind == "function":
            rules.append(f"{name}(x) := {value} if {{ x == {draw(st.sampled_from(_CONSTANTS))}; {body} }}")
        else:
            # Rules alike but for constants, which become a table.
            first, second, third = (draw(st.sampled_from(_CONSTANTS)) for _ in range(3))
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
            lines.append(f"r{number}_called := r{number}({draw(st.sampled_from(_CONSTANTS))})")
            earlier = [*earlier, f"r{number}_called"]
        else:
            earlier = [*earlier, f"r{number}"]
    return "\n".join(lines) + "\n"
