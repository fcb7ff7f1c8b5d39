"""Times in texts of a request, compared with the clock and each other: natively, and as Rego reads them."""

from __future__ import annotations

import json
import random
import time
from datetime import UTC, datetime

import pytest
import re2
from lowered import allowing, judge, judge_natively, judge_reading

from palisade import rego
from palisade.enforce.envoy.regex import dates
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
body := input.parsed_body
now := time.now_ns()
told := time.parse_rfc3339_ns(http.headers["x-t"])
minutes := 5 * 60 * 1000 * 1000 * 1000
"""
MOMENT = "2028-02-29T12:00:00"
CONSTANT = f'time.parse_rfc3339_ns("{MOMENT}.000000001Z")'
IDIOMS = (
    *(
        f"{one} {sign} {other}"
        for sign in ("<", "<=", ">", ">=")
        for one, other in (
            ("now", "told"),
            ("told", CONSTANT),
            ("now - told", "minutes"),
            ("told + minutes", "now"),
            ("(now - told) / 1000000000", "300"),
            ("now / 1000000000 - told / 1000000000", "300"),
            ("abs(now - told)", "minutes"),
            ("time.parse_rfc3339_ns(claims.until)", "now"),
            ("time.parse_rfc3339_ns(body.until)", "now"),
            ('time.parse_ns("2006-01-02", http.headers["x-d"])', CONSTANT),
            ('time.parse_ns("2006-01-02T15:04:05Z", http.headers["x-t"])', "now"),
            ("time.parse_rfc3339_ns(input.parsed_query.until[0])", "now"),
            ("told", 'time.parse_rfc3339_ns(http.headers["x-u"])'),
            ('time.parse_rfc3339_ns(http.headers["x-u"]) - told', "1"),
        )
    ),
    "not now > told",
    "not told < now + minutes",
    "not time.parse_rfc3339_ns(claims.until) < now",
    "until := time.parse_rfc3339_ns(claims.until); now < until",
    "count({1 | told > now}) == 0",
    # Of the members of a claim, and of what else only expressions reach.
    "some grant in claims.grants; time.parse_rfc3339_ns(grant.until) > now",
    "some grant in claims.grants; now >= time.parse_rfc3339_ns(grant.until); grant.name == `b`",
    "every grant in claims.grants { time.parse_rfc3339_ns(grant.until) > now }",
    "some grant in claims.grants; not time.parse_rfc3339_ns(grant.until) > now; grant.name == `b`",
    f'some grant in claims.grants; time.parse_ns("2006-01-02", grant.until) <= {CONSTANT}',
    "time.parse_rfc3339_ns(claims.at[http.method]) > now",
    'time.parse_rfc3339_ns(split(claims.piped, "|")[1]) > now',
    'time.parse_ns("2006-01-02 15:04:05", claims.spaced) > now',
    f'not time.parse_ns("2006-01-02 15:04:05", body.spaced) > {CONSTANT}',
    'some spaced in claims.all; time.parse_ns("2006-01-02 15:04:05", spaced) < now',
)
OTHERS = (
    "told * 2 < now",
    "told - now == 0",
    "told + time.parse_rfc3339_ns(claims.until) > now",
    "told - time.parse_rfc3339_ns(claims.until) > now",
    'time.parse_ns("2006", http.headers["x-d"]) > now',
    'time.parse_ns(claims.until, http.headers["x-d"]) > now',
    'time.parse_rfc3339_ns(trim_space(http.headers["x-t"])) > now',
)
"""What is no difference of two such moments is the engine's, and the same."""


