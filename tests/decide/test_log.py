"""The decision log: OPA's form, bounded, rotating, and nothing lost in silence."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from shared_helpers import eventually

from palisade.decide.event import Decider, DecisionRecord
from palisade.decide.log import DecisionLog
from palisade.decide.mask import Mask
from palisade.decide.sink import UNBOUNDED, FileSink, StreamSink
from palisade.decide.times import rfc3339
from palisade.rego.values import Set


class Memory:
    """A sink that keeps the lines; while `gate` is closed it blocks, as a full pipe does."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.broken = False
        self.undoes = True

    def room(self) -> int:
        return UNBOUNDED if self.gate.is_set() else 0

    def tail(self, most: int) -> Iterator[bytes]:
        return iter(())

    def write(self, lines: bytes) -> None:
        self.gate.wait()
        if self.broken:
            raise OSError(28, "No space left on device")
        self.lines += map(json.loads, lines.splitlines())

    def close(self) -> None:
        pass


def record(number: int = 0, **changes: Any) -> DecisionRecord:
    given = {
        "decision_id": f"id-{number}",
        "timestamp": 1_795_459_212_615_385_001,
        "decider": Decider.RESIDUAL,
        "function": "hello",
        "path": "palisade/identity/allow",
        "input": {"attributes": {"request": {"http": {"method": "GET"}}}},
        "allowed": True,
        "result": True,
        **changes,
    }
    return DecisionRecord(**given)


def run(scenario: Callable[[DecisionLog], Any], sink: Any, **settings: Any) -> DecisionLog:
    async def main() -> DecisionLog:
        async with DecisionLog(sink, **settings) as decisions:
            await scenario(decisions)
        return decisions

    return asyncio.run(main())


def test_an_event_has_opas_keys() -> None:
    sink = Memory()

    async def scenario(decisions: DecisionLog) -> None:
        decisions.record(
            record(
                rule="a.rego:3 data.palisade.identity.allow",
                revision="abc",
                requested_by="127.0.0.1:5",
                request_id="r-1",
                metrics={"timer_rego_query_eval_ns": 5},
            )
        )

    run(scenario, sink, labels={"region": "eu"})
    (event,) = sink.lines
    assert event["labels"]["region"] == "eu"
    assert event.pop("labels").keys() >= {"id", "version"}
    assert event == {
        "decision_id": "id-0",
        "timestamp": "2026-11-23T18:40:12.615385001Z",
        "path": "palisade/identity/allow",
        "input": {"attributes": {"request": {"http": {"method": "GET"}}}},
        "result": True,
        "requested_by": "127.0.0.1:5",
        "bundles": {"palisade": {"revision": "abc"}},
        "metrics": {"timer_rego_query_eval_ns": 5},
        "palisade": {
            "function": "hello",
            "decider": "residual",
            "allowed": True,
            "rule": "a.rego:3 data.palisade.identity.allow",
            "revision": "abc",
            "request_id": "r-1",
        },
    }


def test_what_the_log_is_told_to_mask_is_in_no_line() -> None:
    sink = Memory()
    headers = {"x-session": "s3cr3t", "accept": "*/*"}

    async def scenario(decisions: DecisionLog) -> None:
        http = {"path": "/?ticket=s3cr3t", "headers": headers}
        decisions.record(record(input={"attributes": {"request": {"http": http}}}))

    run(scenario, sink, mask=Mask().also(headers=["x-session"], parameters=["ticket"]))
    assert sink.lines[0]["input"]["attributes"]["request"]["http"]["headers"] == {"accept": "*/*"}
    assert "s3cr3t" not in json.dumps(sink.lines)


def test_every_value_of_rego_can_be_written() -> None:
    sink = Memory()
    result = {"allowed": False, "x": Set.of([2, 1]), "n": Decimal("0.1000000000000000000001")}

    async def scenario(decisions: DecisionLog) -> None:
        decisions.record(record(result=result))

    run(scenario, sink)
    assert sink.lines[0]["result"] == {"allowed": False, "x": [1, 2], "n": "0.1000000000000000000001"}


def test_a_full_queue_drops_counts_and_tells(caplog: pytest.LogCaptureFixture) -> None:
    sink = Memory()

    async def scenario(decisions: DecisionLog) -> None:
        for number in range(50):
            decisions.record(record(number))

    with caplog.at_level(logging.WARNING):
        stats = run(scenario, sink, size=20).stats
    assert (stats.recorded, stats.written, stats.dropped, stats.waiting) == (50, 20, 30, 0)
    assert [line["decision_id"] for line in sink.lines] == [f"id-{number}" for number in range(20)]
    assert "lost 30 of 50 decisions" in caplog.text


