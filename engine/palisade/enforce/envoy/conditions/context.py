"""What lowering works with: where Envoy has the request's values, and why something is left to the engine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from itertools import chain

from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import hints
from palisade.enforce.envoy.bodies.documents import UNMADE, UNREAD_BODY, Document, Field, Made, field_of
from palisade.enforce.envoy.bodies.made import DECODES, FOLDS, is_encoded, made_of, root_of
from palisade.enforce.envoy.matchers.bounds import Bounds, Reason, either, exactly
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    YES,
    Predicate,
    Text,
    all_of,
    any_of,
    negate,
    text_check,
)
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.cuts import is_bare_path
from palisade.enforce.envoy.regex.paths import CLEAN_NAMES, CLEAN_QUERY
from palisade.enforce.envoy.tokens.calls import Tokens, part_of, taken
from palisade.enforce.envoy.tokens.token import Token
from palisade.enforce.envoy.values.claims import claim_defined
from palisade.enforce.envoy.values.sources import (
    BARE_PATH,
    HOST_TEXT,
    PATH_TEXT,
    TARGET_TEXT,
    ClaimSource,
    FieldSource,
    Identity,
    Missing,
    Source,
    TextSource,
)
from palisade.enforce.envoy.values.walks import METADATA, find, of_metadata
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.terms import Apply, Input, Known, Symbol, Unknown, subterms
from palisade.rego.records import record

DIRTY_QUERY = negate(text_check(TARGET_TEXT, patterns.regex(CLEAN_QUERY)))
"""The query has escapes and the like, so that its values are not its text."""
DIRTY_NAMES = negate(text_check(TARGET_TEXT, patterns.regex(CLEAN_NAMES)))
"""A name in the query has escapes and the like, or one of its pairs may be left out."""
ODD_NAMES = "the query has escapes or plus signs in the names of parameters, or semicolons"
DIRTY = "the query has escapes, plus signs or semicolons"
ESCAPED = "the path has escapes"
TOO_DEEP = "is nested too deep"


@record()
class Notes:
    """What is to be said of a formula beside its predicates.

    `reasons` tell why parts of it are left to the engine. The caller must leave to the engine the requests
    of `doubts` and, where a predicate is exact for clean paths only (`clean`, see `paths`), of other paths.
    """

    reasons: frozenset[Reason] = frozenset()
    doubts: tuple[Predicate, ...] = ()
    clean: bool = False

    def and_of(self, other: Notes) -> Notes:
        """What is to be said of both."""
        if other is NOTHING or other is self:
            return self
        if self is NOTHING:
            return other
        doubts = tuple(dict.fromkeys((*self.doubts, *other.doubts)))
        return Notes(self.reasons | other.reasons, doubts, self.clean or other.clean)

    @staticmethod
    def of_all(several: Iterable[Notes]) -> Notes:
        """What is to be said of all of these, in one go: of thousands of parts, added one by one, each would
        be copied thousands of times."""
        different = list({id(each): each for each in several if each is not NOTHING}.values())
        if len(different) < 2:
            return different[0] if different else NOTHING
        doubts = dict.fromkeys(chain.from_iterable(each.doubts for each in different))
        reasons = frozenset().union(*(each.reasons for each in different))
        return Notes(reasons, tuple(doubts), any(each.clean for each in different))


NOTHING = Notes()


@lru_cache(1024)
def _odd(text: Text) -> Predicate:
    """A header has bytes beyond ASCII. What a pattern or a count makes of them differs, and of those that
    are no UTF-8 the engine sees "!" in place of each. Or there is space around it, as HTTP/2 lets it be."""
    return text_check(text, patterns.regex(patterns.ODD_HEADER))


_NO_HOST = negate(text_check(HOST_TEXT, patterns.regex(".+")))
"""The host is empty. Envoy's CheckRequest does not tell that from none: `host` is undefined, and no text."""


