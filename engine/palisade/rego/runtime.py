"""What generated code calls: the state of an evaluation, and the operations too long to write inline."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeVar

from palisade.rego.builtins.registry import Context, Network
from palisade.rego.errors import (
    EVAL_CANCEL_ERROR,
    EVAL_CONFLICT_ERROR,
    EVAL_INTERNAL_ERROR,
    EVAL_TYPE_ERROR,
    BuiltinError,
    EvalError,
    Location,
)
from palisade.rego.limits import DEFAULT, Limits
from palisade.rego.lines import ROWS, Lines
from palisade.rego.stored import at_other_kind
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
"""So many steps may pass between two looks at the clock and at the memory."""
_PAUSE_CHUNK = 1_024
"""The same between two pauses, where somebody wants any: some 0.1 ms."""
CALL = 8
"""The steps that a call of a builtin counts for which is not written inline: it may take far longer."""

Pause = Callable[[], None]
"""What a long evaluation calls again and again, so that others may go on before it does; it may raise."""
Place = tuple[int, int, int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """What the queries of a policy have in common."""

    files: Sequence[str] = ()
    lines: Mapping[str, Lines] = field(default_factory=dict)
    """Those of edited files."""
    strict: bool = False
    limits: Limits = DEFAULT
    network: Network = field(default_factory=Network)
    env: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    printed: Callable[[str, Location], None] | None = None
    now_ns: Callable[[], int] = time.time_ns


class Run:
    """One query: what its builtins may use and what is left of its budget."""

    __slots__ = ("_chunk", "_context", "_deadline", "_look", "_memory", "_pause", "_spent", "left", "setup")

    def __init__(self, setup: Setup, pause: Pause | None = None) -> None:
        self.setup = setup
        limits = setup.limits
        self._deadline = time.monotonic() + limits.seconds
        self._pause = pause
        self._chunk = _CHUNK if pause is None else _PAUSE_CHUNK
        self._look = 0
        """The steps from which on the clock and the memory are looked at."""
        self.left = self._spent = min(self._chunk, limits.steps)
        """`left`: the steps until the budget is looked at; generated code counts it down."""
        self._context: Context | None = None
        self._memory: int | None = None
        """What the process held when the budget was first looked at."""

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

    def charge(self, count: int) -> None:
        """Takes steps off the budget. Raises EvalError where it is spent."""
        self.left -= count
        if self.left < 0:
            self.check()

    def check(self) -> None:
        """Looks at the whole budget, called where `left` is used up. Raises EvalError where it is spent."""
        limits = self.setup.limits
        used = self._spent - self.left
        if used > limits.steps:
            raise _spent(f"took more than {limits.steps} steps", "steps")
        if self._pause is not None:
            self._pause()
        if used >= self._look or self._pause is None:
            self._look_around()
            self._look = used + _CHUNK
        self.left = max(min(self._chunk, limits.steps - used), 1)
        self._spent = used + self.left

    def _look_around(self) -> None:
        limits = self.setup.limits
        if time.monotonic() > self._deadline:
            raise _spent(f"took longer than {limits.seconds} s", "seconds")
        memory = resident()
        if self._memory is None:
            self._memory = memory
        elif memory - self._memory > limits.memory:
            raise _spent(f"needed more than {limits.memory} bytes of memory", "memory")

    def location(self, place: Place) -> Location:
        file, row, col = place
        setup = self.setup
        name = setup.files[file] if file < len(setup.files) else ""
        return setup.lines.get(name, ROWS).now(Location(name, row, col))


def _spent(how: str, limit: str) -> EvalError:
    return EvalError(EVAL_CANCEL_ERROR, f"the evaluation {how}: simplify the policy or raise limits.{limit}")


def resident() -> int:
    """The bytes of memory that the process holds; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as found:
            return int(found.read().split()[1]) * _PAGE
    except OSError:
        return 0


_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


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


def dot_stored(source: Value, operand: Value) -> Value:
    """The same in a base document: see `stored`."""
    found = dot(source, operand)
    return at_other_kind(source, operand) if found is UNDEFINED else found


def dot_in_doubt(source: Value, operand: Value) -> Value:
    """The same where it is not known what OPA finds at a key of the other kind. Raises EvalError there."""
    found = dot(source, operand)
    if found is UNDEFINED and at_other_kind(source, operand) is not UNDEFINED:
        raise EvalError(EVAL_TYPE_ERROR, IN_DOUBT)
    return found


IN_DOUBT = (
    "a number finds what stands at its digits in a document, and here a rule asks more of that key: "
    "look it up by a text, as format_int(id, 10)"
)


def dynamic(
    paths: Mapping[tuple[str, ...], Callable[..., Value]], *parts: Value
) -> Callable[..., Value] | None:
    """The rule at a path, None where there is none."""
    if not all(type(part) is str for part in parts):
        return None
    return paths.get(parts)


_LONG = 4096


def _metered(run: Run, entries: Collection[T]) -> Iterable[T]:
    """The entries, paid for: at once, or bit by bit where they are many, so that time is looked at too."""
    count = len(entries)
    if count > _LONG:
        return _paying(run, entries)
    run.charge(count + 1)
    return entries


def _paying(run: Run, entries: Iterable[T]) -> Iterator[T]:
    paid = 0
    for entry in entries:
        if not paid:
            run.charge(_LONG)
            run.check()
            paid = _LONG
        paid -= 1
        yield entry


def _plain(forms: Iterable[KeyForm]) -> bool:
    return Key not in set(map(type, forms))


def values_of(frame: Frame, source: Value) -> Iterable[Value]:
    """The values that a scan visits, in any order."""
    kind = type(source)
    if kind is list:
        count = len(source)
        if count > _LONG:
            return _paying(frame.run, source)
        # As `_metered`, without the call: this is the way of most loops.
        run = frame.run
        run.left -= count + 1
        if run.left < 0:
            run.check()
        return source  # type: ignore[no-any-return]
    if kind is dict:
        return _metered(frame.run, source.values())
    if kind is Set:
        return _metered(frame.run, source.forms if _plain(source.forms) else list(source))
    return ()


def items(frame: Frame, source: Value) -> Iterable[tuple[Value, Value]]:
    """The keys and values that a scan visits, in any order; a set's member is both."""
    kind = type(source)
    if kind is list:
        return enumerate(_metered(frame.run, source))
    if kind is dict:
        if _plain(source):
            return _metered(frame.run, source.items())
        return _metered(frame.run, [(unkey(form), value) for form, value in source.items()])
    if kind is Set:
        return _metered(frame.run, [(value, value) for value in source])
    return ()


def sorted_values_of(frame: Frame, source: Value) -> Iterable[Value]:
    """The values that a scan visits, in Rego's order of the keys."""
    kind = type(source)
    if kind is dict:
        return _metered(frame.run, [value for _, value in _in_order(source)])
    if kind is Set:
        return _metered(frame.run, sorted_values(source))
    return values_of(frame, source)


def sorted_items(frame: Frame, source: Value) -> Iterable[tuple[Value, Value]]:
    """The keys and values that a scan visits, in Rego's order of the keys."""
    kind = type(source)
    if kind is dict:
        return _metered(frame.run, _in_order(source))
    if kind is Set:
        return _metered(frame.run, [(value, value) for value in sorted_values(source)])
    return items(frame, source)


def _in_order(source: dict[KeyForm, Value]) -> list[tuple[Value, Value]]:
    if set(map(type, source)) <= {str}:
        return [(name, source[name]) for name in sorted_values(source)]
    return [(name, source[key(name)]) for name in sorted_values(map(unkey, source))]


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
