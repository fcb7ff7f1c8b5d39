"""A sidecar's line that comes again is written once; and none is taken for another, as that would lose it."""

from __future__ import annotations

import json
from typing import Any
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from palisade.decide.event import UNANSWERED
from palisade.decide.ids import id_of, new_id
from palisade.decide.repeats import Batches, Earlier, GivenUp, earlier
from palisade.decide.times import nanoseconds, rfc3339


def entry(number: int, decider: str = "native", code: str = "", **more: Any) -> bytes:
    error = {"error": {"code": code}} if code else {}
    palisade = {"decider": decider, "allowed": True}
    told = {"labels": {"id": "x"}, "decision_id": f"id-{number}", "timestamp": rfc3339(number)}
    return json.dumps({**told, **more, **error, "palisade": palisade}).encode()


@given(st.text(), st.integers(0), st.text(), st.text())
def test_an_id_is_a_uuid_and_the_request_s_own(function: str, start: int, request: str, direct: str) -> None:
    ids = [id_of(function, start, request, direct), id_of(function, start + 1, request, direct), new_id()]
    assert len(set(ids)) == 3
    assert ids[0] == id_of(function, start, request, direct)
    for each in map(UUID, ids):
        assert (each.version, each.variant) == (4, RFC_4122)
    assert [str(UUID(each)) for each in ids] == ids


def test_what_sidecars_told_is_known_by_its_id() -> None:
    lines = [entry(3), entry(5, "sidecar"), entry(4, "residual", UNANSWERED)]
    assert earlier(lines) == Earlier(frozenset({"id-3", "id-4", "id-5"}), 5)


def test_an_answer_of_the_engine_s_own_hides_no_line() -> None:
    """Where the sidecar did not hear the answer it has denied, and only its line tells that."""
    assert earlier([entry(1, "residual"), entry(2, "residual", "eval_conflict_error")]) == Earlier()


def test_a_claim_that_names_an_id_hides_no_line() -> None:
    found = earlier([entry(1, input={"identity": {"decision_id": "id-2"}})])
    assert found.ids == {"id-1"}


def test_a_line_that_was_cut_off_anywhere_is_none() -> None:
    whole = entry(1)
    for end in range(len(whole)):
        assert earlier([entry(2), whole[:end]]).ids == {"id-2"}


def test_halves_of_surrogate_pairs_hide_no_entry() -> None:
    assert earlier([entry(1, input="\ud800")]).ids == {"id-1"}


KEYS = st.sampled_from(["palisade", "error", "decision_id", "timestamp", "decider"])
DOCUMENTS = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(KEYS, inner), max_leaves=10
)


@given(st.lists(st.binary() | DOCUMENTS.map(lambda document: json.dumps(document).encode())))
def test_whatever_stands_in_a_file_is_passed_over(lines: list[bytes]) -> None:
    """Somebody may have named a file that is no log."""
    assert "id-1" in earlier([*lines, entry(1)]).ids


@given(st.integers(0, 4 * 10**18))
def test_a_time_is_read_as_it_was_written(time: int) -> None:
    assert nanoseconds(rfc3339(time)) == time


@given(
    lines=st.lists(st.sampled_from([b"a\n", b"b\n", b"bb\n"]), max_size=30),
    steps=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40),
)
def test_each_line_is_taken_once_however_often_a_batch_comes(
    lines: list[bytes], steps: list[tuple[int, bool]]
) -> None:
    """A sidecar that has not heard that a batch was taken sends it again, with what has come since."""
    numbered = [b"%d %b" % (number, line) for number, line in enumerate(lines)]
    batches = Batches()
    taken: list[bytes] = []
    begin = end = 0
    for more, heard in steps:
        end = min(end + more, len(numbered))
        batch = numbered[begin:end]
        if batch:
            taken += batch[batches.take("hello", b"".join(batch)) :]
        if heard:
            begin = end
    assert taken == numbered[:end]


def test_batches_of_two_functions_or_of_another_content_are_not_the_same() -> None:
    batches = Batches()
    assert batches.take("hello", b"a\nb\n") == 0
    assert batches.take("orders", b"a\nb\n") == 0
    assert batches.take("hello", b"a\nc\nd\n") == 0
    assert batches.take("hello", b"a\nc\nd\ne\n") == 3
    assert batches.take("hello", b"a\n") == 0  # never less than before: so it is another


def test_old_batches_are_forgotten() -> None:
    batches = Batches(most=2)
    for line in (b"a\n", b"b\n", b"c\n"):
        assert batches.take("hello", line) == 0
    assert batches.take("hello", b"c\n") == 1
    assert batches.take("hello", b"a\n") == 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from(["heard", "answer lost", "engine killed", "sidecar killed"])
        )
    )
)
def test_lines_that_were_given_up_are_counted_once_by_the_engine_that_runs(
    steps: list[tuple[int, str]],
) -> None:
    """Whatever of a report gets through, and whoever of the two is killed: a count that is too high has
    people look for decisions that are in the log."""
    engine, counted, begun = GivenUp(), 0, 0
    count = told = 0
    for more, what in steps:
        count += more
        if what == "sidecar killed":  # before it could say so
            continue
        if count > told:
            counted += engine.take("f", "a" * 16, told, count)
        if what == "heard":
            told = count
        elif what == "engine killed":  # an engine counts from its start, as all of its counts do
            engine, counted, begun = GivenUp(), 0, told
    if count > told:
        counted += engine.take("f", "a" * 16, told, count)
    assert counted == count - begun


def test_spools_are_told_apart_and_the_oldest_forgotten() -> None:
    engine = GivenUp(2)
    assert [engine.take("f", name, 0, 3) for name in ("a", "b", "a", "c", "b")] == [3, 3, 0, 3, 3]
    assert engine.take("g", "b", 0, 3) == 3
