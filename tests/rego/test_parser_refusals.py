"""What the parser refuses, in OPA's words; and that no text makes it do anything but read or refuse."""

from __future__ import annotations

import contextlib
import sys

import pytest
from effort import examples, some
from hypothesis import example, given, settings
from hypothesis import strategies as st

from palisade.rego.errors import CompileError
from palisade.rego.parser import parse_module, parse_query, parse_term


def complaints(source: str, version: int = 1) -> list[str]:
    """The errors of a module that follows `package a`, as `row:column message`."""
    with pytest.raises(CompileError) as raised:
        parse_module(f"package a\n{source}", version=version)
    return [f"{error.row}:{error.col} {error.message}" for error in raised.value.errors]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("p { x }", "`if` keyword is required before rule body"),
        ("f(x) { x }", "`if` keyword is required before function body"),
        ("p contains x { x }", "`if` keyword is required before rule body"),
        ("p[x]", "`contains` keyword is required for partial set rules"),
        ("p.q.r", "rule must have value assignment and/or body declaration"),
        ("p", "var cannot be used for rule name"),
        ('"p"', "string cannot be used for rule name"),
        ("contains := 1", "contains keyword cannot be used for rule name"),
        ("if := 1", "unexpected if keyword"),
        ("p == 1", "rule name conflicts with built-in function"),
        # Not a function of that name, which would be in the place of the builtin.
        ("startswith(x, y)", "rule name conflicts with built-in function"),
        ("time.now_ns(1)", "rule name conflicts with built-in function"),
        ("not p", "negated expressions cannot be used for rule head"),
        ("some p", "'some' declarations cannot be used for rule head"),
        ("p := 1; q := 2", "multiple expressions cannot be used for rule head"),
        ("p := 1 with input as 2", "expressions using with keyword cannot be used for rule head"),
        ("package b", "unexpected package"),
        ("default p := x", "illegal default rule (value cannot contain var)"),
        ("default p := [input.x]", "illegal default rule (value cannot contain ref)"),
        ("default p := f(1)", "illegal default rule (value cannot contain call)"),
        ("default p[x]", "illegal default rule (must have a value)"),
        ("default f(x, x) := 1", "illegal default rule (arguments cannot be repeated x)"),
        ("default f(1) := 1", "illegal default rule (arguments cannot contain number)"),
        ("f(x) contains y", "the contains keyword can only be used with multi-value rule definitions"),
        ("p contains x if y else := 1", "else keyword cannot be used on multi-value rules"),
        ("default p[input.x] := 1", "illegal default rule (path cannot contain ref)"),
        ("default p[[1]].a := 1", "illegal default rule (path cannot contain array)"),
        ("p[input.x] if y else := 1", "else keyword cannot be used on rules with variables in head"),
        ("p[x] if y else := 1", "else keyword cannot be used on rules with variables in head"),
        ("p if x else", "expected else value term or rule body"),
        ("p if x else := 1 else := 2", "unexpected else keyword"),
        ("p := 1 if x else := 2\nelse if y", "unexpected else keyword"),
        ("p if { x; }", "unexpected } token"),
        ("p if {}x", "var cannot be used for rule name"),
        ("p if { x y }", "unexpected identifier token: expected \\n or ; or }"),
        ("p if not some x", "unexpected some keyword: illegal negation of 'some'"),
        ("p if some x == 1", "expected `x in xs` or `x, y in xs` expression"),
        ("p if every x { y }", "expected `x[, y] in xs { ... }` expression"),
        ("p if every 1 in x { y }", "expected value to be a variable"),
        ("p if every x in y", "missing body"),
        ("p if x with 1 as y", "unexpected number token: expected ident"),
        ("p if x with input is y", "unexpected identifier token: expected as keyword"),
        ("p := q := 1", "unexpected assign token"),
        ("p :=", "unexpected eof token: expected rule value term (e.g., p := <VALUE> { ... })"),
        ("f(x) :=", "unexpected eof token: expected function value term (e.g., f(...) := <VALUE> { ... })"),
        (
            "default p :=",
            "unexpected eof token: expected default rule value term (e.g., default p := <VALUE>)",
        ),
        ("p contains", "unexpected eof token: expected rule key term (e.g., p contains <VALUE> { ... })"),
        ("p := 01", "unexpected number token: expected number without leading zero"),
        ('p := -"x"', "unexpected string token: expected number"),
        ("p := --x", "unexpected minus token: expected number"),
        ("p := -(x)", "unexpected ( token: expected number"),
        ("default p := -x", "illegal default rule (value cannot contain call)"),
        ("p := 1e100000", "number too big"),
        ("p := -1" + 4_300 * "0", "number too big: it has more than 4,300 digits"),
        ('p := "\\u12"', 'illegal string literal: "\\u12"'),
        ("p := 1.x", "expected fraction"),
        ('p := "a".b', "illegal ref (head cannot be string)"),
        ("p := x.1", "unexpected number token: expected identifier"),
        ("p := (x", "non-terminated expression"),
        ("p := {x y}", "unexpected identifier token: non-terminated set"),
        ("p := {x: y z}", "unexpected identifier token: non-terminated object"),
        ("p := [x y]", 'unexpected identifier token: expected "," or "]"'),
        ('p := $"{not x}"', "unexpected negation ('not') in template-string expression"),
        ('p := $"{x = 1}"', "unexpected unification ('=') in template-string expression"),
        ('p := $"{some x in y}"', "unexpected 'some' in template-string expression"),
        ('p := $"{x y}"', "expected } to end template string expression"),
        (
            "import foo",
            "unexpected import path, must begin with one of: {data, future, input, rego}, got: foo",
        ),
        ("import data[x]", "unexpected var token: expecting string"),
        ("import data.if", "unexpected import path, must not end with a keyword, got: if"),
        ("import data.x as 1", "unexpected number token: expected var"),
        ("import data.x as input", "unexpected identifier token: expected var"),
        ("import data.x as data", "unexpected identifier token: expected var"),
        ("import rego.v2", "invalid import `rego.v2`, must be `rego.v1`"),
        ("import future.x", "invalid import, must be `future.keywords`"),
        ("import future.keywords.x", "unexpected keyword, must be one of [and contains every if in not or]"),
        ("import data.x\nimport data.y as x", "import must not shadow import data.x"),
    ],
)
def test_refusals(source: str, message: str) -> None:
    """In OPA's words: people look for them."""
    (only,) = complaints(source)
    assert message in only


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "1:1 empty module"),
        ("# nothing", "1:10 empty module"),
        ("p := 1", "1:1 package expected"),
        ("package", "1:8 unexpected eof token"),
        ("package 1", "1:9 unexpected number token"),
        ("package a[b]", "1:11 unexpected var token: expecting string"),
        ("package foo.", "1:13 unexpected eof token: expected identifier"),
    ],
)
def test_modules_without_a_package(source: str, message: str) -> None:
    with pytest.raises(CompileError) as raised:
        parse_module(source)
    first = raised.value.errors[0]
    assert f"{first.row}:{first.col} {first.message}" == message


