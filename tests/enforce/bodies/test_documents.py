"""JSON that a policy takes out of the body, of headers and of tokens: read as by the engine, or by it."""

from __future__ import annotations

import base64

import pytest
from documents_asked import BEARER, WAYS, in_body, in_header, judge, raw, url
from drawn_bodies import BROKEN, NUMBERS, bodies
from effort import examples_asked, some
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lowered import judge_reading

from palisade.testing.equivalence import Bed, Issuers, Request, Tally

EXAMPLES = examples_asked(30)


def conditions(document: str) -> list[str]:
    """Rules of every kind on a document `{"a": ...}`, and on the whole of it."""
    field = f"{document}.a"
    asked = [f"{field} == {each}" for each in ("null", "true", "1", "1.5", '"x"', '"ä"')]
    asked += [f"{whole} != 1" for whole in (field, document)]
    asked += [f"is_{kind}({field})" for kind in ("null", "boolean", "number", "string", "array", "object")]
    asked += [f'"x" in {field}', f"count({field}) == 1", f"{field} >= 1", f'startswith({field}, "x")']
    asked += [f'{field} == http.headers["x-a"]', f"not {field}", field, document, f"{field}[0] == 1"]
    asked += [f'some b in {field}; b.k == "x"', f"every c in {field} {{ c.k > 0 }}", f"{field}[_].k.j"]
    asked += [f'some d in {field}; startswith(d.k, "x"); d.j != 1', f"every e in {field} {{ not e.k == 1 }}"]
    asked += [f'some f in {field}; f.k == http.headers["x-a"]']
    asked += [f'object.get({document}, "a", 1) == 1', f'{document} == {{"a": "x"}}', f"is_object({document})"]
    return asked


TEXTS = tuple(
    template.replace("_", value)
    for value in (
        *NUMBERS,
        *BROKEN,
        '""',
        '"x"',
        '"xy"',
        '"\\u0078"',
        '"ä"',
        "true",
        "null",
        "[1]",
        '{"x": 1}',
    )
    for template in ('{"a": _}', '{"a": [_, "x"]}', '{"b": _}', "_")
) + tuple(
    f'{{"a": [{", ".join(members)}]}}'
    for members in (
        ['{"k": 1}'] * 8,
        ['{"k": 1}'] * 9,
        [*['{"k": 1}'] * 7, '{"k": "x"}'],
        [*['{"k": 1}'] * 8, '{"k": "x"}'],
        ['{"k": "xy", "j": 1}', '{"k": "xy", "j": 2}'],
        ['{"k": {"j": true}}', '{"k": null}', "[]", '{"k": 0}'],
        ['{"k": 1.5}', '{"k": -1}', '{"k": 1e400}'],
        ['{"k": 1, "k": 2}'],
        ['{"k": "x", "j": 9007199254740993}', '"x"'],
    )
)
TEXTS += ('{"a": "x"} null', '{"a": 1}null x', '["x"] null', '{"a": "x"} nul')


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_conditions_on_every_kind_of_value(bed: Bed, issuers: Issuers, way: str) -> None:
    """Conditions of every kind on each number, text and piece of broken JSON; usual ones are decided in the
    sidecar. One reader reads all ways: each condition meets each text in two of them, a third in each."""
    document, make = WAYS[way]
    made = [make(text) for text in TEXTS]
    first = tuple(WAYS).index(way)
    usual = [make(text) for text in ('{"a": "x"}', '{"a": 1.5, "b": [{}, null]}', '{"a": ["x", 1]}', "{}")]
    for at, condition in some([*enumerate(conditions(document), first)], beside=way):
        asked = [each for each in made[at % 3 :: 3] if each is not None]
        judge(bed, issuers, f"allow if {{ {condition} }}", asked, Tally())
        if condition != f'{document} == {{"a": "x"}}':  # the whole of an object is the engine's
            seen = bed.ask([each for each in usual if each is not None])
            assert not any(each is None or each.asked for each in seen), condition


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=EXAMPLES // 3, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_generated_documents(bed: Bed, issuers: Issuers, data: st.DataObject, way: str) -> None:
    """Whatever is asked of whatever document, no request is decided otherwise."""
    document, make = WAYS[way]
    condition = st.sampled_from(conditions(document))
    rule = st.lists(condition, min_size=1, max_size=2, unique=True).map(
        lambda parts: f"allow if {{ {'; '.join(parts)} }}"
    )
    rules = data.draw(st.lists(rule, min_size=1, max_size=4))
    texts = data.draw(st.lists(bodies(), min_size=10, max_size=40))
    asked = [request for text in texts if (request := make(text)) is not None]
    judge(bed, issuers, "\n".join(rules), asked, Tally())


