"""What was in force is kept whole or not at all, found by its id, and dropped in order."""

from __future__ import annotations

import hashlib
import json
import resource
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from palisade.policy.history import Cause, Entry, History, RuleCounts, UnknownRevisionError, before, find
from palisade.policy.inventory import Inventory
from palisade.policy.sets import PolicySet


def entry(
    name: str, cause: Cause = Cause.EDIT, *, of: int = 0, data: Mapping[str, Any] | None = None
) -> Entry:
    policy_set = PolicySet(
        root=Path("/p"),
        modules=MappingProxyType({"p/a.rego": f"package {name}\n"}),
        tests=MappingProxyType({}),
        data=dict(data or {}),
        digest=name,
        shown="p",
    )
    return Entry(
        number=0,
        id=name.encode().hex().ljust(12, "0")[:12],
        at=datetime(2026, 1, 1, tzinfo=UTC),
        cause=cause,
        note="",
        policy_set=policy_set,
        policies=Path("/p"),
        decision="p/allow",
        hosts=("*.example",),
        rules=RuleCounts(3, 2, 1),
        of=of,
    )


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History.of(tmp_path)


def test_what_is_kept_is_read_back_to_the_last_digit(history: History) -> None:
    data = {
        "big": 10**30,
        "exact": Decimal("0.12345678901234567890123"),
        "text": "ü\u2028\r\n\udc80",
        "none": None,
    }
    kept = history.add(entry("a", data=data), keep=20)
    [found] = History(history._folder).entries()
    assert found == kept
    assert str(found.policy_set.data["exact"]) == "0.12345678901234567890123"
    assert found.number == 1


def test_an_entry_from_before_rules_were_counted_in_three_kinds_is_read(history: History) -> None:
    """A newer engine puts in force again what the one before it kept."""
    history.add(entry("a"), keep=20)
    [file] = history._folder.iterdir()
    body = file.read_bytes().partition(b"\n")[2].strip().replace(b'"conditional":2,', b"")
    file.write_bytes(b"%s\n%s\n" % (hashlib.sha256(body).hexdigest().encode(), body))
    [found] = history.entries()
    assert found.rules == RuleCounts(native=3, residual=1)


def test_the_oldest_are_dropped_and_what_is_in_force_never(history: History) -> None:
    for name in "abcd":
        history.add(entry(name), keep=2)
    assert [each.policy_set.digest for each in history.entries()] == ["b", "c", "d"]
    for _ in range(3):
        history.add(replace(entry("e", Cause.CANARY), functions=("f",)), keep=1)
    assert [(each.policy_set.digest, each.number) for each in history.entries()] == [
        ("d", 4),
        ("e", 6),
        ("e", 7),
    ]
    standing = history.standing()
    assert standing.base is not None
    assert standing.canary is not None
    assert (standing.base.policy_set.digest, standing.canary.policy_set.digest) == ("d", "e")


