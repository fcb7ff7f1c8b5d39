"""Strings and `sprintf`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade.rego.builtins.gofmt import sprintf
from palisade.rego.builtins.terms import quote, show
from palisade.rego.parser import parse_term
from palisade.rego.values import Set


@pytest.mark.parametrize(
    ("name", "operands", "result"),
    [
        ("contains", ("abc", "bc"), True),
        ("startswith", ("abc", "b"), False),
        ("endswith", ("abc", "bc"), True),
        ("indexof", ("skön våren", "vår"), 5),
        ("indexof", ("abc", "z"), -1),
        ("indexof_n", ("aaaa", "aa"), [0, 1, 2]),
        ("substring", ("abcdef", 2, 3), "cde"),
        ("substring", ("åäö", 1, -1), "äö"),
        ("substring", ("abc", 9, 2), ""),
        ("strings.count", ("cheese", "e"), 3),
        ("strings.count", ("dummy", ""), 6),
        ("strings.reverse", ("aåb",), "båa"),
        ("split", ("a,b,,c", ","), ["a", "b", "", "c"]),
        ("split", ("abc", ""), ["a", "b", "c"]),
        ("split", ("", ","), [""]),
        ("split", ("", ""), []),
        ("replace", ("aXbX", "X", "--"), "a--b--"),
        ("replace", ("ab", "", "-"), "-a-b-"),
        ("strings.replace_n", ({"<": "&lt;", ">": "&gt;"}, "<a>"), "&lt;a&gt;"),
        ("strings.replace_n", ({"f": "x", "foo": "xxx"}, "foobar"), "xoobar"),
        ("strings.replace_n", ({}, "a"), "a"),
        ("strings.replace_n", ({"": "-", "a": "b"}, "abca"), "-b-b-c-b-"),
        ("strings.replace_n", ({"": "x", "ab": "2", "b": "1"}, "abcb"), "x2xcx1x"),
        ("strings.replace_n", ({"": "-"}, ""), "-"),
        ("strings.replace_n", ({"": "-", "\n": ""}, "a\nb"), "-a--b-"),
        ("trim", ("..a.b..", "."), "a.b"),
        ("trim", (" a ", ""), " a "),
        ("trim_left", ("xxay", "x"), "ay"),
        ("trim_right", ("xaxx", "x"), "xa"),
        ("trim_prefix", ("prefix-a", "prefix-"), "a"),
        ("trim_suffix", ("a.rego", ".rego"), "a"),
        ("trim_space", (" \t\n a\u2003\x85",), "a"),
        ("trim_space", ("\x1fa",), "\x1fa"),  # white space to Python, not to Unicode
        ("lower", ("ÀΣ",), "àσ"),
        ("upper", ("straße",), "STRAßE"),
        ("concat", ("/", ["a", "b"]), "a/b"),
        ("concat", (",", {"b", "a"}), "a,b"),
        ("strings.any_prefix_match", (["/a/b", "/c"], {"/c"}), True),
        ("strings.any_prefix_match", ("/a", []), False),
        ("strings.any_suffix_match", ("a.example.com", [".org", ".com"]), True),
    ],
)
def test_results(call: Any, name: str, operands: tuple[Any, ...], result: Any) -> None:
    assert call(name, *operands) == result


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("contains", (1, "a"), "operand 1 must be string but got number"),
        ("indexof", ("a", ""), "eval_builtin_error: empty search character"),
        ("substring", ("a", -1, 1), "eval_builtin_error: negative offset"),
        ("concat", (",", ["a", 1]), "operand 2 must be array of strings but got array containing number"),
        ("concat", (",", "a"), "operand 2 must be one of {set, array} but got string"),
        (
            "strings.any_prefix_match",
            (1, "a"),
            "operand 1 must be one of {string, set, array} but got number",
        ),
        ("strings.replace_n", ({"a": 1}, "x"), "operand 1 non-string value found in pattern object"),
        ("sprintf", ("%d", 1), "operand 2 must be array but got number"),
    ],
)
def test_refuses(fails: Any, name: str, operands: tuple[Any, ...], message: str) -> None:
    assert message in fails(name, *operands)


def test_a_result_too_large_ends_the_evaluation(fails: Any) -> None:
    assert fails("concat", "x" * 10_000, ["a"] * 10_000).startswith("eval_cancel_error")
    assert fails("replace", "a" * 10_000, "a", "x" * 10_000).startswith("eval_cancel_error")
    assert fails("regex.replace", "a" * 10_000, "a", "x" * 10_000).startswith("eval_cancel_error")


@pytest.mark.parametrize(
    ("template", "operands", "text"),
    [
        ("%s is %d", ["x", 3], "x is 3"),
        ("%v %v %v", [1, "a", 1.5], "1 a 1.5"),
        ("%5d|%-5d|%05d|%+d", [42, 42, -42, 42], "   42|42   |-0042|+42"),
        ("%x %X %#x %o %b %c %U", [255, 255, 255, 8, 5, 65, 65], "ff FF 0xff 10 101 A U+0041"),
        ("%x %X % x", ["hi", "hi", "hi"], "6869 6869 68 69"),
        ("%q %#q %+q", ['a"b', "a", "é"], '"a\\"b" `a` "\\u00e9"'),
        ("%6.2f|%-8.1f|%08.3f", [3.14159, 2.5, -1.5], "  3.14|2.5     |-001.500"),
        ("%e %.2e %g %G", [1234.5, 0.00012, 1e-7, 1e-7], "1.234500e+03 1.20e-04 1e-07 1E-07"),
        ("%v %v", [1234567.5, 123456.5], "1.2345675e+06 123456.5"),
        ("%s", [True], "true"),
        ("%t", [True], "%!t(string=true)"),
        ("%d", ["x"], "%!d(string=x)"),
        ("%s", [5], "%!s(int64=5)"),
        ("%.2f %5d", [7, 7.5], "%!f(int64=07) %!d(float64=  7.5)"),
        ("%d", [1.5], "%!d(float64=1.5)"),
        ("%s", [10**30], str(10**30)),
        ("%d %d", [1], "1 %!d(MISSING)"),
        ("%d", [1, "x"], "1%!(EXTRA string=x)"),
        ("100%%", [], "100%"),
        ("%", [], "%!(NOVERB)"),
        ("%[2]s %[1]s", ["a", "b"], "b a"),
        ("%[3]s", ["a"], "%!s(BADINDEX)"),
        ("%*d|%-*d|%.*f", [5, 1, 3, 2, 1, 2.55], "    1|2  |2.5"),
        ("%*d", ["x", 1], "%!(BADWIDTH)1"),
        ("%.3s|%5.1s|", ["abcdef", "xyz"], "abc|    x|"),
        ("%T %T %T", [1, 1.5, "s"], "int64 float64 string"),
        ("%v", [[1, "a", {"k": None}]], '[1, "a", {"k": null}]'),
        ("%v", [{"b": 1, "a": [True]}], '{"a": [true], "b": 1}'),
        ("%v", [set()], "set()"),
        ("%v", [{2, 1}], "{1, 2}"),
    ],
)
def test_sprintf_formats_as_go(call: Any, template: str, operands: list[Any], text: str) -> None:
    assert call("sprintf", template, operands) == text


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.text(), st.lists(st.one_of(st.integers(), st.text(), st.floats(allow_nan=False, allow_infinity=False)))
)
def test_sprintf_takes_any_template(template: str, operands: list[Any]) -> None:
    """A template from a stranger gives text, whatever it holds."""
    assert isinstance(sprintf(template.replace("*", ""), operands), str)


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(alphabet=st.characters(exclude_categories=("Cs",))))
def test_quoted_strings_read_back(text: str) -> None:
    """What `show` prints of a string is the Rego literal of that string, wherever Rego has Go's escapes."""
    quoted = quote(text)
    if all(escape not in quoted for escape in ("\\x", "\\a", "\\v", "\\U")):
        assert getattr(parse_term(quoted), "value", None) == text


def test_show_sorts_and_tells_sets_from_objects() -> None:
    value = {"z": Set.of([3, "a", None]), "a": Set()}
    assert show(value) == '{"a": set(), "z": {null, 3, "a"}}'


def test_template_strings(call: Any) -> None:
    assert call("internal.template_string", ["a ", {1}, " ", set(), " ", {"x"}]) == "a 1 <undefined> x"


def test_template_strings_have_one_outcome(fails: Any) -> None:
    message = fails("internal.template_string", [{1, 2}])
    assert message == "eval_conflict_error: template-strings must not produce multiple outputs"


@pytest.mark.parametrize(
    ("n", "parts"), [(2, ["a", "b"]), (0, []), (9, ["a", "b", "c"]), (-1, ["c"]), (-9, ["a", "b", "c"])]
)
def test_the_first_or_last_parts_of_a_text(call: Any, n: int, parts: list[str]) -> None:
    assert call("strings.split_n", "a,b,c", ",", n) == parts


def test_integers_of_more_than_64_bits_are_none(fails: Any) -> None:
    """OPA takes them for floating-point numbers where it wants a place in a text."""
    assert "must be integer number" in fails("substring", "abc", 0, 2**63)
