"""Conditions on members of arrays of JSON, and on arrays in these, with arrays that come near to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from drawing import pick
from hypothesis import strategies as st

WORDS = ("x", "y", "X", "/org/x", "/org/x/team", "a:b:c", "*:b:*", "x-y", "eA==", "", "/", "ü")
_SCALARS = (*WORDS, *WORDS, None, True, False, 0, 1, 3, 7.5, -1)

_MEMBER = (
    '{m} == "x"',
    '{m} != "x"',
    "not {m} == {other}",
    "{m} == {other}",
    'split({m}, "/")[2] == {other}',
    'split({m}, ":")[1] == "b"',
    '[s{n}, r{n}, v{n}] := split({m}, ":"); s{n} in {{"*", "a"}}; r{n} == "b"',
    '["", "org", u{n}] = split({m}, "/"); u{n} == {other}',
    "startswith(http.path, {m})",
    "not startswith({m}, {other})",
    'trim_prefix({m}, "/org/") == {other}',
    "lower({m}) == lower({other})",
    'lower({m}) == "x"',
    'base64.decode({m}) == "x"',
    'regex.match("^[a-z]$", {m})',
    'not glob.match("/org/*", ["/"], {m})',
    "count({m}) > 2",
    "{m} > 1",
    "{m} <= {other}",
    "to_number({m}) > 3",
    "is_string({m})",
    "is_null({m})",
    "is_array({m})",
    "not is_object({m})",
    '{m} in {{"x", 1, null}}',
    'data.grants[{m}][_] == "b"',
    'sprintf("/%s/", [{m}]) == {other}',
    "{m} == []",
    "not {m}",
    '"x" in {m}',
)
_OTHERS = ('http.headers["x-a"]', '"x"', "input.parsed_path[0]", "{document}.s", '"/org/x"')

GRANTS = {"grants": {"x": ["a", "b"], "y": ["a"], "X": ["b"]}}


@st.composite
def member_rules(draw: st.DrawFn, document: str) -> str:
    """Rules of a decision `allow` that loops over the arrays `a` and `b` of a document."""
    number = iter(range(1_000))

    def asked(member: str, deep: int) -> str:
        n = next(number)
        place = pick(draw, (member, member, f"{member}.k"))
        if deep and draw(st.integers(0, 3)) == 0:
            return loop(pick(draw, (f"{member}.t", member)), deep - 1)
        other = pick(draw, _OTHERS).format(document=document)
        return pick(draw, _MEMBER).format(m=place, n=n, other=other)

    def loop(array: str, deep: int) -> str:
        member = f"m{next(number)}"
        parts = [asked(member, deep) for _ in range(pick(draw, (1, 1, 2)))]
        inside = "; ".join(parts)
        ways = [f"some {member} in {array}; {inside}"] * 4
        ways += [f"count([1 | some {member} in {array}; {inside}]) {each} 1" for each in (">", "==", "<")]
        if not any(" := " in each or " = " in each for each in parts):
            ways += [f"every {member} in {array} {{ {inside} }}"] * 2
        return pick(draw, ways)

    found: list[str] = []
    for at in range(pick(draw, (1, 1, 2))):
        asks = loop(f"{document}.{pick(draw, 'aab')}", 1)
        forms = (
            f"allow if {{ {asks} }}",
            f"bad{at} if {{ {asks} }}\nallow if not bad{at}",
            f"bad{at} contains 1 if {{ {asks} }}\nallow if count(bad{at}) == 0",
            f'of{at} := m if {{ some m in {document}.a; {asked("m", 0)} }}\nallow if of{at} == "x"',
        )
        found.append(pick(draw, forms))
    return "\n".join(found)


_scalars = st.sampled_from(_SCALARS)
_inner = st.lists(_scalars, max_size=6)
_members = st.one_of(
    *[_scalars] * 3,
    _inner,
    st.fixed_dictionaries(
        {}, optional={"k": _scalars, "t": _inner | _scalars | st.lists(_inner, max_size=2)}
    ),
)


def _repeated(members: Sequence[Any]) -> st.SearchStrategy[list[Any]]:
    return st.sampled_from(([*members], [*members, *members[:1]], [*members, *members][:9]))


arrays = st.one_of(
    *[st.lists(st.sampled_from(WORDS[:-1]), max_size=9)] * 2,
    st.lists(_members, max_size=9).flatmap(_repeated),
    _members,
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A document with arrays `a` and `b`, or what stands in their place, as JSON."""
    found = draw(st.fixed_dictionaries({}, optional={"a": arrays, "b": arrays, "s": _scalars}))
    return json.dumps(found, ensure_ascii=draw(st.booleans()))
