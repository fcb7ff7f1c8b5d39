"""Hypothesis strategies for requests that come near to what a policy compares with.

    requests(gather(subject), subject)

Constants of the policy and their near misses stand where the policy looks; a part of the requests aims at the
conditions of a rule (see `aim`), and then some are changed where it may matter.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from palisade.rego.text import dumps
from palisade.testing.equivalence import near
from palisade.testing.equivalence.aim import Aim
from palisade.testing.equivalence.callers import PLACES, Caller, callers
from palisade.testing.equivalence.fitting import ADDRESS, FORM, as_header, fit, is_address, is_sender
from palisade.testing.equivalence.requests import LOOPBACK, Request, Token
from palisade.testing.equivalence.shape import claims_of, sendable
from palisade.testing.equivalence.subject import Recipient
from palisade.testing.equivalence.tokens import EXPIRES, NAMES
from palisade.testing.equivalence.vary import Varying
from palisade.testing.equivalence.vocabulary import Vocabulary
from palisade.testing.equivalence.walks import MEMBER, OWN_CLAIMS, WRITTEN

_PLAIN = "!$&'()*+,;=:@-._~"
"""Characters of a segment that need no escape (RFC 3986, section 3.3)."""

HTTP = ("attributes", "request", "http")
CLAIMS = ("identity", "claims")

_TIMES: tuple[dict[str, int], ...] = (
    {"exp": EXPIRES},
    {"exp": EXPIRES, "nbf": 1},
    {},
    {"exp": 1},
    {"nbf": EXPIRES},
)
_METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "PURGE", "TRACE")
_HEADERS = ("cookie", "content-type", "x-forwarded-for", "authorization", "accept", "x_odd")
_TYPES = (
    *("application/json", "application/json; charset=utf-8", "Application/JSON", "text/plain"),
    *(FORM, "application/jsonx", ""),
)


def requests(vocabulary: Vocabulary, subject: Recipient) -> SearchStrategy[Request]:
    """Requests to a subject. The first alternatives are the plain ones, to which examples shrink."""
    return _Requests(vocabulary, subject).strategy()


def batches(
    vocabulary: Vocabulary, subject: Recipient, *, size: int, variants: int, http2: bool = False
) -> SearchStrategy[list[Request]]:
    """So many requests, each with so many variants of itself behind it; with `http2` over that as well."""
    made = _Requests(vocabulary, subject)
    signers = sorted({*subject.issuers, *subject.signers})
    varying = Varying(made.words, signers, made.sources, made.callers, http2=http2, bodies=vocabulary.body)

    def spread(request: Request, seed: int) -> list[Request]:
        first = varying.protocol(request, seed)
        return list(map(sendable, (first, *varying.variants(first, seed, variants))))

    each = st.builds(spread, made.strategy(), st.integers(0, 1 << 16))
    return st.lists(each, min_size=size, max_size=size).map(
        lambda found: [one for some in found for one in some]
    )


def _choice(items: Iterable[Any], fallback: Any = "a") -> SearchStrategy[Any]:
    found = list({repr(each): each for each in items}.values())
    found = found or [fallback]
    # Not `sampled_from`, which writes out all of its elements whenever Hypothesis names the strategy.
    return st.integers(0, len(found) - 1).map(found.__getitem__)


class _Requests:
    """The strategies for the parts of one subject's requests."""

    def __init__(self, vocabulary: Vocabulary, subject: Recipient) -> None:
        self._vocabulary = vocabulary
        self._subject = subject
        self.words = [each for each in vocabulary.words if len(each) < 400]
        self._near = [variant for word in self.words for variant in near.texts(word)]
        self._texts = st.one_of(
            _choice(self.words), _choice(self.words), _choice([*self._near, *near.ODD_TEXTS])
        )

    @cached_property
    def sources(self) -> list[str]:
        """Addresses to come from; none where the policy does not look at them."""
        known = [each for each in self._strings(*ADDRESS) if is_address(each)]
        edges = [address for network in self._vocabulary.ranges for address in near.addresses(network)]
        read = known or edges or self._vocabulary.below(*ADDRESS[:2])
        return [*filter(is_sender, (*known, *edges)), "::1", "203.0.113.7"] if read else []

    @cached_property
    def callers(self) -> list[Caller]:
        """Who may call; none where nobody shows a certificate."""
        if not self._subject.sees_callers:
            return []
        known = [each for place in PLACES for each in self._strings(*place)]
        named = [each for each in self.words if each.startswith(("spiffe:", "CN="))]
        members = [each for place in PLACES for each in self._strings(*place, MEMBER)]
        return list(dict.fromkeys(callers(dict.fromkeys((*known, *named, *members, *self.words[:5])))))

    def strategy(self) -> SearchStrategy[Request]:
        known = [each for each in self._strings(*HTTP, "method") if each in _METHODS]
        method = st.one_of(_choice(known, "GET"), _choice(known, "GET"), st.sampled_from(_METHODS))
        parts: dict[str, SearchStrategy[Any]] = {
            "method": method,
            "target": st.one_of(
                *(
                    self._constant_target(),
                    self._constant_target(),
                    self._built_target(),
                    self._built_target(),
                ),
                self._odd_target(),
            ),
            "headers": self._headers(),
            "token": self._tokens(),
            "body": self._bodies(),
            "source": self._sources(),
        }
        if self.callers:
            parts["caller"] = st.one_of(st.none(), *[_choice(self.callers)] * 3)
        plain = st.fixed_dictionaries(parts).map(lambda found: Request(**found))
        if self._vocabulary.body:
            forms = [plain.map(_with_form)] if any(map(_is_of_form, self._vocabulary.places)) else []
            plain = st.one_of(plain, *[plain.map(_with_json)] * 3, *forms)
        if not self._vocabulary.aims:
            return plain.map(sendable)
        return st.one_of(plain, self._aimed(plain), self._aimed(plain)).map(sendable)

    def _constants(self, *place: str) -> tuple[Any, ...]:
        return self._vocabulary.places.get(place, ())

    def _strings(self, *place: str) -> list[str]:
        return [each for each in self._constants(*place) if isinstance(each, str)]

    # Targets --------------------------------------------------------------------------------------------

    def _constant_target(self) -> SearchStrategy[str]:
        paths = [each for each in (*self._strings(*HTTP, "path"), *self.words) if each.startswith("/")]
        tails = ("", "", "", "/", "/x", "x", "?x=1", "/..", "//")
        spelled = [each for path in paths for each in near.spelled(path)]
        return st.builds(
            lambda path, tail: path + tail,
            st.one_of(_choice(paths, "/"), _choice(paths, "/"), _choice(paths, "/"), _choice(spelled, "/")),
            st.sampled_from(tails),
        )

    def _built_target(self) -> SearchStrategy[str]:
        words = [*self._strings("parsed_path", MEMBER), *self.words]
        for place in self._vocabulary.below("parsed_path"):
            if place and isinstance(place[0], int):
                words += self._strings("parsed_path", place[0])  # type: ignore[arg-type]
        for whole in self._constants("parsed_path"):
            words += [each for each in whole if isinstance(each, str)] if isinstance(whole, list) else []
        words = list(dict.fromkeys(part for word in words for part in word.split("/") if len(part) < 200))
        spelled = [each for word in words for each in near.spelled(word)]
        odd = (
            "",
            ".",
            "..",
            "1",
            "%2e%2e",
            "%zz",
            "%",
            "%ff",
            "%c3%bc",
            "a+b",
            "~",
            "%7e",
            "*",
            "%0a",
            "%2525",
        )
        written = [quote(word, safe=_PLAIN) for word in words]
        segment = st.one_of(_choice(written), _choice(written), _choice(written), _choice([*spelled, *odd]))
        segments = st.lists(segment, max_size=4)
        return st.builds(lambda found, query: "/" + "/".join(found) + query, segments, self._queries())

    def _odd_target(self) -> SearchStrategy[str]:
        texts = [
            quote(each, safe=_PLAIN + "/?&=%")
            for each in (*self.words, *self._near, *near.ODD_TEXTS)
            if "\0" not in each
        ]
        refused = [each for word in self.words[:5] for each in near.refused(f"/{word}")]
        found = _choice(texts).map(lambda text: text if text.startswith("/") else f"/{text}")
        return st.one_of(found, found, found, _choice([*refused, "*", "http://localhost/a"]))

    def _queries(self) -> SearchStrategy[str]:
        places = self._vocabulary.below("parsed_query")
        names = list(dict.fromkeys(str(place[0]) for place in places if place))
        if () in places:  # all parameters are asked about
            names += [*self.words[:6], "a", "b"]
        values = [
            str(value)
            for found in places.values()
            for each in found
            for value in (each if isinstance(each, list) else [each])
        ]
        value = st.one_of(_choice([*values, *self.words]), _choice(near.ODD_TEXTS))
        name = _choice(
            [*names, *(variant for each in names for variant in (each.upper(), each + "x", each[:-1]))]
        )
        forms = ("{}={}", "{}={}", "{}={}", "{}", "{}=", "{}={}%zz", "{}=%61{}", "{}={};b=1", "{}=a+{}")
        escaped = st.builds(
            lambda text, bare: quote(text, safe=_PLAIN + "/?%" + bare), value, st.sampled_from(("", '<>"|'))
        )
        pair = st.builds(
            lambda form, key, text: form.format(quote(key, safe=_PLAIN + "/?%<"), text),
            st.sampled_from(forms),
            name,
            escaped,
        )
        pairs = st.lists(pair, min_size=1, max_size=3).map(lambda found: "?" + "&".join(found))
        odd = st.sampled_from(("", "?", "??", "?&&", "?a=/b", "?%zz", "#a"))
        if not names:
            return st.one_of(st.just(""), st.just(""), odd)
        return st.one_of(st.just(""), pairs, pairs, odd)

    # Headers --------------------------------------------------------------------------------------------

    def _headers(self) -> SearchStrategy[tuple[tuple[str, str], ...]]:
        read = self._vocabulary.below(*HTTP, "headers")
        names = [str(place[0]) for place in read if place and not str(place[0]).startswith(":")]
        words = [each for each in self.words if each.isascii() and each.replace("-", "").isalnum()]
        common: list[SearchStrategy[tuple[str, str]]] = []
        for name in dict.fromkeys(names):
            constants = [str(each) for each in read.get((name,), ()) if isinstance(each, str)]
            close = [variant for each in constants for variant in near.texts(each)]
            value = st.one_of(_choice([*constants, *self.words]), _choice([*close, ""]), self._texts)
            spelling = st.sampled_from((name, name, name, name.upper(), name.replace("-", "_")))
            common.append(st.tuples(spelling, value))
        written = list(self._written())
        common += [*written, *written]
        host = self._strings(*HTTP, "host") or ["localhost"]
        hosts = [
            *host,
            *(f(each) for each in host for f in (str.upper, "{}:80".format, "{}.".format, "x{}".format)),
        ]
        rare = st.one_of(
            st.tuples(st.just("host"), st.one_of(_choice(host), _choice([*hosts, "", "a,b", "[::1]:80"]))),
            st.tuples(_choice([*_HEADERS, *words[:10]]), self._texts),
            st.tuples(_choice([*names, "x-odd"]), st.sampled_from(("\udcff", "a\udcc3", "\udce2\udc82"))),
        )
        if common:
            known = st.one_of(common)
            each = st.one_of(known, known, known, rare)
        else:
            each = rare
        # Most requests have few of them, and some one of them twice.
        return st.lists(each, max_size=3 if common else 1).map(tuple)

    def _written(self) -> Iterator[SearchStrategy[tuple[str, str]]]:
        """Headers that hold JSON, in the codings that the policy reads."""
        read = {place[:3] for place in self._vocabulary.below(WRITTEN) if len(place) > 3}
        for header, prefix, coding in sorted(read):
            document = claims_of(self._vocabulary.below(WRITTEN, header, prefix, coding), self.words)
            yield document.map(partial(as_header, prefix=prefix, coding=coding)).map(partial(_named, header))

    # Tokens ---------------------------------------------------------------------------------------------

    def _tokens(self) -> SearchStrategy[Token | None]:
        found: list[SearchStrategy[Token | None]] = [st.none()]
        issuers = sorted(self._subject.issuers)
        if issuers:
            found += self._tokens_of(issuers, claims_of(self._vocabulary.below(*CLAIMS), self.words))
        signers = sorted(self._subject.signers)
        if signers:
            claims = claims_of(self._vocabulary.below(OWN_CLAIMS), self.words)
            timed = st.builds(lambda made, extra: {**extra, **made}, claims, st.sampled_from(_TIMES))
            found += self._tokens_of(signers, timed)
            found.append(st.builds(Token, st.sampled_from(signers), timed, named=st.sampled_from(NAMES)))
        return st.one_of(found)

    @staticmethod
    def _tokens_of(names: Sequence[str], claims: SearchStrategy[Any]) -> list[SearchStrategy[Token | None]]:
        """Four that are valid for one that may not be."""
        provider = st.sampled_from(names)
        valid: SearchStrategy[Token | None] = st.builds(Token, provider, claims)
        broken: SearchStrategy[Token | None] = st.builds(
            Token, provider, claims, st.booleans(), st.booleans()
        )
        return [valid, valid, valid, valid, broken]

    # Bodies and addresses -------------------------------------------------------------------------------

    def _bodies(self) -> SearchStrategy[str]:
        if not self._vocabulary.body:
            return st.just("")
        document = claims_of(self._vocabulary.below("parsed_body"), self.words)
        raw = self._strings(*HTTP, "body")
        odd = ("", "{", "null", "[]", "a=1&b=2", '{"a": 1, "a": 2}', "\udcff", '"\\ud800"', "1e400", " {} ")
        return st.one_of(document.map(dumps), document.map(dumps), _choice([*raw, *odd]))

    def _sources(self) -> SearchStrategy[str]:
        return (
            st.one_of(st.just(LOOPBACK), _choice(self.sources, LOOPBACK))
            if self.sources
            else st.just(LOOPBACK)
        )

    # Aims -----------------------------------------------------------------------------------------------

    def _aimed(self, plain: SearchStrategy[Request]) -> SearchStrategy[Request]:
        aims = st.sampled_from(self._vocabulary.aims)
        words = self.words[:20] or ["a"]

        @st.composite
        def aimed(draw: st.DrawFn) -> Request:
            request = draw(plain)
            formula = draw(aims)
            # Large conditions take thousands of choices: Hypothesis gives each up that takes so many draws.
            chance = random.Random(draw(st.binary(min_size=8, max_size=8)))  # noqa: S311
            aim = Aim(
                chance.choice,
                words,
                lambda text: draw(_like(text)),
                self._vocabulary.places,
            )
            aim.at(formula, holds=draw(st.booleans()))
            return fit(request, aim.parts, self._subject)

        return aimed()


def _named(name: str, value: str) -> tuple[str, str]:
    return name, value


def _with_json(request: Request) -> Request:
    """The request, which says that its body is JSON."""
    return _saying(request, "application/json")


def _with_form(request: Request) -> Request:
    """The request, which says that its body is a form."""
    return _saying(request, FORM)


def _is_of_form(place: Sequence[object]) -> bool:
    """Whether it may be the value of a form's field: a member of an array that an object has."""
    match place:
        case ("parsed_body", str(), int() | ("*", _)):
            return True
    return False


def _saying(request: Request, kind: str) -> Request:
    others = tuple(each for each in request.headers if each[0].lower() != "content-type")
    return replace(request, headers=(*others, ("content-type", kind)))


@lru_cache(256)
def _like(pattern: str) -> SearchStrategy[str]:
    """Texts in which an expression of RE2 is found, as far as Python reads it alike."""
    try:
        return st.from_regex(re.compile(pattern, re.ASCII))
    except re.error:
        return st.just(pattern)
