"""What `with` changes at planning time: documents that a value hides, functions that another replaces.

A function planned under an overlay differs from the one planned without: each overlay is a generation of its
own (`g0` is the one without), shared by all places that change the same things.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from palisade.rego import ast
from palisade.rego.plan.tree import Path


@dataclass(frozen=True, slots=True)
class ByBuiltin:
    """Calls go to another builtin."""

    name: str


@dataclass(frozen=True, slots=True)
class ByFunction:
    """Calls go to another function of the policy."""

    path: Path


@dataclass(frozen=True, slots=True)
class ByDocument:
    """Calls return what the document holds where the call is made."""

    ref: ast.Ref


@dataclass(frozen=True, slots=True)
class ByValue:
    """Calls return the value that the function planned under the overlay gets as a parameter."""


Mock: TypeAlias = ByBuiltin | ByFunction | ByDocument | ByValue


@dataclass(frozen=True)
class Overlay:
    """`hidden` are paths below data, of rules and of base documents; `mocks` goes by the name of what is
    called, sorted."""

    hidden: frozenset[Path] = frozenset()
    mocks: tuple[tuple[str, Mock], ...] = ()

    @cached_property
    def by_name(self) -> dict[str, Mock]:
        return dict(self.mocks)

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """The names that a value replaces, in the order in which functions take the values."""
        return tuple(name for name, mock in self.mocks if isinstance(mock, ByValue))

    def changed(self, hidden: frozenset[Path], mocks: dict[str, Mock]) -> Overlay:
        merged = {**self.by_name, **mocks}
        return Overlay(self.hidden | hidden, tuple(sorted(merged.items(), key=lambda item: item[0])))

    def unmocked(self) -> Overlay:
        """What holds inside a function that replaces another: it may call the one it replaces."""
        return Overlay(self.hidden) if self.hidden else NONE


NONE = Overlay()
