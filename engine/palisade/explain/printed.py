"""What a sidecar gets, as people and programs read it: plain values in protobuf's JSON names, secrets masked.

The shape is that of a DiscoveryResponse, in which the engine sends it.
https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/service/discovery/v3/discovery.proto
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from google.protobuf.json_format import MessageToDict

from palisade.decide.mask import REDACTED, Mask, scrub
from palisade.xds import Snapshot

_TARGET = ":path"


def responses(snapshot: Snapshot) -> Iterable[tuple[str, DiscoveryResponse]]:
    """A response for each resource, by its name: what Envoy reads from a file that holds one resource.

    https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/core/v3/config_source.proto
    """
    for url in sorted(snapshot.type_urls):
        for name, resource in snapshot.packed(url).items():
            yield (
                name,
                DiscoveryResponse(version_info=snapshot.version, type_url=url, resources=[resource.body]),
            )


def response(snapshot: Snapshot) -> DiscoveryResponse:
    """All resources of a sidecar in one response. They are of one type: filters by ECDS."""
    whole = DiscoveryResponse()
    for _, each in responses(snapshot):
        whole.MergeFrom(each)
    return whole


def plain(snapshot: Snapshot, mask: Mask) -> dict[str, Any]:
    """The response as plain values, without what the mask says is secret.

    Secret are constants that are compared with a masked header or query parameter, symmetric keys, and all
    that looks like a token.
    """
    found: dict[str, Any] = MessageToDict(response(snapshot), preserving_proto_field_name=True)
    return _Masking(mask).object(found)


class _Masking:
    def __init__(self, mask: Mask) -> None:
        self._headers = mask.headers
        names = "|".join(map(re.escape, sorted(mask.parameters)))
        self._parameter = re.compile(rf"(?:^|[^a-z0-9_-])(?:{names})(?:\(\?:)?=", re.IGNORECASE)

    def object(self, value: Mapping[str, Any]) -> dict[str, Any]:
        header = self._header(value.get("input"))
        secret = header in self._headers
        found: dict[str, Any] = {}
        for name, item in value.items():
            if name == "inline_string" and isinstance(item, str):
                found[name] = _keys(item)
            elif name in ("exact_match_map", "prefix_match_map") and secret:
                found[name] = {"map": self._renamed(item["map"])}
            elif name in ("value_match", "custom_match") and (secret or header == _TARGET):
                found[name] = self._hidden(item, everything=secret)
            elif name == "cel_expr_parsed" and self._asks_for_secret(item):
                found[name] = self._without_constants(item)
            else:
                found[name] = self.value(item)
        return found

    def value(self, item: Any) -> Any:
        if isinstance(item, dict):
            return self.object(item)
        if isinstance(item, list):
            return [self.value(each) for each in item]
        return scrub(item) if isinstance(item, str) else item

    @staticmethod
    def _header(source: Any) -> str:
        config = source.get("typed_config", {}) if isinstance(source, Mapping) else {}
        return str(config.get("header_name", ""))

    def _renamed(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """A map whose keys are secret: there are so many of them."""
        return {f"{REDACTED} {number}": self.value(item) for number, item in enumerate(table.values(), 1)}

    def _hidden(self, item: Any, *, everything: bool) -> Any:
        """The texts of a matcher, all of them or those that name a secret parameter, replaced."""
        if isinstance(item, dict):
            return {
                name: each if name == "@type" else self._hidden(each, everything=everything)
                for name, each in item.items()
            }
        if isinstance(item, list):
            return [self._hidden(each, everything=everything) for each in item]
        if isinstance(item, str):
            return REDACTED if everything or self._parameter.search(item) else scrub(item)
        return item

    def _asks_for_secret(self, expression: Any) -> bool:
        """Whether an expression reads a masked header, or takes a masked parameter out of the target."""
        return any(
            text.lower() in self._headers or self._parameter.search(text) for text in _constants(expression)
        )

    def _without_constants(self, expression: Any) -> Any:
        if isinstance(expression, dict):
            return {
                name: REDACTED if name == "string_value" else self._without_constants(each)
                for name, each in expression.items()
            }
        if isinstance(expression, list):
            return [self._without_constants(each) for each in expression]
        return expression


def _constants(expression: Any) -> Iterable[str]:
    if isinstance(expression, dict):
        for name, each in expression.items():
            if name == "string_value":
                yield each
            else:
                yield from _constants(each)
    elif isinstance(expression, list):
        for each in expression:
            yield from _constants(each)


def _keys(text: str) -> str:
    """A JSON Web Key Set without the symmetric keys in it; any other text without tokens."""
    try:
        found = json.loads(text)
    except ValueError:
        return scrub(text)
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list) or not all(isinstance(each, dict) for each in keys):
        return scrub(text)
    return json.dumps({**found, "keys": [{**key, "k": REDACTED} if "k" in key else key for key in keys]})
