"""Builtins give what OPA's own engine gives, for operands near what they take.

Known differences, which the operands drawn here leave out:

* OPA keeps how a number was written: `json.marshal(1.0)` is `1.0` there, `1` here; `yaml.marshal` follows.
* A product of fractions has some more digits here.
* `sprintf` names the type of an integer that no verb takes `int64` there, `int` here.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from effort import examples
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from opa_answers import OpaAnswers

from palisade import rego
from palisade.rego import text
from palisade.rego.builtins import BUILTINS
from palisade.rego.check.signatures import builtin_signatures
from palisade.rego.check.types import Any as AnyOf
from palisade.rego.check.types import Array, Object, SetOf, Simple, Type
from palisade.rego.values import equal, from_python

_LEFT_OUT = {
    "json.marshal",
    "json.marshal_with_options",
    "product",
    "sprintf",
    "yaml.marshal",
    # What depends on chance, the time, the network or where it stands.
    "http.send",
    "io.jwt.encode_sign",
    "io.jwt.encode_sign_raw",
    "net.lookup_ip_addr",
    "opa.runtime",
    "print",
    "providers.aws.sign_req",
    "rand.intn",
    "rego.metadata.chain",
    "rego.metadata.rule",
    "time.now_ns",
    "trace",
    "uuid.rfc4122",
    # Ranges and shifts as great as the machine's memory, which nothing bounds there.
    "bits.lsh",
    "net.cidr_expand",
    "numbers.range",
    "numbers.range_step",
    # Operators and what is made of them, which the conformance cases and generated policies have.
    "and",
    "assign",
    "eq",
    "or",
    "walk",
    # Gone with Rego v1.
    "all",
    "any",
    "cast_array",
    "cast_boolean",
    "cast_null",
    "cast_object",
    "cast_set",
    "cast_string",
    "net.cidr_overlap",
    "re_match",
    "set_diff",
    # A schema that is wrong is told in other words.
    "json.match_schema",
    "json.verify_schema",
    # What is no name of an option or a set in a template's values is an error there only.
    "strings.render_template",
    # Libraries differ on what YAML is where it is none.
    "yaml.is_valid",
    "yaml.unmarshal",
}
_NAMES = sorted(
    name
    for name, signature in builtin_signatures().items()
    if name in BUILTINS
    and name not in _LEFT_OUT
    and not name.startswith(("internal.", "crypto.x509.", "graphql."))
)
_TEXTS = (
    *(
        "",
        "a",
        "b",
        "ab",
        "aba",
        "ABC",
        "é",
        "ß",
        "İ",
        "日本",
        " a ",
        "a b",
        "\t",
        "a,b",
        "a/b",
        "/a/b/",
        "a.b.c",
    ),
    *(
        "..",
        "%2F",
        "%zz",
        "a=1&b=2&a=3",
        "a=1;b=2",
        "x+y",
        "0",
        "1",
        "01",
        "-1",
        "1.5",
        "1e3",
        "0x10",
        "1_000",
        "1_.5",
        "0x1p-4",
        "-0X_F.8P1",
    ),
    *("true", "null", "[1,2]", '{"a":1}', "{", '"s"', "YQ==", "YQ", "Y Q==", "_-8=", "616", "6161", "1.2.3"),
    *(
        "1.2.3-alpha.1",
        "1.2.3+b",
        "v1.2.3",
        "10.0.0.0/8",
        "10.0.0.1",
        "::1",
        "fe80::/10",
        "10.0.0.0/08",
        "1KB",
    ),
    *(
        "1.5Gi",
        "10m",
        "1 MB",
        "-5k",
        "2024-01-31T10:00:00Z",
        "2024-02-30T10:00:00Z",
        "1h30m",
        "1d",
        "1us",
        "UTC",
    ),
    *("2006-01-02", "RFC3339", "a*", "[a-z]+", "(a)(b)?", "^a$", "(?i)a", r"\d+", "a|b", "(", "$1", "${1}x"),
    *(
        "a{2}",
        "*.a",
        "**",
        "{a,b}",
        "[!a]",
        "?",
        "urn:x:1",
        "http://u:p@h:80/p?q=1#f",
        "//h/p",
        "http://[::1]:80/",
    ),
    *(
        "mailto:x",
        "p?q",
        "550e8400-e29b-41d4-a716-446655440000",
        "550e8400-e29b-11d4-a716-446655440000",
        "a.b.c.d",
    ),
    *(
        "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.",
        "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.x",
        "abcabc",
        "bc",
        "cba",
        "x" * 40,
    ),
)
_PIECES = st.sampled_from("abcAB01/.%&=é日*[](){}$^\\|+-:,\"' ")
_STRINGS = st.one_of(st.sampled_from(_TEXTS), st.sampled_from(_TEXTS), st.text(_PIECES, max_size=6))
_NUMBERS = st.one_of(
    st.integers(-4, 12), st.sampled_from((0.5, 1.5, -1.5, 2.25, 255, 1024, 2**31, 2**53 + 1, 2**63))
)
_LEAVES = st.one_of(_STRINGS, _NUMBERS, st.booleans(), st.none())
_ANYTHING = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_STRINGS, inner, max_size=3),
    max_leaves=4,
)


class _Set(list[Any]):
    """The members of a set, which JSON has none of."""


def _of(type_: Type) -> st.SearchStrategy[Any]:
    """Values of a declared type."""
    match type_:
        case Simple("string"):
            return _STRINGS
        case Simple("number"):
            return _NUMBERS
        case Simple("boolean"):
            return st.booleans()
        case AnyOf(of) if of:
            return st.one_of([_of(each) for each in of])
        case SetOf(of):
            return st.lists(_of(of), max_size=3).map(_Set)
        case Array(static, dynamic):
            start = st.tuples(*map(_of, static)).map(list)
            rest = st.lists(_of(dynamic), max_size=3) if dynamic else st.just([])
            return st.tuples(start, rest).map(lambda parts: parts[0] + parts[1])
        case Object(_, (key, value)) if key == Simple("string"):
            return st.dictionaries(_STRINGS, _of(value), max_size=3)
    return _ANYTHING


def _has_set(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_set, value.values()))
    return isinstance(value, _Set) or (isinstance(value, list) and any(map(_has_set, value)))


@st.composite
def _calls(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """A call's text, in which `OPERANDS` stands for where its operands are in the input; and the operands."""
    name = draw(st.sampled_from(_NAMES))
    signature = builtin_signatures()[name]
    types = list(signature.args) + [signature.variadic] * draw(
        st.integers(0, 2) if signature.variadic else st.just(0)
    )
    operands, terms = [], []
    for place, type_ in enumerate(types):
        assert type_
        value = draw(st.one_of(_of(type_), _of(type_), _of(type_), _ANYTHING) if place else _of(type_))
        inner = value if isinstance(value, list) else [value]
        if any(map(_has_set, inner)):
            value = []  # a set within something else: Rego's text of it would be another test
        term = f"OPERANDS[{place}]"
        terms.append(f"{{v | some v in {term}}}" if isinstance(value, _Set) else term)
        operands.append(value)
    # What Go reads as a number, as 1_000, OPA keeps as it is written, and JSON has no such number.
    counted = " + 0" if name == "to_number" else ""
    return f"{name}({', '.join(terms)}){counted}", operands


