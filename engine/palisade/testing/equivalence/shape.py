"""Values of the shape that a policy looks for: claims, and bodies; and requests that can be sent at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from palisade.rego.values import Value, to_json
from palisade.testing.equivalence import near
from palisade.testing.equivalence.aim import ABSENT
from palisade.testing.equivalence.callers import issuable
from palisade.testing.equivalence.requests import Request
from palisade.testing.equivalence.walks import MEMBER, Place

LONG = 9
"""Arrays with more members than this are another case to a compiler that looks at the first ones only."""


@dataclass
class _Node:
    """What a policy looks for at a place: constants, and what stands below."""

    values: list[Any] = field(default_factory=list)
    below: dict[Any, _Node] = field(default_factory=dict)


def claims_of(places: Mapping[Place, Sequence[Value]], words: Sequence[str]) -> SearchStrategy[Any]:
    """Objects that have the places, or nearly."""
    root = _Node()
    for place, values in places.items():
        node = root
        for step in place:
            node = node.below.setdefault(step, _Node())
        node.values += [to_json(value) for value in values]
    return _object(root, words[:30])


def _object(node: _Node, words: Sequence[str]) -> SearchStrategy[Any]:
    if MEMBER in node.below:
        member = _value(node.below[MEMBER], words)
        return st.dictionaries(st.sampled_from([*words, "a"]), member, max_size=3)
    named = {
        str(step): below for step, below in node.below.items() if isinstance(step, str) and step != MEMBER
    }
    if not named:
        return st.just({})
    optional = {name: _value(below, words) for name, below in named.items()}
    every = st.fixed_dictionaries(optional)
    return st.one_of(every, st.fixed_dictionaries({}, optional=optional))


def _value(node: _Node, words: Sequence[str]) -> SearchStrategy[Any]:
    """A value for a place, in one of four cases nearly right."""
    close = [variant for value in node.values[:20] for variant in near.values(value)]
    odd = st.sampled_from([*close, *near.ODD_VALUES])
    plain = st.sampled_from([*node.values, *words] or ["a"])
    constant = st.sampled_from(node.values) if node.values else plain
    members = node.below.get(MEMBER) or next(
        (below for step, below in node.below.items() if isinstance(step, int)), None
    )
    if members is not None:
        one = _value(members, words)
        many = st.lists(one, max_size=3)
        long = st.lists(one, min_size=LONG - 1, max_size=LONG + 2)
        keyed = st.dictionaries(st.sampled_from([*words[:5], "a"]), one, min_size=1, max_size=2)
        return st.one_of(many, many, many, many, long, keyed, keyed, plain, odd)
    if node.below:
        inside = _object(node, words)
        return st.one_of(inside, inside, inside, plain, odd)
    lists = st.lists(constant, max_size=2)
    return st.one_of(constant, constant, plain, plain, odd, lists)


def put(document: Any, wanted: Iterable[tuple[Place, Any]]) -> Any:
    """The document with values at places; members of loops stand behind each other."""
    result = document
    loops: dict[Any, int] = {}
    for place, value in wanted:
        result = _put(result, place, value, loops)
    return {} if result is ABSENT else result


def _put(document: Any, place: Place, value: Any, loops: dict[Any, int]) -> Any:
    if not place:
        return value
    step, *rest = place
    if isinstance(step, tuple | int):
        items = list(document) if isinstance(document, list) else []
        at = step if isinstance(step, int) else loops.setdefault(step, min(len(loops), 3))
        if not 0 <= at < 20:
            return document
        if len(items) <= at:
            items += ["x"] * (at + 1 - len(items))
        items[at] = _put(items[at], tuple(rest), value, loops)
        return [each for each in items if each is not ABSENT]
    fields = dict(document) if isinstance(document, Mapping) else {}
    fields[step] = _put(fields.get(step), tuple(rest), value, loops)
    if fields[step] is ABSENT:
        del fields[step]
    return fields


_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,40}")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,80}")
_UNSENDABLE = re.compile("[\x00-\x20\x7f\ud800-\udc7f\udd00-\udfff]")
_BROKEN = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udc7f\udd00-\udfff]")
_FRAMING = frozenset(
    ("content-length", "transfer-encoding", "connection", "upgrade", "expect", "te", "trailer")
)
_PSEUDO = frozenset((":authority", ":scheme"))


def sendable(request: Request) -> Request:
    """The request without what would make it two requests, or none: such are Envoy's to refuse.

    Over HTTP/2 the names of headers are in lower case, and some begin with a colon.
    """
    method = request.method if _METHOD.fullmatch(request.method) else "GET"
    target = _UNSENDABLE.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", request.target) or "/"
    headers = []
    hosts = 0
    for name, value in request.headers:
        low = name.lower()
        hosts += low == "host"
        known = request.http2 and (low in _PSEUDO or (low, value) == ("te", "trailers"))
        if known or (_NAME.fullmatch(name) and low not in _FRAMING and (low != "host" or hosts < 2)):
            headers.append((low if request.http2 else name, _BROKEN.sub("?", value)))
    trailers = tuple((name, _BROKEN.sub("?", value)) for name, value in request.trailers)
    caller = None if request.caller is None else issuable(request.caller)
    found = replace(request, method=method, target=target[:3000], headers=tuple(headers), trailers=trailers)
    return replace(found, caller=caller)