def _odd_characters() -> list[str]:
    """What stands for one character, and nearly: each escape, and each byte beyond ASCII before others."""
    behind = (
        *("", "\udc80", "\udc80\udc80", "\udc8f\udc80", "\udc90\udc80", "\udc9f\udc80", "\udca0\udc80"),
        *("\udcbf\udcbf", "\udc80\udc80\udc80", "\udc8f\udcbf\udcbf", "\udc90\udc80\udc80", "\udcbf" * 3),
    )
    codes = ("0000", "0001", "007f", "0080", "07fF", "0800", "d7ff", "d800", "dfff", "E000", "ffff", "1", "g")
    found = [*(f"\\u{each}" for each in codes), *map(chr, range(1, 32))]
    found += [f"\\{chr(code)}" for code in range(32, 127)]
    return found + [f"{chr(0xDC00 + lead)}{each}" for lead in range(0x80, 0x100) for each in behind]


@pytest.mark.parametrize("rule", ["count(document.a) == 2", "not document.a"])
def test_each_character_is_read_as_by_the_engine_or_by_it(bed: Bed, issuers: Issuers, rule: str) -> None:
    """What is no JSON or no UTF-8 is denied, be it by one bit; what clients write is no question."""
    asked = [in_body(f'{{"a": "x{each}"}}') for each in _odd_characters()]
    rules = f"document := json.unmarshal(http.body)\nallow if {{ {rule} }}"
    judge(bed, issuers, rules, asked, tally := Tally())
    assert tally.pairs == len(asked)
    usual = [*(f"\\{each}" for each in 'bfnrt/"\\'), "\\u0041", *"\u07ff\u0800\ud7ff\U00010000\U0010ffff"]
    seen = bed.ask([in_body(f'{{"a": "x{each}", "b": [true, false, null, 0, 10]}}') for each in usual])
    assert not any(each is None or each.asked for each in seen)


# Tokens that are only decoded ------------------------------------------------------------------------------

_ADMIN = '{"role":"admin","exp":4000000000}'
_GOOD = f"{url('{}')}.{url(_ADMIN)}.c2ln"
TAKEN = {
    "split": 'split(http.headers.authorization, " ")[1]',
    "substring": "substring(http.headers.authorization, 7, -1)",
    "trim_prefix": 'trim_prefix(http.headers.authorization, "Bearer ")',
    "replace": 'replace(http.headers.authorization, "Bearer ", "")',
    "whole": "http.headers.authorization",
}
_HEADERS = (
    "{}",
    '{"alg":"none","typ":"JWT"}',
    '{"cty":"x"}',
    '{"cty":"JWT"}',
    '{"enc":"x"}',
    '{"cty":1}',
    "[]",
    "",
    "x",
)
_INSIDE = f"{url('{}')}.{url(_ADMIN)}."
_NESTED = '{"cty":"JWT"}'
ODD_TOKENS = (
    *(f"{url(header)}.{url(_ADMIN)}.c2ln" for header in _HEADERS),
    *(
        f"{url('{}')}.{url(claims)}.c2ln"
        for claims in ("[]", '"x"', "", "{", '{"role":"admin","role":"x"}', "\udcff")
    ),
    f"{url('{}')}.{url(_ADMIN)}.",
    f"{url('{}')}.{url(_ADMIN)}.c",
    f"{url('{}')}.{url(_ADMIN)}.c2l!",
    f"{url('{}')}.{url(_ADMIN)}",
    f"{url('{}')}.{url(_ADMIN)}.c2ln.c2ln",
    f"{url('{}')}=.{url(_ADMIN)}.c2ln",
    f"{base64.b64encode(b'{}').decode()}.{base64.b64encode(raw(_ADMIN)).decode()}.c2ln",
    f"{url('{}')}.{base64.b64encode(raw(_ADMIN + '  ')).decode()}.",
    f"{url(' {} ')}.{url(' ' + _ADMIN)}.c2ln",
    f"{url('{}')}.{url(_ADMIN)[:-1]}.c2ln",
    f"{url(_NESTED)}.{url(_INSIDE)}.",
    f"{url('{}')}.{url(_ADMIN.encode('utf-16'))}.c2ln",
    f"{url('{}')}.{url(raw(_ADMIN) + b' ' * 20_000)}.c2ln",
)
PUT = (
    *("Bearer {}", "{}", "bearer {}", "Bearer  {}", "Bearer {} ", " Bearer {}", "Bearer {} x", "Basic {}"),
    *("BearerX{}", "Bearer Bearer {}", "Bearer {},{}", "Bearer\t{}", "{}Bearer "),
)


