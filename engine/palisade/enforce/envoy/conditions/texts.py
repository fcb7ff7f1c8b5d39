"""What policies write in place of a simpler test: parts of texts and of paths, cut out and compared.

`substring(path, 0, 4) == "/api"` is a test of a prefix, `indexof(path, "x") >= 0` one of what a text holds,
`array.slice(input.parsed_path, 0, 2) == ["api", "v1"]` and `concat("/", ...) == "api/v1"` are of segments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import hints
from palisade.enforce.envoy.conditions.calls import IS_KIND
from palisade.enforce.envoy.conditions.identifiers import Identifiers
from palisade.enforce.envoy.conditions.leading import begins
from palisade.enforce.envoy.conditions.orders import MIRRORED
from palisade.enforce.envoy.conditions.views import behind, up_to
from palisade.enforce.envoy.matchers.bounds import ALWAYS, NEVER, Bounds, both, either, exactly, inverse
from palisade.enforce.envoy.matchers.predicate import (
    Predicate,
    all_of,
    any_of,
    negate,
    one_of,
    text_check,
)
from palisade.enforce.envoy.regex import encoded, paths, patterns
from palisade.enforce.envoy.regex.paths import FURTHEST
from palisade.enforce.envoy.values.sources import PATH_TEXT, Path, TextSource
from palisade.rego.partial.formulas.formula import Test
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Gathered,
    Known,
    ObjectOf,
    SetOf,
    Symbol,
    last_of,
)
from palisade.rego.partial.symbols.kinds import is_no_text, is_text
from palisade.rego.partial.symbols.objects import left_of


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A text that stands in a header, encoded, between what two expressions match; or behind `start`
    characters, where a header of fewer stands for the empty text."""

    header: TextSource
    before: str
    behind: str
    start: int = 0

    def check(self, pattern: str) -> Predicate:
        """What stands there matches the pattern."""
        return text_check(self.header.text, patterns.regex(f"{self.before}(?:{pattern}){self.behind}"))

    @property
    def unsure(self) -> Predicate:
        """It may stand for something, but only the engine can tell for what."""
        odd = all_of((self.check(encoded.CANDIDATE), negate(self.check(encoded.anything()))))
        fewer = patterns.regex(f".{{0,{self.start - 1}}}") if self.start else None
        return odd if fewer is None else any_of((odd, text_check(self.header.text, fewer)))