def test_a_canary_that_goes_on_beside_another_revision_is_there_first(history: History) -> None:
    """An engine that is killed between the two goes on with it. A limit on the size of files stands for the
    kill: the larger of the two is not written."""
    canary = replace(entry("c", Cause.CANARY), functions=("f",))
    history.add(entry("a"), keep=5)
    history.add(canary, keep=5)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            history.add_both(entry("b", data={"text": "x" * 20_000}), canary, keep=5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert numbers(history) == (1, 4)
    history.add_both(entry("b"), canary, keep=5)
    assert numbers(history) == (5, 6)
    history.add_both(entry("d"), canary, keep=0)
    assert numbers(history) == (7, 8)
    assert len(history.entries()) == 2


def numbers(history: History) -> tuple[int, int]:
    """Those of what is in force and of the canary."""
    standing = history.standing()
    assert standing.base is not None
    assert standing.canary is not None
    return standing.base.number, standing.canary.number


def test_a_damaged_entry_is_left_out_and_the_others_stay(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    history.add(entry("a"), keep=20)
    history.add(entry("b"), keep=20)
    file = history._folder / f"000002-{entry('b').id}.json"
    file.write_text(file.read_text().replace("package b", "package x"))
    assert [each.policy_set.digest for each in history.entries()] == ["a"]
    assert "it is damaged" in caplog.text
    assert history.add(entry("c"), keep=20).number == 3


def test_newer_entries_that_cannot_be_read_are_told_with_the_way_back(history: History) -> None:
    """One of them may have been a rollback; nor is it known whether it ended a canary."""
    for name, cause in (("a", Cause.EDIT), ("b", Cause.EDIT), ("c", Cause.CANARY), ("a", Cause.ROLLBACK)):
        history.add(entry(name, cause), keep=20)
    assert history.standing().lost == ()
    file = history._folder / f"000004-{entry('a').id}.json"
    file.write_bytes(file.read_bytes()[:100])
    standing = history.standing()
    assert standing.base is not None
    assert (standing.base.policy_set.digest, standing.canary) == ("b", None)
    [lost] = standing.lost
    assert "000004" in lost
    assert lost.endswith(
        f"revision {entry('a').id} was put in force by it: palisade rollback {entry('a').id}"
    )
    history.add(entry("d"), keep=20)
    assert history.standing().lost == ()


def test_entries_of_another_version_are_left_out_and_told(history: History) -> None:
    """As is one that has no version."""
    history.add(entry("a"), keep=20)
    [file] = history._folder.iterdir()
    content = json.loads(file.read_bytes().partition(b"\n")[2])
    for other in (content | {"format": 99}, {name: content[name] for name in content if name != "format"}):
        body = json.dumps(other).encode()
        file.write_bytes(b"%s\n%s\n" % (hashlib.sha256(body).hexdigest().encode(), body))
        standing = history.standing()
        assert standing.base is None
        assert "of another version of Palisade" in standing.lost[0]
        assert "it is kept nowhere else" in standing.lost[0]


def test_what_a_crash_left_behind_is_no_entry(history: History) -> None:
    history.add(entry("a"), keep=20)
    (history._folder / ".000002-000000000000.json.new").write_text("half")
    assert len(history.entries()) == 1


def test_revisions_are_found_by_the_beginning_of_their_ids(history: History) -> None:
    for name in ("a", "ab", "b"):
        history.add(entry(name), keep=20)
    entries = history.entries()
    assert find(entries, "62").policy_set.digest == "b"
    with pytest.raises(UnknownRevisionError, match="several revisions begin with '61'"):
        find(entries, "61")
    with pytest.raises(UnknownRevisionError, match="known here: "):
        find(entries, "zz")
    with pytest.raises(UnknownRevisionError, match="no revision is kept yet"):
        find((), "61")


def number(entries: list[Entry]) -> tuple[Entry, ...]:
    return tuple(replace(each, number=at) for at, each in enumerate(entries, 1))


def test_going_back_goes_back_further_each_time() -> None:
    a, b, c = entry("a", Cause.START), entry("b"), entry("c")
    steps = [a, b, c]

    def step() -> str:
        found = before(number(steps))
        if found is None:
            return ""
        steps.append(replace(found, cause=Cause.ROLLBACK, of=found.number, number=0))
        return found.policy_set.digest

    assert [step(), step(), step()] == ["b", "a", ""]


def test_going_back_passes_over_canaries_and_other_functions() -> None:
    canary = replace(entry("x", Cause.CANARY), functions=("f",))
    same = replace(entry("b"), id="0" * 12)
    steps = number([entry("a"), canary, entry("b"), same, canary])
    found = before(steps)
    assert found is not None
    assert found.policy_set.digest == "a"


def test_going_back_never_leads_to_what_was_given_up() -> None:
    steps = [entry("a"), entry("b"), entry("a", Cause.ROLLBACK, of=1), entry("c")]
    found = before(number(steps))
    assert found is not None
    assert (found.policy_set.digest, found.number) == ("a", 3)
    assert before(number([*steps, entry("a", Cause.ROLLBACK, of=3)])) is None


def test_going_back_never_goes_forward_where_the_place_was_dropped() -> None:
    steps = number([entry("b"), entry("c"), entry("a", Cause.ROLLBACK, of=1)])[1:]
    assert before(steps) is None


def test_an_entry_decides_for_the_functions_of_now_as_it_did_then() -> None:
    now = Inventory(Path("/palisade.yaml"), Path("/p"), MappingProxyType({}), decision="q/allow")
    then = entry("a").inventory(now)
    assert (then.decision, then.network.hosts, then.functions) == ("p/allow", ("*.example",), now.functions)