@pytest.mark.parametrize("way", TAKEN)
def test_tokens_that_are_only_decoded(bed: Bed, issuers: Issuers, way: str) -> None:
    """However a token is written, and wherever in its header: nobody verifies it, all read the same."""
    put = [in_header(BEARER, each.format(_GOOD, _GOOD)) for each in PUT]
    odd = [in_header(BEARER, (each if way == "whole" else f"Bearer {each}")) for each in ODD_TOKENS]
    twice = Request("GET", "/", ((BEARER, f"Bearer {_GOOD}"), (BEARER, f"Bearer {_GOOD}")))
    none = Request("GET", "/", ())
    rules = (
        'claims.role == "admin"',
        'not claims.role == "admin"',
        'decoded[0].alg == "none"',
        "claims.exp > time.now_ns() / 1000000000",
        "[_, payload, _] := decoded; payload.role",
        "[header, payload, signature] := decoded; payload.role",
        'some role in split(claims.role, " "); role == "admin"',
    )
    for rule in rules:
        source = f"decoded := io.jwt.decode({TAKEN[way]})\nclaims := decoded[1]\nallow if {{ {rule} }}"
        judge(bed, issuers, source, [*put, *odd, twice, none], Tally())
        [seen, without] = bed.ask([in_header(BEARER, _GOOD if way == "whole" else f"Bearer {_GOOD}"), none])
        assert seen is not None
        assert without is not None
        assert not seen.asked, rule
        assert not without.asked, rule


_ODD_PARTS = (
    "",
    ".",
    "..",
    "x",
    f".{url(_ADMIN)}",
    f"a.{url(_ADMIN)}.",
    f"a.{url(_ADMIN)}..",
    "a..b",
    "a.!.b",
)
BY_HAND = (
    'claims := json.unmarshal(base64url.decode(split({}, ".")[1]))',
    'claims := json.unmarshal(base64.decode(split({}, ".")[1]))',
    'claims := c if {{ [_, part, _] := split({}, "."); c := json.unmarshal(base64url.decode(part)) }}',
)


@pytest.mark.parametrize("way", TAKEN)
def test_tokens_that_are_taken_apart_by_hand(bed: Bed, issuers: Issuers, way: str) -> None:
    """Published policies cut tokens at their dots: what is no token may have claims, too."""
    put = [in_header(BEARER, each.format(_GOOD, _GOOD)) for each in PUT]
    tokens = (*ODD_TOKENS, *_ODD_PARTS)
    odd = [in_header(BEARER, (each if way == "whole" else f"Bearer {each}")) for each in tokens]
    twice = Request("GET", "/", ((BEARER, f"Bearer {_GOOD}"), (BEARER, f"Bearer {_GOOD}")))
    none = Request("GET", "/", ())
    for taken in BY_HAND:
        for rule in ('claims.role == "admin"', 'not claims.role == "admin"', "claims.exp > 5; claims.role"):
            source = f"{taken.format(TAKEN[way])}\nallow if {{ {rule} }}"
            judge(bed, issuers, source, [*put, *odd, twice, none], Tally())
            padded = f"{url('{}')}.{base64.b64encode(raw(_ADMIN)).decode()}.c2ln"
            good = padded if "base64.decode" in taken else _GOOD
            [seen, without] = bed.ask([in_header(BEARER, f"Bearer {good}"), none])
            assert seen is not None
            assert without is not None
            counted = "part" in taken and way not in ("split", "whole")  # how many parts there are
            assert counted or not seen.asked, source
            assert not without.asked, source