def test_all_errors_of_a_module_are_found() -> None:
    """Reading goes on with the next rule, so that one save shows everything that is wrong."""
    source = (
        'p if { x = }\n\nq { true }\n\nr := "\\q"\n\ns[x] { x }\n\nt := [1, 2\n\nu := 1\nimport nothing\n'
    )
    assert complaints(source) == [
        "2:12 unexpected } token",
        "4:1 `if` keyword is required before rule body",
        "6:6 illegal escape sequence",
        "8:1 `if` keyword is required before rule body",
        "8:1 `contains` keyword is required for partial set rules",
        '12:1 unexpected identifier token: expected "," or "]"',
        "13:8 unexpected import path, must begin with one of: {data, future, input, rego}, got: nothing",
    ]


def test_an_error_shows_its_line() -> None:
    with pytest.raises(CompileError) as raised:
        parse_module("package a\np if {\n\tx = = y\n}\n", "dir/a.rego")
    (error,) = raised.value.errors
    assert (error.file, error.row, error.col, error.line) == ("dir/a.rego", 3, 6, "\tx = = y")
    assert error.code == "rego_parse_error"


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("p if x", "for `if`, `import rego.v1` or `import future.keywords.if`"),
        ("p { some x in xs }", "`import future.keywords.in` for `some x in xs` expressions"),
        (
            "p { every x in xs { x } }",
            "`import future.keywords.every` for `every x in xs { ... }` expressions",
        ),
    ],
)
def test_v0_hints_at_imports(source: str, hint: str) -> None:
    with pytest.raises(CompileError) as raised:
        parse_module(f"package a\n{source}", version=0)
    assert raised.value.errors[0].hint == hint