@lru_cache(64)
def _unread(root: object) -> Reason:
    """Said of conditions on what the sidecar reads of a document."""
    return _asked_where(root.unread if isinstance(root, Document) else UNREAD_BODY)


@lru_cache(1024)
def _asked_where(when: str) -> Reason:
    return Reason(f"is for the engine where {when}", NOWHERE, hints.of_doubt(when), always=False)


_NO_PATH = negate(text_check(PATH_TEXT, StringMatcher(prefix="/")))
"""There is none, as with CONNECT, where what is laid down says "-"; or it is an asterisk."""


class Context:
    """The state of one policy's lowering. `needs_clean_path` and `doubts` gather notes, as do reasons."""

    def __init__(
        self,
        providers: Sequence[str],
        tokens: Tokens | None = None,
        fields: Collection[Field] = (),
    ) -> None:
        """`fields` are those of the request's documents that were read before."""
        self._fields = fields
        self._tokens = tokens or Tokens()
        self._touched: dict[Token, None] = {}
        self._decoded: Token | None = None
        """The one of several tokens that is taken for what the request brings."""
        self._compares = True
        """Not where a value is compared with constants: see `made.is_compared`."""
        self._everyone = tuple(sorted(providers))
        self._providers = self._everyone
        self._found_before: dict[tuple[tuple[object, ...], tuple[str, ...]], Source | None] = {}
        self._builder = Builder()
        self._reasons: set[Reason] = set()
        self.needs_clean_path = False
        self.doubts: dict[Predicate, None] = {}

    def _take_notes(self) -> Notes:
        """What was noted since the last time."""
        if not (self._reasons or self.doubts or self.needs_clean_path):
            return NOTHING
        found = Notes(frozenset(self._reasons), tuple(self.doubts), self.needs_clean_path)
        self._reasons, self.doubts, self.needs_clean_path = set(), {}, False
        return found

    def _note(self, notes: Notes) -> None:
        if notes is not NOTHING:
            self._reasons |= notes.reasons
            self.doubts.update(dict.fromkeys(notes.doubts))
            self.needs_clean_path = self.needs_clean_path or notes.clean

    def _unknown(self, reason: str, location: Location = NOWHERE, hint: str = "") -> Bounds:
        self._reasons.add(Reason(reason, location, hint))
        return Bounds(NO, YES)

    def _unless(self, bounds: Bounds, unsure: Predicate, when: str) -> Bounds:
        """The same, but for the requests on which it is not known to mean what it should."""
        if unsure == NO:
            return bounds
        self._note_where(when)
        return Bounds(all_of((bounds.surely, negate(unsure))), any_of((bounds.possibly, unsure)))

    def _note_where(self, when: str) -> None:
        """The engine decides such requests."""
        self._reasons.add(_asked_where(when))

    def source(self, term: Symbol) -> Source | None:
        """Where Envoy has what a term is, for answers to be made of; None where it has not, or not in one
        place."""
        return None if is_bare_path(term) else self._source(term)

    def _find(self, path: tuple[object, ...]) -> Source | None:
        if path in (METADATA, METADATA[:-1]):  # both are left out where no token is left there
            return Identity() if self._everyone else Missing()
        if path[: len(METADATA)] == METADATA:
            return of_metadata(path[len(METADATA) :], self._everyone)
        if not all(type(step) is str for step in path):
            return find(path, self._providers)  # where 1 and 1.0 are two keys, though equal
        known = self._found_before.get((path, self._providers), self)
        if isinstance(known, Context):
            known = self._found_before[path, self._providers] = find(path, self._providers)
        return known

    def _source(self, term: Symbol) -> Source | None:
        field = self._field(term)
        if field is not None:
            return field
        if isinstance(term, Input):
            found = self._find(term.path)
            if isinstance(found, TextSource) and not found.pseudo:
                self.doubts[_odd(found.text)] = None
            elif isinstance(found, TextSource) and found.text == HOST_TEXT:
                self.doubts[_NO_HOST] = None
            return found
        if not isinstance(term, Apply):
            return None
        if is_bare_path(term):
            self.doubts[_NO_PATH] = None
            self.doubts[_odd(TARGET_TEXT)] = None
            return BARE_PATH
        if term.name in DECODES | FOLDS and isinstance(self._source(term.args[0]), Missing):
            return Missing()
        match term:
            case Apply(
                ".",
                (Apply("array.slice", (Input(whole), Known(int(start)), Known(int(end)))), Known(int(at))),
            ):
                place = max(start, 0) + at
                there = at >= 0 and place < end
                return find((*whole, place), self._providers) if there else Missing()
        return self._of_token(term)

    def _field(self, term: Symbol) -> FieldSource | None:
        """What a term takes of a document that was read, or a text that was made of another."""
        if not self._fields:
            return None
        made = made_of(term, self._roots)
        path = made[0] if made else field_of(term)
        if path is None or path not in self._fields or (is_encoded(path) and not self._compares):
            return None
        self._reasons.add(_unread(path[0]))
        if isinstance(path[-1], Made) and path[-1].by in DECODES | FOLDS:
            self._reasons.add(_asked_where(UNMADE))
        return FieldSource(path)  # type: ignore[arg-type]  # strings and integers, and the document

    def _roots(self, term: Symbol) -> tuple[Field, ...]:
        return root_of(self._source(term))

    def _note_unread(self, document: Document) -> None:
        self._reasons.add(_unread(document))

    def _read(self, document: Document, keys: Iterable[str]) -> Bounds:
        """One of the keys of a document that was read is true there."""
        self._note_unread(document)
        holds = ValueMatcher(bool_match=True)
        return either(exactly(FieldSource((document, key)).check(holds)) for key in keys)  # type: ignore[arg-type]  # as above

    def _of_token(self, term: Apply) -> Source | None:
        """What a term takes of a token that Envoy verifies."""
        part = part_of(term)
        if part is None:
            return None
        token = self._tokens.of(part.call)
        if token is not None:
            self._touched[token] = None
        elif self._decoded in self._tokens.any_of(part.call):
            token = self._decoded
        if token is None:
            return None
        return taken(part, token)

    def _path(self, pattern: str) -> Bounds:
        """The path matches the pattern, one for clean paths."""
        self.needs_clean_path = True
        return self._target(pattern, path=True)

    def _query(self, pattern: str) -> Bounds:
        """The target matches the pattern, one for clean queries."""
        return self._unless(self._target(pattern, path=False), DIRTY_QUERY, DIRTY)

    def _names(self, pattern: str) -> Bounds:
        """The target matches the pattern, one for clean queries that asks of the names alone."""
        return self._unless(self._target(pattern, path=False), DIRTY_NAMES, ODD_NAMES)

    def _target(self, pattern: str, *, path: bool) -> Bounds:
        if len(pattern) > patterns.MAX_PATTERN:
            return self._unknown(
                "compares with too many values for one expression",
                hint="compare the whole path, or a header or claim, which Envoy looks up",
            )
        text = PATH_TEXT if path else TARGET_TEXT
        return exactly(text_check(text, patterns.regex(pattern)))

    def _present(self, source: TextSource) -> Predicate:
        return YES if source.always else text_check(source.text, patterns.regex("(?s).*"))

    def _identified(self) -> Predicate:
        """A token was verified."""
        return any_of(claim_defined(ClaimSource((each,))) for each in self._providers)

    def _invisible(self, term: Symbol) -> Bounds:
        found = next((each for each in subterms(term) if isinstance(each, Unknown)), None)
        if found is not None:
            return self._unknown(found.reason, found.location, hints.of_unfollowed(found.reason))
        return self._unknown(f"needs {term}, which Envoy does not see", hint=hints.of_invisible(term))
