"""Constants that a builtin cannot work on are told, wherever they come from, and no others."""

from __future__ import annotations

import pytest

from palisade import rego
from palisade.rego.check import failing

HEAD = """package p

listed := ["^/a", "(b"]

one := "(b"

asked := "(b" if input.x

several := "(b" if input.x

several := "^/b" if not input.x

"""
DATA = {"docs": {"list": ["^/a", "(b"], "named": {"x": "(b", "y": 1}, "text": "(b"}}


def told(body: str) -> list[tuple[int, str]]:
    policy = rego.compile({"p.rego": f"{HEAD}r if {{ {body} }}\n"}, DATA)
    found = failing.find(policy.checked, policy.data, policy.checked.modules)
    return [(each.col, each.message) for each in found]


@pytest.mark.parametrize(
    "body",
    [
        'regex.match("(b", input.x)',
        "regex.match(`(b`, input.x)",
        'not regex.match("(b", input.x)',
        'p := "(b"; regex.match(p, input.x)',
        'some p in ["^/a", "(b"]; regex.match(p, input.x)',
        'every p in {"^/a", "(b"} { regex.match(p, input.x) }',
        'ps := ["(b"]; some p in ps; regex.match(p, input.x)',
        'ps := {"a": "(b"}; some p in ps; regex.match(p, input.x)',
        "some p in listed; regex.match(p, input.x)",
        "regex.match(listed[_], input.x)",
        "regex.match(one, input.x)",
        "some p in data.docs.list; regex.match(p, input.x)",
        "some p in data.docs.named; regex.match(p, input.x)",
        "regex.match(data.docs.named[_], input.x)",
        "regex.match(data.docs.text, input.x)",
        "count([1 | some p in listed; regex.match(p, input.x)]) > 0",
    ],
)
def test_a_pattern_that_is_none_is_told_wherever_it_comes_from(body: str) -> None:
    [(_, message)] = told(body)
    assert message == 'regex.match fails on "(b": error parsing regexp: missing ): `(b`'


@pytest.mark.parametrize(
    ("call", "operand"),
    [
        ('regex.find_n("[a", input.x, 1)', "[a"),
        ('regex.find_all_string_submatch_n("[a", input.x, 1)', "[a"),
        ('regex.split("a**", input.x)', "a**"),
        ('regex.replace(input.x, "[a", "[")', "[a"),
        ('glob.match("/a/[", ["/"], input.x)', "/a/["),
        ('net.cidr_contains("10.0.0.0/33", input.x)', "10.0.0.0/33"),
        ('net.cidr_intersects("10.0.0.0/8", "fe80::/200")', "fe80::/200"),
        ('net.cidr_intersects("10.0.0.0", input.x)', "10.0.0.0"),
        ('time.parse_duration_ns("3 hours") > input.x', "3 hours"),
    ],
)
def test_each_builtin_is_asked_about_its_own_operand(call: str, operand: str) -> None:
    """And the evaluator finds the call undefined, whatever the input is."""
    [(col, message)] = told(call)
    assert message.startswith(f'{call[: call.index("(")]} fails on "{operand}": ')
    assert f"r if {{ {call}"[col - 1 :].startswith(f'"{operand}"')
    policy = rego.compile({"p.rego": f"package p\n\nr if {{ {call} }}\n"})
    for given in ("10.0.0.1", "10.0.0.0/8", "/a/b", "", 1):
        assert policy.evaluate("data.p.r", {"x": given}) is rego.UNDEFINED


@pytest.mark.parametrize(
    "body",
    [
        'regex.match("^/a$", input.x)',
        'regex.match(concat("", ["(", input.x]), input.x)',
        "regex.match(asked, input.x)",
        "regex.match(several, input.x)",
        "at := 0; regex.match(listed[at], input.x)",
        "regex.match(listed[input.at], input.x)",
        'regex.is_valid("(b")',
        'regex.match(input.p, "(b")',
        'regex.replace("(b", "b", "(")',
        'glob.match("/a/*", ["/"], "/a/[")',
        'net.cidr_contains("fe80::/10", input.x)',
        'some p in data.docs.unknown; regex.match(p, "(b")',
    ],
)
def test_nothing_is_told_of_what_is_one_or_may_be(body: str) -> None:
    assert told(body) == []
