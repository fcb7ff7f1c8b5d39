"""Texts that are asked whether they are UUIDs: native, and as the evaluator decides."""

from __future__ import annotations

import json

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st
from lowered import allowing, judge_natively

from palisade.enforce.envoy.conditions.identifiers import _as_digit, _uuid
from palisade.policy.providers import Provider
from palisade.rego.builtins.uuids import uuid_parse
from palisade.rego.values import UNDEFINED
from palisade.testing.equivalence import Bed, Issuers, Request, Token

_uuids = st.uuids().map(str) | st.sampled_from(("6ba7b811-9dad-11d1-80b4-00c04fd430c8", "0" * 32))
_odd = st.sampled_from(
    ("", "x", "{", "}", "\n", "urn:uuid:", "URN:uuid:", "urn:uu\u0131d:", "\u00fc", "-", "0", "g")
)


@example("6ba7b811-9dad-11d1-80b4-00c04fd430c8", "(", ")", 4)
@given(_uuids, _odd, _odd, st.integers(0, 36))
def test_a_uuid_looks_like_one(text: str, before: str, behind: str, cut: int) -> None:
    """And like one of its version."""
    for each in (
        f"{before}{text}{behind}",
        text.upper(),
        text.replace("-", ""),
        text[:cut] + behind + text[cut + 1 :],
    ):
        found = uuid_parse(each)
        assert (re2.fullmatch(_uuid("[0-9A-Fa-f]"), each) is not None) == (found is not UNDEFINED)
        for version in range(16):
            same = isinstance(found, dict) and found["version"] == version
            assert (re2.fullmatch(_uuid(f"[{_as_digit(version)}]"), each) is not None) == same


HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
"""
IDIOMS = tuple(
    idiom.replace("TEXT", text)
    for text in (
        *('http.headers["x-id"]', "claims.id", "input.parsed_path[0]", "input.parsed_body.id"),
        *('split(http.path, "/")[1]', "input.parsed_query.id[0]", 'split(claims.ids, ",")[1]'),
    )
    for idiom in (
        "uuid.parse(TEXT)",
        "not uuid.parse(TEXT)",
        "uuid.parse(TEXT).version == 4",
        "not uuid.parse(TEXT).version in {1, 10, 15, 4.0}",
        "some id in {`a`}; found := uuid.parse(TEXT); found.version != 4; id != TEXT",
        'uuid.parse(TEXT).version == "4"',
        "uuid.parse(TEXT) != false",
    )
)
IDS = (
    *("6ba7b811-9dad-11d1-80b4-00c04fd430c8", "6BA7B811-9DAD-41D1-80B4-00C04FD430C8"),
    *(
        "00000000-0000-a000-0000-000000000000",
        "ffffffff-ffff-Ffff-ffff-ffffffffffff",
        "0" * 32,
        "f" * 31,
        "g" * 32,
    ),
    *(
        "{6ba7b811-9dad-41d1-80b4-00c04fd430c8}",
        "x6ba7b811-9dad-41d1-80b4-00c04fd430c8y",
        "URN:uuid:" + "0" * 32,
    ),
    *("urn:uuid:6ba7b811-9dad-41d1-80b4-00c04fd430c8", "Urn:UUID:6ba7b811-9dad-41d1-80b4-00c04fd430c8"),
    *("", "a", "6ba7b811-9dad-41d1-80b4-00c04fd430c", "6ba7b811-9dad-41d1-80b4-00c04fd430c8a", "\u00fc" * 19),
    *("\u00fc6ba7b811-9dad-41d1-80b4-00c04fd430c8", "6ba7b811-9dad-41d1-80b4-00c04fd430c\u00fc", "0" * 5000),
    *(7, 1e2, -0.0, None, True, ["0" * 32], {"a": "0" * 32}),
)


def _asked() -> list[Request]:
    found = [Request(), Request("GET", "/", token=Token("corp", {}))]
    for each in IDS:
        text = each if isinstance(each, str) else "x"
        path = "/" + text.replace("\u00fc", "%C3%BC").replace("{", "%7B")
        path += f"/x?id={path[1:]}"
        headers = (("x-id", text), ("content-type", "application/json"))
        found.append(
            Request(
                "POST",
                path,
                headers,
                Token("corp", {"id": each, "ids": f"a,{each},b"}),
                json.dumps({"id": each}),
            )
        )
    twice = (("x-id", "0" * 32), ("x-id", "0" * 32))
    return [*found, Request("GET", f"/{'0' * 32}/a?b=c", twice)]


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_uuids_are_native_and_exact(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    judge_natively(bed, allowing(IDIOMS, providers, issuers, head=HEAD), _asked(), residual=0.2)
