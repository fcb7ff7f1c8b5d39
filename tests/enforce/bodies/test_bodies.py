"""What the sidecar reads of a JSON body or a form is what the engine reads; or the engine decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote_plus, unquote

import pytest
from drawn_bodies import BROKEN, BROKEN_FORMS, FORM_TEXTS, NUMBERS, bodies, forms
from effort import examples_asked, some
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lowered import judge_reading, subject_of

from palisade import rego
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Tally, compare
from palisade.testing.equivalence.telling import lines, summary

EXAMPLES = examples_asked(40)
JSON = ("content-type", "application/json")

_CONSTANTS = (
    *("null", "true", "false", "0", "1", "1.5", "0.1", "100", "9007199254740993"),
    *('""', '"x"', '"ä"', '"€"'),
)
_KINDS = ("null", "boolean", "number", "string", "array", "object")
_FIELDS = ("", ".a", ".b.c", '["c"][0]', ".c[1].a")


def _conditions(at: int, field: str) -> list[str]:
    """Conditions of every kind on a field; which constants they have differs from field to field."""
    whole = f"input.parsed_body{field}"
    found = [f"{whole} == {each}" for each in _CONSTANTS[at % 2 :: 2]]
    found += [f"is_{kind}({whole})" for kind in _KINDS]
    found += [f"count({whole}) == {at % 3}", f"count({whole}) > 1", f"{whole} < {at}.5", f"{whole} >= 1"]
    found += [f'"x" in {whole}', f"1 in {whole}", f'startswith({whole}, "x")', f'lower({whole}) == "x"']
    found += [f'{whole} in {{"", "p", "q", "r", "ä", "x"}}', f'{whole} == http.headers["x-a"]', whole]
    return [*found, f"not {whole}", f"{whole} != 1"]


CONDITIONS = tuple(each for at, field in enumerate(_FIELDS) for each in _conditions(at, field))
HEAD = "package p\nimport input.attributes.request.http\n"


def sent(body: str, kind: str = "application/json") -> Request:
    return Request("POST", "/", (("content-type", kind), ("x-a", "x")), None, body)


def judge(bed: Bed, issuers: Issuers, rules: str, asked: Sequence[Request], tally: Tally) -> Subject:
    """Raises AssertionError with the first request that is decided otherwise than the policy says."""
    subject = subject_of(rego.compile({"p.rego": HEAD + rules}), (), issuers)
    bed.load(subject)
    for difference in compare(bed, subject, asked, tally):
        raise AssertionError("\n".join((summary(difference), rules, *lines(difference))))
    return subject


@pytest.mark.parametrize("condition", some(_conditions(0, ".a") + _conditions(1, ".a")))
def test_a_condition_on_values_of_every_kind(bed: Bed, issuers: Issuers, condition: str) -> None:
    """Each number, text and piece of broken JSON as the field, as a member of it and beside it."""
    tally = Tally()
    judge(bed, issuers, f"allow if {condition}", SPELLED, tally)
    assert tally.native > 0.6 * tally.pairs, tally


_TEXTS = (
    '""',
    '"x"',
    '"X"',
    '"xy"',
    '"\\u0078"',
    '"ä"',
    '"\\u00e4"',
    '"a\\nb"',
    '"\\u20ac"',
    '"€"',
    '"p"',
    "{}",
    "[]",
)
SPELLED = [
    sent(template.replace("_", value))
    for value in (*NUMBERS, *BROKEN, *_TEXTS, "true", "false", "null", "[1, null]", '["x"]', '{"x": 1}')
    for template in ('{"a": _}', '{"a": [_]}', '{"b": _}', "_", '{"a": [1, {"b": _}], "c": "x"}')
] + [
    sent(body)
    for body in ('{"a": "x", "a": 1}', '{"b": 1, "b": 2}', '{"\\u0061": "x"}', '{"a": {"b": 1, "b": 2}}')
]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_generated_bodies(bed: Bed, issuers: Issuers, data: st.DataObject) -> None:
    """Whatever is asked of whatever body, no request is decided otherwise."""
    condition = st.sampled_from(CONDITIONS)
    rule = st.lists(condition, min_size=1, max_size=2, unique=True).map(
        lambda parts: f"allow if {{ {'; '.join(parts)} }}"
    )
    rules = data.draw(st.lists(rule, min_size=1, max_size=4))
    kinds = st.sampled_from((*["application/json"] * 12, *KINDS))
    asked = data.draw(st.lists(st.builds(sent, bodies(), kinds), min_size=20, max_size=60))
    judge(bed, issuers, "\n".join(rules), asked, Tally())


FORM = "application/x-www-form-urlencoded"
_FORM_FIELDS = (".a", ".a[0]", ".a[1]", ".b", '["b.c"][0]', '[""]', "", ".a[count(input.parsed_body.a) - 1]")


def _form_conditions(at: int, field: str) -> list[str]:
    found = _conditions(at, field)
    whole = f"input.parsed_body{field}"
    found += [f'{whole} == ["x"]', f'{whole} == ["x", "\u00e4"]', f'concat(",", {whole}) == "x"']
    return [*found, f'{whole} == "\u20ac"', f'"a b" in {whole}', f"count({whole}) >= 2"]


FORM_CONDITIONS = tuple(each for at, field in enumerate(_FORM_FIELDS) for each in _form_conditions(at, field))
WRITTEN = [
    sent(template.replace("_", value), FORM)
    for value in (*map(quote_plus, FORM_TEXTS), *BROKEN_FORMS)
    for template in ("a=_", "a=x&a=_", "b=_", "_", "_=x", "a=_&_=a&b=y", "&&a=_&")
]


@pytest.mark.long
@pytest.mark.parametrize("field", _FORM_FIELDS)
def test_forms(bed: Bed, issuers: Issuers, field: str) -> None:
    """Each text and each broken form as a value and as a name, asked by conditions of every kind."""
    for at, condition in some([*enumerate(_form_conditions(len(field) % 2, field))], beside=field):
        tally = Tally()
        judge(bed, issuers, f"allow if {condition}", WRITTEN[at % 3 :: 3], tally)


def test_most_forms_are_read_in_the_sidecar(bed: Bed, issuers: Issuers) -> None:
    """All but the broken ones, whatever their values."""
    judge(bed, issuers, 'allow if input.parsed_body.a[0] == "x"', [sent("", FORM)], Tally())
    asked = [sent(f"a={quote_plus(each)}&b=1", FORM) for each in FORM_TEXTS]
    assert [seen.asked for seen in bed.ask(asked) if seen] == [False] * len(asked)
    many = [sent("&".join(["b=1"] * count), FORM) for count in (1000, 1001)]
    assert [seen.asked for seen in bed.ask(many) if seen] == [False, True]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_generated_forms(bed: Bed, issuers: Issuers, data: st.DataObject) -> None:
    """Whatever is asked of whatever form, no request is decided otherwise."""
    condition = st.sampled_from(FORM_CONDITIONS)
    rule = st.lists(condition, min_size=1, max_size=2, unique=True).map(
        lambda parts: f"allow if {{ {'; '.join(parts)} }}"
    )
    rules = data.draw(st.lists(rule, min_size=1, max_size=4))
    kinds = st.sampled_from((*[FORM] * 12, f"{FORM}; charset=utf-8", *KINDS))
    asked = data.draw(st.lists(st.builds(sent, forms(), kinds), min_size=20, max_size=60))
    judge(bed, issuers, "\n".join(rules), asked, Tally())


KINDS = (
    *(
        "application/json; charset=utf-8",
        "Application/JSON",
        "text/plain",
        "x application/json",
        "application/json-x",
    ),
    *("application/x-www-form-urlencoded", "application/x-www-form-urlencoded, application/json", ""),
    *("application/grpc, application/x-www-form-urlencoded", "application/json, application/grpc"),
    *("multipart/form-data; boundary=a", "multipart/form-data, application/x-www-form-urlencoded"),
)


def test_what_the_body_is_said_to_be(bed: Bed, issuers: Issuers) -> None:
    """The content type decides whether it is read, as in the engine; of other types it is null to both."""
    asked = [sent(body, kind) for kind in KINDS for body in ('{"a": 1}', "a=1", "", "{")]
    asked += [
        Request("POST", "/", (("content-type", FORM), ("content-type", "application/json")), None, "a=1")
    ]
    asked += [replace(each, headers=(*each.headers[:-1], ("x-a", "1"))) for each in asked]
    for rules in (
        'allow if json.unmarshal(http.body).a == 1\nallow if input.parsed_body.a[0] == "1"',
        "allow if json.unmarshal(http.body) == 1\nallow if not json.unmarshal(http.body)",
        'allow if { json.unmarshal(http.headers["x-a"]) == 1; input.parsed_body.a[0] == "1" }',
        'allow if { not json.unmarshal(http.headers["x-a"]); not input.parsed_body.a }',
        "allow if input.parsed_body.a == 1",
        "allow if not input.parsed_body.a",
        'allow if input.parsed_body.a[0] == "1"',
    ):
        judge(bed, issuers, rules, asked, Tally())
    [plain] = bed.ask([sent('{"a": 1}', "text/plain")])
    assert plain is not None
    assert not plain.asked


def test_a_request_without_a_body(bed: Bed, issuers: Issuers) -> None:
    """Its `parsed_body` is null: over HTTP/1 that is known, over HTTP/2 only where it says so."""
    nothing = [
        Request("GET", "/", (JSON,)),
        Request("POST", "/", (JSON, ("content-length", "0"))),
        Request("POST", "/", (JSON, ("content-length", "0")), http2=True),
    ]
    others = [Request("GET", "/", (JSON,), http2=True), Request("GET", "/", (JSON, ("upgrade", "h2c")))]
    rules = (
        "input.parsed_body.a == 1",
        "not input.parsed_body.a",
        "input.parsed_body == null",
        "not input.truncated_body",
    )
    for rule in rules:
        judge(bed, issuers, f"allow if {rule}", nothing + others, Tally())
        assert [seen.asked for seen in bed.ask(nothing) if seen] == [False] * 3, rule


@pytest.mark.parametrize(
    "rules",
    [
        'deny if contains(http.body, "drop")\nallow if not deny',
        'deny if json.unmarshal(http.body).a == "drop"\nallow if not deny',
        'deny if input.parsed_body.a == "drop"\nallow if not deny',
        'allow if contains(http.body, "read")',
        'allow if json.unmarshal(http.body).a == "read"',
        'allow if input.parsed_body.a == "read"',
        'allow if http.headers["transfer-encoding"]\nallow if http.headers["x-palisade-chunks"]',
    ],
)
def test_a_body_in_chunks_is_a_body(bed: Bed, issuers: Issuers, rules: str) -> None:
    """Envoy hides from filters that there are chunks: what a rule denies by its body was allowed."""
    long = '{"a": "drop", "b": "' + "x" * (1 << 20) + '"}'
    asked = [
        Request(method, "/", (("content-type", kind),), None, text, chunked=True)
        for method in ("POST", "GET")
        for kind in ("application/json", "text/plain")
        for text in ('{"a": "drop"}', '{"a": "read"}', "", long)
    ]
    asked += [replace(each, headers=(*each.headers, ("x-palisade-chunks", ""))) for each in asked[:3]]
    judge(bed, issuers, rules, asked, Tally())


LEFT = {
    "a mark of the byte order, which OPA-Envoy passes over": sent('\ufeff{"a": 1}'),
    "longer than the sidecar reads": sent('{"a": 1, "b": "' + "x" * 200_000 + '"}'),
    "a text longer than the sidecar takes out": sent('{"a": "' + "x" * 30_000 + '"}'),
    "more escapes than the sidecar takes out": sent('{"a": "' + "\\u0041" * 5_000 + '"}'),
    "more names than the sidecar takes out": sent(
        f'{{"a": 1, {", ".join(f"{chr(34)}b{at}{chr(34)}: 1" for at in range(8_000))}}}'
    ),
    "deeper": sent('{"a": 1, "b": ' + "[" * 70 + "]" * 70 + "}"),
    "a number with more digits than a double has": sent('{"a": 1.0000000000000000001}'),
    "a name twice": sent('{"a": 2, "a": 1}'),
    "half a pair": sent('{"a": "\\ud800"}'),
    "more members than each rule is to look at": sent(f'{{"a": [{", ".join(["1"] * 257)}]}}'),
    "a text with an end": sent('{"a": "\\u0000"}'),
}


def test_long_bodies_are_read_for_what_is_wanted_of_them(bed: Bed, issuers: Issuers) -> None:
    """Up to 199,999 bytes, letters beyond ASCII, escapes and broken ones among them, however deep."""
    fillings = ("x", "\u00e4", "\u20ac", "\U0001f600", "\\n", "\\u00e4")
    asked = [sent(f'{{"b": ["{each * (190_000 // len(each.encode()))}"], "a": 1}}') for each in fillings]
    judge(bed, issuers, "allow if input.parsed_body.a == 1", asked, Tally())
    seen = [each for each in bed.ask(asked) if each is not None]
    assert [each.asked for each in seen] == [False] * len(asked)
    assert all(each.reached for each in seen)
    broken = [
        replace(each, body=each.body[:100_000] + odd + each.body[100_001:])
        for each in asked
        for odd in '"\\\n'
    ]
    broken += [
        replace(asked[0], body=asked[0].body[:100_000] + odd + asked[0].body[100_000:])
        for odd in ("\udcc3", "\udcff", "\udced\udca0\udc80")
    ]
    judge(bed, issuers, "allow if input.parsed_body.a == 1", broken, Tally())


def test_arrays_are_read_up_to_so_many_members(bed: Bed, issuers: Issuers) -> None:
    """The last of them counts, too; members that are no scalars are not looked at."""
    body = f'{{"a": [{", ".join(["1", "{}"] * 255)}, "x"]}}'
    judge(bed, issuers, 'allow if "x" in input.parsed_body.a', [sent(body)], Tally())
    [seen] = bed.ask([sent(body)])
    assert seen is not None
    assert not seen.asked
    assert seen.reached


@pytest.mark.parametrize("name", LEFT)
def test_what_the_engine_reads(bed: Bed, issuers: Issuers, name: str) -> None:
    """It gets the body, and decides."""
    judge(bed, issuers, "allow if input.parsed_body.a", [LEFT[name]], Tally())
    [seen] = bed.ask([LEFT[name]])
    assert seen is not None
    assert seen.asked
    assert seen.reached


REFUSED = {
    "an end and something behind it": '{"a": 1}\0 and more',
    "bytes that are no text": '{"a": 1, "b": "\udcff\udcfe"',
    "something behind it": '{"a": 1} {',
    "a comma too much": '{"a": 1,}',
    "a control character": '{"a": 1, "b": "\n"}',
}
"""Envoy's `json_to_metadata` takes the first: docs/decisions/bodies-in-the-sidecar.md."""


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_json_is_denied(bed: Bed, issuers: Issuers, name: str) -> None:
    judge(bed, issuers, "allow if input.parsed_body.a == 1", [sent(REFUSED[name])], Tally())
    [seen] = bed.ask([sent(REFUSED[name])])
    assert seen is not None
    assert not seen.reached


_TEXTUAL = [
    each
    for each in WRITTEN
    if "\ufffd" not in unquote(each.body.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
]
_EXPLAINED = {
    'input.parsed_body.a == "x"': SPELLED,
    '"x" in input.parsed_body.a': SPELLED,
    "input.parsed_body.a < 2": SPELLED,
    'input.parsed_body.a[0] == "x"': _TEXTUAL,
    "count(input.parsed_body) == 2": _TEXTUAL,
}


@pytest.mark.parametrize("condition", _EXPLAINED)
def test_explain_reads_bodies_as_the_sidecar_does(bed: Bed, issuers: Issuers, condition: str) -> None:
    """Where a request is decided, and how, is what `palisade explain` says; of few it cannot tell."""
    written = _EXPLAINED[condition]
    subject = judge(bed, issuers, f"allow if {condition}", written, Tally())
    judge_reading(bed, subject, written)
