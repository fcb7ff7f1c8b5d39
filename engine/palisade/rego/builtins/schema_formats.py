"""The formats of JSON Schema, as OPA's library has them: https://github.com/xeipuuv/gojsonschema .

Most are what Go's own library takes: times of day without a zone, addresses with names.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from palisade.rego.builtins.mail_addresses import is_address
from palisade.rego.builtins.nets import parse_ip
from palisade.rego.builtins.regexes import compile_pattern
from palisade.rego.builtins.time_parsing import parse_time
from palisade.rego.builtins.uris import path_of, scheme_of
from palisade.rego.errors import BuiltinError

_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_HOST = 255
UUID = "[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}"
"""The pattern of that format, of the whole text."""
_POINTER = re.compile("(?:/(?:[^~/]|~0|~1)*)*")
_RELATIVE = re.compile("(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~0|~1)*)*)")
_TEMPLATE = re.compile(r"(?:[^{]++|\{[^}]*+\})*+")

_DATES, _TIMES = ("2006-01-02",), ("15:04:05", "15:04:05Z07:00")
_BOTH = ("2006-01-02T15:04:05Z07:00",)


def _parses(text: str, layouts: tuple[str, ...]) -> bool:
    for layout in layouts:
        try:
            # What has no year, and the year 0, is no nanosecond since the epoch. Years of 400 are alike.
            if layout in _TIMES:
                parse_time(f"2006-01-02T{layout}", f"2000-01-01T{text}")
            else:
                parse_time(layout, re.sub("^0000", "2000", text))
        except BuiltinError:
            continue
        return True
    return False


def _is_uri(text: str) -> bool:
    return bool(scheme_of(text)) and "\\" not in text


def _is_reference(text: str) -> bool:
    return scheme_of(text) is not None and "\\" not in text


def _is_template(text: str) -> bool:
    path = path_of(text)
    return path is not None and "\\" not in text and _TEMPLATE.fullmatch(path) is not None


def _is_pattern(text: str) -> bool:
    try:
        compile_pattern(text)
    except BuiltinError:
        return False
    return True


def _fully(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": lambda text: _parses(text, _DATES),
    "time": lambda text: _parses(text, _TIMES),
    "date-time": lambda text: _parses(text, (*_TIMES, *_DATES, *_BOTH)),
    "hostname": lambda text: len(text) <= _LONGEST_HOST and _HOST.fullmatch(text) is not None,
    "email": is_address,
    "idn-email": is_address,
    "ipv4": lambda text: "." in text and parse_ip(text) is not None,
    "ipv6": lambda text: ":" in text and parse_ip(text) is not None,
    "uri": _is_uri,
    "uri-reference": _is_reference,
    "iri": _is_uri,
    "iri-reference": _is_reference,
    "uri-template": _is_template,
    "uuid": _fully(re.compile(UUID)),
    "regex": _is_pattern,
    "json-pointer": _fully(_POINTER),
    "relative-json-pointer": _fully(_RELATIVE),
}
"""Whether a text is of a format. Others ask nothing."""
