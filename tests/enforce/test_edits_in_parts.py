"""A decision in parts that reads bodies, edited: each revision is what it is compiled from nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from effort import examples_asked
from hypothesis import given, settings
from hypothesis import strategies as st
from stand import in_memory

from palisade.enforce.envoy import Enforcement, compile_sidecar, parts
from palisade.enforce.envoy.answers.ends import RESIDUAL
from palisade.enforce.envoy.compile import BODY, TOLD
from palisade.enforce.envoy.matchers import dealing
from palisade.enforce.envoy.matchers.dealing import PARTS, part_of
from palisade.enforce.envoy.parts import NATIVE, Layout, Parts, name_of, told_name_of
from palisade.policy.inventory import Address, Function, Inventory
from palisade.policy.revisions import Revision, build
from palisade.xds.resources import EXTENSION

EXAMPLES = max(5, examples_asked(40) // 8)
"""Each takes some seconds: six compiles of a set that is large enough to go in parts."""

HEAD = "package authz\n\ndefault allow := false\n\nimport input.attributes.request.http\n\n"
KEPT = [f'allow if {{ http.method == "GET"; http.path == "/{at}" }}' for at in range(70)]
READS = 'allow if { http.path == "/body"; input.parsed_body.op == "read" }'
PIECES = [
    READS,
    'allow if { http.path == "/body"; input.parsed_body.op == "list" }',
    'allow if { http.path == "/other"; input.parsed_body.size > 3 }',
    'allow if { http.path == "/1"; http.method == "PUT" }',
    'allow if { http.path == "/1"; http.method == "POST" }',
    'allow if { http.path == "/raw"; contains(http.body, "x") }',
    'allow := {"allowed": true, "body": "no part of a request\'s"} if http.path == "/answer"',
    "allow := false if input.parsed_body.refused",
    'allow if { http.path == "/hash"; crypto.sha256(http.path) == "00" }',
    "# nothing",
]


@pytest.fixture(scope="module", autouse=True)
def _small_sets_go_in_parts() -> Iterable[None]:
    with pytest.MonkeyPatch.context() as patched:
        for limit, value in {"WORTH": 60, "_MOST_IN_ONE": 10**9, "_MOST_COPIES": 10**9}.items():
            patched.setattr(dealing, limit, value)
        yield


def revised(pieces: Sequence[str], before: Revision | None) -> Revision:
    nowhere = Address("127.0.0.1", 1)
    functions = {"orders": Function("orders", nowhere, nowhere)}
    inventory = Inventory(Path("/palisade.yaml"), Path("/"), functions, "authz/allow")
    # As many lines each time, and none is the same as one at another row: so that rules are named by their
    # rows, whatever was there before. A line that moves would keep the number of where it was.
    rows = [*pieces, *["# nothing"] * (6 - len(pieces))]
    text = HEAD + "\n".join([*KEPT, *(f"{each}  # {row}" for row, each in enumerate(rows))])
    return build(inventory, in_memory({"a.rego": text}), before)


def compiled(revision: Revision, before: Enforcement | None, shadow: Revision | None = None) -> Enforcement:
    function = revision.inventory.functions["orders"]
    return compile_sidecar(revision, function, {}, shadow, previous=before, divisible=True)


def shown(found: Enforcement) -> Any:
    """All that a sidecar gets, and the account."""
    slots = {name: each.version for name, each in found.snapshot.packed(EXTENSION).items()}
    return slots, found.coverage, found.body, found.residual, found.doubts


@pytest.fixture
def timeless() -> Iterable[None]:
    """Layouts have no time: what is compiled from nothing has another than what went before."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Layout, "name", property(lambda layout: layout.form))
        yield


@pytest.mark.long
@pytest.mark.usefixtures("timeless")
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=6), min_size=2, max_size=4))
def test_any_edits_come_to_what_the_set_does_by_itself(steps: list[list[str]]) -> None:
    """Whether bodies come to be read, and by what, or no more: slots and account are those of the set."""
    revision: Revision | None = None
    enforcement: Enforcement | None = None
    for step in steps:
        revision = revised(step, revision)
        enforcement = compiled(revision, enforcement)
        assert shown(enforcement) == shown(compiled(revised(step, None), None))


@pytest.mark.long
@pytest.mark.usefixtures("timeless")
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(PIECES), max_size=4),
            st.none() | st.lists(st.sampled_from(PIECES), max_size=4),
        ),
        min_size=2,
        max_size=4,
    )
)
def test_any_edits_beside_a_shadow_come_to_what_both_do_by_themselves(
    steps: list[tuple[list[str], list[str] | None]],
) -> None:
    """Shadows come, go and are edited, as is what is in force; whichever of the two reads bodies."""
    revision: Revision | None = None
    shadow: Revision | None = None
    enforcement: Enforcement | None = None
    for step, watched in steps:
        revision = revised(step, revision)
        if watched is not None:
            shadow = revised(watched, shadow)
        enforcement = compiled(revision, enforcement, None if watched is None else shadow)
        alone = compiled(revised(step, None), None, None if watched is None else revised(watched, None))
        assert shown(enforcement) == shown(alone)


