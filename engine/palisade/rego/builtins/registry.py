"""The table of builtins: each family's module puts its functions in here.

    @builtin("count")
    def count(ctx: Context, collection: Value) -> int: ...

A builtin takes a `Context` and its operands as values (see `values`), never UNDEFINED, and returns a
value. It raises `BuiltinError` for operands it cannot work on, with a message that lacks the builtin's name:
who made the call shows the error as `name: message`. It returns UNDEFINED where OPA leaves the result
undefined without an error. It never changes an operand. A builtin that needs nothing of the
evaluation is declared `pure=True` and takes the operands alone: the generated code calls it directly, and
a call of it on constants is made once, when compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from palisade.rego.errors import NOWHERE, Location
from palisade.rego.values import Value

Function: TypeAlias = Callable[..., Value]


@dataclass(frozen=True, slots=True)
class Network:
    """What builtins may reach: hosts, `*.name` for those below; nothing by default. `known` are answers of
    `http.send` that are taken as they are, by the Key of the request, whoever may be reached."""

    hosts: tuple[str, ...] = ()
    known: Mapping[Any, Value] = field(default_factory=dict, compare=False)


@dataclass(slots=True)
class Context:
    """What an evaluation lends its builtins. One a query.

    `now_ns` is fixed when the query starts, so that time does not move within it. `cache` is for a builtin to
    keep what must not change within a query (`rand.intn`, `uuid.rfc4122`, `http.send`) by a key of its own.
    `deadline` is in seconds of `time.monotonic`; `location` is where the running call of `print` or `trace`
    stands.
    """

    now_ns: int
    network: Network = Network()
    env: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    cache: dict[Any, Any] = field(default_factory=dict)
    deadline: float | None = None
    location: Location = NOWHERE
    printed: Callable[[str, Location], None] | None = None


@dataclass(frozen=True, slots=True)
class Builtin:
    name: str
    function: Function
    pure: bool


BUILTINS: dict[str, Builtin] = {}


def builtin(name: str, *, pure: bool = False) -> Callable[[Function], Function]:
    """Enters a function in the table."""

    def enter(function: Function) -> Function:
        if name in BUILTINS:
            raise ValueError(f"the builtin {name} is there already")
        BUILTINS[name] = Builtin(name, function, pure)
        return function

    return enter
