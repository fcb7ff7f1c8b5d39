"""Lines of sidecars: read field by field, and whatever else stands in a batch is no decision."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.decide.lines import Line, read
from palisade_sidecar.access_log import FIELD_SEPARATOR, FIELDS

WHOLE = {
    "start": "1795502645624080000",
    "duration": "1500000",
    "method": "GET",
    "path": "/things/5?page=2",
    "status": "200",
    "result": "allowed",
    "claims": '{"idp":{"sub":"alice","exp":1795589029}}',
}


def line(**given_: str) -> bytes:
    return FIELD_SEPARATOR.join(given_.get(name, "") for name in FIELDS).encode() + b"\n"


def test_the_sidecar_writes_the_fields_that_the_engine_reads() -> None:
    assert [field.name for field in fields(Line)] == [*FIELDS, "principal", "numbering"]


def test_a_sidecar_that_speaks_tls_ends_its_lines_with_who_called() -> None:
    known = line(**WHOLE)[:-1] + FIELD_SEPARATOR.encode() + b"spiffe://a/b\n"
    (found,) = read(known)
    assert found is not None
    assert found.principal == "spiffe://a/b"
    (without,) = read(line(**WHOLE))
    assert without is not None
    assert without.principal == ""


def test_a_revision_is_told_apart_from_the_numbering_of_its_lines() -> None:
    (found,) = read(line(**{**WHOLE, "revision": "0123456789ab~89abcdef"}))
    assert found is not None
    assert (found.revision, found.numbering) == ("0123456789ab", "89abcdef")
    (plain,) = read(line(**{**WHOLE, "revision": "0123456789ab"}))
    assert plain is not None
    assert (plain.revision, plain.numbering) == ("0123456789ab", "")


def test_each_field_has_its_type_and_what_is_absent_is_empty() -> None:
    (found,) = read(line(**WHOLE))
    assert found is not None
    assert (found.start, found.duration, found.status) == (1_795_502_645_624_080_000, 1_500_000, 200)
    assert (found.method, found.path, found.host) == ("GET", "/things/5?page=2", "")
    assert found.claims == {"idp": {"sub": "alice", "exp": 1_795_589_029}}
    assert (found.result, found.answered, found.noted) == ("allowed", "", {})


@pytest.mark.parametrize(
    "broken",
    [b"GET / 200\n", line(**{**WHOLE, "status": "two"}), line(**{**WHOLE, "claims": "{"}), line(**WHOLE)[5:]],
    ids=["fields", "number", "json", "cut"],
)
def test_what_is_no_line_is_told_and_harms_no_other(broken: bytes) -> None:
    first, middle, last = read(line(**WHOLE) + broken + line(**WHOLE))
    assert first == last
    assert first is not None
    assert middle is None or middle.start != first.start


@given(st.binary())
def test_no_bytes_end_the_reading(content: bytes) -> None:
    assert all(found is None or isinstance(found, Line) for found in read(content))