def test_an_edit_beside_a_shadow_changes_the_parts_of_its_rule() -> None:
    """The shadow stands in each part beside what is in force; only its own edits change all of them."""
    shadow = revised([READS, PIECES[1]], None)
    first = compiled(revised([READS], None), None, shadow)
    second = compiled(revised([READS, PIECES[3]], None), first, shadow)
    assert first.parts is not None
    assert second.parts is not None
    assert set(first.parts.halves) == {NATIVE, parts.TOLD, parts.WATCHED, parts.WATCHED_TOLD}
    different = [
        number for number, each in enumerate(second.parts.filters) if each != first.parts.filters[number]
    ]
    assert different == [part_of("/1"), PARTS + part_of("/1")]
    plain = compiled(revised([READS, PIECES[3]], None), second)
    assert plain.parts is not None
    assert plain.parts.layout == second.parts.layout
    assert [each.typed_config.value for each in plain.parts.filters] == [
        each for half in (NATIVE, parts.TOLD) for each in plain.parts.halves[half].contents
    ]


def test_a_shadow_has_no_body_read_that_nothing_else_would() -> None:
    """Where it reads what the one in force does not wait for, the engine decides both."""
    shadow = revised(["allow if json.unmarshal(http.body).a == 1"], None)
    beside = compiled(revised([READS], None), None, shadow)
    assert beside.parts is not None
    assert set(beside.parts.halves) == {NATIVE, parts.WATCHED}
    assert beside.snapshot.resources[EXTENSION][BODY].typed_config.value == b""  # type: ignore[attr-defined]
    assert beside.body


def changed(one: Parts | None, other: Parts | None, half: str) -> set[int]:
    assert one is not None
    assert other is not None
    before, after = one.halves[half].contents, other.halves[half].contents
    return {number for number in range(PARTS) if before[number] != after[number]}


def test_a_changed_rule_changes_its_part_before_and_behind_the_wait() -> None:
    """The others are the same to the byte, and nothing goes whole."""
    first = compiled(revised([READS], None), None)
    second = compiled(revised([READS, PIECES[3]], None), first)
    assert first.parts is not None
    assert second.parts is not None
    assert second.parts.layout == first.parts.layout
    assert changed(first.parts, second.parts, NATIVE) == {part_of("/1")}
    assert changed(first.parts, second.parts, parts.TOLD) == {part_of("/1")}
    for slot in (BODY, TOLD):
        assert second.snapshot.packed(EXTENSION)[slot] == first.snapshot.packed(EXTENSION)[slot]
    assert second.snapshot.resources[EXTENSION][TOLD].typed_config.value == b""  # type: ignore[attr-defined]


def test_a_part_that_is_as_it_was_is_not_made_or_packed_again() -> None:
    """All parts of ten thousand rules are five megabytes, of which an edit sends a hundredth."""
    first = compiled(revised([READS], None), None)
    second = compiled(revised([READS, PIECES[3]], None), first)
    assert first.parts is not None
    assert second.parts is not None
    before = {each.name: each for each in first.parts.filters}
    again = {each.name for each in second.parts.filters if before[each.name] is not each}
    assert again == {name_of(part_of("/1")), told_name_of(part_of("/1"))}
    packed = first.snapshot.packed(EXTENSION), second.snapshot.packed(EXTENSION)
    assert {name for name in before if packed[0][name] is not packed[1][name]} == again


def test_parts_that_come_again_behind_the_wait_are_not_those_of_before() -> None:
    """The ones of back then may still be in the sidecar, changed since by revisions of the past."""
    first = compiled(revised([READS], None), None)
    without = compiled(revised([], None), first)
    again = compiled(revised([READS], None), without)
    layouts = [each.parts.layout for each in (first, without, again) if each.parts is not None]
    assert len({each.name for each in layouts}) == 3
    assert layouts[0].form == layouts[2].form
    assert told_name_of(0) not in without.snapshot.packed(EXTENSION)


def test_where_the_rules_behind_the_wait_cannot_be_dealt_out_they_go_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then no part tells its number, as nothing behind the wait has one."""
    real = dealing.deal_by
    monkeypatch.setattr("palisade.enforce.envoy.parts.deal_by", lambda *_: None)
    found = compiled(revised([READS], None), None)
    assert found.parts is not None
    assert not found.parts.told
    assert found.snapshot.resources[EXTENSION][TOLD].typed_config.value != b""  # type: ignore[attr-defined]
    assert not any(f"{RESIDUAL}/".encode() in each.typed_config.value for each in found.parts.filters)
    monkeypatch.setattr("palisade.enforce.envoy.parts.deal_by", real)
    dealt = compiled(revised([READS], None), found)
    assert changed(dealt.parts, found.parts, NATIVE) == set(range(PARTS))
    assert dealt.snapshot.resources[EXTENSION][TOLD].typed_config.value == b""  # type: ignore[attr-defined]
