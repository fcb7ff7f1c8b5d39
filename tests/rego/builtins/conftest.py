"""Call builtins as generated code does: with values, never with what `json.loads` did not make."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from palisade.rego.builtins import BUILTINS, Context
from palisade.rego.errors import BuiltinError
from palisade.rego.values import UNDEFINED, Value, from_python, to_json

sys.path.insert(0, str(Path(__file__).parent))

Call = Callable[..., Any]
Fails = Callable[..., str]

NOW = 1_700_000_000_000_000_000


def _run(name: str, operands: tuple[Any, ...], ctx: Context | None) -> Value:
    entry = BUILTINS[name]
    values = [from_python(operand) for operand in operands]
    return entry.function(*values) if entry.pure else entry.function(ctx or Context(NOW), *values)


@pytest.fixture
def call() -> Call:
    """`call(name, *operands, ctx=...)`: the result as plain JSON, sets as sorted lists, or "undefined"."""

    def run(name: str, *operands: Any, ctx: Context | None = None) -> Any:
        result = _run(name, operands, ctx)
        return "undefined" if result is UNDEFINED else to_json(result)

    return run


@pytest.fixture
def fails() -> Fails:
    """`fails(name, *operands, ctx=...)`: the error as `code: message`."""

    def run(name: str, *operands: Any, ctx: Context | None = None) -> str:
        with pytest.raises(BuiltinError) as raised:
            _run(name, operands, ctx)
        return f"{raised.value.code}: {raised.value.message}"

    return run
