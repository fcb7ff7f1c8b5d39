"""Text to trees: every construct of the language."""

from __future__ import annotations

import pytest

from palisade.rego import ast
from palisade.rego.ast import Call, Ref, Scalar, Var
from palisade.rego.parser import parse_module, parse_query, parse_term
from palisade.rego.places import Places
from palisade.rego.terms import MEMBER, MEMBER_WITH_KEY

X, Y, Z = Var("x"), Var("y"), Var("z")


def rules(source: str, version: int = 1) -> tuple[ast.Rule, ...]:
    return parse_module(f"package a\n{source}", version=version).rules


def rule(source: str, version: int = 1) -> ast.Rule:
    (only,) = rules(source, version)
    return only


def statement(source: str) -> ast.Statement:
    (only,) = parse_query(source)
    return only


# Terms


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("null", Scalar(None)),
        ("true", Scalar(True)),
        ('"a\\tb"', Scalar("a\tb")),
        ("`a\\tb`", Scalar("a\\tb")),
        ("12345678901234567890123", Scalar(12345678901234567890123)),
        ("1e3", Scalar(1000)),
        ("- .5", Scalar(-0.5)),
        ("x", X),
        ("x.y", Ref(X, (Scalar("y"),))),
        ("x.default[y]", Ref(X, (Scalar("default"), Y))),
        ("[x][0]", Ref(ast.Array((X,)), (Scalar(0),))),
        ("f(x).y", Ref(Call(Var("f"), (X,)), (Scalar("y"),))),
        ("io.f(x, y)", Call(Ref(Var("io"), (Scalar("f"),)), (X, Y))),
        ("f()", Call(Var("f"), ())),
        ("set()", ast.Set(())),
        ("{}", ast.Object(())),
        ("{x}", ast.Set((X,))),
        ("{x: y}", ast.Object(((X, Y),))),
        ("{x: y,}", ast.Object(((X, Y),))),
        ("[x, y,]", ast.Array((X, Y))),
        ("[, x]", ast.Array((X,))),
        ("x in y", Call(MEMBER, (X, Y))),
        ("x, y in z", Call(MEMBER_WITH_KEY, (X, Y, Z))),
        ("f(x, y in z)", Call(Var("f"), (X, Call(MEMBER, (Y, Z))))),
        ("f((x, y in z))", Call(Var("f"), (Call(MEMBER_WITH_KEY, (X, Y, Z)),))),
        ('$"a{x}{1}"', ast.TemplateString(("a", X, Scalar(1)))),
        ('$""', ast.TemplateString(())),
    ],
)
def test_terms(text: str, term: ast.Term) -> None:
    assert parse_term(text) == term


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b % c", "(a / b) % c"),
        ("a & b | c & d", "(a & b) | (c & d)"),
        ("a + b & c", "(a + b) & c"),
        ("a | b == c", "(a | b) == c"),
        ("a < b == c", "(a < b) == c"),
        ("a == b in c", "(a == b) in c"),
        ("a in b in c", "(a in b) in c"),
        ("a -1", "a - 1"),
    ],
)
def test_precedence(text: str, grouped: str) -> None:
    """OPA's: `in`, comparisons, `|`, `&`, sums, products; all of them from the left."""
    assert parse_term(text) == parse_term(grouped)


@pytest.mark.parametrize(
    ("sign", "name"),
    [
        *(("==", "equal"), ("!=", "neq"), ("<", "lt"), ("<=", "lte"), (">", "gt"), (">=", "gte")),
        *(("+", "plus"), ("-", "minus"), ("*", "mul"), ("/", "div"), ("%", "rem"), ("&", "and"), ("|", "or")),
    ],
)
def test_operators_are_calls_of_the_builtins_that_opa_names(sign: str, name: str) -> None:
    assert parse_term(f"x {sign} y") == Call(Var(name), (X, Y))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("-x", "0 - x"),
        ("- x.y[0]", "0 - x.y[0]"),
        ("-f(x)[0]", "0 - f(x)[0]"),
        ("y - -x * 2", "y - ((0 - x) * 2)"),
        ("[-x, y -x]", "[0 - x, y - x]"),
    ],
)
def test_a_minus_before_a_name_takes_it_from_zero(text: str, meant: str) -> None:
    """As OPA has it since `-input.x` is no error there; before a number it is the number's sign."""
    assert parse_term(text) == parse_term(meant)
    assert parse_term("-1") == ast.Scalar(-1)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[a | b]", ast.ArrayComprehension),
        ("{a | b; c}", ast.SetComprehension),
        ("{a: b | c}", ast.ObjectComprehension),
        ("[a | b, c]", ast.Array),
        ("{a | b, c}", ast.Set),
        ("{a: b | c, d: e}", ast.Object),
        ("[(a | b)]", ast.Array),
        ("[a & b | c]", ast.Array),
    ],
)
def test_a_bar_makes_a_comprehension_where_it_can(text: str, kind: type[ast.Node]) -> None:
    assert type(parse_term(text)) is kind