class Texts(Identifiers):
    """Lowers tests of what is cut out of texts and of the path, and of the user of HTTP Basic."""

    def _takes(self, term: Apply) -> Bounds:
        match term:
            case Apply("substring", (_, Known(start), Known(size))) if _is_place(start) and type(size) is int:
                return self._is_text(term.args[0])
            case Apply("indexof", (_, Known(str(part)))) if part:
                return self._is_text(term.args[0])
            case Apply(
                "plus",
                (Apply("indexof", (text, Known(str(part)))), Known(number))
                | (Known(number), Apply("indexof", (text, Known(str(part))))),
            ) if part and type(number) is int:
                return self._is_text(text)
            case Apply("substring", (text, _, _)) if up_to(term) is not None or behind(term) is not None:
                return self._is_text(text)
            case Apply("concat", (Known(str()), whole)) if self._slice(whole) is not None:
                return ALWAYS
            case Apply("base64.decode" | "base64url.decode") if (there := self._encoded(term)) is not None:
                return self._plain(there, encoded.anything())
            case Apply(".", (Apply("split", (whole, Known(str(mark)))), Known(0))) if (
                patterns.is_one(mark) and (there := self._encoded(whole)) is not None
            ):
                return self._plain(there, encoded.anything())
            case Apply(".", (Apply("split", (whole, Known(str(mark)))), Known(1))) if (
                patterns.is_one(mark) and (there := self._encoded(whole)) is not None
            ):
                return self._has_mark(there, mark)
            case Apply(".", (Apply("split", (text, Known(str(mark)))), Known(0))) if mark:
                return self._is_text(text)
            case Apply(".", (Apply("split", (text, Known(str(mark)))) as whole, last)) if (
                mark and last == last_of(whole)
            ):
                return self._is_text(text)
            case Apply("minus", (Apply("count", (whole,)), Known(number))) if type(number) is int:
                if isinstance(whole, Gathered) or isinstance(self._source(whole), Path):
                    return ALWAYS
            case Apply("sprintf", (Known(str(form)), ArrayOf(items))) if _PLAIN_VERBS.fullmatch(form):
                return both(self._is(each) for each in items)
            case Apply(
                ".",
                (
                    Apply(
                        "regex.find_n" | "regex.find_all_string_submatch_n",
                        (Known(str(pattern)), text, Known(int(most))),
                    ),
                    Known(0),
                ),
            ) if most and patterns.groups(pattern) >= 0:
                return self._test(Test(Apply("regex.match", (Known(pattern), text))))
            case Apply(
                "regex.find_n" | "regex.find_all_string_submatch_n", (Known(str(pattern)), text, Known(int()))
            ) if patterns.groups(pattern) >= 0:
                return self._is_text(text)
            case Apply("json.marshal", (value,)):
                return self._is(value)
            case Apply(name, (value,)) if name in IS_KIND:
                return self._is(value)
            case Apply("concat", (Known(str()), ArrayOf(items))):
                return both(map(self._is_text, items))
            case Apply("concat", (Known(str()), Gathered(parts=parts))) if all(
                is_text(part.item) for part in parts
            ):
                return ALWAYS  # of whichever of these texts there are
        if left_of(term) is not None:
            return ALWAYS  # whichever entries there are
        return super()._takes(term)

    def _is(self, term: Symbol) -> Bounds:
        """The value is there."""
        if isinstance(term, Known | Gathered):
            return ALWAYS
        if isinstance(term, ArrayOf | SetOf):
            return both(map(self._is, term.items))
        if isinstance(term, ObjectOf):
            return both(self._is(value) for _, value in term.items)
        if isinstance(term, Apply) and self._source(term) is None:
            return self._takes(term)
        return self._found(self._source(term)) or self._invisible(term)

    def _is_text(self, term: Symbol) -> Bounds:
        """The value is there, and a text."""
        if isinstance(term, Known):
            return ALWAYS if isinstance(term.value, str) else NEVER
        if isinstance(term, Apply) and self._source(term) is None:
            return NEVER if is_no_text(term) else self._takes(term)
        return self._is_string(self._source(term)) or self._invisible(term)

    def _call_is(self, term: Apply, values: Sequence[object]) -> Bounds:
        return self._cut_out(term, values) or self._cut_is(term, values) or super()._call_is(term, values)

    def _cut_is(self, term: Apply, values: Sequence[object]) -> Bounds | None:
        """What is cut out is one of the values; None for what is none of these idioms."""
        texts = [value for value in values if isinstance(value, str)]
        first = up_to(term)
        if first is not None:
            return self._call_is(first, values)
        match term:
            case Apply("substring", (text, Known(start), Known(size))) if (
                _is_place(start) and type(size) is int
            ):
                parts = [self._substring(text, start, size, value) for value in texts]
                return None if None in parts else either(part for part in parts if part)
            case Apply("indexof", (text, Known(str(part)))) if part and len(values) == 1:
                return self._found_at(text, part, values[0])
            case Apply(".", (Apply("split", (whole, Known(str(mark)))), Known(0))) if patterns.is_one(mark):
                return self._user_is(whole, mark, texts)
            case Apply("base64.decode" | "base64url.decode") if (there := self._encoded(term)) is not None:
                return self._text_is(there, texts)
            case Apply("lower" | "upper" as name, (text,)):
                return either(self._folded(name, text, value) for value in texts)
            case Apply("trim_space", (text,)):
                found = [value for value in texts if value == value.strip(_SPACE)]
                return self._plainly(text, patterns.spaced(found)) if found else NEVER
            case Apply("array.slice", _):
                return self._slice_is(term, [value for value in values if isinstance(value, list)])
            case Apply("concat", (Known("/"), whole)) if self._slice(whole) is not None and "" not in texts:
                return self._slice_is(whole, [value.split("/") for value in texts])
        return None

    def _folded(self, name: str, text: Symbol, value: str) -> Bounds:
        if not value.isascii():
            return self._unknown(
                f"compares what {name} makes with letters beyond ASCII", hint=hints.of_builtin(name)
            )
        if (value.lower() if name == "lower" else value.upper()) != value:
            return NEVER
        return self._matches(text, patterns.folded(name, value))

    def _substring(self, text: Symbol, start: int, size: int, value: str) -> Bounds | None:
        whole = 0 <= size < len(value)
        if whole or not value:
            return NEVER if whole else None
        behind = "" if size != len(value) else ".*"
        if start:
            return self._plainly(text, f"(?s).{{{start}}}{patterns.quote(value)}{behind}")
        matcher = StringMatcher(prefix=value) if behind else patterns.regex(patterns.quote(value))
        return self._string_is(text, matcher)

    def _found_at(self, text: Symbol, part: str, place: object) -> Bounds | None:
        if type(place) is not int or not -1 <= place <= FURTHEST:
            return None
        here, further = self._found_from(text, part, place), self._found_from(text, part, place + 1)
        return None if here is None or further is None else both((here, inverse(further)))

    def _found_from(self, text: Symbol, part: str, place: int) -> Bounds | None:
        """The text has the part, and first behind so many characters, or more; at -1 it need not have it."""
        if place < 0:
            return self._is_text(text)
        found = self._string_is(text, StringMatcher(contains=part))
        if found is None or not place:
            return found
        if place == 1:
            earlier = self._string_is(text, StringMatcher(prefix=part))
        else:
            earlier = self._plainly(text, f"(?s).{{0,{place - 1}}}{patterns.quote(part)}.*")
        return None if earlier is None else both((found, inverse(earlier)))

    def _compared(self, term: Apply) -> Bounds:
        left, right = term.args
        name = term.name
        if isinstance(left, Known):
            left, right, name = right, left, MIRRORED[name]
        match left, right:
            case Apply("indexof", (text, Known(str(part)))), Known(place) if (
                part and type(place) is int and -1 <= place <= FURTHEST
            ):
                least = self._found_from(text, part, place + (name in ("gt", "lte")))
                if least is not None:
                    return least if name in ("gt", "gte") else both((self._is_text(text), inverse(least)))
        return super()._compared(term)

    # What is encoded ------------------------------------------------------------------------------------

    def _encoded(self, term: Symbol) -> _Encoded | None:
        """Where the text stands that a term decodes: a header, or what is behind its scheme."""
        match term:
            case Apply("base64.decode" | "base64url.decode", (whole,)):
                before, behind, skipped = "", "", 0
                match whole:
                    case Apply(".", (Apply("split", (text, Known(" "))), Known(1))):
                        whole, before, behind = text, "[^ ]* ", "(?: .*)?"
                    case Apply("substring", (text, Known(start), Known(int(size)))) if (
                        _is_place(start) and size < 0
                    ):
                        whole, before, skipped = text, f".{{{start}}}", start
                    case Apply("trim_prefix", (text, Known(str(scheme)))) if " " in scheme:
                        whole, before = text, f"(?:{patterns.quote(scheme)})?"
                header = self._source(whole)
                if isinstance(header, TextSource) and not header.pseudo:
                    return _Encoded(header, before, behind, skipped)
        return None

    def _plain(self, there: _Encoded, pattern: str) -> Bounds:
        """The text is one whose plain encoding the pattern matches; of other encodings the engine decides."""
        if len(pattern) > patterns.MAX_PATTERN:
            return self._unknown("compares with too many values for one expression", hint=hints.TOO_MANY)
        found = exactly(there.check(pattern))
        return self._unless(found, there.unsure, "Base64 is not padded, or stands for more than plain ASCII")

    def _has_mark(self, there: _Encoded, mark: str) -> Bounds:
        """The text has the character."""
        some = self._plain(there, encoded.anything())
        other = self._plain(there, encoded.anything(encoded.other_than(mark)))
        return both((some, inverse(other)))

    def _user_is(self, whole: Symbol, mark: str, texts: Sequence[str]) -> Bounds | None:
        """What stands before the mark is one of the texts."""
        there = self._encoded(whole)
        if there is None:
            return None
        known = [text for text in texts if text.isascii() and mark not in text]
        ways = [way for each in known for way in (encoded.beginning(each + mark), encoded.equal(each))]
        return self._plain(there, "|".join(ways) if ways else patterns.NOTHING)

    def _text_is(self, there: _Encoded, texts: Sequence[str]) -> Bounds:
        """The text is one of those. Of a user and a password only the user stands in the configuration: that
        the password is right, the engine says."""
        known = [text for text in texts if text.isascii()]
        open_ = [encoded.equal(text) for text in known if ":" not in text]
        users = [encoded.beginning(text.partition(":")[0] + ":") for text in known if ":" in text]
        found = self._plain(there, "|".join(open_) if open_ else patterns.NOTHING)
        if not users:
            return found
        asked = self._unknown("compares a password", hint=hints.KNOWN_USERS)
        named = self._plain(there, "|".join(users))
        return either((found, Bounds(asked.surely, named.possibly)))

    def _string_is(self, term: Symbol, matcher: StringMatcher) -> Bounds | None:
        there = self._encoded(term)
        if (
            there is not None
            and matcher.prefix
            and matcher.prefix.isascii()
            and ":" not in matcher.prefix[:-1]
        ):
            return self._plain(there, encoded.beginning(matcher.prefix))
        if there is not None and patterns.is_one(matcher.contains):
            return self._has_mark(there, matcher.contains)
        match term:
            case Apply("lower" | "upper" as name, (text,)):
                found = self._folded_has(name, text, matcher)
                if found is not None:
                    return found
            case Apply("substring") if (first := up_to(term)) is not None:
                return self._string_is(first, matcher)
        return self._cut_has(term, matcher) or super()._string_is(term, matcher)

    def _folded_has(self, name: str, text: Symbol, matcher: StringMatcher) -> Bounds | None:
        """What `lower` or `upper` makes of a text begins with, ends with or holds a constant."""
        kind = str(matcher.WhichOneof("match_pattern"))
        around = {"prefix": ("", ".*"), "suffix": (".*", ""), "contains": (".*", ".*")}.get(kind)
        constant = getattr(matcher, kind) if around is not None else ""
        if around is None or not constant.isascii():
            return None
        if (constant.lower() if name == "lower" else constant.upper()) != constant:
            return NEVER
        return self._matches(text, f"(?s){around[0]}{patterns.folded(name, constant)}{around[1]}")

    # The path -------------------------------------------------------------------------------------------

    def _count(self, argument: Symbol, relation: str, numbers: Sequence[int]) -> Bounds | None:
        match argument:
            case Apply("split", (whole, Known(str(mark)))) if patterns.is_one(mark) and {*numbers} <= {1, 2}:
                there = self._encoded(whole)
                if there is not None and relation == "_==_":
                    ways = {1: encoded.anything(encoded.other_than(mark)), 2: encoded.once(mark)}
                    return either(self._plain(there, ways[number]) for number in numbers)
        if not isinstance(self._source(argument), Path) or relation == "_==_":
            return super()._count(argument, relation, numbers)
        if any(abs(number) > FURTHEST for number in numbers):
            return None
        least = [number + (relation in ("_>_", "_<=_")) for number in numbers]
        found = [self._has_segments(number) for number in least]
        return either(found if relation in ("_>_", "_>=_") else map(inverse, found))

    def _has_segments(self, count: int) -> Bounds:
        """There are so many segments, or more."""
        return ALWAYS if count <= 1 else self._path(paths.segment_exists(count - 1))

    def _slice(self, term: Symbol) -> tuple[int, int] | None:
        """From where to where a term takes the segments of the path; None where it is something else."""
        if isinstance(self._source(term), Path):
            return 0, FURTHEST
        match term:
            case Apply("array.slice", (whole, Known(int(start)), Known(int(end)))):
                if isinstance(self._source(whole), Path) and start < FURTHEST:
                    return max(start, 0), end
        return None

    def _slice_is(self, term: Symbol, values: Sequence[Sequence[object]]) -> Bounds | None:
        """The segments cut out are one of the lists."""
        cut = self._slice(term)
        if cut is None:
            return None
        parts = [self._segments_are(*cut, value) for value in values]
        return None if None in parts else either(part for part in parts if part)

    def _segments_are(self, start: int, end: int, value: Sequence[object]) -> Bounds | None:
        size, most = len(value), max(end - start, 0)
        texts = [each for each in value if isinstance(each, str) and "/" not in each]
        if size >= FURTHEST:
            return None
        if size > most or len(texts) < size:
            return NEVER
        if not size:
            return inverse(self._has_segments(start + 1)) if most else ALWAYS
        if any("\ufffd" in each for each in texts):
            return None
        if start == 0 and size > 1 and not texts[0]:
            return NEVER  # a path begins with one slash
        if start == 0 and all(each and paths.is_plain(each) for each in texts):
            self.needs_clean_path = True
            whole = exactly(one_of(PATH_TEXT, ["/" + "/".join(texts)]))
            return whole if size < most else begins([texts])
        return self._path(paths.segments_are(start, texts, all_of_them=size < most))


def _is_place(number: object) -> bool:
    return type(number) is int and 0 <= number <= FURTHEST


_SPACE = "\t\n\v\f\r "
_PLAIN_VERBS = re.compile("(?:[^%]|%[+#]?[%sdvqtxXeEfgG])*")
"""Templates of `sprintf` that make a text of whatever values there are."""
