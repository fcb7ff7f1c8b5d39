"""JSON: paths, patches, text; hexadecimal and Base64; YAML."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opa_answers import OpaAnswers

from palisade import rego
from palisade.rego.builtins import BUILTINS, Context
from palisade.rego.builtins.encoding import decode_base64
from palisade.rego.errors import BuiltinError
from palisade.rego.text import dumps
from palisade.rego.values import Value

DOCUMENT = {"a": {"b": [1, {"c": 2}, 3]}, "d/e": 4, "f": {"g": 5}}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(alphabet=st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc~/ :#", max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("paths", "kept", "rest"),
    [
        (["a/b"], {"a": {"b": [1, {"c": 2}, 3]}}, {"a": {}, "d/e": 4, "f": {"g": 5}}),
        (["a/b/1/c"], {"a": {"b": [{"c": 2}]}}, {"a": {"b": [1, {}, 3]}, "d/e": 4, "f": {"g": 5}}),
        ([["a", "b", "0"]], {"a": {"b": [1]}}, {"a": {"b": [{"c": 2}, 3]}, "d/e": 4, "f": {"g": 5}}),
        (["d~1e"], {"d/e": 4}, {"a": {"b": [1, {"c": 2}, 3]}, "f": {"g": 5}}),
        (["f", "f/g"], {"f": {"g": 5}}, {"a": {"b": [1, {"c": 2}, 3]}, "d/e": 4}),
        (["x/y", ""], {}, DOCUMENT),
    ],
)
def test_filter_and_remove(call: Any, paths: Any, kept: Any, rest: Any) -> None:
    assert call("json.filter", DOCUMENT, paths) == kept
    assert call("json.remove", DOCUMENT, paths) == rest


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([{"op": "add", "path": "/a/b/1", "value": "x"}], {"a": {"b": [1, "x", 2]}}),
        ([{"op": "add", "path": "/a/b/-", "value": "x"}], {"a": {"b": [1, 2, "x"]}}),
        ([{"op": "add", "path": ["a", "b", 2], "value": "x"}], {"a": {"b": [1, 2, "x"]}}),
        ([{"op": "remove", "path": "/a/b/0"}], {"a": {"b": [2]}}),
        ([{"op": "replace", "path": "/a/b", "value": 0}], {"a": {"b": 0}}),
        ([{"op": "replace", "path": "", "value": 0}], 0),
        ([{"op": "move", "from": "/a/b", "path": "/c"}], {"a": {}, "c": [1, 2]}),
        ([{"op": "copy", "from": "/a/b/0", "path": "/c"}], {"a": {"b": [1, 2]}, "c": 1}),
        ([{"op": "test", "path": "/a/b/0", "value": 1}], {"a": {"b": [1, 2]}}),
        ([{"op": "test", "path": "/a/b/0", "value": True}], "undefined"),
        ([{"op": "remove", "path": "/a/x"}], "undefined"),
        ([{"op": "add", "path": "/a/b/7", "value": 1}], "undefined"),
        ([{"op": "add", "path": "/a/b/01", "value": 1}], "undefined"),
        ([{"op": "grow", "path": "/a"}], "undefined"),
        ([{"op": "add", "path": "/a"}], "undefined"),
        ([1], "undefined"),
    ],
)
def test_patch(call: Any, operations: Any, result: Any) -> None:
    assert call("json.patch", {"a": {"b": [1, 2]}}, operations) == result


@pytest.mark.parametrize("last", [{"op": "remove", "path": ""}, {"op": "remove", "path": []}])
def test_patch_that_leaves_nothing_is_an_error(last: Any) -> None:
    """OPA crashes there, so that nobody passes; undefined, `not` before it would allow."""
    patches = [{"op": "add", "path": "/b", "value": 1}, last]
    with pytest.raises(BuiltinError) as raised:
        BUILTINS["json.patch"].function(Context(0), {"a": 1}, patches)
    assert raised.value.fatal
    whole = [*patches, {"op": "add", "path": "", "value": 2}]
    assert BUILTINS["json.patch"].function(Context(0), {"a": 1}, whole) == 2


def test_patch_knows_sets(call: Any) -> None:
    assert call("json.patch", {"a": {1}}, [{"op": "add", "path": ["a", 2], "value": 2}]) == {"a": [1, 2]}
    assert call("json.patch", {"a": {1}}, [{"op": "add", "path": ["a", 2], "value": 3}]) == "undefined"
    assert call("json.patch", {"a": {1}}, [{"op": "remove", "path": ["a", 1]}]) == {"a": []}


@settings(deadline=None)  # a busy machine is no failure
@given(VALUES)
def test_marshalled_values_read_back(value: Value) -> None:
    text = BUILTINS["json.marshal"].function(value)
    assert BUILTINS["json.unmarshal"].function(text) == value
    assert not set("<>&") & set(text)


def test_pretty_printing(call: Any) -> None:
    value = {"b": [], "a": [1, {}]}
    assert (
        call("json.marshal_with_options", value, {"pretty": True})
        == '{\n\t"a": [\n\t\t1,\n\t\t{}\n\t],\n\t"b": []\n}'
    )
    assert call("json.marshal_with_options", [1], {"prefix": "> ", "indent": " "}) == "> [\n>  1\n> ]"
    assert call("json.marshal_with_options", [1], {"indent": " ", "pretty": False}) == "[1]"


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("json.marshal_with_options", ([], {"tabs": 1}), 'operand 2 object contained unknown key "tabs"'),
        ("json.marshal_with_options", ([], {"indent": 1}), 'key "indent" failed cast to string'),
        ("json.unmarshal", ("[1,",), "eval_builtin_error: invalid JSON"),
        ("json.unmarshal", ("[" * 100_000,), "eval_builtin_error: invalid JSON"),
        ("json.unmarshal", ("NaN",), "eval_builtin_error: invalid JSON"),
        ("json.filter", ([], []), "operand 1 must be object but got array"),
        ("json.remove", ({}, [1]), "containing string paths or array of path segments but got number"),
        ("hex.decode", ("0g",), "encoding/hex: invalid byte: U+0067 'g'"),
        ("hex.decode", ("012",), "encoding/hex: odd length hex string"),
        ("base64url.decode", ("a",), "illegal base64url string: a"),
        ("urlquery.decode", ("%zz",), 'invalid URL escape "%zz"'),
        ("urlquery.decode_object", ("a;b",), "invalid semicolon separator in query"),
        (
            "urlquery.encode_object",
            ({"a": 1},),
            "operand 1 values must be string, array[string], or set[string]",
        ),
    ],
)
def test_refuses(fails: Any, name: str, operands: tuple[Any, ...], message: str) -> None:
    assert message in fails(name, *operands)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("YQ=", 3),
        ("YQ", 0),
        ("Y", 0),
        ("YQ==x", 4),
        ("YQ=x", 2),
        ("Y*==", 1),
        ("YWJj\nY\nQ", 6),
        ("=", 0),
    ],
)
def test_wrong_base64_is_named_by_its_place(text: str, place: int) -> None:
    with pytest.raises(BuiltinError, match=f"illegal base64 data at input byte {place}$"):
        decode_base64(text)


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary())
def test_bytes_survive_encodings(data: bytes) -> None:
    """A string may hold bytes that are no UTF-8: what decodes to them encodes to the same again."""
    run = {
        name: BUILTINS[name].function for name in ("base64.decode", "hex.encode", "base64url.encode_no_pad")
    }
    text = run["base64.decode"](base64.b64encode(data).decode())
    assert run["hex.encode"](text) == data.hex()
    assert BUILTINS["base64url.decode"].function(run["base64url.encode_no_pad"](text)) == text


def test_query_strings(call: Any) -> None:
    assert call("urlquery.encode", "a b&=é/~") == "a+b%26%3D%C3%A9%2F~"
    assert call("urlquery.decode", "a+b%26") == "a b&"
    assert call("urlquery.encode_object", {"b": ["2", "1"], "a": {"z", "y"}}) == "a=y&a=z&b=2&b=1"
    assert call("urlquery.decode_object", "a=1&b&a=2") == {"a": ["1", "2"], "b": [""]}


@settings(deadline=None)  # a busy machine is no failure
@given(VALUES)
def test_yaml_reads_back(value: Value) -> None:
    """Strings that look like other values, hold line ends or markup come back as they went in."""
    text = BUILTINS["yaml.marshal"].function(value)
    assert dumps(BUILTINS["yaml.unmarshal"].function(text)) == dumps(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes\nb: off\nc: ~\nd: 'no'", {"a": True, "b": False, "c": None, "d": "no"}),
        ("[0x1F, 0b11, 0o17, 017, 1_000, 1.5e3, .5]", [31, 3, 15, 15, 1000, 1500, 0.5]),
        ("[0X1F, 0B11, 0O17, 089]", [31, 3, 15, 89]),
        ("[18446744073709551615, 12345678901234567890123]", [2**64 - 1, 12345678901234568000000]),
        ("[1e400, 1e-400, 123e5678901234567890123]", ["1e400", 0, "123e5678901234567890123"]),
        ("[0.12345678901234567890, 0x10000000000000000]", [0.12345678901234568, "0x10000000000000000"]),
        ("2020-01-01", "2020-01-01"),
        ("1: a\ntrue: b", {"1": "a", "true": "b"}),
        ("base: &b {x: 1}\nderived:\n  <<: *b\n  z: 2", {"base": {"x": 1}, "derived": {"x": 1, "z": 2}}),
        ("!!str 5", "5"),
        ("!!binary aGk=", "hi"),
        ("", None),
        ("--- 1\n--- 2", 1),
    ],
)
def test_yaml_means_what_it_means_to_opa(call: Any, text: str, value: Any) -> None:
    assert call("yaml.unmarshal", text) == value
    assert call("yaml.is_valid", text) is True


@pytest.mark.parametrize(
    "text", ["a: b: c", "[", "x: *y", "&a [*a]", "? [a]: b", "{? {a: 1}: 2}", ".inf", "!!int x", r'"\ud800"']
)
def test_yaml_refuses(call: Any, text: str) -> None:
    assert call("yaml.is_valid", text) is False


@pytest.mark.parametrize(("times", "valid"), [(199, True), (200, False)])
def test_so_much_of_yaml_may_come_of_aliases(call: Any, times: int, valid: bool) -> None:
    """As many as in OPA, to one: of more its error makes a rule undefined that had a value here."""
    text = f"a: &a [{', '.join(['x'] * 200)}]\nz: [{', '.join(['*a'] * times)}]\n"
    assert call("yaml.is_valid", text) is valid


def test_yaml_aliases_cannot_explode(fails: Any) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, 9)]
    assert "document contains excessive aliasing" in fails("yaml.unmarshal", "\n".join(lines))


@pytest.mark.parametrize("value", ['{"role": "guest"}', "[1]", '"a"', "-1.5", "true", "null", ""])
@pytest.mark.parametrize(
    "behind", ["null", " null", "\n null null", " nullx", " null]", " nul", " 1", ",null", " Null"]
)
def test_behind_a_json_text_may_stand_null(opa: OpaAnswers, value: str, behind: str) -> None:
    """OPA takes `{"role": "guest"} null` for an object; here it was none, so that `not` allowed who said so
    in a header, or in a token that is not verified."""
    head, claims = (
        base64.urlsafe_b64encode(each.encode()).decode().rstrip("=")
        for each in ('{"alg": "none"}', value + behind)
    )
    source = "package p\n\nparsed := json.unmarshal(input.text)\ndecoded := io.jwt.decode(input.token)[1]\n"
    source += "valid := json.is_valid(input.text)\n"
    asked = {"text": value + behind, "token": f"{head}.{claims}."}
    theirs = opa.ask(source, asked, ["parsed", "decoded", "valid"])
    policy = rego.compile({"p.rego": source})
    found = [policy.evaluate(f"data.p.{rule}", asked) for rule in ("parsed", "decoded", "valid")]
    assert [[] if each is rego.UNDEFINED else [each] for each in found] == theirs


@pytest.mark.parametrize(
    "at",
    ["1.", "1.00", "+1", "+01", "-0", "+00", ".0", "1.5", "01", "0.0", "-1", "1e0", "+", ".", "+.", "-."],
)
@pytest.mark.parametrize("zeros", [0, 16, 17, 18, 19])
@pytest.mark.parametrize("op", ["add", "replace", "remove"])
def test_places_in_arrays_are_the_numbers_that_opa_reads(
    opa: OpaAnswers, at: str, zeros: int, op: str
) -> None:
    """A sign, or a fraction that is none, ended the patch."""
    source = "package p\n\np := json.patch([1, 2, 3], [input])\n"
    asked = {"op": op, "path": f"/{at}{'0' * zeros}", "value": 9}
    found = rego.compile({"p.rego": source}).evaluate("data.p.p", asked)
    assert [[] if found is rego.UNDEFINED else [found]] == opa.ask(source, asked, ["p"])
