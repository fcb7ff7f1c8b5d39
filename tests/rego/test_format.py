"""Layout: the tree and the comments stay, and formatting twice changes nothing."""

from __future__ import annotations

import random

import any_asts
import pytest
from conformance import Case, ConformanceCases
from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palisade.rego import ast
from palisade.rego.errors import CompileError
from palisade.rego.format import format_source
from palisade.rego.lexer import tokenize
from palisade.rego.parser import parse_module
from palisade.rego.printer import print_module


def assert_same(source: str) -> str:
    """The formatted source, which says the same and is stable."""
    formatted = format_source(source)
    before, after = parse_module(source), parse_module(formatted)
    assert after == before
    assert [each.text for each in after.comments] == [each.text.rstrip() for each in before.comments]
    assert [(each.scope, each.value) for each in after.annotations] == [
        (each.scope, each.value) for each in before.annotations
    ]
    assert format_source(formatted) == formatted
    return formatted


def test_a_whole_module() -> None:
    source = """# license

package   a.b
import data.x
import data.y   # why

# METADATA
# title: t
allow   if{ input.x==1;input.y[0]
 not x }
default p:=-1
q=1


r := {"a":1,
  "b":[1,2,
 3], # c
  "c": f(1,
    2)}
# about u
u := x if {
   some x in xs; x> - 1 # foo

   # own


   every y in ys { y>x; z }
   z := [ a|a := xs[_]
         a > 1 ]
   v := a+
      b
   k := { a|b; c }
}
else := 2 if { x
} else := 3
f(x)  := $"a{ x }b" if x -1 == -.5
# end"""
    assert (
        assert_same(source)
        == """# license

package a.b

import data.x
import data.y # why

# METADATA
# title: t
allow if {
	input.x == 1
	input.y[0]
	not x
}

default p := -1
q = 1

r := {
	"a": 1,
	"b": [
		1, 2,
		3,
	], # c
	"c": f(
		1,
		2,
	),
}

# about u
u := x if {
	some x in xs
	x > -1 # foo

	# own

	every y in ys {
		y > x
		z
	}
	z := [a |
		a := xs[_]
		a > 1
	]
	v := a +
		b
	k := {a | b; c}
} else := 2 if {
	x
} else := 3

f(x) := $"a{ x }b" if x - 1 == -.5
# end
"""
    )


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("p:=[1,2 ,]", "p := [1, 2,]"),
        ("p := {  }", "p := {}"),
        ("p := `a\n  b`", "p := `a\n  b`"),
        ("p := 1.50", "p := 1.50"),
        ("p if not(x)", "p if not (x)"),
        ("p if{x}", "p if {\n\tx\n}"),
        ("p if\n\n  x", "p if x"),
        ("f( x,y ):=io.jwt.decode( x )", "f(x, y) := io.jwt.decode(x)"),
        ("p.if.contains[ x ]:=1", "p.if.contains[x] := 1"),
        ("p := contains( x,y )", "p := contains(x, y)"),
        ("p if default.x-1==- 1", "p if default.x - 1 == -1"),
        ("p contains x   if {x|y}", "p contains x if {x | y}"),
        ("p if { x; -1 == y; [z] }", "p if {\n\tx;\n\t-1 == y\n\t[z]\n}"),
        ("p := f( # c\n)", "p := f( # c\n)"),
        ("p if {\n# only\nx\n# last\n}", "p if {\n\t# only\n\tx\n\t# last\n}"),
    ],
)
def test_lines(line: str, wanted: str) -> None:
    assert assert_same(f"package a\n{line}") == f"package a\n\n{wanted}\n"


def test_what_does_not_parse_is_refused() -> None:
    with pytest.raises(CompileError, match="package expected"):
        format_source("p := 1")


def test_v0_keeps_its_forms() -> None:
    source = "package a\np[x]{x;y}{z}\nq=1{true}else=2{false}"
    formatted = format_source(source, version=0)
    assert formatted == (
        "package a\n\np[x] {\n\tx\n\ty\n} {\n\tz\n}\n\nq = 1 {\n\ttrue\n} else = 2 {\n\tfalse\n}\n"
    )
    assert parse_module(formatted, version=0) == parse_module(source, version=0)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_asts.modules(), st.randoms(use_true_random=False))
def test_any_layout_of_any_module(module: ast.Module, chance: random.Random) -> None:
    """Line ends and comments may stand wherever a gap is: strew them in, and the module must survive."""
    source = print_module(module)
    tokens = tokenize(source).tokens
    parts: list[str] = []
    end = 0
    within = 0
    for token in tokens:
        parts.append(source[end : token.start])
        if token.gap and not within and chance.random() < 0.15:
            parts.append(chance.choice(["\n", "\n\n", " # note\n", "\n# note\n\n", "  "]))
        parts.append(source[token.start : token.end])
        end = token.end
        # A template string cannot take line ends everywhere.
        if token.kind in ("template", "template-end"):
            within += source[token.start] == "$"
            within -= token.kind == "template-end"
    assert_same("".join(parts))


@pytest.mark.conformance
def test_conformance_cases_keep_their_trees(conformance_cases: ConformanceCases) -> None:
    def check(case: Case) -> None:
        for source in case["modules"]:
            assert_same(source)

    conformance_cases.hold(check)
