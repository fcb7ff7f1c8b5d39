"""Templates that a policy fills with values of the request: `replace("/users/{id}/", "{id}", claims.sub)`.

A constant with something else in place of a part of it is what `concat` makes of the rest and of that. It is
a text, or undefined, just where what `replace` makes is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.formula import Defined, Test
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Element, Input, Known, ObjectOf, Symbol
from palisade.rego.partial.symbols.sets import Cases
from palisade.rego.values import unkey

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

TWICE = "fills a template in which a value stands that may have a place to fill"
"""Why only the evaluator knows a text: said under the condition that a value has the sign of such a place."""


def replaced(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`replace(template, "{id}", x)`, also of a template that was filled in part."""
    template, old, value = args
    if not isinstance(old, Known) or not isinstance(old.value, str) or not old.value:
        return None
    pieces = _pieces(template)
    if pieces is None or not isinstance(value, Input | Element | Apply):
        return None
    filled = [part for piece in pieces for part in _filled(piece, {old.value: value})]
    cases = _made(run, filled)
    if len(filled) == len(pieces):
        # Nothing is to be filled: the value is only asked to be a text.
        cases = [(condition, template) for condition, _ in _made(run, [value])]
    values = [piece for piece in pieces if not isinstance(piece, str)]
    if not values:
        return cases
    if any(_may_begin(piece, old.value) for piece in pieces if isinstance(piece, str)):
        return None
    # What is filled in is looked through, too, the second time.
    sign = Known(old.value[0])
    odd = run.builder.any(run.builder.atom(Test(Apply("contains", (each, sign)))) for each in values)
    plain = [(run.builder.both(condition, run.builder.negate(odd)), made) for condition, made in cases]
    return [*plain, (run.builder.both(odd, run.opaque(TWICE, NOWHERE)), run.unknown(TWICE, NOWHERE))]


def replaced_at_once(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`strings.replace_n({"{id}": x, "{org}": y}, template)`, where each stands in the template."""
    signs, template = args
    if isinstance(signs, Known):
        return _one_by_one(run, signs, template)
    if not isinstance(signs, ObjectOf) or not isinstance(template, Known):
        return None
    values = {unkey(form): value for form, value in signs.items}
    olds = [each for each in values if isinstance(each, str) and each]
    if len(olds) < len(values) or not isinstance(template.value, str):
        return None
    if not all(isinstance(each, Input | Element | Apply) for each in values.values()):
        return None
    # Which of two comes first where both could be meant need not be known then.
    if any(one != other and one.startswith(other) for one in olds for other in olds):
        return None
    filled = _filled(template.value, {str(each): values[each] for each in olds})
    # A value without a place is asked to be a text as well.
    return _made(run, filled) if set(values.values()) <= set(filled) else None


def _one_by_one(run: Members, signs: Known, text: Symbol) -> Cases | None:
    """`strings.replace_n({"-": "", " ": ""}, text)` of characters, none of which is put in place of another:
    one after the other they make the same."""
    if not isinstance(signs.value, dict) or not isinstance(text, Input | Element | Apply):
        return None
    news = {unkey(form): new for form, new in signs.value.items()}
    if not 0 < len(news) <= _MOST_SIGNS or not all(isinstance(each, str) for each in news.values()):
        return None
    if any(not isinstance(old, str) or len(old) != 1 or not old.isascii() for old in news):
        return None
    if any(old in new for old in news for new in news.values()):
        return None
    made = text
    for old, new in news.items():
        made = Apply("replace", (made, Known(old), Known(new)))
    return [(run.builder.atom(Defined(made)), made)]


_MOST_SIGNS = 8
"""So many characters are replaced one after the other: what is made of a text is so deep."""


def _pieces(template: Symbol) -> list[str | Symbol] | None:
    match template:
        case Known(str(text)):
            return [text]
        case Apply("concat", (Known(""), ArrayOf(items))):
            return [each.value if isinstance(each, Known) else each for each in items]
    return None


def _filled(piece: str | Symbol, values: Mapping[str, Symbol]) -> list[str | Symbol]:
    """What stands in a piece with these values in place of their signs."""
    if not isinstance(piece, str):
        return [piece]
    found: list[str | Symbol] = [""]
    at = 0
    while at < len(piece):
        sign = next((each for each in values if piece.startswith(each, at)), None)
        if sign is None:
            found[-1] = f"{found[-1]}{piece[at]}"
            at += 1
        else:
            found += [values[sign], ""]
            at += len(sign)
    return found


def _made(run: Members, pieces: Sequence[str | Symbol]) -> Cases:
    items = tuple(Known(each) if isinstance(each, str) else each for each in pieces if each != "")
    made = Apply("concat", (Known(""), ArrayOf(items)))
    return [(run.builder.atom(Defined(made)), made)]


def _may_begin(piece: str, old: str) -> bool:
    """Whether what is looked for can begin at the end of a piece, and go on in what follows."""
    return any(piece.endswith(old[:size]) for size in range(1, len(old)))