def test_a_sink_that_blocks_holds_up_no_decision() -> None:
    """Neither by what it waits for, nor by what the event loop does for it at a time."""
    sink = Memory()
    sink.gate.clear()
    longest = 0.0

    async def scenario(decisions: DecisionLog) -> None:
        nonlocal longest
        # The event loop's own time, as a busy machine has others' between; one that waits is let go at last.
        release = threading.Timer(60, sink.gate.set)
        release.start()
        for number in range(10_000):
            decisions.record(record(number))
            if number % 10 == 0:
                before = time.thread_time()
                await asyncio.sleep(0)
                longest = max(longest, time.thread_time() - before)
        waited = sink.gate.is_set()
        release.cancel()
        sink.gate.set()
        assert not waited

    stats = run(scenario, sink, size=500).stats
    assert longest < 0.1
    assert stats.written == len(sink.lines)
    assert stats.written + stats.dropped == stats.recorded == 10_000
    assert stats.dropped > 0


@pytest.mark.parametrize("undoes", [True, False])
def test_a_sink_that_fails_is_told_once_and_tried_again(
    caplog: pytest.LogCaptureFixture, undoes: bool
) -> None:
    """On a full disk decisions wait until there is room; a broken pipe may have had some of them."""
    sink = Memory()
    sink.broken, sink.undoes = True, undoes
    problems = []

    async def scenario(decisions: DecisionLog) -> None:
        for number in range(40):
            decisions.record(record(number))
            await asyncio.sleep(0.001)
        problems.append(decisions.problem)
        sink.broken = False
        decisions.record(record(99))

    with caplog.at_level(logging.ERROR):
        stats = run(scenario, sink).stats
    assert problems == ["No space left on device"]
    assert [line["decision_id"] for line in sink.lines][-1] == "id-99"
    assert caplog.text.count("No space left") == 1
    assert stats.failed + stats.written == stats.recorded == 41
    assert (stats.failed == 0) is undoes


def test_the_log_ends_though_its_sink_fails() -> None:
    sink = Memory()
    sink.broken = True

    async def scenario(decisions: DecisionLog) -> None:
        decisions.record(record())
        await eventually(lambda: decisions.problem)
        decisions.record(record(1))

    stats = run(scenario, sink).stats
    assert (stats.failed, stats.written, stats.waiting) == (2, 0, 0)


def test_a_decision_that_cannot_be_spelled_does_not_end_the_log() -> None:
    sink = Memory()

    async def scenario(decisions: DecisionLog) -> None:
        decisions.record(record(1, input={"odd": object()}))
        decisions.record(record(2))

    stats = run(scenario, sink).stats
    assert [line["decision_id"] for line in sink.lines] == ["id-2"]
    assert (stats.failed, stats.written) == (1, 1)


def test_the_rule_is_found_out_when_the_line_is_made_and_missing_it_loses_no_decision() -> None:
    sink = Memory()

    def fails() -> str:
        raise RecursionError

    async def scenario(decisions: DecisionLog) -> None:
        decisions.record(record(1, rule=lambda: "a.rego:3"))
        decisions.record(record(2, rule=fails))

    run(scenario, sink)
    assert [event["palisade"].get("rule") for event in sink.lines] == ["a.rego:3", None]


def test_subscribers_see_masked_events_until_they_leave() -> None:
    sink, seen = Memory(), []
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."

    def fail(event: Any) -> None:
        raise RuntimeError("a bad subscriber")

    async def scenario(decisions: DecisionLog) -> None:
        decisions.subscribe(fail)
        leave = decisions.subscribe(seen.append)
        decisions.record(record(1, input={"attributes": {"request": {"http": {"path": f"/{token}"}}}}))
        await asyncio.sleep(0.05)
        leave()
        decisions.record(record(2))

    run(scenario, sink)
    assert [event["decision_id"] for event in seen] == ["id-1"]
    assert token not in json.dumps(seen)
    assert len(sink.lines) == 2


