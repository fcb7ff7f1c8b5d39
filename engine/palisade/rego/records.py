"""Immutable classes of which a policy set makes many thousand objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(*, kw_only: bool = False, hashed_as_parent: bool = False) -> Callable[[type[T]], type[T]]:
    """A data class with slots, compared and hashed by its fields, that nobody writes to.

    As `dataclass(frozen=True, slots=True)`, but that it is held by the type checker, not while it runs:
    making an object takes a quarter of the time so, and that is a tenth of compiling a large set. One that is
    `hashed_as_parent` has its parent's hash, which must tell apart what the class compares.
    """

    def make(cls: type[T]) -> type[T]:
        if hashed_as_parent:
            cls.__hash__ = cls.__hash__  # type: ignore[method-assign]  # looked for in the class itself only
        # A class that says itself how it is hashed, beside how it is compared, keeps that.
        hashed = "__hash__" not in cls.__dict__
        return dataclass(slots=True, unsafe_hash=hashed, kw_only=kw_only)(cls)

    return make
