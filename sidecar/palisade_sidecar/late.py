"""Filters picked, and taken from their slots, when a request gets there, not when it begins.

A request may wait for its body. A composite filter of Envoy 1.40 counts in its configuration whom it has
picked a filter for, and does not keep that: where it is replaced while a request before it waits, Envoy ends
by SIGSEGV. Those here are of the bootstrap and never replaced, and what they make is of the configuration at
that very moment. Parts are picked by such a one too: palisade_sidecar/parts.py says why.
"""

from __future__ import annotations

from typing import Any

from palisade_sidecar.parts import PARTS, RBAC, TYPE, discovery

Json = dict[str, Any]

_COMPOSITE = f"{TYPE}envoy.extensions.filters.http.composite.v3."


def _of_metadata(namespace: str, path: tuple[str, ...], value: Json) -> Json:
    """The predicate that a request's dynamic metadata have there what the value's matcher takes."""
    inputs = f"{TYPE}envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput"
    matchers = f"{TYPE}envoy.extensions.matching.input_matchers.metadata.v3.Metadata"
    source = {"@type": inputs, "filter": namespace, "path": [{"key": key} for key in path]}
    return {
        "single_predicate": {
            "input": {"name": "palisade.metadata", "typed_config": source},
            "custom_match": {"name": "palisade.value", "typed_config": {"@type": matchers, "value": value}},
        }
    }


def _decided(**name: str) -> Json:
    """The native filter decided under such a name."""
    return _of_metadata("envoy.filters.http.rbac", ("enforced_effective_policy_id",), {"string_match": name})


READ = _of_metadata("palisade.body", ("fields",), {"present_match": True})
"""The body was read."""

UNDECIDED: Json = {"not_matcher": _decided(contains=":")}
"""Names of rules have a colon: what such a one let pass needs no look at the slot that asks the engine."""


def late(name: str, when: Json, discovered: Json) -> Json:
    """The filter that takes the slot's configuration for the requests that `when`, a predicate, is for."""
    return _composite(name, {"matcher_list": {"matchers": [_on(when, _taking(name, discovered))]}})


def late_in_parts(name: str, when: Json, discovered: Json, named: str, source: Json) -> Json:
    """The same; of requests that were decided under `named` and a part's number, it takes the filter `NAME.N`
    in place of it. `source` is where filters come from."""
    of_a_part = _by_number(named, name, source)
    whole = {"matcher_list": {"matchers": [of_a_part]}, "on_no_match": _taking(name, discovered)}
    return _composite(name, {"matcher_list": {"matchers": [_on(when, {"matcher": whole})]}})


def part(name: str, named: str, source: Json) -> Json:
    """The filter that takes the filter `NAME.N` for the requests of which the slot `NAME` told the part's
    number: `named`, and the number in two digits. For all others it does nothing."""
    return _composite(f"{name}.part", {"matcher_list": {"matchers": [_by_number(named, name, source)]}})


def _by_number(named: str, name: str, source: Json) -> Json:
    """Of the requests that were decided under `named` and a part's number, each takes the filter of its own:
    found by tens, so that none is compared with all."""
    tens = [
        _on(
            _decided(prefix=f"{named}{ten}"),
            _among(
                _on(_decided(exact=f"{named}{number:02}"), _taking_part(f"{name}.{number}", source))
                for number in range(PARTS)
                if number // 10 == ten
            ),
        )
        for ten in range((PARTS + 9) // 10)
    ]
    return _on(_decided(prefix=named), _among(tens))


def _composite(name: str, matcher: Json) -> Json:
    filter_ = {"name": f"{name}.late", "typed_config": {"@type": f"{_COMPOSITE}Composite"}}
    return {
        "name": name,
        "typed_config": {
            "@type": f"{TYPE}envoy.extensions.common.matching.v3.ExtensionWithMatcher",
            "extension_config": filter_,
            "xds_matcher": matcher,
        },
    }


def _on(predicate: Json, then: Json) -> Json:
    return {"predicate": predicate, "on_match": then}


def _among(matchers: Any) -> Json:
    return {"matcher": {"matcher_list": {"matchers": list(matchers)}}}


def _taking(name: str, discovered: Json) -> Json:
    action = {"@type": f"{_COMPOSITE}ExecuteFilterAction", "dynamic_config": discovered}
    return {"action": {"name": name, "typed_config": action}}


def _taking_part(name: str, source: Json) -> Json:
    """Before it has come, nothing is decided, and the request stays the engine's."""
    found = {"name": name, "config_discovery": discovery(source, [RBAC], {"@type": RBAC})}
    return _taking(name, found)
