"""Envoy's generic matchers on one request.

https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/xds/type/matcher/v3/matcher.proto
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, TypeAlias

from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import (
    DestinationPortInput,
    DirectSourceIPInput,
    DynamicMetadataInput,
    FilterStateInput,
)
from envoy.extensions.matching.input_matchers.ip.v3.ip_pb2 import Ip
from envoy.extensions.matching.input_matchers.metadata.v3.metadata_pb2 import Metadata
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from xds.core.v3.extension_pb2 import TypedExtensionConfig
from xds.type.matcher.v3.cel_pb2 import CelMatcher
from xds.type.matcher.v3.http_inputs_pb2 import HttpAttributesCelMatchInput
from xds.type.matcher.v3.matcher_pb2 import Matcher

from palisade.explain.sidecar import cel
from palisade.explain.sidecar.request import Sight, UnreadError
from palisade.explain.sidecar.values import MISSING, takes, takes_text, walk

Predicate: TypeAlias = Matcher.MatcherList.Predicate
Single: TypeAlias = Matcher.MatcherList.Predicate.SinglePredicate

_KINDS: dict[str, Callable[[], Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (
        HttpRequestHeaderMatchInput,
        FilterStateInput,
        DestinationPortInput,
        DirectSourceIPInput,
        DynamicMetadataInput,
        HttpAttributesCelMatchInput,
        Metadata,
        Ip,
        CelMatcher,
    )
}


def action_of(matcher: Matcher, seen: Sight) -> TypedExtensionConfig | None:
    """The action that a request leads to, None where it leads to none. Raises UnreadError."""
    node: Matcher | None = matcher
    while node is not None:
        for on_match in _candidates(node, seen):
            found = _followed(on_match, seen)
            if found is not None:
                return found
        if not node.HasField("on_no_match"):
            return None
        following = node.on_no_match
        if not following.HasField("matcher"):
            return _followed(following, seen)
        node = following.matcher
    return None


def _followed(on_match: Matcher.OnMatch, seen: Sight) -> TypedExtensionConfig | None:
    if on_match.HasField("matcher"):
        return action_of(on_match.matcher, seen)
    return on_match.action if on_match.HasField("action") else None


def _candidates(node: Matcher, seen: Sight) -> Iterator[Matcher.OnMatch]:
    """What the request leads to, in order: Envoy goes on behind one that leads to no action."""
    if node.HasField("matcher_list"):
        yield from (each.on_match for each in node.matcher_list.matchers if holds(each.predicate, seen))
    if not node.HasField("matcher_tree"):
        return
    tree = node.matcher_tree
    text = _text(tree.input, seen)
    if text is None:
        return
    if tree.HasField("exact_match_map"):
        table = tree.exact_match_map.map
        if text in table:
            yield table[text]
    elif tree.HasField("prefix_match_map"):
        table = tree.prefix_match_map.map
        longest = next((text[:end] for end in range(len(text), -1, -1) if text[:end] in table), None)
        if longest is not None:
            yield table[longest]
    else:
        raise UnreadError("a matcher tree that is neither a map of texts nor of prefixes")


def holds(predicate: Predicate, seen: Sight) -> bool:
    """Whether a predicate holds of the request. Raises UnreadError."""
    kind = predicate.WhichOneof("match_type")
    if kind == "single_predicate":
        return _single(predicate.single_predicate, seen)
    if kind == "not_matcher":
        return not holds(predicate.not_matcher, seen)
    if kind == "and_matcher":
        return all(holds(each, seen) for each in predicate.and_matcher.predicate)
    if kind == "or_matcher":
        return any(holds(each, seen) for each in predicate.or_matcher.predicate)
    raise UnreadError("a predicate without a type")


def _single(single: Single, seen: Sight) -> bool:
    if single.HasField("value_match"):
        text = _text(single.input, seen)
        return text is not None and takes_text(single.value_match, text)
    matcher = _read(single.custom_match.typed_config)
    if isinstance(matcher, CelMatcher):
        return cel.holds(matcher.expr_match.cel_expr_parsed.expr, seen)
    if isinstance(matcher, Ip):
        text = _text(single.input, seen)
        return text is not None and _is_within(matcher, text)
    source = _read(single.input.typed_config)
    if isinstance(matcher, Metadata) and isinstance(source, DynamicMetadataInput):
        value = walk(seen.metadata.get(source.filter, MISSING), [each.key for each in source.path])
        return takes(matcher.value, value) is not matcher.invert
    raise UnreadError(f"the matcher {single.custom_match.typed_config.type_url}")


def _text(source: TypedExtensionConfig, seen: Sight) -> str | None:
    """What an input gives; None where there is nothing."""
    message: Any = _read(source.typed_config)
    if isinstance(message, HttpRequestHeaderMatchInput):
        return seen.headers.get(message.header_name)
    if isinstance(message, FilterStateInput):
        return seen.state.get(message.key)
    if isinstance(message, DirectSourceIPInput):
        return seen.address or None
    if isinstance(message, DestinationPortInput):
        return seen.port or None
    raise UnreadError(f"the input {source.typed_config.type_url}")


def _read(packed: AnyMessage) -> Message:
    return _parsed(packed.type_url, packed.value)


@lru_cache(4096)
def _parsed(type_url: str, value: bytes) -> Message:
    kind = _KINDS.get(type_url.rpartition("/")[2])
    if kind is None:
        raise UnreadError(type_url)
    message = kind()
    message.ParseFromString(value)
    return message


def _is_within(matcher: Ip, text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in each for each in _networks(matcher.SerializeToString(deterministic=True)))


@lru_cache(16)
def _networks(matcher: bytes) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    ranges = Ip.FromString(matcher).cidr_ranges
    return [
        ipaddress.ip_network(f"{each.address_prefix}/{each.prefix_len.value}", strict=False)
        for each in ranges
    ]
