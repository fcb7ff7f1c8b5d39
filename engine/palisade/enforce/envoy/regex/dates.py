"""RE2 expressions for times that are written as RFC 3339 has it: those that Envoy reads as Rego does."""

from __future__ import annotations

_LEAP = (
    "(?:19(?:7[26]|8[048]|9[26])|2[01](?:0[48]|[2468][048]|[13579][26])|22(?:0[48]|[24][048]|[135][26])|2000)"
)
_YEAR = "(?:19[789]|2[01][0-9]|22[0-5])[0-9]"
"""From 1970 to 2259: so each moment, and what lies between two of them, is within 64 bits of nanoseconds."""
_DATE = (
    f"(?:{_YEAR}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    f"|(?:0[13578]|1[02])-31)|{_LEAP}-02-29)"
)
_CLOCK = "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,9})?"
_OFFSET = "(?:Z|[-+](?:[01][0-9]|2[0-3]):[0-5][0-9])"

MAY_BE_DATE = "(?s)[0-9]{4}-.*"
"""All that Rego takes by one of the layouts, and more."""

RFC3339 = f"{_DATE}{_CLOCK}{_OFFSET}"

_IN_UTC = f"{_DATE}{_CLOCK}Z"

LAYOUTS = {
    "RFC3339": (RFC3339, ""),
    "RFC3339Nano": (RFC3339, ""),
    "2006-01-02T15:04:05Z07:00": (RFC3339, ""),
    "2006-01-02T15:04:05.999999999Z07:00": (RFC3339, ""),
    "2006-01-02T15:04:05Z": (_IN_UTC, ""),
    "2006-01-02": (_DATE, "T00:00:00Z"),
}
"""Go's layouts: which texts of each Envoy reads, and what is written behind these for it."""
