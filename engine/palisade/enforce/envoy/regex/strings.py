"""Builtins that test a string, as Envoy's string matchers."""

from __future__ import annotations

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.spread import bared, spread
from palisade.rego.builtins.globs import expression_of, pattern_of
from palisade.rego.builtins.regexes import as_re2, compile_pattern
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol


def text_matcher(term: Apply) -> tuple[Symbol, StringMatcher | None] | None:
    """What a test like `startswith(x, "/a")` asks of which term: the term and the matcher of it.

    The matcher is None where no string passes. None for tests that are not of one unknown string against
    constants, or that Envoy has no matcher for.
    """
    match term:
        case Apply("startswith", (subject, Known(str(base)))):
            return subject, _affix("prefix", base)
        case Apply("endswith", (subject, Known(str(base)))):
            return subject, _affix("suffix", base)
        case Apply("contains", (subject, Known(str(base)))):
            return subject, _affix("contains", base)
        case Apply("startswith" | "endswith" | "contains", (subject, Known())):
            return subject, None
        case Apply("regex.match" | "re_match", (Known(str(pattern)), Apply() as made)) if (
            spaced := _spread(pattern, made)
        ) is not None:
            return _regex(bared(made)[0], patterns.search(spaced), spaced)
        case Apply("regex.match" | "re_match", (Known(str(pattern)), Apply("lower", (subject,)))) if (
            other := patterns.unfolded(pattern)
        ) is not None:
            return _regex(subject, patterns.search(other), other)
        case Apply("regex.match" | "re_match", (Known(str(pattern)), subject)):
            return _regex(subject, patterns.search(pattern), pattern)
        case Apply("glob.match", (Known(str(pattern)), Known(delimiters), subject)):
            try:
                translated = pattern_of(pattern, delimiters)
            except BuiltinError as error:
                return None if error.fatal else (subject, None)  # the call is undefined
            return None if translated is None else _regex(subject, translated, translated)
    return None


def _spread(pattern: str, made: Apply) -> str | None:
    """The pattern, as one of the text that another was made of. None where it was made in another way, or has
    its letters made small alone."""
    _, removed, fold = bared(made)
    if not removed and fold != "upper":
        return None
    return spread(pattern, removed, fold) if patterns.groups(pattern) >= 0 else None


def is_for_ascii(term: Apply) -> bool:
    """Whether the matcher that `text_matcher` gives means what the test does for texts of ASCII only, even if
    it reads characters and not bytes: OPA's globs cut characters of several bytes, RE2's `\\B` is between
    any two bytes of them, and a pattern without case takes the long s for an `s`, which `lower` leaves."""
    match term:
        case Apply(
            "regex.match" | "re_match", (Known(str(pattern)), Apply("lower" | "upper" | "replace") as made)
        ):
            return "\\B" in pattern or bool(bared(made)[2])
        case Apply("glob.match", (Known(str(pattern)), Known(delimiters), _)):
            try:
                found = expression_of(pattern, delimiters)
            except BuiltinError:
                return False
            return found is not None and found.in_ascii
        case Apply("regex.match" | "re_match", (Known(str(pattern)), _)):
            return "\\B" in pattern
    return False


def _affix(kind: str, text: str) -> StringMatcher:
    # Envoy's matchers take no empty text, which any string has.
    return StringMatcher(**{kind: text}) if text else patterns.regex("(?s).*")


def _regex(subject: Symbol, whole: str, pattern: str) -> tuple[Symbol, StringMatcher | None] | None:
    if len(whole) > patterns.MAX_PATTERN:
        return None
    try:
        compile_pattern(pattern)
    except BuiltinError as error:
        # The builtin refuses the pattern, and the call is undefined; or RE2 does, and it has no answer.
        return None if error.fatal else (subject, None)
    if as_re2(pattern) != pattern:
        return None
    return (subject, patterns.regex(whole)) if patterns.in_ascii(whole) else None
