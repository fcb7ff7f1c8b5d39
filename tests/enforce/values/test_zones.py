"""Clocks in time zones are read in the sidecar, at every moment as the evaluator reads them."""

from __future__ import annotations

from zoneinfo import available_timezones

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lowered import judge, subject_of

from palisade import rego
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import NO
from palisade.enforce.envoy.matchers.writing import to_proto
from palisade.enforce.envoy.values import times, zones
from palisade.explain.sidecar import cel as reading
from palisade.explain.sidecar import matchers
from palisade.explain.sidecar.request import Sight
from palisade.policy.providers import Provider
from palisade.rego.builtins import BUILTINS
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Known
from palisade.testing.equivalence import Bed, Issuers, Request, Tally

NOW = Apply("time.now_ns", ())
SECOND = 1_000_000_000
CHOSEN = (
    *("Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe"),
    *("Pacific/Kiritimati", "Africa/Casablanca", "Asia/Tokyo", "Etc/GMT+12"),
)
_GETTERS = {
    "time.clock": ("getHours", "getMinutes", "getSeconds"),
    "time.date": ("getFullYear", "getMonth", "getDate"),
}


def at(second: int) -> Sight:
    return Sight(headers={}, metadata={}, state={}, address="", time=second * SECOND)


def _near(name: str) -> st.SearchStrategy[int]:
    """Any moment, and those about at which the clock is moved."""
    known = zones.moves(name)
    assert known is not None
    moved = st.tuples(st.sampled_from(known), st.sampled_from((-3601, -1, 0, 1, 3599, 3600)))
    return st.integers(zones.FIRST, zones.LAST - 1) | moved.map(lambda each: each[0][0] + each[1])


@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_a_clock_is_where_the_builtins_have_it(data: st.DataObject) -> None:
    """In any zone of the database, an hour and a second about each of its changes too."""
    name = data.draw(st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})))
    second = min(max(data.draw(_near(name)), zones.FIRST), zones.LAST - 1)
    known = zones.moves(name)
    assert known is not None
    shown = zones.clock(known)
    for builtin, getters in _GETTERS.items():
        for place, getter in enumerate(getters):
            wanted = BUILTINS[builtin].function([second * SECOND, name])[place] - (getter == "getMonth")
            same = cel.equal(cel.method(shown, getter), cel.integer(wanted))
            assert reading.holds(same, at(second)), (name, second, builtin)


_form = st.lists(st.sampled_from(("%d", "%02d", "%04d", "-", "/", " of ", "T")), min_size=1, max_size=7).map(
    "".join
)


@settings(max_examples=examples(300), deadline=None)
@given(_form, st.sampled_from(("time.date", "time.clock")), st.sampled_from(("", *CHOSEN)), st.data())
def test_parts_of_the_time_as_text(form: str, builtin: str, zone: str, data: st.DataObject) -> None:
    """Whatever text is compared with, written as the parts are or nearly so; forms that run together, or that
    have more or fewer of them, are none."""
    shown = ArrayOf((NOW, Known(zone))) if zone else NOW
    term = Apply("sprintf", (Known(form), Apply(builtin, (shown,))))
    moment = times.moment_of(term)
    verbs = form.count("%")
    assert (moment is not None) == (verbs == 3 and "d%" not in form)
    if not isinstance(moment, times.TimeText):
        return
    second = data.draw(st.integers(zones.FIRST, zones.LAST - 1))
    said = BUILTINS["sprintf"].function(
        form, BUILTINS[builtin].function([second * SECOND, zone] if zone else second * SECOND)
    )
    near = st.sampled_from(
        (said, said.replace("0", ""), said.replace("1", "01"), f"0{said}", said.upper(), "")
    )
    values = data.draw(st.lists(near, min_size=1, max_size=2))
    found = times.is_one_of(moment, values)
    assert found is not None
    assert found.surely == found.possibly
    held = found.surely != NO and matchers.holds(to_proto(found.surely), at(second))
    assert held == (said in values)


def test_many_dates_are_built_of_few_expressions(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each year, month and day that there is in them, and not three for each date: the clock of a
    zone is a large expression."""
    made: list[object] = []
    check = cel.check
    monkeypatch.setattr(cel, "check", lambda each: made.append(each) or check(each))
    date = Apply("time.date", (ArrayOf((NOW, Known("Europe/Berlin"))),))
    moment = times.moment_of(Apply("sprintf", (Known("%d-%02d-%02d"), date)))
    assert moment is not None
    dates = [f"{year}-{month:02d}-{day:02d}" for year in (2027, 2028) for month in (1, 5) for day in (1, 9)]
    assert times.is_one_of(moment, dates) is not None
    assert len(made) == 2 + 2 + 2


@pytest.mark.parametrize("second", [zones.FIRST - 1, zones.FIRST, zones.LAST - 1, zones.LAST])
def test_what_lies_beyond_is_for_the_engine(second: int) -> None:
    beyond = to_proto(zones.unknown("Europe/Berlin"))
    assert matchers.holds(beyond, at(second)) is not (zones.FIRST <= second < zones.LAST)
    assert zones.unknown("") == NO


@pytest.mark.parametrize("name", ["Local", "Nowhere/Atlantis", "../UTC", "europe/berlin\x00"])
def test_zones_that_nobody_knows_are_for_the_engine(name: str) -> None:
    assert zones.moves(name) is None
    assert times.moment_of(Apply("time.clock", (ArrayOf((NOW, Known(name))),))) is None


@pytest.mark.long
@pytest.mark.parametrize("providers", [0], ids=("none",), indirect=True)
def test_envoy_reads_the_same_clocks(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """At this moment; which hour that is differs from zone to zone, so each limit is met in some. Of its five
    binary digits each is asked for by itself, and so it is known which hour Envoy has."""
    limits = ((0, "<", range(0, 25, 3)), (0, "==", (0, 9, 17)), (1, ">=", (0, 15, 30, 45)))
    digits = [{hour for hour in range(24) if hour >> place & 1} for place in range(5)]
    rules = []
    for name in CHOSEN:
        shown = f'time.now_ns(), "{name}"'
        for place, sign, numbers in limits:
            rules += [f"time.clock([{shown}])[{place}] {sign} {number}" for number in numbers]
        rules += [f"time.clock([{shown}])[0] in {hours}" for hours in digits]
        rules += [f'time.weekday([{shown}]) == "{day}"' for day in ("Monday", "Thursday", "Friday")]
        rules.append(f"[y, m, d] := time.date([{shown}]); y > 2024; m in numbers.range(1, 12); d < 16")
        rules.append(f"[h, m, _] := time.clock([{shown}]); h * 60 + m >= 540; h + (m / 60) < 17.5")
        days = (
            "{"
            + ", ".join(f'"{day:02d}T{hour:02d}"' for day in range(1, 32) for hour in range(0, 24, 2))
            + "}"
        )
        rules.append(f'sprintf("%02dT%02d", [time.date([{shown}])[2], time.clock([{shown}])[0]]) in {days}')
        rules.append(f'not time.weekday([{shown}]) in {{"Saturday", "Sunday"}}')
    subjects = [
        subject_of(rego.compile({"p.rego": f"package p\nallow if {{ {rule} }}"}), providers, issuers)
        for rule in rules
    ]
    judge(bed, subjects, [Request()], tally := Tally())
    assert tally.residual == 0, tally
    assert 0.1 * tally.pairs < tally.allowed < 0.9 * tally.pairs, tally
