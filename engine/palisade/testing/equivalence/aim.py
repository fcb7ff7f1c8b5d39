"""Aiming: parts of a request for which a condition holds, or nearly does.

Rules with several conditions are met by few random requests. So a formula is walked from the top: of a
conjunction all parts are to hold, of a disjunction one, and each atom says what a part of the request should
be. This is a guess and no proof: parts may contradict each other, and what no atom speaks of stays as it is.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

from palisade.enforce.envoy.bodies.made import DECODES
from palisade.enforce.envoy.regex import patterns
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import Defined, Exists, Formula, In, IsKind, Same, Test
from palisade.rego.partial.formulas.placing import member_of
from palisade.rego.partial.formulas.rewriting import put_in
from palisade.rego.partial.formulas.terms import Apply, Element, Gathered, Input, Known, Part, Symbol
from palisade.rego.partial.symbols.chosen import SEVERAL
from palisade.rego.values import Value, to_json, unkey
from palisade.testing.equivalence import near
from palisade.testing.equivalence.trimmed import left_of, trimmed, whole_of
from palisade.testing.equivalence.vocabulary import place_of
from palisade.testing.equivalence.walks import Place

_T = TypeVar("_T")
Choose: TypeAlias = Callable[[Sequence[Any]], Any]
"""Chooses one of several values."""

ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()
"""In the place of a value: nothing should stand there."""

DEEPEST = 60

_MOST = 400
"""From so many conditions on, of those that are not to hold only the chosen ones are aimed at: most of a
large table fail by themselves."""

_PLACES, _NEARLY = (0, 1, 1, 2, 2, 3, 7, 9), 4
"""Of the member that is aimed at: the last that a compiler looks at, too, and one beyond. So many stand
before it that are nearly right."""

_MOST_PARTS = 50
"""So many parts of one condition, beside the one that is chosen."""


class Aim:
    """What is wanted, in `parts`: values by place. A loop's member stands behind a step `("*", loop)`."""

    def __init__(
        self,
        choose: Choose,
        words: Sequence[str],
        like: Callable[[str], str],
        places: Mapping[Place, Sequence[Value]],
    ) -> None:
        """`like` gives a text in which a regular expression is found; `places` has constants by place."""
        self._places = places
        self._choose = choose
        self._like = like
        self._words = words or ("a",)
        self.parts: dict[Place, Value] = {}
        self._loops: dict[object, object] = {}
        self._seen: set[tuple[Formula, bool]] = set()

    def at(self, formula: Formula, *, holds: bool, depth: int = 0) -> None:
        """Adds what makes the formula hold, or not hold."""
        if formula.kind == "not":
            self.at(formula.args[0], holds=not holds, depth=depth)
            return
        # Parts are shared: what they want is wanted once, however many ways lead to them.
        if (formula, holds) in self._seen:
            return
        self._seen.add((formula, holds))
        if formula.kind in ("and", "or"):
            if depth <= DEEPEST and len(self._seen) <= 10 * _MOST:
                self._parts(formula, holds=holds, depth=depth + 1)
        elif formula.atom is not None:
            self._atom(formula.atom, holds=holds, depth=depth)

    def _parts(self, formula: Formula, *, holds: bool, depth: int) -> None:
        """Of what is not to hold one part fails and the others hold: as near as a request can come."""
        chosen = self._choose(formula.args)
        if formula.kind == "or" and holds:
            self.at(chosen, holds=True, depth=depth)
            return
        others = formula.args
        if len(others) > _MOST_PARTS:
            first = self._choose(range(len(others) - _MOST_PARTS))
            # What is wanted last counts where two parts want different things.
            others = (*others[first : first + _MOST_PARTS], chosen)
        for part in others:
            failing = formula.kind == "or" or (part is chosen and not holds)
            if part is chosen or not failing or len(self._seen) <= _MOST:
                self.at(part, holds=not failing, depth=depth)

    def _atom(self, atom: object, *, holds: bool, depth: int) -> None:
        match atom:
            case In(term, values):
                value = unkey(self._choose(_in_order(values)))
                self._assign(term, value if holds else self._other(value))
            case Defined(term):
                self._assign(term, self._something(term) if holds else ABSENT, weak=holds)
            case IsKind(term, kind):
                self._assign(term, _SAMPLES.get(kind, "") if holds else 7, weak=holds)
            case Same(left, right):
                self._same(left, right, holds=holds)
            case Test(term):
                self._test(term, holds=holds)
            case Exists(Apply("split", (whole, Known(str(mark)))), _, body) if self._choose((True, False)):
                self._piece(whole, mark, body, holds=holds)
            case Exists(source, loop, body):
                # Seldom, as these are members of arrays only.
                if self._choose((False, False, True)) and self._among(source, loop, body, holds, depth + 1):
                    return
                if holds:
                    self._assign(Element(source, loop), self._word(), weak=True)
                    self.at(body, holds=True, depth=depth + 1)
                elif self._choose((False, True)):
                    self._assign(Element(source, loop), self._word())
                    self.at(body, holds=False, depth=depth + 1)
                else:
                    self._assign(source, self._choose(([], ABSENT, {}, "")))

    def _piece(self, whole: Symbol, mark: str, body: Formula, *, holds: bool) -> None:
        """A text with a piece of which the body holds, or nearly, beside others, as cookies have."""
        begin, rest, known = "", self._word(), False
        for part in body.args if body.kind == "and" else (body,):
            match part.atom:
                case Test(Apply("startswith", (_, Known(str(text))))):
                    begin = text
                case In(Apply(".", (Apply("split", (_, Known(str(sign)))), Known(0))), values):
                    begin = f"{unkey(self._choose(_in_order(values)))}{sign}"
                case In(_, values):
                    rest, known = str(unkey(self._choose(_in_order(values)))), True
        piece = begin + rest if holds else str(self._other(begin + rest))
        other = begin + self._word()
        pieces = self._choose(
            ([piece], ["x", piece], [piece, "x=y"], [piece, piece], [piece, other], [f" {piece} ", "x"])
        )
        self._assign(whole, mark.join(pieces), weak=not known)

    def _several(self, part: Part) -> None:
        """Members that meet the condition, at two places."""
        for source, loop in part.over:
            if isinstance(source, Apply) and source.name == "split" and isinstance(source.args[1], Known):
                self._piece(source.args[0], str(source.args[1].value), part.condition, holds=True)
            elif isinstance(source, Input):
                self._members(part.condition, source, loop, self._choose(((0, 1), (0, 2), (1,), (3, 9))))

    def _members(self, condition: Formula, source: Input, loop: int, places: Iterable[int]) -> None:
        """Members of the source, at these places, that meet the condition in the loop."""
        for at in places:
            member = put_in(Builder(), condition, loop, member_of(source, at), Known(at))
            if member is not None:
                self.at(member, holds=True)

    def _among(self, source: Symbol, loop: int, body: Formula, holds: bool, depth: int) -> bool:
        """Wants members of which the condition holds of one alone, the last one more often than not, or of
        none: whoever looks at the first ones only, or at all but the last, decides otherwise. False where
        these have no places. Conditions that calculate with a member's place aim at its neighbours."""
        if not isinstance(source, Input):
            return False
        at = self._choose(_PLACES)
        last = at + self._choose((0, 0, 0, 1, 2))
        members = [put_in(Builder(), body, loop, member_of(source, each), Known(each)) for each in (at, last)]
        if None in members:
            return False
        # Of long arrays the first ones stand for all that are nearly right.
        for each in (*range(min(last + 1, _NEARLY)), last, at):
            member = put_in(Builder(), body, loop, member_of(source, each), Known(each))
            if member is not None:
                self.at(member, holds=holds and each == at, depth=depth)
        return True

    def _word(self) -> str:
        word: str = self._choose(self._words)
        return word

    def _something(self, term: object) -> Value:
        """A value that a term is compared with, where there is one."""
        place = place_of(term)
        known = self._places.get(place, ()) if place is not None else ()
        return self._choose((*known, self._word()))

    def _other(self, value: Value) -> Value:
        """A value that is nearly the given one."""
        if isinstance(value, str):
            return self._choose((value.swapcase(), value + "x", value[:-1], "", value + "/", [value], ABSENT))
        if isinstance(value, bool) or value is None:
            return self._choose((not value, str(value).lower(), 0, ABSENT))
        if isinstance(value, int | float):
            return self._choose((*near.beside(value), str(value), ABSENT))
        return self._choose((ABSENT, [], {}, [value]))

    def _same(self, left: Symbol, right: Symbol, *, holds: bool) -> None:
        if any(isinstance(each, Apply) and each.name == "to_number" for each in (left, right)):
            number = self._choose((0, 3, 42, 100, 1.5))
            self._assign(left, number)
            self._assign(right, number if holds else self._other(number))
            return
        made, other = (left, right) if patterns.parts(left) is not None else (right, left)
        text = self._made(made)
        self._assign(other, text if holds else self._other(text))

    def _made(self, term: Symbol) -> str:
        """A text for a term, which is put together of parts of the request or is one itself."""
        if isinstance(term, Known):
            return str(term.value)
        text = ""
        for part in patterns.parts(term) or (term,):
            if isinstance(part, str):
                text += part
                continue
            known = self._wanted(part)
            word = known if isinstance(known, str) else self._word()
            self._assign(part, word)
            text += word
        return text

    def _wanted(self, term: object) -> Value:
        """What is wanted of a part of the request already, or of a text cut out of it; None: nothing."""
        match term:
            case Apply(".", (Apply("split", (whole, Known(str(mark)))), Known(int(at)))):
                pieces = self._pieces(whole, mark)
                return pieces[at] if 0 <= at < len(pieces) else None
            case Apply(name, (inner,)) if name in DECODES:
                coded = self._wanted(inner)
                return _decoded(coded) if isinstance(coded, str) else None
        off = trimmed(term)
        if off is not None:
            whole = self._wanted(off[0])
            return left_of(whole, *off[1:]) if isinstance(whole, str) else None
        place = self._place(term) if isinstance(term, Input | Element) else None
        return self.parts.get(place) if place is not None else None

    def _pieces(self, whole: Symbol, mark: str, least: int = 0) -> list[str]:
        """The pieces of a text that are wanted already, and others to make so many of them."""
        known = self._wanted(whole)
        pieces = known.split(mark) if isinstance(known, str) and mark else []
        missing = range(len(pieces), least)
        return pieces + [self._word() if number or mark != "/" else "" for number in missing]

    def _test(self, term: Apply, *, holds: bool) -> None:
        match term:
            case Apply(name, (Gathered(parts=parts),)) if name == SEVERAL:
                if holds:
                    self._several(self._choose(parts))
                return
            case Apply("startswith", (subject, Known(str(text)))):
                value = text + self._choose(("", "/x", "x", self._word()))
            case Apply("endswith", (subject, Known(str(text)))):
                value = self._choose(("", "/", self._word())) + text
            case Apply("contains", (subject, Known(str(text)))):
                value = self._choose(("", "x", self._word())) + text + self._choose(("", "y"))
            case Apply("glob.match", (Known(str(text)), _, subject)):
                value = "".join(self._word() if char == "*" else char for char in text.replace("**", "*"))
            case Apply("net.cidr_contains", (Known(str(text)), subject)):
                value = self._address(text, inside=holds)
                holds = True
            case Apply("lt" | "lte" | "gt" | "gte", (subject, Known(int() | float() as limit))):
                value = self._choose((limit, *near.beside(limit)))
                holds = True
            case Apply(name, (subject,)) if name.removeprefix("is_") in _SAMPLES:
                value = _SAMPLES[name.removeprefix("is_")]
            case Apply("regex.match" | "re_match", (Known(str(text)), subject)):
                value = self._like(text)
            case Apply("startswith" | "endswith" | "contains", (subject, part)):
                text = self._made(part)
                value = text + self._choose(("", "x")) if term.name == "startswith" else "x" + text
            case _:
                return
        self._assign(subject, value if holds else self._other(value))

    def _address(self, network: str, *, inside: bool) -> str:
        try:
            found = ipaddress.ip_network(network, strict=False)
        except ValueError:
            return "127.0.0.1"
        first, last = int(found.network_address), int(found.broadcast_address)
        choices = (first, last, (first + last) // 2) if inside else (first - 1, last + 1)
        number = min(max(self._choose(choices), 0), (1 << found.max_prefixlen) - 1)
        return str(type(found.network_address)(number))

    def _assign(self, term: object, value: Value, *, weak: bool = False) -> None:
        """Wants a value of a term; with `weak` only where nothing is wanted yet."""
        claim = place_of(term) if isinstance(term, Apply) else None
        if claim is not None:
            if not (weak and self._known(claim)):
                self.parts[claim] = value if value is ABSENT else to_json(value)
            return
        match term:
            case Element(Apply("split", (whole, Known(str(mark)))), path=()) if isinstance(value, str):
                self._assign(whole, mark.join(self._choose(([value], ["x", value], [value, "x"]))))
            case Input() | Element():
                place = self._place(term)
                if place is not None and not (weak and self._known(place)):
                    self.parts[place] = value if value is ABSENT else to_json(value)
            case Apply("lower" | "upper", (inner,)):
                self._assign(inner, self._choose((value, value.title())) if isinstance(value, str) else value)
            case Apply(".", (Apply("split", (whole, Known(str(mark)))), Known(int(at)))) if (
                isinstance(value, str) and 0 <= at < _MOST
            ):
                parts = self._pieces(whole, mark, at + 1)
                parts[at] = value
                # How many there are may be asked for as well.
                more = [] if isinstance(self._wanted(whole), str) else self._choose(([], ["x"]))
                self._assign(whole, mark.join([*parts, *more]))
            case Apply(name, (inner,)) if name in DECODES and isinstance(value, str):
                encode = base64.b64encode if name == "base64.decode" else base64.urlsafe_b64encode
                coded = encode(value.encode("utf-8", "surrogatepass")).decode()
                self._assign(inner, coded, weak=weak)
            case Apply("count", (Apply("split", (whole, Known(str(mark)))),)) if type(value) is int and (
                mark and 0 < value < 50
            ):
                self._assign(whole, mark.join(self._pieces(whole, mark, value)[:value]))
            case Apply("to_number", (inner,)) if isinstance(value, int | float):
                self._assign(inner, self._choose((str(value), str(value), f"{value}.0", value)))
            case Apply("count", (Gathered(parts=parts),)) if type(value) is int and 0 <= value < 20:
                part = self._choose(parts)
                for source, loop in part.over:
                    if isinstance(source, Input):
                        self._members(part.condition, source, loop, range(value))
            case Apply("count", (inner,)) if isinstance(value, int) and 0 <= value < 50:
                self._assign(inner, self._choose((["x"] * value, "x" * value)))
            case Apply() if isinstance(value, str) and (off := trimmed(term)) is not None:
                self._assign(off[0], whole_of(value, *off[1:], self._choose))
            case Apply() if isinstance(value, str) and (made := patterns.parts(term)) is not None:
                self._take_apart(made, value)
            case Apply("concat", (Known(str(glue)), inner)) if isinstance(value, str) and glue:
                self._assign(inner, value.split(glue))
            case Apply("array.slice", (inner, Known(int(start)), _)) if isinstance(value, list):
                self._assign(inner, [*(self._word() for _ in range(start)), *value])
            case Apply(name, (inner, *_)) if name not in ("count", "."):
                self._assign(inner, value, weak=True)

    def _take_apart(self, made: Sequence[str | Symbol], text: str) -> None:
        """Wants of the values that a text is put together of what makes it the given one."""
        pattern = "".join(re.escape(part) if isinstance(part, str) else "(.*?)" for part in made)
        found = re.fullmatch(pattern, text, re.DOTALL)
        if found is not None:
            terms = (part for part in made if not isinstance(part, str))
            for term, own in zip(terms, found.groups(), strict=True):
                self._assign(term, own)

    def _place(self, term: Input | Element) -> Place | None:
        """Where a term stands. The members of a loop are those of an array, now and then of an object."""
        steps = _steps(term)
        if steps is None:
            return None
        for step in steps:
            if isinstance(step, tuple) and step not in self._loops:
                self._loops[step] = f"k{step[1]}" if self._choose((0, 0, 1)) else step
        return tuple(self._loops.get(step, step) for step in steps)

    def _known(self, place: Place) -> bool:
        return any(each[: len(place)] == place for each in self.parts)


def _decoded(text: str) -> str | None:
    try:
        return base64.b64decode(text, altchars=b"-_", validate=True).decode()
    except ValueError:
        return None


@lru_cache(maxsize=10_000)
def _in_order(values: frozenset[object]) -> Sequence[object]:
    """The values in an order that is the same in each run. Sets of thousands are asked for often."""
    return sorted(values, key=repr)


def _steps(term: Input | Element) -> Place | None:
    if isinstance(term, Input):
        steps = term.path
    elif term.of_keys:
        return None
    else:
        source = _steps(term.source) if isinstance(term.source, Input | Element) else place_of(term.source)
        if source is None:
            return None
        steps = (*source, ("*", term.loop), *term.path)
    return steps if all(isinstance(step, str | int | tuple) for step in steps) else None


_SAMPLES = {"array": ["x"], "object": {"x": 1}, "string": "x", "number": 1, "boolean": True, "null": None}