_IF = "a body has no `if`: it holds where all its expressions do"
_LOOP = "`some x in xs` for any of them, `every x in xs { .. }` for all"
_BRACES = "can stand; a body of several expressions stands in braces"


@pytest.mark.parametrize("name", ["a/b", "a-b"])
def test_a_package_name_that_is_none_is_told_how_to_be_written(name: str) -> None:
    with pytest.raises(CompileError) as raised:
        parse_module(f"package {name}")
    assert raised.value.errors[0].hint.startswith("a name has letters, digits and `_`")


_BOTH = "for both, write one expression a line, or `;` between them, or `import future.keywords.and`"
_EITHER = "for either of two, write two rules of the same name, or `import future.keywords.or`"


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("p if input.a && input.b", "for both, write one expression a line, or `;` between them"),
        ("p if input.a and input.b", _BOTH),
        ("p if {\n\tinput.a and input.b\n}", _BOTH),
        ("p if { input.a || input.b }", "for either of two, write two rules of the same name"),
        ('p if { input.a in ("a", "b") }', "an array stands in `[` and `]`, a set in `{` and `}`"),
        ("p if { (input.a || input.b) }", "for either of two, write two rules of the same name"),
        ('p if {\n\t(input.a == "b" or input.b)\n}', _EITHER),
        ("p if { input.a or input.b }", _EITHER),
        ("p if { input.a, input.b }", "between expressions write a new line or `;`"),
        ("p if input.a === 1", "`==` compares two values"),
        ("p if !input.a", "write `not` before an expression"),
        ("p if input.a == 'x y'", "a string stands in double quotes"),
        ("p if input.a & & input.b", ""),
        ("p if input.a = = 1", "`==` compares two values"),
        ("p if input.a <> 1", "`!=` compares two values"),
        ("p if { input.a is null }", "`==` tells whether two values are equal, `!=` whether they are not"),
        ("p if { input.a not in [1] }", "write `not x in xs`"),
        ("p := [not input.a]", ""),
        ('p if { input.a matches "b" }', "write `regex.match(pattern, x)`"),
        (
            'p if { input.a contains "b" }',
            "of a text write `contains(x, y)`, of a collection `y in x`",
        ),
        ('p if input.a in "b", "c"', "an array stands in `[` and `]`, a set in `{` and `}`"),
        ('p if { input.a in "b", "c" }', "an array stands in `[` and `]`, a set in `{` and `}`"),
        ("p if { input.a in input.bs, input.c }", "between expressions write a new line or `;`"),
        ("p if { input.a; }", "no `;` stands behind the last expression"),
        ("p if {\n\tif input.a {\n\t\ttrue\n\t}\n}", f"{_IF}, one a line"),
        ("p if {\n\treturn true\n}", "a function's value stands in its head: `f(x) := y if { .. }`"),
        ("p if input.a !== 1", "`!=` compares two values"),
        ("p := input.a ? 1 : 2", "write a rule for each of the two cases, or `else := ..`"),
        ("p := input.xs.0", "a member of an array is written in brackets: `xs[0]`"),
        ("// x\np := 1", "a comment begins with `#`"),
        ("p := 1 // x", "a comment begins with `#`"),
        ("/* x */\np := 1", "a comment begins with `#`"),
        ("p if {\n\tfor x in input.xs {\n\t\tx\n\t}\n}", f"write {_LOOP}"),
        ("p if {\n\tsome x := input.xs\n}", "write `some x in xs` for a member, or `x := ..` alone"),
        ("p if not some x in input.xs", "write `not x in xs`, or `not` before a rule of its own that loops"),
        ("p if every x in input.xs x", "write `every x in xs { .. }`"),
        ("f(x) := y if {\n\treturn x\n}", "a function's value stands in its head: `f(x) := y if { .. }`"),
        ("def f(x)", "a function's value stands in its head: `f(x) := y if { .. }`"),
        ("p if input.a == 1:", "a body of several expressions stands in braces: `p if { .. }`"),
        ('p := {"a": 1 "b": 2}', "a comma stands between members"),
        ("p := [1 2]", "a comma stands between members"),
        ("p := {1 2}", "a comma stands between members"),
        ("my-rule := 1", "a name has no `-`: write `_`"),
        ("my-rule if input.x", "a name has no `-`: write `_`"),
        ("p := if input.x", "the value of a rule stands before `if`, and is true without one: `p if { .. }`"),
        ("p if {\n\tx := 1\n\tx += 1\n}", "a variable has one value: write another, `y := x + 1`"),
        ('p := f"{input.x}"', 'write `sprintf("%s", [x])`, or `$"{x}"`'),
        ('p if input.x startswith "/"', "write `startswith(x, y)`"),
        (
            "p if input has x",
            "`y in x` tells whether a collection has a member, `x.y` whether an object has a key",
        ),
        ("p := data.b with input as 1", "`with` stands in a body: `p := x if x := .. with ..`"),
        ("p with input as 1", "`with` stands in a body: `p if .. with ..`"),
        ("p if\n\tinput.a == 1\n\tinput.b == 2", f"outside of rules only `package` and `import` {_BRACES}"),
        ("<<<<<<< HEAD\np := 1", "a merge has left this: keep one of its two sides"),
        ("p := 1\n=======\nq := 1", "a merge has left this: keep one of its two sides"),
        ("p if { input.a }}", "it closes nothing: each bracket before it is closed already"),
        (
            "p if {\n\u00a0input.a\n}",
            "U+00A0 looks like a space or like nothing: type a space, or take it out",
        ),
        (
            'p := "\\d"',
            "a backslash is written twice, or the string, a regular expression say, in backquotes",
        ),
        (
            'p := "x',
            "a string ends in the line in which it begins; one of several lines stands in backquotes",
        ),
        ("p := `x", "no backquote ends it"),
        (
            "ü := 1",
            "a name has letters of ASCII, digits and `_`; other letters stand in strings and comments",
        ),
        ("defualt p := 1", "did you mean `default`?"),
        ("p fi {\n\tinput.a\n}", "did you mean `if`?"),
        ("p contians 1", "did you mean `contains`?"),
    ],
)
def test_operators_of_other_languages_get_rego_s_own_named(source: str, hint: str) -> None:
    with pytest.raises(CompileError) as raised:
        parse_module(f"package a\n{source}")
    assert [each.hint for each in raised.value.errors] == [hint]


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("p if {\n\tinput.x == [1, 2\n", "close the '[' of line 3"),
        ("p if {\n\tinput.x == data.y[1\n}", "close the '[' of line 3"),
        ("p if {\n\t(input.x == 1\n}", "close the '(' of line 3"),
        ("p if {\n\tinput.x == f(1, [2)\n}", "close the '[' of line 3"),
        ('p := {"a": }', ""),
        ('p if {\n\tinput.x == {"a": $"b {input.y} c"}\n\n', "close the '{' of line 2"),
        ("q if f(1)\n\np if {\n\tinput.x == 1", "close the '{' of line 4"),
        ("p if {\n\tinput.x\n\nq if {\n\tinput.y\n}\n", "is the '{' of line 2 closed before the next rule?"),
        ("p if {\n\tinput.x\n\nq contains 1", "is the '{' of line 2 closed before the next rule?"),
        ("p if x\n\nq if", ""),
        ('p := $"a {input.x', ""),
        ("p if { x y }", ""),
    ],
)
def test_a_bracket_that_is_not_closed_is_named(source: str, hint: str) -> None:
    """The error shows at the end of the file, or at the next rule: far from what lacks."""
    with pytest.raises(CompileError) as raised:
        parse_module(f"package a\n{source}")
    assert raised.value.errors[0].hint == hint