def _odd() -> list[str]:
    """Texts that are times, nearly, or to Go alone."""
    ends = ("Z", "+00:00", "-00:00", "+02:00", "-23:59", "+24:00", "+14:60", "z", "", "+0200", "+02", " Z")
    found = [f"{MOMENT}{end}" for end in ends]
    fractions = (".0", ".5", ".000000001", ".000000002", ".0000000019", ".123456789123", ",5", ".", ".x")
    found += [f"{MOMENT}{fraction}Z" for fraction in fractions]
    years = (2028, 2027, 2100, 2000, 1900)
    for day in (*(f"{year}-02-29" for year in years), "2028-02-30", "2028-04-31"):
        found.append(f"{day}T00:00:00Z")
    for year in ("0000", "0001", "1677", "1678", "1969", "1970", "2259", "2260", "2262", "2263", "9999"):
        found += [f"{year}-01-01T00:00:00Z", f"{year}-12-31T23:59:59.999999999+01:00"]
    for clock in ("24:00:00", "23:60:00", "23:59:60", "1:02:03", "01:2:03", "01:02", "01:02:03:04"):
        found.append(f"2028-01-01T{clock}Z")
    found += ["2028-01-01", "2028-01-01 00:00:00Z", "12026-01-01T00:00:00Z"]
    found += ["2028-01-01t00:00:00Z", "2028-1-1T00:00:00Z", "x", "", "0"]
    found += [f"{MOMENT}Z, {MOMENT}Z", f"{MOMENT}Zx", f"x{MOMENT}Z", "\u0662028-01-01T00:00:00Z", "2" * 4000]
    return found


def _asked() -> list[Request]:
    now = int(time.time())
    ages = (0, 100, 270, 330, 3600, -100, -270, -330, -3600, 10**8)
    stamps = [datetime.fromtimestamp(now - age, UTC).strftime("%Y-%m-%dT%H:%M:%S") for age in ages if age]
    texts = [*_odd(), *(f"{each}Z" for each in stamps), *(f"{each}.25+00:00" for each in stamps)]
    found = [Request(), Request(target="/?until="), Request(target="/?until", token=Token("corp"))]
    for at, text in enumerate(texts):
        other = texts[(at * 7 + 1) % len(texts)]
        body = json.dumps({"until": text, "spaced": text[:-1].replace("T", " ")})
        grants = [
            {"until": each, "name": name} for each, name in ((text[:10], "a"), (text, "b"), (other, "c"))
        ]
        of_claims = {"grants": grants[at % 2 :], "at": {"GET": text}, "piped": f"a|{text}"}
        spaced = text[:-1].replace("T", " ")
        of_claims |= {"spaced": spaced, "all": [text, spaced]}
        kinds = (
            Request(token=Token("corp", {"until": text, **of_claims})),
            Request("POST", body=body, headers=_JSON),
        )
        found += kinds
        plain = text.isascii() and text.strip() == text
        if plain:
            headers = (("x-t", text), ("x-d", text[:10]), ("x-u", other if other.isascii() else "x"))
            found += [Request(headers=headers), Request(target=f"/?until={text.replace(' ', '%20')}")]
    found += [Request(headers=(("x-t", one), ("x-u", other))) for one, other in _near()]
    found += [Request(headers=(("x-t", texts[0]), ("x-t", texts[1])))]
    for value in (1, 1.5e18, True, None, [], ["2028-01-01T00:00:00Z"], {"a": 1}):
        found += [
            Request(token=Token("corp", {"until": value})),
            Request(
                token=Token("corp", {"grants": [{"until": value, "name": "b"}, value], "at": {"GET": value}})
            ),
            Request(token=Token("corp", {"grants": value, "at": value, "piped": value})),
            Request("POST", body=json.dumps({"until": value}), headers=_JSON),
        ]
    return found


_JSON = (("content-type", "application/json"),)


