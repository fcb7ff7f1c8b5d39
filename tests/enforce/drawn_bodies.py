"""JSON and forms as clients may write them: spelled in every way, nearly valid, and what looks like it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from itertools import product

from hypothesis import strategies as st

# Strategies are made once, and a spelling is one choice: a new strategy for each text, and a choice for each
# of its characters, took most of the time of the tests that send them.

NAMES = ("a", "b", "c")
TEXTS = ("", "x", "y", "a b", "ä", "\u20ac", '"', "\\", "/", "\n", "\x7f", "\U0001f600", "\ufffd")
NUMBERS = (
    *("0", "1", "2", "3", "-1", "-0", "0.0", "-0.0", "1.0", "1.5", "1.50", "0.1", "0.10000000000000000555"),
    *("1e0", "15e-1", "1E2", "1e400", "1e-400", "100", "123456789012345", "1234567890123456"),
    *("9007199254740992", "9007199254740993", "1.5000000000000000000001", "0.300000000000000"),
    *("1e99999999999999999999", "-1E-99999999999999999999", "9" * 20, "9" * 400, "1." + "0" * 400),
)
BROKEN = (
    *("01", "1.", ".5", "+1", "NaN", "Infinity", "-", "0x1", "1e", "'x'", "tru", "nul", "nullx", "undefined"),
    *('"\n"', '"\x00"', '"\\x"', '"\\u12"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\udcff"', '"'),
    *(
        "[1,]",
        '{"a":1,}',
        "{a:1}",
        "[",
        "}",
        "/**/1",
        "",
        "\ufeff1",
        '"\udced\udca0\udc80"',
        '"\udcc0\udc80"',
    ),
)

_SPACE = st.sampled_from(("", "", "", " ", "\n", "\t\r", "  "))
_RARE_SPACE = st.sampled_from(("",) * 30 + ("\x0b", "\xa0", "\x00", "//x\n"))


@cache
def _spelled(text: str) -> st.SearchStrategy[str]:
    """A text in quotes, any of its characters escaped."""

    def char(each: str) -> tuple[str, ...]:
        plain = json.dumps(each, ensure_ascii=False)[1:-1]
        code = json.dumps(each)[1:-1] if ord(each) > 126 else f"\\u{ord(each):04x}"
        return (plain, plain, plain, code, code.upper().replace("\\U", "\\u"))

    return st.sampled_from([f'"{"".join(parts)}"' for parts in product(*map(char, text))])


_SCALARS = st.one_of(
    st.sampled_from(("true", "false", "null")),
    st.sampled_from(NUMBERS),
    st.sampled_from(NUMBERS[:13]),
    st.sampled_from(TEXTS).flatmap(_spelled),
    st.sampled_from(TEXTS[:3]).flatmap(_spelled),
)
_ODD = st.one_of(*[_SCALARS] * 12, st.sampled_from(BROKEN))


def _joined(open_: str, close: str) -> Callable[[tuple[list[str], str, str]], str]:
    return lambda drawn: f"{open_}{drawn[1]}{(drawn[2] + ',' + drawn[1]).join(drawn[0])}{drawn[2]}{close}"


def _containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(st.sampled_from(NAMES).flatmap(_spelled), _SPACE, inner).map(
        lambda pair: f"{pair[0]}{pair[1]}:{pair[1]}{pair[2]}"
    )
    return st.one_of(
        st.tuples(st.lists(inner, max_size=4), _SPACE, _SPACE).map(_joined("[", "]")),
        st.tuples(st.lists(pairs, max_size=4), _SPACE, _SPACE).map(_joined("{", "}")),
    )


_VALUES = st.recursive(_ODD, _containers, max_leaves=8)
_OBJECTS = st.dictionaries(st.sampled_from(NAMES), _VALUES, min_size=1).map(
    lambda found: "{" + ", ".join(f'"{name}": {value}' for name, value in found.items()) + "}"
)


_WHOLE = st.one_of(_OBJECTS, _OBJECTS, _OBJECTS, _containers(_VALUES), _VALUES)
_ONE_IN_TEN = st.integers(0, 9)
_CHANGED = st.sampled_from(("", *'{}[]":,\\0eu', " ", "\x00"))


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """A body: mostly an object with the names, its values of any kind, mostly valid."""
    text = draw(_WHOLE)
    text = f"{draw(_RARE_SPACE)}{draw(_SPACE)}{text}{draw(_SPACE)}{draw(_RARE_SPACE)}"
    if text and draw(_ONE_IN_TEN) == 0:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(_CHANGED) + text[at + 1 :]
    return text


FORM_TEXTS = (
    "",
    "x",
    "X",
    "xy",
    "a b",
    "\u00e4",
    "\u20ac",
    "\U0001f600",
    "1",
    "null",
    "=",
    "&",
    "%",
    "+",
    "\n",
    "p",
)
BROKEN_FORMS = (
    *(
        "%",
        "%4",
        "%zz",
        "a=%",
        "a=x;b=y",
        "%C3=x",
        "a=%C3",
        "a=%A4",
        "a=\udcc3%A4",
        "a=%C3\udca4",
        "a=\udcff",
    ),
    *(
        "a=%00",
        "a=\0",
        "%00=x",
        "a=%ED%A0%80",
        "a=%C0%80",
        "a=%F4%90%80%80",
        "\ufeffa=x",
        "a=\ufffd",
        "a=%EF%BF%BD",
    ),
    *("a=x%", "a%5=x", "a=%%41", "a=%2541", "a=%25%34%31"),
)


@cache
def _escaped(text: str) -> st.SearchStrategy[str]:
    """A text in a form, any of its characters escaped."""

    def char(each: str) -> tuple[str, ...]:
        code = "".join(f"%{byte:02x}" for byte in each.encode())
        plain = {" ": "+"}.get(each, each if each not in "&=%+" else code)
        return (plain, plain, plain, code, code.upper())

    return st.sampled_from(["".join(parts) for parts in product(*map(char, text))])


_PAIRS = st.tuples(
    st.sampled_from((*NAMES, *NAMES, "", "b.c")).flatmap(_escaped),
    st.sampled_from(("=", "=", "=", "=", "", "==")),
    st.sampled_from(FORM_TEXTS).flatmap(_escaped),
).map("".join)


_FORMS = st.lists(st.one_of(*[_PAIRS] * 20, st.sampled_from(("", *BROKEN_FORMS))), max_size=5).map("&".join)
_CHANGED_IN_FORMS = st.sampled_from(("", *"%&=+;0f", "\x00"))


@st.composite
def forms(draw: st.DrawFn) -> str:
    """The body of a form: pairs of the names, mostly valid."""
    text = draw(_FORMS)
    if text and draw(_ONE_IN_TEN) == 0:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(_CHANGED_IN_FORMS) + text[at + 1 :]
    return text