@pytest.mark.parametrize("quoted", ["“a”", "„a“", "‘a’", "«a»"])
def test_quotes_of_word_processors_are_told(quoted: str) -> None:
    with pytest.raises(CompileError) as raised:
        parse_module(f"package a\np := {quoted}")
    assert "double quotes that are straight" in raised.value.errors[0].hint


def test_other_versions_do_not_exist() -> None:
    with pytest.raises(ValueError, match="versions 0 and 1"):
        parse_module("package a", version=2)


def test_queries_have_no_rules() -> None:
    with pytest.raises(CompileError, match="found empty body"):
        parse_query(" # nothing")
    with pytest.raises(CompileError, match="unexpected if keyword"):
        parse_query("p if x")


# Limits


@pytest.mark.parametrize(
    "unit",
    some(
        ["[", "{", "(", "f(", "x[", "1+", "{x|", "[x|", '$"{', "every x in y {", "x.f().", "x in ", "{a|b,"],
        3,
    ),
)
def test_deep_nesting_is_an_error(unit: str) -> None:
    """Never a RecursionError, here or in what walks the tree later."""
    for prefix in ("", "p if ", "p := "):
        with pytest.raises(CompileError):
            parse_module(f"package a\n{prefix}{unit * 20_000}x")
    with pytest.raises(CompileError):
        parse_query(unit * 20_000 + "x")


