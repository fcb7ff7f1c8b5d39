"""Immutable classes of which a policy set makes many thousand objects; what of one is found out once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, dataclass_transform

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


class kept_property(Generic[T]):  # noqa: N801 - used as a decorator, like property
    """A property that is worked out when it is first asked for, and kept in the object's `__dict__`.

    As `functools.cached_property`, which before Python 3.12 takes a lock for each: half of the time where
    little is worked out. Two threads that ask at once may both work it out.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function
        self._name = function.__name__
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type) -> T:
        found = instance.__dict__[self._name] = self._function(instance)
        return found