def _near() -> list[tuple[str, str]]:
    """Moments of which one is a nanosecond before the other, or none, written in other ways."""
    return [
        (f"{MOMENT}.000000001Z", f"{MOMENT}.000000002Z"),
        (f"{MOMENT}.00000001Z", "2028-02-29T14:00:00.000000010+02:00"),
        ("2028-02-28T23:59:59.999999999Z", "2028-02-29T00:00:00-00:00"),
        ("2028-02-28T23:59:59.999999999Z", "2028-02-29T01:00:00+01:00"),
        ("2259-12-31T23:59:59.999999999-23:59", "1970-01-01T00:00:00+23:59"),
        ("1970-01-01T00:00:00+23:59", "2259-12-31T23:59:59.999999999-23:59"),
    ]


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_times_in_texts_are_native_and_exact(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Also those a nanosecond off, of odd days and offsets; what Envoy may read otherwise is the engine's."""
    asked = _asked()
    judge_natively(bed, allowing(IDIOMS, providers, issuers, head=HEAD), asked, residual=0.25)
    judge(bed, allowing(OTHERS, providers, issuers, head=HEAD), asked[::5], Tally())


@pytest.mark.parametrize("providers", [2], ids=("two",), indirect=True)
def test_requests_without_a_token_are_not_asked_about(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """With several issuers, of which none is the request's, a claim is missing, and so is the time in it."""
    bodies = ("now < time.parse_rfc3339_ns(claims.until)", "not now < time.parse_rfc3339_ns(claims.until)")
    asked = [Request(), *(Request(token=Token(each.name, {"until": f"{MOMENT}Z"})) for each in providers)]
    judge_natively(bed, allowing(bodies, providers, issuers, head=HEAD), asked, residual=0.01)


def test_explanations_read_these_times(bed: Bed, issuers: Issuers) -> None:
    """What `palisade explain` makes of the sidecar's configuration is what its Envoy does."""
    for subject in allowing((IDIOMS[0], IDIOMS[2], IDIOMS[4], "told >= " + CONSTANT), (), issuers, head=HEAD):
        bed.load(subject)
        judge_reading(bed, subject, [each for each in _asked() if each.method == "GET"][::2])


def test_what_envoy_reads_is_a_time_to_rego() -> None:
    """Each text that the patterns take is one, and no text that is one is beyond what may be."""
    read = rego.compile({"p.rego": "package p\nns := time.parse_ns(input[0], input[1])"})
    rng = random.Random(5)
    may_be = re2.compile(dates.MAY_BE_DATE)
    for layout, (pattern, _) in dates.LAYOUTS.items():
        plain = re2.compile(pattern)
        parts = [[re2.compile(each) for each in ways] for ways in dates.in_parts(pattern)]
        taken = 0
        for _ in range(1500):
            text = _drawn(rng, layout)
            known = bool(read.query("data.p.ns", input=[layout, text]))
            taken += plain.fullmatch(text) is not None
            in_parts = all(any(each.search(text) for each in ways) for ways in parts)
            assert in_parts == (plain.fullmatch(text) is not None), (layout, text)
            assert known or plain.fullmatch(text) is None, (layout, text)
            assert not known or may_be.fullmatch(text) is not None, (layout, text)
        assert taken > 100


def _drawn(rng: random.Random, layout: str) -> str:
    """A text of the layout, mostly: here and there a number is out of range, or a part is another's."""
    year = rng.choice((1900, 1970, 1996, 2000, 2026, 2028, 2100, 2104, 2256, 2259, rng.randrange(10000)))
    day = f"{year:04d}-{rng.randrange(1, 13):02d}-{rng.choice((1, 28, 29, 30, 31, rng.randrange(100))):02d}"
    clock = f"{rng.randrange(24):02d}:{rng.randrange(61):02d}:{rng.choice((0, 59, 60)):02d}"
    fraction = rng.choice(("", "", ".5", ".123456789", ".1234567890", ",5"))
    offset = rng.choice(("Z", "Z", "+00:00", "-23:59", "+24:00", "+02:60", "z"))
    text = day if layout == "2006-01-02" else f"{day}T{clock}{fraction}{offset}"
    if " " in layout:
        text = text.replace("T", " ")[: -len(offset)]
    if rng.random() < 0.1:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(("", "0", "9", " ", "x")) + text[at + 1 :]
    return text
