"""Conditions that are read for one request, and no more of them than decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Atom, Defined, Formula, Opaque
from palisade.rego.partial.formulas.terms import Input
from palisade.rego.partial.reading import Reading

BUILDER = Builder()
THERE, GONE = (BUILDER.atom(Defined(Input((name,)))) for name in ("there", "gone"))
BLIND = BUILDER.atom(Opaque("a reason", None, 1))  # type: ignore[arg-type]  # no place is asked for


class _Counted(Reading):
    """Counts the atoms that are read."""

    asked = 0

    def _atom(self, atom: Atom, bindings: Mapping[int, Any]) -> bool | None:
        self.asked += 1
        return super()._atom(atom, bindings)


@pytest.mark.parametrize(
    ("kind", "parts", "truth"),
    [
        ("or", (GONE, THERE), True),
        ("or", (BLIND, THERE), True),
        ("or", (GONE, BLIND), None),
        ("or", (GONE,), False),
        ("and", (THERE, GONE), False),
        ("and", (BLIND, GONE), False),
        ("and", (THERE, BLIND), None),
        ("and", (THERE,), True),
        ("not", (BLIND,), None),
        ("not", (GONE,), True),
    ],
)
def test_what_parts_come_to(kind: str, parts: tuple[Formula, ...], truth: bool | None) -> None:
    """One part that decides does so whatever is not known of the others, and wherever it stands."""
    for each in (parts, parts[::-1]):
        assert Reading({"there": 1}).truth(Formula(kind, each)) is truth


@pytest.mark.parametrize(("kind", "first"), [("or", THERE), ("and", GONE)])
def test_parts_behind_the_one_that_decides_are_not_read(kind: str, first: Formula) -> None:
    """Of hundreds of alternatives all were read for each request: ten times as long as it takes now."""
    others = tuple(BUILDER.atom(Defined(Input((f"x{at}",)))) for at in range(100))
    reading = _Counted({"there": 1})
    assert reading.truth(Formula(kind, (first, *others))) is (kind == "or")
    assert reading.asked == 1


def test_what_few_conditions_come_to_together_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that give a document values are put together with the same ones again and again."""
    builder = Builder()
    asked = [builder.atom(Defined(Input((f"x{at}",)))) for at in range(3)]
    found = builder.all(asked), builder.both(asked[0], builder.negate(asked[0])), builder.both(TRUE, asked[1])
    assert found[1:] == (FALSE, asked[1])

    def again(*_: object) -> Formula:
        raise AssertionError("it was found out before")

    monkeypatch.setattr(Builder, "_all", again)
    assert builder.all(tuple(asked)) is found[0]
    assert builder.both(asked[0], builder.negate(asked[0])) is FALSE
