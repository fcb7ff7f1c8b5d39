"""The table is what OPA declares: every builtin, with as many operands."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import Any

import pytest

from palisade.rego.builtins import BUILTINS, Context
from palisade.rego.check.signatures import Signature, builtin_signatures
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Set

# One value of each type. No builtin takes all of them, and none may do worse than refuse.
_VALUES: tuple[Any, ...] = (None, True, 3, 1.5, "a", [1, "b"], {"k": [1]}, Set.of([1]), -1, "", [], {})


def _arity(name: str) -> int | None:
    """How many operands the function takes, None for any number."""
    entry = BUILTINS[name]
    parameters = inspect.signature(entry.function).parameters.values()
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return None
    return len(parameters) - (0 if entry.pure else 1)


@pytest.mark.parametrize("signature", builtin_signatures().values(), ids=lambda each: each.name)
def test_takes_the_declared_operands(signature: Signature) -> None:
    assert _arity(signature.name) == (None if signature.variadic else signature.arity)


def test_holds_nothing_undeclared() -> None:
    """What no checker knows could not be called."""
    assert set(BUILTINS) <= set(builtin_signatures())


@pytest.mark.parametrize("name", sorted(BUILTINS))
def test_refuses_what_it_cannot_use(name: str) -> None:
    """Operands of any type give a result or a BuiltinError, never another exception."""
    entry, count = BUILTINS[name], _arity(name) or 0
    lead = () if entry.pure else (Context(0),)
    for at, value in enumerate(_VALUES):
        mixed = [_VALUES[(at + shift) % len(_VALUES)] for shift in range(count)]
        for operands in (mixed, [value] * count, [*mixed[: count - 1], value][:count]):
            with suppress(BuiltinError):
                entry.function(*lead, *operands)