def test_nesting_that_people_write_is_fine() -> None:
    assert parse_term("[" * 90 + "]" * 90)
    assert parse_term(" + ".join(["x"] * 150))
    (rule,) = parse_module("package a\np if x\n" + "else if x\n" * 5000).rules
    assert len(rule.orelse) == 5000


def test_work_is_linear() -> None:
    """Twice the rules take twice the calls: counted, since time depends on what else the machine does."""

    def calls(count: int) -> int:
        rule = 'p if {{\n\tinput.x == "{0}"\n\tnot {{1 | 2, input.y}}[{0}]\n\tsome _, v in input\n}}\n'
        text = "package a\n" + "".join(map(rule.format, range(count)))
        counted = 0

        def count_call(*_: object) -> None:
            nonlocal counted
            counted += 1

        sys.setprofile(count_call)
        try:
            parse_module(text)
        finally:
            sys.setprofile(None)
        return counted

    assert calls(400) < 2.1 * calls(200)


_PIECES = st.sampled_from(
    [
        *("package a", "import data.x", "p", "if", "contains", "else", "default", "some", "every", "in"),
        *("not", "with", "as", ":=", "=", "==", "{", "}", "[", "]", "(", ")", '"s"', '"', "`", '$"', "$`"),
        *(",", ";", "|", "\n", "\n\n", ".", "-", "1", "1.5", "_", "x", "f(", "\\", "\0", "\ufeff", "é"),
        *("# METADATA\n", "# scope: rule\n", "# c"),
    ]
)


@settings(max_examples=examples(300), deadline=None)
@given(st.text() | st.lists(_PIECES, max_size=40).map(" ".join) | st.lists(_PIECES, max_size=40).map("".join))
@example("package a\np := $`{")
def test_any_text_is_read_or_refused(source: str) -> None:
    """No text makes the parser raise anything but CompileError."""
    for text in (source, f"package a\n{source}"):
        for version in (0, 1):
            with contextlib.suppress(CompileError):
                parse_module(text, version=version)
    for parse in (parse_query, parse_term):
        with contextlib.suppress(CompileError):
            parse(source)
