"""Which calls partial evaluation knows to be undefined, whatever the request brings."""

from __future__ import annotations

from typing import Any

import pytest

from palisade.rego.builtins import BUILTINS
from palisade.rego.builtins.registry import Context
from palisade.rego.check.signatures import builtin_signatures
from palisade.rego.check.types import ANY, BOOLEAN, NUMBER, STRING, Array, Type
from palisade.rego.check.types import Any as AnyType
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.builtins import refuses
from palisade.rego.partial.terms import Input, Known
from palisade.rego.values import Set

OF_NUMBERS = [
    (name, at)
    for name, declared in sorted(builtin_signatures().items())
    for at, each in enumerate(declared.args)
    if each == NUMBER and name in BUILTINS
]


def _some(of: Type) -> Any:
    """A value of the type."""
    if isinstance(of, AnyType) and of != ANY:
        return _some(of.of[0])
    if isinstance(of, Array):
        return [_some(each) for each in of.static] or [_some(of.dynamic or STRING)]
    return {STRING: "a", NUMBER: 1, BOOLEAN: True}.get(of, Set() if "set" in str(of) else {})


@pytest.mark.parametrize(("name", "at"), OF_NUMBERS)
def test_a_boolean_is_refused_where_builtins_take_numbers(name: str, at: int) -> None:
    args = [_some(each) for each in builtin_signatures()[name].args]
    args[at] = True
    call = BUILTINS[name]
    with pytest.raises(BuiltinError) as told:
        call.function(*args) if call.pure else call.function(Context(0), *args)
    assert not told.value.fatal
    symbols = [Known(True) if place == at else Input(("x",)) for place in range(len(args))]
    assert refuses(name, symbols)
    assert not refuses(name, [Input(("x",))] * len(args))
