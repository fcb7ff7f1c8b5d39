"""RE2 expressions for what texts are compared with, and texts that are put together.

Envoy matches an expression against the whole text. The patterns here mean the same in Envoy and in `re2`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import re2
from xds.type.matcher.v3.regex_pb2 import RegexMatcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.rego.builtins import BUILTINS
from palisade.rego.builtins.regexes import as_re2, compile_pattern
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Known, SetOf, Symbol

NOTHING = r"[^\s\S]"
"""Matches no text, whether RE2 takes it for bytes, as in most of Envoy, or for characters, as in CEL."""
BEYOND_ASCII = r"(?s).*[^\x00-\x7f].*"
"""Matches texts with any character beyond ASCII."""
ODD_HEADER = r"(?s)[ \t].*|.*[ \t]|.*[^\x00-\x7f].*"
"""Matches headers that the engine reads otherwise than Envoy: beyond ASCII, or with space around."""

SPACE = r"[\t-\r ]*"
"""What `trim_space` takes away, of ASCII."""

MAX_PATTERN = 60_000
"""Longer patterns are left to the engine: RE2 would take megabytes for one."""


def _latin_1() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    return options


_LATIN_1 = _latin_1()


def in_ascii(pattern: str) -> bool:
    """Whether Envoy's matchers take the pattern, and mean by it what RE2 does, for texts in ASCII."""
    try:
        re2.compile(pattern.encode(), _LATIN_1)
    except re2.error:
        return False
    return pattern.isascii()


def groups(pattern: str) -> int:
    """How many groups the pattern has; -1 for one that RE2 does not take, or takes for another than Go."""
    try:
        return int(compile_pattern(pattern).groups) if as_re2(pattern) == pattern else -1
    except BuiltinError:
        return -1


def quote(text: str) -> str:
    """A pattern that is the text itself."""
    return str(re2.escape(text))


def in_class(characters: Iterable[str]) -> str:
    """The characters, as they stand in a class: by their numbers, since some mean more there."""
    return "".join(f"\\x{{{ord(each):x}}}" for each in characters)


def alternatives(texts: Iterable[str]) -> str:
    return "(?:" + "|".join(quote(text) for text in sorted(texts)) + ")"


def piece_is(delimiter: str, index: int, values: Iterable[str]) -> str:
    """Piece `index` of a text split at a one-character delimiter is one of the values."""
    mark = quote(delimiter)
    other = f"[^{mark}]" if len(mark) == 1 or mark.startswith("\\") else mark
    before = f"(?:{other}*{mark}){{{index}}}" if index else ""
    return f"(?s){before}{alternatives(values)}(?:{mark}.*)?"


def pieces_are(delimiter: str, counts: Iterable[int]) -> str:
    """A text split at a one-character delimiter has one of so many pieces."""
    mark = quote(delimiter)
    other = f"[^{mark}]"
    ways = "|".join(f"(?:{mark}{other}*){{{count - 1}}}" for count in sorted(counts))
    return f"(?s){other}*(?:{ways})"


def is_one(text: str) -> bool:
    """Whether it is one character of ASCII, at which texts are split."""
    return len(text) == 1 and text.isascii()


def is_pair(text: str) -> bool:
    """Whether it is two characters that are not alike, nor of addresses: a mark as in `a, b`."""
    return (
        len({*text}) == len(text) == 2
        and text.isascii()
        and not any(each.isalnum() or each in ".:/" for each in text)
    )


def apart(mark: str, without: str = "") -> str:
    """What does not have the two characters of a mark one behind the other, nor any of others, which are told
    as they stand in a class."""
    first, second = map(in_class, mark)
    return f"(?:[^{first}{without}]|{first}+[^{first}{second}{without}])*{first}*"


def spaced(texts: Iterable[str]) -> str:
    """One of the texts, with space of ASCII around it."""
    return f"(?s){SPACE}{alternatives(texts)}{SPACE}"


def search(pattern: str) -> str:
    """Matches where the pattern is found anywhere in the text, as Rego's regex.match does."""
    return pattern.join(_SEARCHED)


def searched(whole: str) -> str:
    """The pattern, with its anchors, that is found just in the texts that a matcher's expression matches."""
    begin, end = _SEARCHED
    if whole.startswith(begin) and whole.endswith(end):
        return whole[len(begin) : -len(end)]
    behind = whole.endswith(_ANYTHING)
    return f"^(?:{whole.removesuffix(_ANYTHING)}){'' if behind else '$'}"


_ANYTHING = "(?s:.*)"
_SEARCHED = (f"{_ANYTHING}(?:", f"){_ANYTHING}")


PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_OF_PLAIN = re.compile(
    r"(?:[A-Za-z0-9_~-]|\\[.dw-]"
    r"|\[-?(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|(?:[A-Za-z0-9._~]|\\[dw.])(?!-[^\]]))*-?\]"
    r"|[*+?()|]|\{[0-9]+(?:,[0-9]*)?\})+"
)


def of_plain(whole: str) -> str | None:
    """The expression of a matcher without its anchors, if it takes none but texts of `PLAIN` characters, one
    at least; None for others."""
    pattern = unanchored(whole)
    if pattern is None or ".*" in pattern:
        return None
    core = pattern.removeprefix("(?:").removesuffix(")")
    if not _OF_PLAIN.fullmatch(core) or "(?" in core.replace("(?:", "("):
        return None
    return None if compile_pattern(pattern).fullmatch(b"") else pattern


def unanchored(whole: str) -> str | None:
    """The expression of a matcher, so that it means the same behind other text; None where that is not known.

    That is so of those that have no anchors, as globs, and of what `search` makes of a pattern whose anchors
    stand at its ends.
    """
    searched = whole.startswith(_SEARCHED[0]) and whole.endswith(_SEARCHED[1])
    if searched:
        pattern = whole[len(_SEARCHED[0]) : -len(_SEARCHED[1])]
    else:  # as this here or `regex` may have made it of one that was searched
        pattern = whole.removeprefix("(?s)").removeprefix(_ANYTHING).removesuffix(_ANYTHING)
    if re.search(r"\\[ABbzQE]|\(\?(?!:|s\))|\[:", pattern):
        return None
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "c", re.sub(r"\\.", "c", pattern))
    first, last = bare.startswith("^"), bare.endswith("$")
    inside = bare[first : len(bare) - last]
    if "^" in inside or "$" in inside or (first and inside.startswith(("*", "+", "?", "{"))):
        return None
    if not searched:
        return None if first or last else whole
    if (first or last) and "|" in re.sub(r"\([^()]*\)", "c", inside):
        return None  # of several ways one alone may be anchored
    core = f"(?:{pattern[first : len(pattern) - last]})"
    return f"{'' if first else _ANYTHING}{core}{'' if last else _ANYTHING}"


def regex(pattern: str) -> StringMatcher:
    """Envoy's matcher for the pattern. Raises ValueError for one that RE2 does not take.

    It reads patterns and texts as Latin-1, byte by byte (tried on Envoy 1.40; expressions of CEL read UTF-8).
    The patterns made here mean the same all the same: their classes are of ASCII or repeated.

    What is searched for at the beginning of a text only is not looked for further on: Envoy would read a path
    of 58 kB to its end for each of hundreds of such expressions.
    """
    begins = pattern.startswith(f"{_SEARCHED[0]}^")
    pattern = (unanchored(pattern) if begins else None) or pattern
    try:
        re2.compile(pattern.encode(), _LATIN_1)
    except re2.error as error:
        raise ValueError(f"RE2 does not take {pattern!r}: {error}") from error
    matcher = RegexMatcher(regex=pattern or "(?:)")  # Envoy takes no empty expression
    matcher.google_re2.SetInParent()
    return StringMatcher(safe_regex=matcher)


def folded(name: str, value: str) -> str:
    """A pattern of the texts that `lower` or `upper` turns into the value, which is ASCII."""
    change = str.lower if name == "lower" else str.upper
    pieces = []
    for char in value:
        plain = sorted(each for each in {char, char.lower(), char.upper()} if change(each) == char)
        sources = [*plain, *_ALSO.get((name, char), "")]
        pieces.append(f"(?:{'|'.join(map(quote, sources))})" if len(sources) > 1 else quote(char))
    return "".join(pieces)


_ALSO = {
    ("lower", "k"): "\u212a",
    ("lower", "i"): "\u0130",
    ("upper", "S"): "\u017f",
    ("upper", "I"): "\u0131",
}
"""Letters outside ASCII that become letters within: the Kelvin sign, the long s, dotted and dotless i."""


_ALIKE = re.compile(
    r"(?:\\[dDwWsSbBAz]|\\[^A-Za-z0-9]"
    r"|\[\^?[\]-]?(?:[a-z]-[a-z]|[0-9]-[0-9]|\\[dDwWsS]|\\[^A-Za-z0-9]|[^\\\[\]A-Z-])*-?\]"
    r"|\(\?[ism]*[:)]|\((?!\?)|[^\\\[(A-Z])*"
)


