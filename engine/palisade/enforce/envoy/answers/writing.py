"""How an answer is written as a template: which parts of it Envoy can put in, and where it can tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from palisade.decide.response import IN_JSON
from palisade.enforce.envoy.answers import places
from palisade.enforce.envoy.answers.filled import Brought
from palisade.enforce.envoy.answers.templates import MARK, Template, can_be_shown, has_marks, mark_of
from palisade.enforce.envoy.matchers.bounds import Bounds
from palisade.enforce.envoy.matchers.predicate import NO, YES, Predicate, all_of, any_of, negate
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.tokens.crumbs import cookie_in
from palisade.enforce.envoy.values.joins import join_of, joining_of
from palisade.enforce.envoy.values.lists import Listing, listing_of
from palisade.enforce.envoy.values.messages import Message, Messages
from palisade.enforce.envoy.values.numerals import Numeral
from palisade.enforce.envoy.values.puts import CODES, Coded, Put
from palisade.enforce.envoy.values.shaped import Shaped, shaped
from palisade.enforce.envoy.values.sources import (
    Address,
    ClaimSource,
    FieldSource,
    Identity,
    Source,
    TextSource,
)
from palisade.enforce.envoy.values.written import TEXTS, Kept, Noted, Written, entries_left, whole_claim
from palisade.rego.builtins import BUILTINS
from palisade.rego.partial.formulas.formula import Formula
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Part,
    SetOf,
    Symbol,
    unknown_in,
)
from palisade.rego.partial.symbols import objects
from palisade.rego.partial.symbols.chosen import CHOSEN, same_as
from palisade.rego.partial.symbols.turns import in_order
from palisade.rego.values import UNDEFINED, Value

MOST_MESSAGES = 32
"""So many messages a text may be joined of: each has a filter of its own."""

_TEXTS = frozenset((name,) for name in TEXTS)
_MARSHAL = BUILTINS["json.marshal"].function
_QUERIED = BUILTINS["urlquery.encode"].function


def template(
    symbol: Symbol,
    source: Callable[[Symbol], Source | None],
    bounds: Callable[[Formula], Bounds] | None = None,
    *,
    log: bool = True,
) -> Template:
    """The template of a value with claims, fields, who calls or the path in headers or the body. `bounds`
    lowers the conditions of messages. Raises UntoldError for others.

    What only the decision log shows is erased where Envoy cannot tell it; without `log` also where it can
    of some requests only.
    """
    making = _Making(source, bounds, log)
    value = making.value(symbol, ())
    quoted, asked, told = frozenset(making.quoted), tuple(making.asked), all_of(making.told)
    return Template(value, making.sources, quoted, asked, told, tuple(making.erased))


class UntoldError(Exception):
    """Envoy cannot put something into an answer: `what`, where it is that alone."""

    def __init__(self, what: Symbol | None = None) -> None:
        self.what = what


@dataclass(slots=True)
class _Making:
    source: Callable[[Symbol], Source | None]
    bounds: Callable[[Formula], Bounds] | None = None
    log: bool = True
    sources: dict[str, Brought] = field(default_factory=dict)
    quoted: set[str] = field(default_factory=set)
    """The marks of texts that stand in JSON."""
    asked: dict[Predicate, int] = field(default_factory=dict)
    """The conditions of messages, by where they surely hold, with their numbers."""
    told: list[Predicate] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    """What the decision log shows the names of alone, as JSON pointers."""
    in_header: bool = False

    def value(self, symbol: Symbol, path: tuple[object, ...]) -> Value:
        match symbol:
            case Known(value):
                if has_marks(value):
                    raise UntoldError
                return value
            case ObjectOf(items):
                found = [(form, self._entry(item, (*path, form))) for form, item in items]
                return {form: each for form, each in found if each is not UNDEFINED}
            case ArrayOf(items):
                return [self.value(item, (*path, at)) for at, item in enumerate(items)]
            case _ if places.is_only_logged(path):
                return self._noted(symbol, path)
            case Input() | Apply() if places.may_be_filled(path):
                kept = self._claim(symbol) if path[0] == places.METADATA else None
                if kept is not None:
                    return self._marked(Kept(kept))
                self.in_header = path != ("body",)
                return self._text(symbol)
        raise UntoldError(symbol)

    def _entry(self, item: Symbol, path: tuple[object, ...]) -> Value:
        """The value of an entry; undefined where it is erased."""
        if not places.is_only_logged(path):
            return self.value(item, path)
        kept = dict(self.sources), set(self.quoted), dict(self.asked), list(self.told), list(self.erased)
        try:
            return self.value(item, path)
        except UntoldError:
            if unknown_in(item) is not None:
                raise  # whether it is there at all may be unknown, too
            self.sources, self.quoted, self.asked, self.told, self.erased = kept
            self.erased.append(places.pointer(path))
            return UNDEFINED

    def _noted(self, symbol: Symbol, path: tuple[object, ...]) -> Value:
        """What the decision log shows, which is of any type. Raises UntoldError where it cannot be told."""
        claim = self._claim(symbol)
        if claim is not None:
            return self._marked(Noted(claim))
        if not self.log:
            raise UntoldError(symbol)
        match symbol:
            case SetOf(items) if (ordered := in_order(items)) is not None:
                return self.value(ArrayOf(ordered), path)
            case Gathered() | Apply("sort" | "array.concat" | objects.OBJECT):
                text = self._json(symbol)
                if MARK.fullmatch(text) is None:
                    raise UntoldError(symbol)
                return f"{text}{IN_JSON}"
            case Input() | Apply():
                return self._text(symbol)
        raise UntoldError(symbol)

    def _text(self, symbol: Symbol) -> str:
        match symbol:
            case Apply("json.marshal", (value,)):
                return self._json(value)
            case Apply("urlquery.encode_object", (ObjectOf(items),)):
                return self._query(items)
            case Apply("concat", (Known(str(glue)), Gathered("array", under, True, True))) if not any(
                each.over for each in under
            ):
                return self._messages(under, Messages((), glue))
        joined = join_of(symbol, self.source)
        if joined is not None:
            self._ask_some(symbol)
            return self._marked(joined)
        listing = listing_of(symbol, self.source)
        if listing is not None and listing.listed.glue is not None:
            return self._list(listing)
        verbs = patterns.with_verbs(symbol)
        if verbs is None:
            parts = patterns.parts(symbol)
            if parts is None:
                return self._mark(symbol)
            verbs = [("", part) for part in parts]
        return "".join(self._written(verb, part) for verb, part in verbs)

    def _chosen(self, chosen: Symbol, gathered: Gathered) -> str:
        """The only member of a set: a cookie that a loop looks for, the text that it equals, or all members
        joined."""
        same = same_as(gathered)
        cookie = cookie_in(chosen)
        if cookie is not None:
            place, same = cookie
            self.told.append(place.plain)  # only there it is the piece that the loop finds
        members = Gathered("set", gathered.parts, True, True)
        try:
            return self._text(Apply("concat", (Known(""), members)) if same is None else same)
        except UntoldError as error:
            raise UntoldError(chosen) from error

    def _ask_some(self, joined: Symbol) -> None:
        """Asks whether there is a text to join, where not all members are: an empty one is the engine's."""
        joining = joining_of(joined)
        some = None if joining is None else joining.some
        if some is not None:
            self.told.append(self._surely(some))

    def _surely(self, formula: Formula) -> Predicate:
        """Where a condition surely holds. Raises UntoldError where nobody can tell."""
        if self.bounds is None:
            raise UntoldError
        return self.bounds(formula).surely

    def _list(self, listing: Listing) -> str:
        """The members of several claims, or of one in JSON."""
        self.told += map(self._surely, listing.beside)
        if listing.listed.glue is not None and not listing.listed.also:
            self.told.append(listing.some(self._surely))
        return self._marked(listing.listed)

    def _written(self, verb: str, part: str | Symbol) -> str:
        """A part of a text, written by a verb of `sprintf` or as it is."""
        if isinstance(part, str):
            if has_marks(part):
                raise UntoldError
            return part
        if verb == "q":  # which leaves the characters as they are that JSON does, and others than that
            pieces = MARK.split(self._unescaped(part))
            return f'"{"".join(each if MARK.fullmatch(each) else _escaped(each) for each in pieces)}"'
        if verb != "d":
            return self._text(part)
        source = self.source(part)
        # Of what a policy takes apart itself, 3.0 is no whole number to `%d`, and 3 to Envoy.
        if type(source) is not ClaimSource or not all(map(_is_printable, source.path)):
            raise UntoldError(part)
        return self._marked(Numeral(source))

    def _json(self, symbol: Symbol) -> str:
        match symbol:
            case Known(value):
                return str(_MARSHAL(value))
            case ObjectOf(items) if all(isinstance(form, str) for form, _ in items):
                entries = sorted((str(form), item) for form, item in items)
                return "{" + ",".join(f"{_MARSHAL(name)}:{self._json(item)}" for name, item in entries) + "}"
            case ArrayOf(items):
                return "[" + ",".join(map(self._json, items)) + "]"
            case SetOf(items) if (ordered := in_order(items)) is not None:
                return self._json(ArrayOf(ordered))
            case Gathered() | Apply("sort" | "array.concat") if listing := listing_of(symbol, self.source):
                return self._list(listing)
            case Gathered("array", parts, True, True):
                return self._messages(parts, Messages((), ",", "[", "]"))
            case Apply(name, (Gathered("array", parts),)) if name == objects.OBJECT:
                return self._messages(_by_name(parts), Messages((), ",", "{", "}"))
            case Input() | Apply():
                written = self._written_claim(symbol)
                return self._quoted(symbol) if written is None else self._marked(written)
        raise UntoldError(symbol)

    def _written_claim(self, symbol: Symbol) -> Written | None:
        """A claim of which the type is not known, or entries of one, as JSON; None for others."""
        left = objects.left_of(symbol)
        if left is None:
            claim = self._claim(symbol)
            return None if claim is None or claim.path[1:2] in _TEXTS else Written(claim)
        claim = self._claim(left.over[0][0])
        found = None if claim is None else entries_left(left, claim)
        if found is None:
            raise UntoldError(symbol)
        self.told += map(self._surely, found[1])
        return found[0]

    def _claim(self, symbol: Symbol) -> ClaimSource | None:
        """The claim of a verified token that a term is, or all of them."""
        source = self.source(symbol) if isinstance(symbol, Input | Apply) else None
        return whole_claim(source.claims if isinstance(source, Identity) else source)

    def _query(self, items: Sequence[tuple[object, Symbol]]) -> str:
        """The pairs of an object of texts, by their names."""
        pairs = []
        for name, value in sorted(items, key=lambda each: str(each[0])):
            if not isinstance(name, str) or (isinstance(value, Known) and not isinstance(value.value, str)):
                raise UntoldError(value)  # of a list of texts there is a pair for each
            pairs.append(f"{_QUERIED(name)}={self._coded('urlquery.encode', value)}")
        return "&".join(pairs)

    def _coded(self, code: str, symbol: Symbol) -> str:
        """A text that is encoded as a whole."""
        if isinstance(symbol, Known):
            return str(BUILTINS[code].function(symbol.value))
        own = _Making(self.source, self.bounds)
        text = own._text(symbol)
        parts = tuple(own.sources.get(piece, piece) for piece in MARK.split(text) if piece)
        puts = [each for each in parts if not isinstance(each, Messages | Address | Kept | Noted)]
        if len(puts) < len(parts):
            raise UntoldError(symbol)
        self.told.append(Template(text, own.sources, frozenset(own.quoted), told=all_of(own.told)).fillable)
        return self._marked(Coded(tuple(puts), code))

    def _quoted(self, symbol: Symbol) -> str:
        return str(_MARSHAL(self._unescaped(symbol)))  # which leaves marks as they are

    def _unescaped(self, symbol: Symbol) -> str:
        """A text in which nothing that is put in needs to be escaped in JSON."""
        text = self._text(symbol)
        self.quoted.update(mark for mark in self.sources if mark in text)
        return text

    def _messages(self, parts: Sequence[Part], whole: Messages) -> str:
        """Those of which the conditions hold: in JSON where the `whole` has an end."""
        if self.bounds is None or len(parts) > MOST_MESSAGES:
            raise UntoldError
        holding: list[Predicate] = []
        members: list[Message] = []
        for each in parts:
            bounds = self.bounds(each.condition)
            try:
                filled, own = self._message(each, whole)
            except UntoldError:
                filled, own = NO, ()  # where it holds, the engine tells
            if not bounds.exact or filled != YES:
                self.told.append(any_of((negate(bounds.possibly), all_of((bounds.surely, filled)))))
            members.append(Message(self.asked.setdefault(bounds.surely, len(self.asked)), own))
            holding.append(bounds.surely)
        if not whole.end:
            self.told.append(any_of(holding))  # an empty text is the engine's to put in
        return self._marked(replace(whole, members=tuple(members)))

    def _message(self, part: Part, whole: Messages) -> tuple[Predicate, tuple[str | Put, ...]]:
        """The parts of a message, and where those can be put in that the request brings. Raises UntoldError
        where Envoy cannot write it."""
        if part.over:
            raise UntoldError
        own = _Making(self.source)
        match part.item:
            case ArrayOf((Known() as name, value)) if whole.end == "}":
                written = f"{_MARSHAL(places.name_in_json(name.form))}:{own._json(value)}"
            case _ if whole.end:
                written = own._json(part.item)
            case Known(str(text)):
                written = text
            case Input() | Apply():
                written = own._text(part.item)
            case _:
                raise UntoldError
        pieces: list[str | Put] = []
        for piece in filter(None, MARK.split(written)):
            put = own.sources.get(piece, piece)
            if isinstance(put, Messages | Address | Kept | Noted):
                raise UntoldError
            if self.in_header and isinstance(put, str) and not (put.isascii() and put.isprintable()):
                raise UntoldError
            pieces.append(put)
        if not pieces:
            raise UntoldError  # an empty text is the engine's to put in
        filled = Template(written, own.sources, frozenset(own.quoted), told=all_of(own.told)).fillable
        return filled, tuple(pieces)

    def _mark(self, part: Symbol) -> str:
        match part:
            case Apply(code, (text,)) if code in CODES and shaped(text, self.source) is None:
                return self._coded(code, text)
        source = self.source(part)
        made = shaped(part, self.source)
        if made is not None and (not isinstance(made.base, TextSource) or can_be_shown(made.base)):
            return self._marked(made)
        if isinstance(source, TextSource) and not can_be_shown(source):
            raise UntoldError(part)
        if isinstance(source, ClaimSource) and not isinstance(source, FieldSource) and source.text is None:
            # No formatter can spell its name, `custom:tenant` or a URL.
            if not all(map(_is_printable, source.path)):
                raise UntoldError(part)
            return self._marked(Shaped(source, ()))
        match part:
            case Apply(name, (Gathered() as gathered,)) if name == CHOSEN and source is None:
                return self._chosen(part, gathered)
        if not isinstance(source, TextSource | ClaimSource | Address):
            raise UntoldError(part)
        return self._marked(source)

    def _marked(self, source: Brought) -> str:
        known = next((mark for mark, each in self.sources.items() if each == source), None)
        mark = known or mark_of(len(self.sources))
        self.sources[mark] = source
        return mark


def _escaped(text: str) -> str:
    """A constant as `%q` has it, without the quotes around."""
    return str(BUILTINS["sprintf"].function("%q", [text]))[1:-1]


def _by_name(entries: Sequence[Part]) -> list[Part]:
    """The entries in the order of JSON. Raises UntoldError where two keys have one name, `1` and `"1"`."""
    named: dict[str, list[Part]] = {}
    keys: dict[str, Symbol] = {}
    for each in entries:
        match each.item:
            case ArrayOf((Known() as at, _)):
                name = places.name_in_json(at.form)
                named.setdefault(name, []).append(each)
                if keys.setdefault(name, at) != at:
                    raise UntoldError
    return [each for name in sorted(named) for each in named[name]]


def _is_printable(key: object) -> bool:
    return not isinstance(key, str) or (key.isascii() and key.isprintable())