def test_nested_bars_are_read_once() -> None:
    """Each level could be a comprehension or a set: trying both at every level would take for ever."""
    depth = 40
    term = parse_term("{a | " * depth + "b" + ", c}" * depth)
    assert isinstance(term, ast.Set)


def test_whitespace_ends_a_reference() -> None:
    assert parse_query("x [0]") == (ast.Expression(X), ast.Expression(ast.Array((Scalar(0),))))


def test_every_wildcard_is_a_variable_of_its_own() -> None:
    """Numbered in each rule by itself: an edit above a rule leaves its tree as it is."""
    parsed = parse_module("package a\np if x[_][_]\nq if some _, _\nr if x._ == _")
    found = [node.name for node in ast.walk(parsed) if isinstance(node, Var) and node.is_wildcard]
    assert found == ["$0", "$1", "$0", "$1", "$0"]


def test_with_within_a_template_string() -> None:
    """Only statements have `with`: the part becomes a comprehension's first item, undefined where it is."""
    term = parse_term('$"{x with input as 1}"')
    assert isinstance(term, ast.TemplateString)
    (part,) = term.parts
    assert isinstance(part, Ref)
    assert isinstance(part.head, ast.ArrayComprehension)
    variable = part.head.term
    assert part.head.body == (ast.Unify(variable, X, withs=(ast.With(Var("input"), Scalar(1)),)),)
    assert part.path == (Scalar(0),)


# Statements


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x", ast.Expression(X)),
        ("not x", ast.Expression(X, negated=True)),
        ("x = y", ast.Unify(X, Y)),
        ("x := y", ast.Assign(X, Y)),
        ("[x, y] := z", ast.Assign(ast.Array((X, Y)), Z)),
        ("some x", ast.Some((X,))),
        ("some x, y", ast.Some((X, Y))),
        ("some x in y", ast.SomeIn(None, X, Y)),
        ("some x, [y] in z", ast.SomeIn(X, ast.Array((Y,)), Z)),
        ("every x in y { z }", ast.Every(None, X, Y, (ast.Expression(Z),))),
        ("every x, y in z { x; y }", ast.Every(X, Y, Z, (ast.Expression(X), ast.Expression(Y)))),
        ("x with input as y", ast.Expression(X, withs=(ast.With(Var("input"), Y),))),
        ("default.x", ast.Expression(Ref(Var("default"), (Scalar("x"),)))),
        ("not.x", ast.Expression(Ref(Var("not"), (Scalar("x"),)))),
    ],
)
def test_statements(text: str, wanted: ast.Statement) -> None:
    assert statement(text) == wanted


def test_statements_end_with_lines_or_semicolons() -> None:
    assert len(parse_query("x; y\nz # and\n\n x")) == 4