def unfolded(pattern: str) -> str | None:
    """A pattern that matches a text of ASCII where the given one matches its `lower`; None where there is
    none: where the pattern has capital letters, or classes that may hold them and not the small ones."""
    whole = groups(pattern) >= 0 and _ALIKE.fullmatch(pattern)
    return f"(?i:{pattern})" if whole else None


_VERB = re.compile("%([svdq])")


def parts(made: Symbol) -> list[str | Symbol] | None:
    """The constants and values of the request that a text is put together of; None where it is not.

    `sprintf("/users/%s", [x])`, `concat("/", ["/users", x])` and `$"/users/{x}"` give "/users/", x and "".
    """
    match made:
        case Apply("sprintf", _):
            found = with_verbs(made)
            if found is None or any(verb in ("d", "q") for verb, _ in found):
                return None
            return [part for _, part in found]
        case Apply("concat", (Known(str(glue)), ArrayOf(items))):
            return _interleaved(["", *[glue] * (len(items) - 1), ""], items)
        case Apply("internal.template_string", (ArrayOf(items),)):
            shown = tuple(item.items[0] if isinstance(item, SetOf) else item for item in items)
            return _interleaved([""] * (len(items) + 1), shown)
    return None


def with_verbs(made: Symbol) -> list[tuple[str, str | Symbol]] | None:
    """The same of `sprintf`, each with the verb that writes it, constants with none: `%s` or `%v`, both of
    which make a string itself, `%d` for numbers, or `%q` for a string in quotes. None for other texts and
    verbs.

    `format_int(x, 10)` writes whole numbers as `%d` does, also among what another text is put together of."""
    number = digits_of(made)
    if number is not None:
        return [("", ""), ("d", number), ("", "")]
    match made:
        case Apply("concat", (Known(str(glue)), ArrayOf(items))) if any(map(digits_of, items)):
            joined = _interleaved(["", *[glue] * (len(items) - 1), ""], items)
            return None if joined is None else [_written("", part) for part in joined]
        case Apply("sprintf", (Known(str(form)), ArrayOf(items))) if "\0" not in form:
            chunks = _VERB.split(form.replace("%%", "\0"))
        case _:
            return None
    if len(chunks) != 2 * len(items) + 1 or any("%" in chunk for chunk in chunks[::2]):
        return None
    found: list[tuple[str, str | Symbol]] = [("", chunks[0].replace("\0", "%"))]
    for verb, chunk, item in zip(chunks[1::2], chunks[2::2], items, strict=True):
        if isinstance(item, Known):
            found.append(("", BUILTINS["sprintf"].function(f"%{verb}", [item.value])))
        else:
            found.append(_written(verb, item))
        found.append(("", chunk.replace("\0", "%")))
    return found


def digits_of(term: Symbol) -> Symbol | None:
    """The number whose digits a text is: `format_int(x, 10)`; None for other texts."""
    match term:
        case Apply("format_int", (number, Known(10))) if not isinstance(number, Known):
            return number
    return None


def _written(verb: str, part: str | Symbol) -> tuple[str, str | Symbol]:
    number = None if isinstance(part, str) or verb == "d" else digits_of(part)
    return (verb, part) if number is None else ("d", number)


def _interleaved(chunks: list[str], items: tuple[Symbol, ...]) -> list[str | Symbol] | None:
    parts: list[str | Symbol] = [chunks[0]]
    for chunk, item in zip(chunks[1:], items, strict=True):
        if isinstance(item, Known):
            if not isinstance(item.value, str):
                return None
            parts.append(item.value)
        else:
            parts.append(item)
        parts.append(chunk)
    return parts


def found_in(term: Symbol) -> tuple[str, Symbol, int] | None:
    """The pattern, the text and the group, of what a builtin finds first: `regex.find_n(p, x, 1)[0]` and
    `regex.find_all_string_submatch_n(p, x, 1)[0][2]`."""
    match term:
        case Apply(".", (Apply("regex.find_n", (Known(str(pattern)), text, Known(int(most)))), Known(0))):
            group = 0
        case Apply(
            ".",
            (
                Apply(
                    ".",
                    (
                        Apply(
                            "regex.find_all_string_submatch_n",
                            (Known(str(pattern)), text, Known(int(most))),
                        ),
                        Known(0),
                    ),
                ),
                Known(int(group)),
            ),
        ):
            pass
        case _:
            return None
    if not most or not pattern.isascii() or not 0 <= group <= min(groups(pattern), 9):
        return None
    # RE2 writes all that is found as `\0`, which others take for a character.
    return (pattern, text, group) if group else (f"({pattern})", text, 1)
