"""What a local may hold while a plan runs with `input` unknown.

`Known` is a value as in `values`. A *term* stands for a value that only a request brings: a walk into the
input, an element of an unknown collection, or a builtin applied to such. A *composite* is an array, object or
set whose shape is known but not all of its parts. All of them are immutable and hashable: equal ones denote
the same value in one evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, TypeAlias

from palisade.rego.builtins.terms import brief
from palisade.rego.errors import Location
from palisade.rego.partial.formulas.digests import digest_of
from palisade.rego.records import record
from palisade.rego.terms import INFIX
from palisade.rego.values import Value, equal, key, unkey

if TYPE_CHECKING:
    from palisade.rego.partial.formulas.formula import Formula


class Known:
    """A value that does not depend on the request. `digest` is as in `digests`, where it is known beforehand;
    `extent` how large the value is, once that is known (`large.extent_of`)."""

    __slots__ = ("_digest", "_form", "extent", "value")
    __match_args__ = ("value",)
    size = 1

    def __init__(self, value: Value, digest: int | None = None) -> None:
        self.value, self.extent = value, 0
        self._digest = digest
        self._form: object = None

    @property
    def form(self) -> object:
        """The value in key form. Worked out once, when first asked for."""
        if self._form is None:
            self._form = key(self.value)
        return self._form

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Known):
            return False
        return self.value is other.value or (hash(self) == hash(other) and equal(self.value, other.value))

    def __hash__(self) -> int:
        if self._digest is None:
            self._digest = digest_of(self.value)
        return self._digest

    def __repr__(self) -> str:
        return f"Known({self.value!r})"


@record()
class Made:
    """What is made of other terms keeps how large it is and its hash: terms share their parts, and found out
    anew both would take as long as if each part were written out wherever it stands."""

    size: int = field(init=False, compare=False, repr=False)
    """How many terms and constants it has where each is counted as often as it stands in it."""
    digest: int = field(init=False, compare=False, repr=False)
    unknown: Unknown | None = field(init=False, compare=False, repr=False)
    """The first part of which nothing is known: what it is may differ from round to round of a loop."""

    def __hash__(self) -> int:
        return self.digest

    def _keep(self, fields: object, parts: Iterable[object]) -> None:
        """`fields` are those that it is compared by, and `parts` all that may be terms in them."""
        object.__setattr__(self, "size", 1 + sum(map(_size, parts)))
        object.__setattr__(self, "unknown", next(filter(None, map(unknown_in, parts)), None))
        object.__setattr__(self, "digest", hash((type(self), fields)))


def unknown_in(part: object) -> Unknown | None:
    """The first part of a term of which nothing is known, it itself maybe; None for what is no term."""
    if isinstance(part, Made):
        return part.unknown
    return part if isinstance(part, Unknown) else None


def _size(part: object) -> int:
    """The size of a term, and 0 of a step of a path that is none."""
    return part.size if isinstance(part, (Made, Known, Unknown)) else 0


@record(hashed_as_parent=True)
class Input(Made):
    """A walk from the input along keys: `Input(("a", 0))` is `input.a[0]`; `Input(())` the input itself.

    A part of the path is a key form, or a term for a key that is unknown itself.
    """

    path: tuple[object, ...]

    def __post_init__(self) -> None:
        self._keep(self.path, self.path)

    def __str__(self) -> str:
        return "input" + "".join(map(_step, self.path))


@record(hashed_as_parent=True)
class Element(Made):
    """A member, or with `of_keys` a key, of the unknown collection `source` in the loop numbered `loop`.

    `path` goes on below it, as in `Input`.
    """

    source: Term
    loop: int
    of_keys: bool = False
    path: tuple[object, ...] = ()

    def __post_init__(self) -> None:
        # Loops of many rules make more of these than of all others together.
        size = 1 + self.source.size + (sum(map(_size, self.path)) if self.path else 0)
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "digest", hash((self.source, self.loop, self.of_keys, self.path)))
        unknown = self.source.unknown if isinstance(self.source, Made) else self.source
        if unknown is None and self.path:
            unknown = next(filter(None, map(unknown_in, self.path)), None)
        object.__setattr__(self, "unknown", unknown)

    def __str__(self) -> str:
        # Reasons are told in these words. The loop's number is not for them: it depends on which loops were
        # met before, and an edited set meets other ones than the same set by itself.
        member = "[key]" if self.of_keys else "[_]"
        return _show(self.source) + member + "".join(map(_step, self.path))


@record(hashed_as_parent=True)
class Apply(Made):
    """A builtin applied to operands of which at least one is unknown; or `time.now_ns()`."""

    name: str
    args: tuple[Symbol, ...]

    def __post_init__(self) -> None:
        self._keep((self.name, self.args), self.args)

    def __str__(self) -> str:
        if self.name == ".":
            source, name = self.args
            return _show(source) + _step(name.form if isinstance(name, Known) else name)
        if self.name.startswith(_KEYED):
            return f"{self.name}({_show(self.args[0])}, ...)"  # what follows may be a secret
        if len(self.args) == 2 and (found := _SIGNS.get(self.name)):
            sign, level = found
            return f"{_operand(self.args[0], level)} {sign} {_operand(self.args[1], level + 1)}"
        return f"{self.name}({', '.join(_show(a) for a in self.args)})"


_SIGNS = {infix.operator.name: (sign, infix.level) for sign, infix in INFIX.items()}
_KEYED = ("io.jwt.decode_verify", "io.jwt.verify_", "crypto.hmac.")


@record()
class Unknown:
    """A value of which nothing is known but why: nothing can be decided on it outside the evaluator."""

    reason: str
    location: Location
    serial: int = 0
    size = 1

    def __str__(self) -> str:
        return f"<{self.reason}>"


@record(hashed_as_parent=True)
class ArrayOf(Made):
    """An array with parts that are not all known."""

    items: tuple[Symbol, ...]

    def __post_init__(self) -> None:
        self._keep(self.items, self.items)

    def __str__(self) -> str:
        return f"[{', '.join(_show(i) for i in self.items)}]"


@record(hashed_as_parent=True)
class ObjectOf(Made):
    """An object with known keys (key forms) and values that are not all known."""

    items: tuple[tuple[object, Symbol], ...]

    def __post_init__(self) -> None:
        self._keep(self.items, [value for _, value in self.items])

    def get(self, form: object) -> Symbol | None:
        for each, value in self.items:
            if each == form:
                return value
        return None

    def __str__(self) -> str:
        return "{" + ", ".join(f"{_show(k)}: {_show(v)}" for k, v in self.items) + "}"


@record(hashed_as_parent=True)
class SetOf(Made):
    """A set with members that are not all known."""

    items: tuple[Symbol, ...]

    def __post_init__(self) -> None:
        self._keep(self.items, self.items)

    def __str__(self) -> str:
        return "{" + ", ".join(_show(i) for i in self.items) + "}"


@record(hashed_as_parent=True)
class Part(Made):
    """Members of a collection: `item`, for every choice in the loops of `over`, where `condition` holds.

    `over` gives the unknown collections that are looped over, each with the number of its loop, the outermost
    first.
    """

    condition: Formula
    over: tuple[tuple[Term, int], ...]
    item: Symbol

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", 1 + self.item.size)
        object.__setattr__(self, "unknown", unknown_in(self.item))
        object.__setattr__(self, "digest", hash((self.condition, self.over, self.item)))


@record(hashed_as_parent=True)
class Gathered(Made):
    """A set or array (`kind`) whose members stand under conditions: what rules and comprehensions collect.

    Of an array that is not `ordered` it is not known in which order its members stand there; of one that is
    not `apart`, how often: it lists the members of a set, of which two that are alike are one. Where it is
    that set `in_turn`, it has no others, in Rego's order.
    """

    kind: str
    parts: tuple[Part, ...]
    ordered: bool = True
    apart: bool = True
    in_turn: bool = False
    digests: frozenset[int] = field(init=False, compare=False, repr=False)
    """The hashes of the parts of a set, to tell whether one is among them."""
    _folded: int = field(init=False, compare=False, repr=False)
    """The hash of the parts in turn."""

    def __post_init__(self) -> None:
        self._add(1, None, 0, frozenset(), self.parts)

    def _add(
        self, size: int, unknown: Unknown | None, folded: int, digests: frozenset[int], more: Sequence[Part]
    ) -> None:
        """Keeps what is known of the other parts, and that of more behind them."""
        for part in more:
            size += part.size
            unknown = unknown or part.unknown
            folded = hash((folded, part.digest))
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "unknown", unknown)
        if self.kind == "set":
            digests = digests.union([part.digest for part in more])
        object.__setattr__(self, "digests", digests)
        object.__setattr__(self, "_folded", folded)
        how = (self.kind, self.ordered, self.apart, self.in_turn)
        object.__setattr__(self, "digest", hash((Gathered, how, folded)))

    def with_more(self, more: Sequence[Part], *, ordered: bool, apart: bool) -> Gathered:
        """The same and more parts behind its own, at which nobody looks again: a loop adds one in each of
        thousands of rounds."""
        found = object.__new__(Gathered)
        object.__setattr__(found, "kind", self.kind)
        object.__setattr__(found, "parts", (*self.parts, *more))
        object.__setattr__(found, "ordered", ordered)
        object.__setattr__(found, "apart", apart)
        object.__setattr__(found, "in_turn", False)
        found._add(self.size, self.unknown, self._folded, self.digests, more)
        return found

    def has(self, part: Part) -> bool:
        """Whether that is one of the parts of a set."""
        return part.digest in self.digests and part in self.parts

    def __str__(self) -> str:
        return f"<{self.kind} of {', '.join(_show(p.item) for p in self.parts)}>"


@record(hashed_as_parent=True)
class Overlay(Made):
    """A part of the input in which `with` put a value at a path: `base` elsewhere."""

    base: Input | Overlay
    path: tuple[str, ...]
    value: Symbol

    def __post_init__(self) -> None:
        self._keep((self.base, self.path, self.value), (self.base, self.value))

    def __str__(self) -> str:
        return f"{self.base} with .{'.'.join(self.path)} as {_show(self.value)}"


Place: TypeAlias = Input | Element | Apply
Term: TypeAlias = Place | Unknown
Composite: TypeAlias = ArrayOf | ObjectOf | SetOf | Gathered | Overlay
Symbol: TypeAlias = Known | Term | Composite


def _step(part: object) -> str:
    return f".{part}" if isinstance(part, str) and part.isidentifier() else f"[{_show(part)}]"


_MOST_SHOWN = 100
"""Of a term that is larger, within another, nobody reads the text."""


def _show(symbol: object) -> str:
    if isinstance(symbol, Made | Unknown):
        return "..." if symbol.size > _MOST_SHOWN else str(symbol)
    return brief(symbol.value if isinstance(symbol, Known) else unkey(symbol), _MOST_SHOWN)


def _operand(symbol: Symbol, level: int) -> str:
    _, own = _SIGNS.get(symbol.name, ("", level)) if isinstance(symbol, Apply) else ("", level)
    return f"({_show(symbol)})" if own < level else _show(symbol)


def below(term: Input | Element, part: object) -> Input | Element:
    """The term one step further along `part`."""
    if isinstance(term, Input):
        return Input((*term.path, part))
    return Element(term.source, term.loop, term.of_keys, (*term.path, part))


ENDLESS = 1 << 31
"""No array of a request has so many members."""


def last_of(collection: Symbol) -> Apply:
    """The place of the last member, as it is asked for: `count(collection) - 1`."""
    return Apply("minus", (Apply("count", (collection,)), Known(1)))


def back_from(collection: Symbol, place: Symbol) -> int | None:
    """How far from the end of a collection a place is that is counted from there, `count(collection) - 2`: 1
    for that of the last member. None for other places."""
    match place:
        case Apply("minus", (Apply("count", (counted,)), Known(int(back)))):
            return back if counted == collection and type(back) is int and back > 0 else None
    return None


def subterms(symbol: Symbol, whole: Callable[[Symbol], bool] | None = None) -> Iterator[Symbol]:
    """The symbol and all that it is made of; into those that are `whole` it does not look."""
    yield symbol
    if whole is not None and whole(symbol):
        return
    if isinstance(symbol, (Apply, ArrayOf, SetOf)):
        for part in symbol.args if isinstance(symbol, Apply) else symbol.items:
            yield from subterms(part, whole)
    elif isinstance(symbol, ObjectOf):
        for _, part in symbol.items:
            yield from subterms(part, whole)
    elif isinstance(symbol, Gathered):
        for piece in symbol.parts:
            yield from subterms(piece.item, whole)
    elif isinstance(symbol, Overlay):
        yield from subterms(symbol.base, whole)
        yield from subterms(symbol.value, whole)
    elif isinstance(symbol, (Input, Element)):
        if isinstance(symbol, Element):
            yield from subterms(symbol.source, whole)
        for step in symbol.path:
            if isinstance(step, (Input, Element, Apply, Unknown)):
                yield from subterms(step, whole)


def loops(symbol: Symbol) -> frozenset[int]:
    """The loops over unknown collections on which the symbol depends."""
    found: set[int] = set()
    for part in subterms(symbol, whole=lambda each: isinstance(each, Gathered)):
        if isinstance(part, Element):
            found.add(part.loop)
        elif isinstance(part, Gathered):
            for piece in part.parts:
                sources = (loops(source) for source, _ in piece.over)
                inside = piece.condition.loops.union(loops(piece.item), *sources)
                found |= inside - {loop for _, loop in piece.over}
    return frozenset(found)
