"""Schemas as people write them for bodies, and values that nearly are as they say."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

NAMES = ("a", "b", "n", "")
TEXTS = ("01234567-89ab-CDEF-0123-456789abcdef", "", "a", "ab", "abc", "ü", "1", "a1", "x" * 9)
NUMBERS = (0, 1, -1, 2, 1.0, 1.5, 2.5, 1e30, 9007199254740993, 4000000000)
KINDS = ("array", "boolean", "integer", "null", "number", "object", "string")
PATTERNS = ("^a", "^[a-z]+$", "b", "^$", "[0-9]", "^.{2}$")
_SCALARS = st.sampled_from((*TEXTS, *NUMBERS, True, False, None))


@cache
def values(depth: int = 3) -> st.SearchStrategy[Any]:
    """JSON, of which most is small."""
    if not depth:
        return _SCALARS
    inner = st.deferred(lambda: values(depth - 1))
    return st.one_of(
        _SCALARS,
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from((*NAMES, "more")), inner, max_size=4),
    )


def _keyword(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    sizes, numbers = st.integers(0, 3), st.sampled_from((0, 1, 1.5, 2, -1))
    names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True)
    several = st.lists(inner, min_size=1, max_size=2)
    kinds = st.sampled_from(KINDS)
    made: dict[str, st.SearchStrategy[Any]] = {
        "type": st.one_of(kinds, st.lists(kinds, min_size=1, max_size=2, unique=True)),
        "enum": st.lists(st.one_of(_SCALARS, values(1)), min_size=1, max_size=3, unique_by=repr),
        "const": _SCALARS,
        "required": names,
        "properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
        "additionalProperties": st.one_of(st.just(False), st.booleans(), inner),
        "items": st.one_of(inner, inner, several),
        "pattern": st.sampled_from(PATTERNS),
        "allOf": several,
        "anyOf": several,
        "oneOf": several,
        "not": inner,
        "title": st.just("a title"),
        "format": st.sampled_from(("email", "date", "uuid", "phone")),
        **{f"{side}{of}": sizes for side in ("min", "max") for of in ("Length", "Items", "Properties")},
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), numbers),
    }
    one = [st.fixed_dictionaries({name: each}) for name, each in made.items()]
    limits = st.fixed_dictionaries({"minimum": numbers, "exclusiveMinimum": st.booleans()})
    chosen = st.fixed_dictionaries({"if": inner, "then": inner}, optional={"else": inner})
    return st.one_of(*one, limits, chosen)


@cache
def schemas(depth: int = 2) -> st.SearchStrategy[Any]:
    """Schemas of the keywords that are followed, and of some that are not."""
    inner = st.deferred(lambda: schemas(depth - 1)) if depth else st.just({})
    plain = st.lists(_keyword(inner), max_size=3).map(
        lambda parts: {name: value for part in parts for name, value in part.items()}
    )
    body = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)},
        optional={
            "required": st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True),
            "additionalProperties": st.just(False),
            "$schema": st.sampled_from([f"http://json-schema.org/draft-0{n}/schema#" for n in (4, 6, 7)]),
        },
    )
    return st.one_of(plain, body, body, st.booleans())
