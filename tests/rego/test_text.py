"""Values as JSON text and back: no digit lost, no character changed."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.rego import text
from palisade.rego.values import Set, canonical, equal, key

_numbers = st.one_of(
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False).map(canonical),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: canonical(Decimal(repr(value)))),
)
_scalars = st.one_of(st.none(), st.booleans(), _numbers, st.text())
plain = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)


@given(plain, st.sampled_from((None, 2, "\t")))
def test_what_is_written_reads_back_as_the_same_value(value: Any, indent: int | str | None) -> None:
    assert equal(text.loads(text.dumps(value, indent=indent)), value)


@given(plain, st.sampled_from((None, 2)))
def test_decimals_change_nothing_but_their_own_digits(value: Any, indent: int | None) -> None:
    """The writer for what the standard encoder refuses writes all else as that does."""
    exact = Decimal("0.10000000000000000000000001")
    mixed = text.dumps([value, exact], indent=indent)
    assert mixed == text.dumps([value, 7], indent=indent)[: -len("7]" if indent is None else "7\n]")] + (
        f"{exact}]" if indent is None else f"{exact}\n]"
    )


@given(plain, st.integers(1, 6))
def test_what_is_written_in_pieces_is_the_same(value: Any, at_once: int) -> None:
    """However many values are written in one step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_AT_ONCE", at_once)
        assert "".join(text.in_pieces(value)) == text.dumps(value)


def test_strings_that_look_like_the_writers_own_marks_stay() -> None:
    strange = ["\ue000palisade\ue0011\ue002", '"\ue002"', Decimal("1E-400")]
    assert json.loads(text.dumps(strange))[:2] == strange[:2]


def test_the_form_is_the_one_opa_writes() -> None:
    value = {"b": Set.of([2, 1]), key(True): None, "a": "é<"}
    assert text.dumps(value) == '{"a":"é<","b":[1,2],"true":null}'


@pytest.mark.parametrize(
    ("digits", "value"),
    [("1.0", 1), ("1e2", 100), ("0.5", 0.5), ("0.1234567890123456789", Decimal("0.1234567890123456789"))],
)
def test_numbers_are_read_exactly(digits: str, value: Any) -> None:
    found = text.loads(digits)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("wrong", ["NaN", "-Infinity", "[1,", "{'a': 1}", "01", ""])
def test_what_is_no_json_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        text.loads(wrong)


@pytest.mark.parametrize("kind", [str, bytes])
def test_half_a_surrogate_pair_is_read_as_go_reads_it(kind: type) -> None:
    source = r'{"\udc00": ["\ud83d", "\ud83d\ude00", "a\uD800b"]}'
    read = text.loads(source if kind is str else source.encode())
    assert read == {"\ufffd": ["\ufffd", "\U0001f600", "a\ufffdb"]}


@pytest.mark.parametrize("number", ["1e99999999999999999999", "-1.5E-99999999999999999999"])
def test_an_exponent_that_no_decimal_has_is_refused(number: str) -> None:
    """A client may send it in a body, where an error of the decimal module ended the decision."""
    with pytest.raises(ValueError, match="out of range"):
        text.loads(f'{{"a": {number}}}')


@pytest.mark.parametrize(
    ("exact", "written"),
    [("6.6666666666666666666E-7", "6.6666666666666666666e-07"), ("1E-400", "1e-400"), ("1E+400", "1e400")],
)
def test_exponents_are_written_as_opa_writes_them(exact: str, written: str) -> None:
    assert text.dumps([Decimal(exact)]) == f"[{written}]"


@pytest.mark.parametrize(
    "work",
    [
        partial(text.loads, json.dumps([{"n": [number]} for number in range(60_000)])),
        lambda: "".join(text.in_pieces({"lines": ['"' * 400] * 40_000})),
    ],
    ids=["read", "written"],
)
def test_a_long_text_holds_up_no_other_thread(work: Callable[[], object]) -> None:
    """While the engine read 50 MB of data, or kept them, it answered nothing for seconds, and requests were
    denied."""
    done, beats = threading.Event(), [0.0]

    def beat() -> None:
        while not done.is_set():
            beats.append(time.perf_counter())

    def share() -> float:
        """The longest time without a turn, of all that the work took."""
        begin = len(beats)
        started = time.perf_counter()
        work()
        ended = time.perf_counter()
        turns = [started, *beats[begin:], ended]
        return max(after - before for before, after in pairwise(turns)) / (ended - started)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    beating = threading.Thread(target=beat)
    beating.start()
    try:
        # A busy machine may take both threads' turns, but not each time.
        assert any(share() < 0.5 for _ in range(5))
    finally:
        done.set()
        beating.join()
        sys.setswitchinterval(interval)