def test_a_token_that_envoy_verifies_is_not_read_twice(bed: Bed, issuers: Issuers) -> None:
    """What a policy decodes where it verifies, too, is what Envoy has verified."""
    token = 'trim_prefix(http.headers.authorization, "Bearer ")'
    rules = f'allow if {{ io.jwt.verify_hs256({token}, "s"); io.jwt.decode({token})[1].role == "admin" }}'
    subject = judge(
        bed, issuers, rules, [in_header(BEARER, f"Bearer {_GOOD}"), Request("GET", "/", ())], Tally()
    )
    work = subject.enforcement.work
    assert work is not None
    assert work.told is None


# Bodies and headers in one policy --------------------------------------------------------------------------

KINDS = (
    "",
    "text/plain",
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
)


def test_a_body_by_its_type_and_as_json(bed: Bed, issuers: Issuers) -> None:
    """`parsed_body` depends on the type, `json.unmarshal` does not; one that is not of its type is denied."""
    asked = [
        in_body(text, kind)
        for kind in KINDS
        for text in ('{"a": 1}', '{"a": 2}', "a=1", "", "{", "[1]", '"ä"')
    ]
    asked += [
        Request("GET", "/", headers, http2=http2)
        for headers in ((), (("content-length", "0"),))
        for http2 in (False, True)
    ]
    asked += [Request("GET", "/", (("upgrade", "h2c"),)), in_body('{"a": 1, "b": "' + "x" * 200_000 + '"}')]
    for rule in (
        "json.unmarshal(http.body).a == 1",
        "not json.unmarshal(http.body).a",
        "json.unmarshal(http.body).a == 1; not input.parsed_body.a",
        "json.unmarshal(http.body).a == input.parsed_body.a",
        "http.body; json.unmarshal(http.body).a == 1",
        "not http.body; not json.unmarshal(http.body).a",
        'startswith(http.body, "{"); json.unmarshal(http.body).a',
        'json.unmarshal(http.body).a == 1; json.unmarshal(http.headers["x-json"]).b == 2',
    ):
        judge(bed, issuers, f"allow if {{ {rule} }}", asked, Tally())


def test_headers_beside_bodies(bed: Bed, issuers: Issuers) -> None:
    """A header is read whatever the body is; a body that is not of its type is denied all the same."""
    json, other = ("x-json", '{"role": "admin"}'), ("x-json", '{"role": "guest"}')
    asked = [
        Request("POST", "/", (header, *((("content-type", kind),) if kind else ())), None, text)
        for header in (json, other)
        for kind in KINDS
        for text in ("", '{"a": 1}', '{"a": 2}', "a=1", "{")
    ]
    role = 'json.unmarshal(http.headers["x-json"]).role'
    for rules in (
        f'allow if {{ {role} == "admin"; input.parsed_body.a == 1 }}',
        f'allow if {{ {role} == "admin"; not input.parsed_body.a }}',
        f'allow if {role} == "admin"\nallow if input.parsed_body.a == 1',
        f'allow if {role} == "admin"\nallow if input.attributes.request.http.rawBody == "x"',
        f'allow if {role} == "admin"\nallow if json.unmarshal(http.body).a == 1',
    ):
        judge(bed, issuers, rules, asked, Tally())


def test_a_body_is_read_where_its_length_is_told(bed: Bed, issuers: Issuers) -> None:
    """Whatever type it says; and without one nobody is asked."""
    judge(
        bed,
        issuers,
        "allow if json.unmarshal(http.body).a == 1",
        [in_body('{"a": 1}', "text/plain")],
        Tally(),
    )
    asked = [in_body('{"a": 1}', kind) for kind in KINDS[:3]] + [Request("GET", "/", ())]
    assert [seen.asked for seen in bed.ask(asked) if seen] == [False] * 4


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_explain_reads_documents_as_the_sidecar_does(bed: Bed, issuers: Issuers, way: str) -> None:
    """Where a request is decided, and how, is what `palisade explain` says; of few it cannot tell."""
    document, make = WAYS[way]
    asked = [request for text in TEXTS if (request := make(text)) is not None]
    rules = f'allow if {document}.a == "x"\nallow if {document}.a < 2'
    rules += f'\nallow if concat("-", {document}.a) == "x-x"'
    rules += f'\nallow if concat("", {{each | some each in {document}.b}}) != ""'
    subject = judge(bed, issuers, rules, asked, Tally())
    judge_reading(bed, subject, asked)
