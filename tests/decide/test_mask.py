"""No token, credential or body leaves in an event, and what was taken out is named."""

from __future__ import annotations

import base64
import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.decide.mask import HEADERS, PARAMETERS, REDACTED, Mask, scrub, scrub_line

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


def event(**http: Any) -> dict[str, Any]:
    return {"input": {"attributes": {"request": {"http": http}}}}


def http_of(masked: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = masked["input"]["attributes"]["request"]["http"]
    return found


def test_credentials_and_bodies_are_erased_and_named_as_opa_does() -> None:
    given_ = event(
        method="GET",
        headers={"Authorization": "Bearer s3cr3t", "accept": "*/*"},
        body="s3cr3t",
        rawBody="s3cr3t",
    )
    given_["input"]["parsed_body"] = {"password": "s3cr3t"}
    before = copy.deepcopy(given_)
    masked = Mask().apply(given_)
    assert "s3cr3t" not in json.dumps(masked)
    assert http_of(masked) == {"method": "GET", "headers": {"accept": "*/*"}}
    assert set(masked["erased"]) == {
        "/input/parsed_body",
        "/input/attributes/request/http/body",
        "/input/attributes/request/http/rawBody",
        "/input/attributes/request/http/headers/Authorization",
    }
    assert given_ == before


def test_secret_parameters_are_masked_wherever_a_url_stands() -> None:
    url = "/cb?code=s3cr3t&page=2&ACCESS_TOKEN=s3cr3t"
    given_ = event(path=url, headers={":path": url, "referer": f"https://a{url}"})
    given_["input"]["parsed_query"] = {"code": ["s3cr3t"], "page": ["2"], "ACCESS_TOKEN": ["s3cr3t"]}
    masked = Mask().apply(given_)
    assert "s3cr3t" not in json.dumps(masked)
    assert http_of(masked)["path"] == f"/cb?code={REDACTED}&page=2&ACCESS_TOKEN={REDACTED}"
    assert masked["input"]["parsed_query"]["page"] == ["2"]
    assert "/input/attributes/request/http/headers/:path" in masked["masked"]
    assert "/input/parsed_query/code" in masked["masked"]


def test_what_a_policy_answers_is_masked_too() -> None:
    result = {
        "allowed": False,
        "body": "s3cr3t",
        "headers": {"set-cookie": "s3cr3t", "location": "https://a/?code=s3cr3t"},
        "response_headers_to_add": [{"Set-Cookie": "s3cr3t"}, {"x-a": "1"}],
    }
    masked = Mask().apply({"result": result})
    assert "s3cr3t" not in json.dumps(masked)
    assert masked["result"]["response_headers_to_add"] == [{}, {"x-a": "1"}]


def test_where_providers_read_tokens_can_be_added() -> None:
    mask = Mask().also(headers=["X-Corp-Token"], parameters=["Ticket"])
    masked = mask.apply(event(path="/?ticket=s3cr3t", headers={"x-corp-token": "s3cr3t"}))
    assert "s3cr3t" not in json.dumps(masked)


@given(
    st.sampled_from(sorted(HEADERS)),
    st.sampled_from(sorted(PARAMETERS)),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
def test_no_name_on_the_lists_gets_through(header: str, parameter: str, others: dict[str, str]) -> None:
    masked = Mask().apply(
        event(path=f"/?a=b&{parameter}=s3cr3t", headers={**others, header.title(): "s3cr3t"})
    )
    assert "s3cr3t" not in json.dumps(masked)


@pytest.mark.parametrize(
    "result", [True, "text", [1], {"headers": "s3cr3t"}, {"headers": ["s3cr3t", {"a": 1}]}, None]
)
def test_malformed_results_are_no_reason_to_fail(result: Any) -> None:
    assert "s3cr3t" not in json.dumps(Mask().apply({"input": None, "result": result}))


def _spaced(space: str) -> str:
    """A token of which header and claims have space behind their brace, as some issuers write JSON."""
    parts = (f'{{{space}"alg": "RS256"}}', f'{{{space}"sub": "alice"}}', "a signature of some length")
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"x {JWT} y", f"x {REDACTED} y"),
        (f"/files/{JWT}/a", f"/files/{REDACTED}/a"),
        ("Bearer abcdefgh.ijkl", f"Bearer {REDACTED}"),
        ("Basic YWxpY2U6czNjcjN0", f"Basic {REDACTED}"),
        (f"/a?t={JWT.replace('.', '%2E')}&b=c", f"/a?t={REDACTED}&b=c"),
        *((f"x {_spaced(space)} y", f"x {REDACTED} y") for space in (" ", "\n  ", "\r\n ")),
        (f"Bearer {JWT.replace('.', '%2E')} x", f"Bearer {REDACTED} x"),
        ("bearer bearer abcdefgh", f"bearer bearer {REDACTED}"),
        ("the bearer of news", "the bearer of news"),
        ("eyJust a word", "eyJust a word"),
        ("eyAs.seen.from.here", "eyAs.seen.from.here"),
        ("neworders-and-offers.shop-namespace-of-all.svc", "neworders-and-offers.shop-namespace-of-all.svc"),
    ],
)
def test_what_looks_like_a_token_is_scrubbed(text: str, left: str) -> None:
    assert scrub(text) == left
    assert scrub_line(text.encode()) == left.encode()


@pytest.mark.parametrize("piece", ["eyJ", "-ewo", "eyJaaaaaaa.aaaa", "bearer ", "eyJaaaaaaa."])
def test_long_texts_that_look_like_tokens_hold_nothing_up(piece: str) -> None:
    """What begins like a token again and again was read to its end from each beginning: for hours."""
    text = piece * (1_000_000 // len(piece))
    assert len(scrub(text)) <= len(text)


@pytest.mark.parametrize("piece", ["?", "?a", "?&", "?a=b"])
def test_long_queries_hold_nothing_up(piece: str) -> None:
    """Each question mark may begin a pair: the pairs of a path of 58 kB took half a minute."""
    path = "/" + piece * (1_000_000 // len(piece)) + "&token=x"
    masked = Mask().apply(event(path=path))["input"]["attributes"]["request"]["http"]["path"]
    assert masked == path.removesuffix("x") + REDACTED


@given(st.text("?&=#ab", max_size=14).map("/?{}".format))
def test_pairs_are_found_as_by_their_definition(path: str) -> None:
    """A name follows a question mark or an ampersand, and is secret here if it is `a`."""
    secret = Mask(parameters=frozenset({"a"}))
    masked = secret.apply(event(path=path))["input"]["attributes"]["request"]["http"]["path"]
    assert masked == re.sub(r"(?<=[?&])([^=&#]*)=([^&#]*)", _by_name, path)


def _by_name(pair: re.Match[str]) -> str:
    return f"a={REDACTED}" if pair[1] == "a" else pair[0]


PIECES = st.sampled_from(
    [JWT, "Bearer abcdefgh", "basic YWxpY2U6czNjcjN0", "ey", "ew0", "eyA", "ü", "\0", " ", "\n"]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join))
def test_a_line_is_scrubbed_as_its_text_is(text: str) -> None:
    """Whether there is anything to find in it is asked in another way."""
    line = text.encode("utf-8", "replace")
    assert scrub_line(line) == scrub(line.decode()).encode()
