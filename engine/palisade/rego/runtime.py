"""What generated code calls: the state of an evaluation, and the operations too long to write inline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from palisade.rego.builtins.registry import Context, Network
from palisade.rego.errors import (
    EVAL_CANCEL_ERROR,
    EVAL_CONFLICT_ERROR,
    EVAL_INTERNAL_ERROR,
    BuiltinError,
    EvalError,
    Location,
)
from palisade.rego.limits import DEFAULT, Limits
from palisade.rego.values import (
    UNDEFINED,
    Key,
    KeyForm,
    Set,
    Value,
    equal,
    key,
    sorted_values,
    unkey,
)

MISSING: Final[Any] = object()
"""No entry in a memo, where UNDEFINED is one."""

_CHUNK = 16_384
"""So many entries of loops may pass between two looks at the clock."""

Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Setup:
    """What the queries of a policy have in common."""

    files: Sequence[str] = ()
    strict: bool = False
    limits: Limits = DEFAULT
    network: Network = field(default_factory=Network)
    env: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    printed: Callable[[str, Location], None] | None = None
    now_ns: Callable[[], int] = time.time_ns


class Run:
    """One query: what its builtins may use and what is left of its budget."""

    __slots__ = ("_context", "_deadline", "_spent", "left", "setup")

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        limits = setup.limits
        self._deadline = time.monotonic() + limits.seconds
        self.left = self._spent = min(_CHUNK, limits.steps)
        """`left`: the steps until the budget is looked at; generated code counts it down."""
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """Made where a builtin first asks for it: most queries never do."""
        if self._context is None:
            setup = self.setup
            self._context = Context(
                setup.now_ns(),
                network=setup.network,
                env=setup.env,
                config=setup.config,
                deadline=self._deadline,
                printed=setup.printed,
            )
        return self._context

    def check(self) -> None:
        """Looks at the whole budget, called where `left` is used up. Raises EvalError where it is spent."""
        limits = self.setup.limits
        if self._spent - self.left > limits.steps:
            raise EvalError(
                EVAL_CANCEL_ERROR,
                f"the evaluation took more than {limits.steps} steps: "
                "simplify the policy or raise limits.steps",
            )
        if time.monotonic() > self._deadline:
            raise EvalError(
                EVAL_CANCEL_ERROR,
                f"the evaluation took longer than {limits.seconds} s: "
                "simplify the policy or raise limits.seconds",
            )
        used = self._spent - self.left
        self.left = max(min(_CHUNK, limits.steps - used), 1)
        self._spent = used + self.left

    def location(self, place: Place) -> Location:
        file, row, col = place
        files = self.setup.files
        return Location(files[file] if file < len(files) else "", row, col)


class Frame:
    """The values of rules while `input` and `data` are what they are; `with` opens a new one.

    `memo` keeps those of one query, `static` those that do not depend on the input, which outlive it.
    """

    __slots__ = ("memo", "run", "static")

    def __init__(self, run: Run, static: dict[int, Value]) -> None:
        self.run = run
        self.memo: dict[int, Value] = {}
        self.static = static

    def changed(self, data: bool) -> Frame:
        """The frame under a `with` on data or on the input."""
        return Frame(self.run, {} if data else self.static)


def failed(frame: Frame, error: BuiltinError, name: str, place: Place) -> Value:
    """What the error of the builtin `name` means: undefined, or the end where errors are strict."""
    run = frame.run
    if run.setup.strict or error.fatal:
        message = error.message
        if not message.startswith(f"{name}: "):
            message = f"{name}: {message}"
        raise EvalError(error.code, message, run.location(place)) from error
    return UNDEFINED


_CONFLICTS = {
    "rule": "complete rules must not produce multiple outputs",
    "function": "functions must not produce multiple outputs for same inputs",
    "object": "object keys must be unique",
}


def conflict(frame: Frame, kind: str, place: Place) -> EvalError:
    return EvalError(EVAL_CONFLICT_ERROR, _CONFLICTS[kind], frame.run.location(place))


def missing_builtin(name: str) -> Callable[..., NoReturn]:
    """What stands in for a builtin that a foreign plan calls and this engine does not have."""

    def missing(*_: Value) -> NoReturn:
        raise EvalError(EVAL_INTERNAL_ERROR, f"the plan calls {name}, which is no builtin here")

    return missing


# Looking into values -----------------------------------------------------------------------------------


def dot(source: Value, operand: Value) -> Value:
    """The value below a key of an object, at an index of an array, or a set's member; UNDEFINED without."""
    kind = type(source)
    if kind is dict:
        return source.get(operand if type(operand) is str else key(operand), UNDEFINED)
    if kind is list:
        if type(operand) is int and 0 <= operand < len(source):
            return source[operand]
        return UNDEFINED
    if kind is Set:
        return operand if key(operand) in source.forms else UNDEFINED
    return UNDEFINED