def test_a_file_rotates_and_keeps_so_many(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "decisions.jsonl"
    sink = FileSink(path, max_bytes=10, backups=2)
    for number in range(5):
        sink.write(b"line %d\n" % number)
    sink.close()
    assert {file.name: file.read_text() for file in path.parent.iterdir()} == {
        "decisions.jsonl": "line 4\n",
        "decisions.jsonl.1": "line 3\n",
        "decisions.jsonl.2": "line 2\n",
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_goes_on_where_it_ended_and_survives_being_moved(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_text("before\n")
    sink = FileSink(path)
    sink.write(b"one\n")
    path.rename(tmp_path / "moved")
    sink.write(b"two\n")
    sink.close()
    assert (tmp_path / "moved").read_text() == "before\none\n"
    assert path.read_text() == "two\n"


def test_a_file_that_ended_amid_a_line_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_text('{"whole": 1}\n{"ha')
    sink = FileSink(path)
    sink.write(b"one\n")
    sink.write(b"two\n")
    sink.close()
    assert path.read_text() == '{"whole": 1}\n{"ha\none\ntwo\n'


def test_a_file_that_takes_no_more_keeps_no_half_of_a_line(tmp_path: Path) -> None:
    """The limit on the size of files stands for a full disk: the kernel takes what fits, and then refuses."""
    path = tmp_path / "decisions.jsonl"
    sink = FileSink(path)
    sink.write(b"one\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            sink.write(b"two, which is long\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "one\n"
    sink.write(b"two\n")
    assert path.read_text() == "one\ntwo\n"
    sink.close()


def test_a_stream_is_flushed_and_left_open(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as stream:
        sink = StreamSink(stream)
        sink.write(b"line\n")
        assert (tmp_path / "out").read_bytes() == b"line\n"
        sink.close()
        assert not stream.closed


def test_times_are_exact_and_in_utc() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000000000Z"
    assert rfc3339(1_795_459_212_000_000_009) == "2026-11-23T18:40:12.000000009Z"


class Later:
    """Explains what is denied when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, Any], Callable[[Any], None]]] = []

    def wants(self, event: dict[str, Any]) -> bool:
        return not event["palisade"]["allowed"]

    def explain(self, event: dict[str, Any], done: Callable[[Any], None]) -> None:
        self.asked.append((event, done))


def test_an_entry_waits_for_its_explanation_and_no_other_does() -> None:
    sink, later = Memory(), Later()
    seen: list[dict[str, Any]] = []
    secret = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.c2ln"

    async def scenario(log: DecisionLog) -> None:
        log.explaining = later
        log.subscribe(seen.append)
        http = {"headers": {"authorization": secret, "x-other": secret}, "body": "b"}
        document = {"attributes": {"request": {"http": http}}}
        log.record(record(1, allowed=False, input=document))
        log.record(record(2))
        await eventually(lambda: sink.lines)
        assert [each["decision_id"] for each in sink.lines] == ["id-2"]
        [(event, done)] = later.asked
        # What explains it gets what is logged, and no more.
        assert "eyJ" not in json.dumps(event)
        assert event["erased"]
        done({"text": f"as {secret} is no good"})

    log = run(scenario, sink)
    assert (
        [each["decision_id"] for each in sink.lines] == ["id-2", "id-1"] == [e["decision_id"] for e in seen]
    )
    assert sink.lines[1]["palisade"]["explanation"] == {"text": "as Bearer **REDACTED** is no good"}
    assert (log.stats.written, log.stats.waiting) == (2, 0)


def test_an_explanation_that_cannot_be_spelled_is_counted_and_ends_nothing() -> None:
    sink, later = Memory(), Later()

    async def scenario(log: DecisionLog) -> None:
        log.explaining = later
        log.record(record(1, allowed=False))
        await eventually(lambda: later.asked)
        later.asked[0][1]({"text": object()})
        log.record(record(2))

    log = run(scenario, sink)
    assert [each["decision_id"] for each in sink.lines] == ["id-2"]
    assert log.stats.failed == 1


def test_bytes_that_are_no_utf_8_are_logged_as_opa_does() -> None:
    """Of a path such as `/%FE`; others than Python's readers of JSON take no half of a surrogate pair."""
    sink = Memory()

    async def scenario(decisions: DecisionLog) -> None:
        decisions.record(record(input={"parsed_path": ["\udcfe"], "parsed_query": {"\udcff": [2**70]}}))

    run(scenario, sink)
    assert sink.lines[0]["input"] == {"parsed_path": ["\ufffd"], "parsed_query": {"\ufffd": [2**70]}}
