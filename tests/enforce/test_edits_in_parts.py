"""A decision in parts that reads bodies, edited: each revision is what it is compiled from nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand import in_memory

from palisade.enforce.envoy import Enforcement, compile_sidecar, dealing
from palisade.enforce.envoy.compile import BODY, TOLD
from palisade.enforce.envoy.dealing import PARTS, part_of
from palisade.enforce.envoy.ends import RESIDUAL
from palisade.enforce.envoy.parts import Half, Layout, told_name_of
from palisade.policy.inventory import Address, Function, Inventory
from palisade.policy.revisions import Revision, build
from palisade.xds.resources import EXTENSION

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


def revised(pieces: Iterable[str], before: Revision | None) -> Revision:
    nowhere = Address("127.0.0.1", 1)
    functions = {"orders": Function("orders", nowhere, nowhere)}
    inventory = Inventory(Path("/palisade.yaml"), Path("/"), functions, "authz/allow")
    text = HEAD + "\n".join([*KEPT, *pieces])
    return build(inventory, in_memory({"a.rego": text}), before)


def compiled(revision: Revision, before: Enforcement | None) -> Enforcement:
    function = revision.inventory.functions["orders"]
    return compile_sidecar(revision, function, {}, previous=before, divisible=True)


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


@pytest.mark.usefixtures("timeless")
@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=6), min_size=2, max_size=4))
def test_any_edits_come_to_what_the_set_does_by_itself(steps: list[list[str]]) -> None:
    """Whether bodies come to be read, and by what, or no more: slots and account are those of the set."""
    revision: Revision | None = None
    enforcement: Enforcement | None = None
    for step in steps:
        revision = revised(step, revision)
        enforcement = compiled(revision, enforcement)
        assert shown(enforcement) == shown(compiled(revised(step, None), None))


def changed(one: Half | None, other: Half | None) -> set[int]:
    assert one is not None
    assert other is not None
    return {number for number in range(PARTS) if one.filters[number] != other.filters[number]}


def test_a_changed_rule_changes_its_part_before_and_behind_the_wait() -> None:
    """The others are the same to the byte, and nothing goes whole."""
    first = compiled(revised([READS], None), None)
    second = compiled(revised([READS, PIECES[3]], None), first)
    assert first.parts is not None
    assert second.parts is not None
    assert second.parts.layout == first.parts.layout
    assert changed(first.parts.native, second.parts.native) == {part_of("/1")}
    assert changed(first.parts.told, second.parts.told) == {part_of("/1")}
    for slot in (BODY, TOLD):
        assert second.snapshot.packed(EXTENSION)[slot] == first.snapshot.packed(EXTENSION)[slot]
    assert second.snapshot.resources[EXTENSION][TOLD].typed_config.value == b""  # type: ignore[attr-defined]


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
    assert found.parts.told is None
    assert found.snapshot.resources[EXTENSION][TOLD].typed_config.value != b""  # type: ignore[attr-defined]
    assert not any(f"{RESIDUAL}/".encode() in each.typed_config.value for each in found.parts.filters)
    monkeypatch.setattr("palisade.enforce.envoy.parts.deal_by", real)
    dealt = compiled(revised([READS], None), found)
    assert changed(dealt.parts and dealt.parts.native, found.parts.native) == set(range(PARTS))
    assert dealt.snapshot.resources[EXTENSION][TOLD].typed_config.value == b""  # type: ignore[attr-defined]