# Rules


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("p := 1", ast.Head(Var("p"), value=Scalar(1), assign=True)),
        ("p = 1", ast.Head(Var("p"), value=Scalar(1))),
        ("p.q[x].r := 1", ast.Head(Var("p"), (Scalar("q"), X, Scalar("r")), value=Scalar(1), assign=True)),
        ("p contains x", ast.Head(Var("p"), key=X)),
        ("p[x] contains y", ast.Head(Var("p"), (X,), key=Y)),
        ("f(x, y) := 1", ast.Head(Var("f"), (), (X, Y), value=Scalar(1), assign=True)),
        ("a.f(x) if y", ast.Head(Var("a"), (Scalar("f"),), (X,))),
        ("p if x", ast.Head(Var("p"))),
        ("p[x] if y", ast.Head(Var("p"), (X,))),
        ("p contains x if y", ast.Head(Var("p"), key=X)),
        ("default p := 1", ast.Head(Var("p"), value=Scalar(1), assign=True)),
        ("default p", ast.Head(Var("p"))),
        ("default f(_) := 1", ast.Head(Var("f"), (), (Var("$0"),), value=Scalar(1), assign=True)),
        ("if.x := 1", ast.Head(Var("if"), (Scalar("x"),), value=Scalar(1), assign=True)),
        ("p # c\n\n[x] if y", ast.Head(Var("p"), (X,))),
        ("p [x] := 1", ast.Head(Var("p"), (X,), value=Scalar(1), assign=True)),
    ],
)
def test_heads(text: str, head: ast.Head) -> None:
    parsed = rule(text)
    assert parsed.head == head
    assert parsed.default == text.startswith("default")


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("x", (ast.Expression(X),)),
        ("{ x }", (ast.Expression(X),)),
        ("{ x; y }", (ast.Expression(X), ast.Expression(Y))),
        ("{\n\tx\n\ty\n}", (ast.Expression(X), ast.Expression(Y))),
        ("{}", (ast.Expression(ast.Object(())),)),
        ("{x: y}", (ast.Expression(ast.Object(((X, Y),))),)),
        ("{x | y}", (ast.Expression(ast.SetComprehension(X, (ast.Expression(Y),))),)),
        ("{x} == y", (ast.Expression(Call(Var("equal"), (ast.Set((X,)), Y))),)),
        ("{ (x | y) }", (ast.Expression(Call(Var("or"), (X, Y))),)),
    ],
)
def test_braces_behind_if(text: str, body: ast.Body) -> None:
    """A collection where they can be one, a body where that would be a set."""
    assert rule(f"p if {text}").body == body


def test_else() -> None:
    parsed = rule("p := 1 if x else := 2 if { y } else if z else := 3")
    assert parsed.orelse == (
        ast.Else(Scalar(2), (ast.Expression(Y),)),
        ast.Else(Scalar(True), (ast.Expression(Z),)),
        ast.Else(Scalar(3), ()),
    )


def test_a_module() -> None:
    module = parse_module('# c\npackage a.b["c d"]\nimport data.x as y\nimport input.z\np := 1', "f.rego")
    assert module.package == ("a", "b", "c d")
    assert [each.name for each in module.imports] == ["y", "z"]
    assert [comment.text for comment in module.comments] == [" c"]
    assert str(module.rules[0].loc) == "f.rego:5:1"


def test_places_cover_what_was_written() -> None:
    source = "package a\n\np.q := f(x.y) if {\n\tx = [1, 2][_]\n} else := 2"
    parsed = parse_module(source).rules[0]
    texts = {Places(source).text(node.loc) for node in ast.walk(parsed)}
    assert {"p.q := f(x.y)", "f(x.y)", "x.y", "x = [1, 2][_]", "[1, 2][_]", "[1, 2]", "else := 2"} <= texts


# v0


def test_v0_rules() -> None:
    assert rule("p[x] { x }", 0).head == ast.Head(Var("p"), key=X)
    assert rule("p[x] = y { x }", 0).head == ast.Head(Var("p"), (X,), value=Y)
    assert rule("p.q.r { x }", 0).head == ast.Head(Var("p"), (Scalar("q"), Scalar("r")))
    assert rule("p[1]", 0) == ast.Rule(ast.Head(Var("p"), key=Scalar(1)))
    assert rule("p = 1 { x } else = 2 { y }", 0).orelse[0].value == Scalar(2)


def test_v0_bodies_in_a_row_are_rules_of_their_own() -> None:
    first, second = rules("f(_) { x } { y }", 0)
    assert (first.head.args, first.body) == ((Var("$0"),), (ast.Expression(X),))
    assert (second.head.args, second.body) == ((Var("$1"),), (ast.Expression(Y),))


def test_v0_has_names_that_are_keywords_of_v1() -> None:
    assert rule("if { in; every; contains }", 0).head.name == Var("if")


@pytest.mark.parametrize(
    ("imports", "text"),
    [
        ("rego.v1", "p contains x if every x in y { z }"),
        ("future.keywords", "p contains x if every x in y { z }"),
        ("future.keywords.every", "p { every x in y { z } }"),
        ("future.keywords.if", "p if { x }"),
    ],
)
def test_v0_imports_keywords(imports: str, text: str) -> None:
    assert rule(f"import {imports}\n{text}", 0)
