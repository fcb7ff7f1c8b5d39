"""Conditions on what policies make of several values of a request, drawn by Hypothesis."""

from __future__ import annotations

from drawing import pick
from drawn_requests import WORDS
from hypothesis import strategies as st


@st.composite
def made_atoms(draw: st.DrawFn, n: int, text: str, other: str, xs: str) -> str:
    """A condition on two texts and a collection; `n` numbers its variables."""
    word = pick(draw, WORDS)
    return pick(
        draw,
        (
            f'"{word}" in graph.reachable(data.leads, {{{text}}})',
            f"{text} in graph.reachable(data.leads, {xs})",
            f"some g{n} in graph.reachable(data.leads, [{text}, {other}]); g{n} in data.roles.alice",
            f'http.path == $"/{{{text}}}/{{{other}}}"',
            f'http.path != sprintf("/%s/%v", [{text}, {other}])',
            f'startswith(http.path, concat("/", ["", {text}, {other}]))',
            f'concat("", [{text}, {other}]) == concat("", [{other}, {text}])',
            f'not {text} == $"{{{other}}}{word}{{{text}}}"',
            f'concat(":", [{text}, {other}]) in {xs}',
            f'not trim_prefix({text}, "/") in {xs}',
            f"count(graph.reachable(data.leads, {xs}) - {{{text}}}) == 0",
        ),
    )