def test_opa_answers(opa: OpaAnswers) -> None:
    """Without answers the comparison below would compare nothing."""
    source = "package p\n\na := upper(input)\n\nb := lower(input[0])\n\nc := startswith(input, 1)\n"
    assert opa.ask(source.replace(", 1", ", input"), "x", ["a", "b", "c"]) == [["X"], [], [True]]


# The message says which call it is: to shrink the others away takes minutes.
@settings(max_examples=examples(60), phases=(Phase.reuse, Phase.generate))
@given(calls=st.lists(_calls(), min_size=15, max_size=25))
def test_builtins_give_what_opas_do(opa: OpaAnswers, calls: list[tuple[str, list[Any]]]) -> None:
    rules = [f"r{number}" for number in range(len(calls))]
    asked = {rule: operands for rule, (_, operands) in zip(rules, calls, strict=True)}
    lines = [
        f"{rule} := {call.replace('OPERANDS', f'input.{rule}')}"
        for rule, (call, _) in zip(rules, calls, strict=True)
    ]
    source = "\n\n".join(["package p", *lines])
    policy = rego.compile({"p.rego": source})
    ours = text.loads(json.dumps(asked))
    for rule, line, theirs in zip(rules, lines, opa.ask(source, asked, rules), strict=True):
        found = [binding["x"] for binding in policy.query(f"x = data.p.{rule}", ours)]
        assert _same(found, theirs), f"{line} of {asked[rule]}: {found} here, {theirs} there"


def _same(ours: list[Any], theirs: list[Any]) -> bool:
    """Bytes that are no UTF-8 are kept here, and each is U+FFFD in OPA's JSON. Fractions are compared as
    doubles, which the binding makes of OPA's: of 9007201402224643.25 it gives ...644.0, whatever OPA said."""
    read = json.loads(json.dumps(theirs))
    written = re.sub("[\udc80-\udcff]", "\ufffd", text.dumps(ours))
    return equal(from_python(json.loads(written)), from_python(read))


def test_sprintf_writes_what_opas_does(opa: OpaAnswers) -> None:
    """Each verb with each flag: signs, prefixes and zeros beyond the width, and what a verb does not take."""
    templates = [
        f"%{flags}{width}{verb}"
        for flags in ("", "+", "-", "#", " ", "0", "+0", "#0", "+#")
        for width in ("", "12", ".2")
        for verb in "vdsfTqxegtcUboOXGEw"
    ]
    operands = [7, -7, 0, 7.5, 0.0625, 32, 55296, 1 << 70, -(1 << 63) - 1, "é`\n", True]
    source = "package p\n\nr := [[sprintf(template, [x]) | some template in input] | some x in data.operands]"
    ((theirs,),) = opa.ask(source, templates, ["r"], {"operands": operands})
    ours = rego.compile({"p.rego": source}, {"operands": operands}).query("x = data.p.r", templates)[0]["x"]
    for operand, texts, wanted in zip(operands, ours, theirs, strict=True):
        for template, text_, as_opa in zip(templates, texts, wanted, strict=True):
            assert text_ == as_opa, f"{template} of {operand}"


def test_fractions_that_are_no_doubles_are_compared_as_the_binding_gives_them() -> None:
    assert _same([Decimal("9007201402224643.25")], [9007201402224644.0])
    assert not _same([9007201402224643], [9007201402224644])
    assert not _same([Decimal("0.1")], [0.2])


def test_each_byte_that_is_no_text_is_one_character() -> None:
    """Python's own decoder makes one of two that could begin a character."""
    assert _same(["\udce7\udc9d\x1e"], ["\ufffd\ufffd\x1e"])
    assert not _same(["\udce7\udc9d\x1e"], ["\ufffd\x1e"])
