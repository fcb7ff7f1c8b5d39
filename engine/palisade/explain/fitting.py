"""Values of one operand with which a test may hold: of `startswith`, `regex.match`, comparisons and so on.

They are proposals, as those of `aims` are: whoever takes one asks the evaluator what comes of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from palisade.explain import examples
from palisade.rego.values import UNDEFINED, Set, Value

MOST_VALUES = 6
"""So many values of one place are proposed for one condition."""

SAMPLES: dict[str, Value] = {
    "string": "x",
    "number": 1,
    "boolean": True,
    "null": None,
    "array": ["x"],
    "object": {"x": 1},
}
"""A value of each kind."""


def fitting(name: str, at: int, args: list[Value]) -> Iterator[Value]:
    """Values of one operand with which a test of the others may hold. Its own value now is among `args`."""
    now = args[at]
    others = [arg for index, arg in enumerate(args) if index != at]
    proposed = _TESTS.get(name)
    if proposed is not None and all(other is not UNDEFINED for other in others):
        yield from proposed(at, now, others)
    kind = name.removeprefix("is_")
    if name.startswith("is_") and kind in SAMPLES:
        yield SAMPLES[kind]


def _affixed(build: Callable[[str, str], str]) -> Callable[[int, Value, list[Value]], Iterator[Value]]:
    def proposed(at: int, now: Value, others: list[Value]) -> Iterator[Value]:
        part = others[0]
        if at == 0 and isinstance(part, str):
            yield build(now if isinstance(now, str) else "", part)
            yield part
        elif at == 1:
            yield part

    return proposed


def _matched(at: int, now: Value, others: list[Value]) -> Iterator[Value]:
    if at == 1 and isinstance(others[0], str):
        text = examples.of_regex(others[0])
        if text is not None:
            yield text


def _globbed(at: int, now: Value, others: list[Value]) -> Iterator[Value]:
    if at == 2 and isinstance(others[0], str):
        text = examples.of_glob(others[0], others[1])
        if text is not None:
            yield text


def _within(at: int, now: Value, others: list[Value]) -> Iterator[Value]:
    if at != 1 or not isinstance(others[0], str):
        return
    try:
        network = ipaddress.ip_network(others[0], strict=False)
    except ValueError:
        return
    yield str(network[1] if network.num_addresses > 1 else network[0])


LARGEST = 10**4_299
"""Python shows no whole number of more than 4,300 digits."""


def _beyond(step: float) -> Callable[[int, Value, list[Value]], Iterator[Value]]:
    """Of two operands in order: the first one by so much behind the second, or the other way round."""

    def proposed(at: int, now: Value, others: list[Value]) -> Iterator[Value]:
        limit = others[0]
        if isinstance(limit, int | float) and not isinstance(limit, bool):
            if not step or abs(limit) < LARGEST:
                yield limit + (step if at == 0 else -step)
        elif isinstance(limit, str):
            yield f"{limit}x" if (step > 0) is (at == 0) else ""

    return proposed


def _any_affix(build: Callable[[str, str], str]) -> Callable[[int, Value, list[Value]], Iterator[Value]]:
    def proposed(at: int, now: Value, others: list[Value]) -> Iterator[Value]:
        bases = others[0]
        texts = [bases] if isinstance(bases, str) else list(bases) if isinstance(bases, list | Set) else []
        for part in texts[:MOST_VALUES] if at == 0 else ():
            if isinstance(part, str):
                yield build(now if isinstance(now, str) else "", part)

    return proposed


def _with_start(text: str, part: str) -> str:
    return part + (text.lstrip("/") or "x") if part.endswith(("/", " ")) else part


_TESTS: dict[str, Callable[[int, Value, list[Value]], Iterator[Value]]] = {
    "startswith": _affixed(_with_start),
    "endswith": _affixed(lambda text, part: text + part),
    "contains": _affixed(lambda text, part: text + part),
    "strings.any_prefix_match": _any_affix(_with_start),
    "strings.any_suffix_match": _any_affix(lambda text, part: text + part),
    "regex.match": _matched,
    "re_match": _matched,
    "glob.match": _globbed,
    "net.cidr_contains": _within,
    "gt": _beyond(1),
    "gte": _beyond(0),
    "lt": _beyond(-1),
    "lte": _beyond(0),
}
