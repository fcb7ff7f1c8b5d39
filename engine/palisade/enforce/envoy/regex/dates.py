"""RE2 expressions for times that are written as RFC 3339 has it: those that Envoy reads as Rego does."""

from __future__ import annotations

_LEAP = (
    "(?:19(?:7[26]|8[048]|9[26])|2[01](?:0[48]|[2468][048]|[13579][26])|22(?:0[48]|[24][048]|[135][26])|2000)"
)
_YEAR = "(?:19[789]|2[01][0-9]|22[0-5])[0-9]"
"""From 1970 to 2259: so each moment, and what lies between two of them, is within 64 bits of nanoseconds."""
_OF_ANY_YEAR = (
    "(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_DATE = f"(?:{_YEAR}-{_OF_ANY_YEAR}|{_LEAP}-02-29)"
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,9})?"
_CLOCK = f"T{_TIME}"
_OFFSET = "(?:Z|[-+](?:[01][0-9]|2[0-3]):[0-5][0-9])"

MAY_BE_DATE = "(?s)[0-9]{4}-.*"
"""All that Rego takes by one of the layouts, and more."""
MAY_BEGIN_DATE = "^[0-9]{4}-"
"""What is found in the same texts."""

RFC3339 = f"{_DATE}{_CLOCK}{_OFFSET}"

_IN_UTC = f"{_DATE}{_CLOCK}Z"

LAYOUTS = {
    "RFC3339": (RFC3339, ""),
    "RFC3339Nano": (RFC3339, ""),
    "2006-01-02T15:04:05Z07:00": (RFC3339, ""),
    "2006-01-02T15:04:05.999999999Z07:00": (RFC3339, ""),
    "2006-01-02T15:04:05Z": (_IN_UTC, ""),
    "2006-01-02": (_DATE, "T00:00:00Z"),
    "2006-01-02 15:04:05": (f"{_DATE} {_TIME}", "Z"),
}
"""Go's layouts: which texts of each Envoy reads, and what is written behind these for it. Where there
is a space it wants a `T`."""


_DAYS = ((f"^{_YEAR}-",), (f"^[0-9]{{4}}-{_OF_ANY_YEAR}(?:[T ]|$)", f"^{_LEAP}-02-29(?:[T ]|$)"))


def in_parts(pattern: str) -> tuple[tuple[str, ...], ...]:
    """Smaller expressions that are found in the same texts as one of those above matches: of each tuple one
    is. For where Envoy would not take the whole."""
    return (*_DAYS, (f"^[0-9-]*{pattern.removeprefix(_DATE)}$",))
