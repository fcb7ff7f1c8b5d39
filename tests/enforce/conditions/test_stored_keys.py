"""Tables of data are looked up by claims that are numbers, and arrays by texts of digits, as OPA does."""

from __future__ import annotations

from typing import Any

import pytest
from lowered import allowing, judge_natively, subject_of
from spelled_digits import SPELLED

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
"""
DATA: dict[str, Any] = {
    "tenants": {
        "0": "a",
        "1": "b",
        "42": "c",
        "1.5": "d",
        "-3": "e",
        "x": "f",
        "007": "g",
        "9007199254740993": "h",
        "9007199254740992": "i",
        "1152921504606846976": "j",
    },
    "zones": ["zero", "one", {"5": "in"}, ["n0", "n1"]],
    "many": {str(each): [f"r{each % 3}"] for each in range(150)} | {"x": ["r0"]},
}
IDIOMS = (
    "data.tenants[claims.id]",
    "not data.tenants[claims.id]",
    'data.tenants[claims.id] == "b"',
    'not data.tenants[claims.id] == "b"',
    "data.tenants[claims.id] == claims.name",
    'x := data.tenants; x[claims.id] == "b"',
    '"r1" in data.many[claims.id]',
    "some role in data.many[claims.id]; role == claims.name",
    'not "r0" in data.many[claims.id]',
    'some id in claims.ids; data.tenants[id] == "b"',
    "every id in claims.ids { data.tenants[id] }",
    'data.tenants[http.headers["x-id"]] == "b"',
    'data.zones[claims.id] == "one"',
    "not data.zones[claims.id]",
    'data.zones[http.headers["x-id"]]',
    "data.zones[3][claims.id]",
)
IDS: tuple[Any, ...] = (
    *(0, 1, 2, 3, 42, 1.5, -3, 5, 149, 150, True, None, [1], {"x": 1}),
    *(9007199254740992, 9007199254740993, 1 << 60, 1e300, 0.1),
    *(each for each in SPELLED if each.isascii() and each == each.strip()),
    "149",
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_numbers_find_texts_and_digits_find_members(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    subjects = allowing(IDIOMS, providers, issuers, head=HEAD, data=DATA)
    asked = [
        Request(
            headers=(("x-id", str(one)),), token=Token("corp", {"id": one, "ids": [one, 1], "name": name})
        )
        for one in IDS
        for name in ("b", "r1")
    ]
    judge_natively(bed, subjects, asked, residual=0.4)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize("asked", ["data.owners[claims.id] == claims.name", "not data.owners[claims.id]"])
def test_a_table_of_numbers_is_no_larger_than_one_of_names(
    providers: tuple[Provider, ...], issuers: Issuers, asked: str
) -> None:
    """Each number beside its text would be a matcher of its own, tried one after the other."""
    sizes = []
    for name in ("u{}", "{}"):
        owners = {name.format(number): f"o{number % 50}" for number in range(1000, 1400)}
        policy = rego.compile({"p.rego": f"{HEAD}\nallow if {{ {asked} }}"}, {"owners": owners})
        sizes.append(len(str(subject_of(policy, providers, issuers).enforcement.snapshot.resources)))
    assert sizes[1] < 1.1 * sizes[0]
