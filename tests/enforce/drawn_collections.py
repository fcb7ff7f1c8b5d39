"""Conditions on all parameters, claims, headers, cookies or pieces at once, drawn by Hypothesis."""

from __future__ import annotations

from drawing import pick
from drawn_requests import WORDS
from hypothesis import strategies as st

_OBJECTS = ("claims", "claims.org", "claims.org.plan", "input.parsed_query", "http.headers", "claims.roles")
_NAMES = ("role", "x", "id", "tags", "plan", "x-user", "x-none", "a", "", "alice", "ü", "a b", "=")
_VALUES = (*WORDS[:3], "", "1", "ü", "<", "/public")

_ENTRIES = '{k: v | some p in split(http.headers["x-user"], ","); [k, v] := split(p, "=")}'


@st.composite
def collection_atoms(draw: st.DrawFn, n: int) -> str:
    """A condition; `n` numbers its variables."""
    xs = pick(draw, _OBJECTS)
    one, other, third = (pick(draw, _NAMES) for _ in range(3))
    value = pick(draw, _VALUES)
    names = f'{{"{one}", "{other}", "{third}"}}'
    test = pick(draw, ("startswith", "endswith", "contains"))
    return pick(
        draw,
        (
            f"object.keys({xs}) - {names} == set()",
            f"count(object.keys({xs}) - {names}) > 0",
            f"object.keys({xs}) & {names} == set()",
            f"object.keys({xs}) == {names}",
            f'"{one}" in object.keys({xs})',
            f"every k{n}, _ in {xs} {{ k{n} in {names} }}",
            f"some k{n}, _ in {xs}; k{n} in {names}",
            f'some k{n}, v{n} in {xs}; k{n} == "{one}"; v{n} == "{value}"',
            f"some k{n}; {xs}[k{n}]; not k{n} in {names}",
            f'some k{n}, _ in {xs}; {test}(k{n}, "{one}")',
            f"count({xs}) {pick(draw, ('==', '>', '<='))} {n % 3}",
            f'count(input.parsed_query["{one}"]) > {n % 3}',
            f"{xs} == {{}}",
            f"object.remove({xs}, {names}) == {{}}",
            f"count(object.remove({xs}, {names})) {pick(draw, ('==', '>', '<='))} {n % 3}",
            f'object.filter({xs}, {names})["{one}"] == "{value}"',
            f'some k{n}, v{n} in object.filter({xs}, {names}); v{n} == "{value}"; k{n} != "{one}"',
            f'object.remove({xs}, {names})["{one}"]',
            f'object.subset({xs}, {{"{one}": "{value}"}})',
            f'object.subset(claims, {{"org": {{"{one}": "{value}"}}, "{other}": "{value}"}})',
            f'o{n} := {_ENTRIES}; o{n}["{pick(draw, WORDS[:3])}"] == "{value}"',
            f"o{n} := {_ENTRIES}; not o{n}.alice",
            f"o{n} := {_ENTRIES}; object.keys(o{n}) - {names} == set()",
            f'o{n} := {{k: v | some k, v in {xs}; v != "{value}"}}; o{n}["{one}"]',
            f'o{n} := {{v: 1 | some v in claims.roles}}; o{n}["{value}"]',
            f'replace(http.path, "/{value}", "") == "/users"',
            f'startswith(replace(claims.sub, "{value[:1] or "b"}", "{value[1:2]}"), "al")',
            f'regex.replace(http.path, "^/{value}/", "/") == "/alice"',
            f'startswith(regex.replace(claims.sub, "[{value[:2] or "b"}]+$", ""), "{value[:1]}")',
            'http.protocol == "HTTP/2"',
            f'some v{n} in input.parsed_query.role; {test}(v{n}, "{value}")',
            f'input.parsed_query["{one}"][_] == "{value}"',
            f'input.parsed_query[_][_] == "{value}"',
            f'some k{n}, vs{n} in input.parsed_query; {test}(k{n}, "{one}"); vs{n}[_] == "{value}"',
        ),
    )
