"""Conditions that calculate with the hour or the day are decided in the sidecar, each moment as in Rego."""

from __future__ import annotations

from dataclasses import replace

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lowered import judge, subject_of

from palisade import rego
from palisade.enforce.envoy.values import zones
from palisade.explain.sidecar.decide import decided
from palisade.explain.sidecar.request import sight
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally

HEAD = """package p
now := time.now_ns()
hour := time.clock(now)[0]
minute := time.clock(now)[1]
day := time.weekday(now)
month := time.date(now)[1]
zone := input.attributes.request.http.headers["x-zone"]
offsets := {"north": 7, "south": -5, "here": 0}
local := ((hour + offsets[zone]) + 24) % 24
week := {"monday": {"from": 8, "to": 17}, "friday": {"from": 9, "to": 12}, "sunday": null}
rota := {"Monday": "north", "Tuesday": "south", "Saturday": "here"}
"""
RULES = (
    "(hour + 7) % 24 >= 6",
    "not (hour + 19) % 24 in {3, 4, 11}",
    "hour % 3 == 1",
    "abs(hour - 12) < 4",
    "minute % 15 < 5",
    "ceil(month / 3) == 2",
    "local >= 8; local < 20",
    "not local >= 8",
    'lower(day) in {"monday", "sunday"}',
    'substring(day, 0, 3) == "Sun"',
    'startswith(day, "S")',
    'not endswith(lower(day), "nday")',
    "hours := week[lower(day)]; hour >= hours.from; hour < hours.to",
    'object.get(rota, day, "nobody") == zone',
    "zone == rota[day]",
    'sprintf("%s-%d", [lower(day), hour % 2]) in {"monday-0", "friday-1", "sunday-1"}',
    'zone == sprintf("%s%d", [lower(substring(day, 0, 1)), hour % 12])',
    'time.clock([now, "Asia/Tokyo"])[0] % 5 == 2',
    'upper(time.weekday([now, "America/New_York"])) in {"FRIDAY", "SATURDAY"}',
)
ZONES = ("north", "south", "here", "nowhere", "m3", "s11", "f0")


@pytest.mark.parametrize("providers", [0], ids=("none",), indirect=True)
def test_each_moment_is_told_as_rego_does(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """All rules natively: by Envoy itself now, and as its configuration is read at any other moment."""
    policies = [rego.compile({"p.rego": f"{HEAD}allow if {{ {rule} }}"}) for rule in RULES]
    subjects = [subject_of(policy, providers, issuers) for policy in policies]
    asked = [Request(headers=(("x-zone", zone),)) for zone in ZONES]
    judge(bed, subjects, asked, tally := Tally())
    assert tally.residual == 0, tally

    @settings(max_examples=examples(120), deadline=None)
    @given(st.integers(0, len(RULES) - 1), st.integers(zones.FIRST, zones.LAST - 1), st.sampled_from(ZONES))
    def at_a_moment(which: int, second: int, zone: str) -> None:
        document = {"attributes": {"request": {"http": {"method": "GET", "headers": {"x-zone": zone}}}}}
        moment = second * 1_000_000_000
        wanted = policies[which].query(f"data.p.allow with time.now_ns as {moment}", input=document)
        snapshot = subjects[which].enforcement.snapshot
        told = decided(snapshot, replace(sight(snapshot, document), time=moment))
        assert (told.asks, told.allowed) == (False, bool(wanted)), (RULES[which], second, zone)

    at_a_moment()


def test_of_too_many_moments_none_are_tried(providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Of each minute of the day an expression of its own would make a configuration of megabytes."""
    rule = "((hour * 60) + minute) % 7 == 3"
    asked = subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {rule} }}"}), providers, issuers)
    assert not any(each.native for each in asked.enforcement.coverage)
