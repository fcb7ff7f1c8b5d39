"""Where what a request brings is a text that Envoy can put into an answer: one that a header may hold, or
that stands in JSON as it is."""

from __future__ import annotations

import re
from typing import TypeAlias

from palisade.enforce.envoy.matchers.predicate import NO, YES, Predicate, text_check
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.values.claims import claim_matches
from palisade.enforce.envoy.values.joins import Join
from palisade.enforce.envoy.values.lists import Listed
from palisade.enforce.envoy.values.messages import Messages
from palisade.enforce.envoy.values.numerals import Numeral
from palisade.enforce.envoy.values.puts import Coded, Put
from palisade.enforce.envoy.values.shaped import UNESCAPED, Shaped
from palisade.enforce.envoy.values.sources import PEER, PRINCIPAL, Address, TextSource
from palisade.enforce.envoy.values.written import Kept, Noted, Written

_TEXT = r"[^\x00-\x08\x0a-\x1f\x7f]+"
_NAME = r"[^\x00-\x1f\x7f]+"  # what the decision log shows of who calls has no control character
_PRINTED = r"[!-~](?:[ -~]*[!-~])?"
UNESCAPED_TEXT = r"[ !#-%'-;=?-\[\]-~]+"  # as JSON has them
_PLAIN_GLUE = re.compile(f"(?:{UNESCAPED_TEXT})?")
_SINGLE = r"[!-+\--~](?:[ -+\--~]{0,998}[!-+\--~])?"
"""A header that is there once: Envoy joins several by commas, and its formatter takes the first. Much longer
ones it does not lay down for the log."""
SHOWN = {"header :path": "path", "header :authority": "host", "header :method": "method"}
"""Texts of a request that can be put in, and what a line of the log calls them."""
CALLERS = (PEER, PRINCIPAL)

Brought: TypeAlias = Put | Messages | Address | Kept | Noted


def is_filled(source: Brought) -> Predicate | None:
    """Where it is a text that a header may hold; None where Envoy cannot tell."""
    if isinstance(source, Messages | Coded | Noted):
        return YES  # of the first two `Template.told` says it
    if isinstance(source, Join | Listed | Shaped | Numeral | Written | Kept):
        return source.plain
    if isinstance(source, TextSource):
        if source in CALLERS:
            return matches(source, _NAME)
        return matches(source, _PRINTED if source.text.name in SHOWN else _SINGLE)
    return matches(source, _TEXT)


def matches(source: Brought, pattern: str) -> Predicate | None:
    """Where it is a text that the expression matches, or is surely one; None where Envoy cannot tell."""
    if isinstance(source, Messages | Written | Kept | Noted):
        return NO  # of messages only members of their own are written into JSON, and JSON has quotes itself
    if isinstance(source, Listed):
        return YES if source.glue is not None and source.unescaped else NO
    if isinstance(source, Join):
        put = (source.glue, *(each for step in source.picks.steps for each in step if isinstance(each, str)))
        return YES if all(map(_PLAIN_GLUE.fullmatch, put)) else NO  # its members are plain already
    if isinstance(source, Shaped):
        return source.made_of(UNESCAPED)
    if isinstance(source, Numeral | Coded):
        return YES  # digits and the like, as they are
    matcher = patterns.regex(pattern)
    if isinstance(source, TextSource | Address):
        return text_check(source.text, matcher)
    return claim_matches(source, matcher)
