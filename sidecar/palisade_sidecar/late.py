"""Filters behind a wait: picked, and taken from the slot, when the request gets there, not when it begins.

A request may wait for its body. A composite filter of Envoy 1.40 counts in its configuration whom it has
picked a filter for, and does not keep that: where it is replaced while a request before it waits, Envoy ends
by SIGSEGV. Those here are of the bootstrap and never replaced, and what they make is of the configuration at
that very moment.
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


def late_in_parts(name: str, when: Json, discovered: Json, source: Json) -> Json:
    """The same; of requests that a part left to the engine, it takes the filter `NAME.N`, N being the part's
    number. `source` is where filters come from."""
    tens = [
        _on(
            _decided(prefix=f"residual/{ten}"),
            _among(
                _on(_decided(exact=f"residual/{number:02}"), _taking_part(f"{name}.{number}", source))
                for number in range(PARTS)
                if number // 10 == ten
            ),
        )
        for ten in range((PARTS + 9) // 10)
    ]
    of_a_part = _on(_decided(prefix="residual/"), _among(tens))
    whole = {"matcher_list": {"matchers": [of_a_part]}, "on_no_match": _taking(name, discovered)}
    return _composite(name, {"matcher_list": {"matchers": [_on(when, {"matcher": whole})]}})


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
