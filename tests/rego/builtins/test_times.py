"""Times, Go's layouts, durations."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade.rego.builtins import BUILTINS, Context
from palisade.rego.builtins.time_layouts import NAMED

SECOND = 1_000_000_000
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
STAMP = 1670006453141828752  # 2022-12-02T18:40:53.141828752Z


def test_now_is_when_the_query_started(call: Any) -> None:
    assert call("time.now_ns", ctx=Context(42)) == 42


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("", "2022-12-03T00:10:53.141828752+05:30"),
        ("RFC1123Z", "Sat, 03 Dec 2022 00:10:53 +0530"),
        ("Mon Jan 02 15:04:05 -0700 2006", "Sat Dec 03 00:10:53 +0530 2022"),
        ("Monday, 2-Jan-06 3:04PM MST", "Saturday, 3-Dec-22 12:10AM IST"),
        ("_2 __2 002 .000 .999999 ,000", " 3 337 337 .141 .141828 ,141"),
        ("15h 3pm Z07:00 Z0700 -07", "00h 12am +05:30 +0530 +05"),
        ("January Janet Monkey 2006 _2006", "December Janet Monkey 2022 _2022"),
        ("1/2/06 4m5s", "12/3/22 10m53s"),
    ],
)
def test_format(call: Any, layout: str, text: str) -> None:
    assert call("time.format", [STAMP, "Asia/Kolkata", layout]) == text


def test_format_drops_a_fraction_of_zero(call: Any) -> None:
    assert call("time.format", 0) == "1970-01-01T00:00:00Z"
    assert call("time.format", [5, "UTC", "05.999 05.000"]) == "00 00.000"


@pytest.mark.parametrize(
    ("layout", "text", "seconds"),
    [
        ("RFC3339", "1970-01-01T01:00:00+01:00", 0),
        ("2006-01-02", "1970-01-02", 86400),
        ("2006-01-02T15:04:05Z07:00", "1970-01-01T00:00:01.5Z", 1.5),  # a fraction may follow unannounced
        ("Jan _2 2006 3:04PM", "feb  1 1970 12:00AM", 31 * 86400),
        ("02 Jan 06 15:04 MST", "01 Jan 70 00:00 UTC", 0),
        ("02 Jan 06 15:04 MST", "01 Jan 70 03:00 GMT+3", 0),
        ("02 Jan 06 15:04 MST", "01 Jan 70 00:00 CET", 0),  # an unknown zone counts as UTC
        ("2006 002", "1972 366", 366 * 86400 * 3 - 2 * 86400 + 0 - 86400),
        ("Monday, 02-Jan-06 15:04:05 MST", "Sunday, 04-Jan-70 00:00:00 UTC", 3 * 86400),
        ("RFC3339", "1970-01-02T00:00:00-00:60", 86400 + 3600),
        ("RFC3339", "1970-01-02T00:00:00+24:00", 0),
        ("05.000", "01.250", None),
    ],
)
def test_parse(call: Any, layout: str, text: str, seconds: float | None) -> None:
    if seconds is None:  # the year 0 is outside of what 64 bits of nanoseconds hold
        with pytest.raises(Exception, match="time outside of valid range"):
            call("time.parse_ns", layout, text)
        return
    assert call("time.parse_ns", layout, text) == int(seconds * SECOND)


@pytest.mark.parametrize(
    ("layout", "text", "message"),
    [
        ("2006-01-02", "1970-13-02", 'parsing time "1970-13-02": month out of range'),
        ("2006-01-02", "1970-02-30", 'parsing time "1970-02-30": day out of range'),
        ("2006-01-02", "1970-01-02x", 'parsing time "1970-01-02x": extra text: "x"'),
        (
            "2006-01-02",
            "70-01-02",
            'parsing time "70-01-02" as "2006-01-02": cannot parse "70-01-02" as "2006"',
        ),
        ("15:04", "24:00", 'parsing time "24:00": hour out of range'),
        ("2006-01-02", "٢٠٢٠-01-02", "cannot parse"),
        ("RFC3339", "1970-01-02T00:00:00-00:61", "time zone offset minute out of range"),
        ("RFC3339", "2262-04-11T23:47:16.854775808Z", "time outside of valid range"),
        ("RFC3339", "1677-09-21T00:12:43.145224191Z", "time outside of valid range"),
    ],
)
def test_parse_refuses(fails: Any, layout: str, text: str, message: str) -> None:
    assert message in fails("time.parse_ns", layout, text)


@settings(deadline=None)  # a busy machine is no failure
@given(INT64, st.sampled_from([NAMED["RFC3339Nano"], "Mon Jan _2 15:04:05.000000000 2006 -07:00:00"]))
def test_what_is_formatted_parses_to_the_same_time(ns: int, layout: str) -> None:
    text = BUILTINS["time.format"].function([ns, "America/New_York", layout])
    if layout == NAMED["RFC3339Nano"] and ns < -2_717_650_800 * 10**9:
        return  # local mean time, until 1883: its offset has seconds, which RFC 3339 cannot show
    assert BUILTINS["time.parse_ns"].function(layout, text) == ns


@settings(deadline=None)  # a busy machine is no failure
@given(INT64)
def test_date_clock_and_weekday_agree_with_the_calendar(ns: int) -> None:
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ns // SECOND)
    assert BUILTINS["time.date"].function(ns) == [when.year, when.month, when.day]
    assert BUILTINS["time.clock"].function(ns) == [when.hour, when.minute, when.second]
    assert BUILTINS["time.weekday"].function(ns) == when.strftime("%A")


def _at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("start", "delta", "end"),
    [
        ("2020-02-29T12:00:00+00:00", (1, 0, 0), "2021-03-01T12:00:00+00:00"),
        ("2020-01-31T00:00:00+00:00", (0, 1, 0), "2020-03-02T00:00:00+00:00"),
        ("2020-03-15T00:00:00+00:00", (0, -14, -15), "2018-12-31T00:00:00+00:00"),
        ("2020-01-01T00:00:00+00:00", (0, 0, 366), "2021-01-01T00:00:00+00:00"),
    ],
)
def test_add_date(call: Any, start: str, delta: tuple[int, int, int], end: str) -> None:
    assert call("time.add_date", _at(start), *delta) == _at(end)


def test_zones_are_known_where_the_machine_has_no_database() -> None:
    """As in small containers. Times in zones were undefined there, and rules about them the engine's."""
    source = (
        "from palisade.rego.builtins.times import zone_named\n"
        "from datetime import datetime\n"
        "print(datetime(2024, 7, 1, tzinfo=zone_named('Europe/Berlin')).utcoffset())"
    )
    without = {**os.environ, "PYTHONTZPATH": ""}
    found = subprocess.run(
        [sys.executable, "-c", source], env=without, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "2:00:00"


def test_add_date_keeps_the_hour_where_clocks_change(call: Any) -> None:
    zone = ZoneInfo("Europe/Berlin")
    before = int(datetime(2024, 3, 30, 12, tzinfo=zone).timestamp()) * SECOND
    after = int(datetime(2024, 3, 31, 12, tzinfo=zone).timestamp()) * SECOND
    assert call("time.add_date", [before, "Europe/Berlin"], 0, 0, 1) == after
    assert after - before == 23 * 3600 * SECOND


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ("2020-02-29T00:00:00+00:00", "2021-03-01T01:02:03+00:00", [1, 0, 1, 1, 2, 3]),
        ("2021-03-01T00:00:00+00:00", "2020-02-29T00:00:00+00:00", [1, 0, 1, 0, 0, 0]),
        ("2020-01-31T23:00:00+00:00", "2020-03-01T00:00:00+00:00", [0, 1, 0, 1, 0, 0]),
        ("2020-05-05T00:00:00+00:00", "2020-05-05T00:00:00+00:00", [0, 0, 0, 0, 0, 0]),
    ],
)
def test_diff(call: Any, first: str, second: str, difference: list[int]) -> None:
    assert call("time.diff", _at(first), _at(second)) == difference


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("time.format", ([1, "Nowhere/Land"],), "unknown time zone Nowhere/Land"),
        ("time.format", ([1, "../../etc/passwd"],), "unknown time zone"),
        ("time.format", (2**63,), "timestamp too big"),
        ("time.format", (1.5,), "timestamp too big"),
        ("time.date", ("now",), "must be either number (ns) or [number (ns), string (tz)] but got string"),
        ("time.date", ([],), "must be either number (ns) or [number (ns), string (tz)] but got array"),
        ("time.add_date", (0, 10**9, 0, 0), "time outside of valid range"),
        ("time.add_date", (0, 0, 0, 10**12), "time outside of valid range"),
        ("time.add_date", (-(2**63), 0, 0, -1), "time outside of valid range"),
    ],
)
def test_refuses(fails: Any, name: str, operands: tuple[Any, ...], message: str) -> None:
    assert message in fails(name, *operands)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("1h30m", 5400 * SECOND),
        ("-1.5s", -1_500_000_000),
        ("+2ms3us4ns", 2_003_004),
        ("1µs", 1000),
        (".5m", 30 * SECOND),
        ("1w", 604_800 * SECOND),
        ("1y2d0.5d1h", (367 * 86_400 + 43_200 + 3600) * SECOND),
        ("2562047h47m16.854775807s", 2**63 - 1),
        ("-2562047h47m16.854775808s", -(2**63)),
    ],
)
def test_durations(call: Any, text: str, ns: int) -> None:
    assert call("time.parse_duration_ns", text) == ns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'invalid duration ""'),
        ("1", 'missing unit in duration "1"'),
        ("1mo", 'unknown unit "mo" in duration "1mo"'),
        ("293y", "invalid duration"),
        (".s", 'invalid duration ".s"'),
        ("2562047h47m16.854775808s", "invalid duration"),
        ("9" * 50 + "h", "invalid duration"),
    ],
)
def test_durations_refuse(fails: Any, text: str, message: str) -> None:
    assert message in fails("time.parse_duration_ns", text)