def dynamic(
    paths: Mapping[tuple[str, ...], Callable[..., Value]], *parts: Value
) -> Callable[..., Value] | None:
    """The rule at a path, None where there is none."""
    if not all(type(part) is str for part in parts):
        return None
    return paths.get(parts)


def _charge(frame: Frame, count: int) -> None:
    run = frame.run
    run.left -= count + 1
    if run.left < 0:
        run.check()


def _plain(forms: Iterable[KeyForm]) -> bool:
    return Key not in set(map(type, forms))


def values_of(frame: Frame, source: Value) -> Iterable[Value]:
    """The values that a scan visits, in any order."""
    kind = type(source)
    if kind is list:
        _charge(frame, len(source))
        return source  # type: ignore[no-any-return]
    if kind is dict:
        _charge(frame, len(source))
        return source.values()  # type: ignore[no-any-return]
    if kind is Set:
        _charge(frame, len(source.forms))
        return source.forms if _plain(source.forms) else list(source)
    return ()


def items(frame: Frame, source: Value) -> Iterable[tuple[Value, Value]]:
    """The keys and values that a scan visits, in any order; a set's member is both."""
    kind = type(source)
    if kind is list:
        _charge(frame, len(source))
        return enumerate(source)
    if kind is dict:
        _charge(frame, len(source))
        if _plain(source):
            return source.items()  # type: ignore[no-any-return]
        return [(unkey(form), value) for form, value in source.items()]
    if kind is Set:
        _charge(frame, len(source.forms))
        return [(value, value) for value in source]
    return ()


def sorted_values_of(frame: Frame, source: Value) -> Iterable[Value]:
    """The values that a scan visits, in Rego's order of the keys."""
    kind = type(source)
    if kind is dict:
        return [value for _, value in sorted_items(frame, source)]
    if kind is Set:
        _charge(frame, len(source.forms))
        return sorted_values(source)
    return values_of(frame, source)


def sorted_items(frame: Frame, source: Value) -> Iterable[tuple[Value, Value]]:
    """The keys and values that a scan visits, in Rego's order of the keys."""
    kind = type(source)
    if kind is dict:
        _charge(frame, len(source))
        if set(map(type, source)) <= {str}:
            return [(name, source[name]) for name in sorted(source)]
        return [(name, source[key(name)]) for name in sorted_values(map(unkey, source))]
    if kind is Set:
        return [(value, value) for value in sorted_values_of(frame, source)]
    return items(frame, source)


# Making values -----------------------------------------------------------------------------------------


def insert_once(frame: Frame, obj: dict[KeyForm, Value], name: Value, value: Value, place: Place) -> None:
    form = key(name)
    if not equal(obj.setdefault(form, value), value):
        raise conflict(frame, "object", place)


def merge(a: Value, b: Value) -> Value:
    """a over b: objects on both sides are merged at every depth, elsewhere a wins."""
    if type(a) is not dict or type(b) is not dict:
        return b if a is UNDEFINED else a
    merged = dict(b)
    for form, value in a.items():
        merged[form] = merge(value, b[form]) if form in b else value
    return merged


def upsert(value: Value, path: Sequence[str], new: Value) -> Value:
    """A copy of `value` with `new` at the path; what stands in the way and is no object gives way."""
    top: dict[KeyForm, Value] = dict(value) if type(value) is dict else {}
    at = top
    for part in path[:-1]:
        below = at.get(part)
        at[part] = below = dict(below) if type(below) is dict else {}
        at = below
    at[path[-1]] = new
    return top
