"""What the filters of a sidecar decide on one request: the native one, and the gate behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from envoy.config.rbac.v3.rbac_pb2 import RBAC as RULES
from envoy.config.rbac.v3.rbac_pb2 import Action
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.http.composite.v3.composite_pb2 import ExecuteFilterAction
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import ExtAuthz
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from xds.core.v3.extension_pb2 import TypedExtensionConfig

from palisade.decide.response import ANSWER
from palisade.explain.sidecar.matchers import action_of
from palisade.explain.sidecar.request import Sight, UnreadError, filters
from palisade.xds import Snapshot

_METADATA, _NAME = "envoy.filters.http.rbac", "enforced_effective_policy_id"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request: whether it passes, unless the engine is asked.

    `name` is the one under which Envoy reports what the native filter did.
    """

    allowed: bool
    asks: bool
    name: str


def decided(snapshot: Snapshot, seen: Sight) -> Verdict:
    """What a sidecar with the snapshot does with a request. Raises UnreadError.

    Envoy denies what no action of a matcher is for. A decision in parts is not read here.
    """
    found = filters(snapshot, RBAC)
    if len(found) != 1:
        raise UnreadError("a sidecar without one filter that decides")
    config = action_of(found[0].matcher, seen)
    if config is None:
        return Verdict(False, False, "")
    action = Action()
    if not config.typed_config.Unpack(action):
        raise UnreadError(f"the action {config.typed_config.type_url}")
    if action.action != RULES.Action.ALLOW:
        return Verdict(False, False, action.name)
    return _behind(snapshot, seen, action.name)


def _behind(snapshot: Snapshot, seen: Sight, name: str) -> Verdict:
    """What becomes of a request that the native filter let pass under a name."""
    metadata = {**seen.metadata, _METADATA: {_NAME: name}}
    for gate in filters(snapshot, ExtensionWithMatcher):
        config = action_of(gate.xds_matcher, replace(seen, metadata=metadata))
        if config is not None:
            return _gated(config, name)
    return Verdict(True, False, name)


def _gated(config: TypedExtensionConfig, name: str) -> Verdict:
    action = ExecuteFilterAction()
    if not config.typed_config.Unpack(action):
        raise UnreadError(f"the action {config.typed_config.type_url}")
    if action.typed_config.typed_config.Is(ExtAuthz.DESCRIPTOR):
        return Verdict(False, True, name)
    if not name.startswith(ANSWER):
        raise UnreadError(f"the filters behind the name {name}")
    return Verdict(name.removeprefix(ANSWER).startswith("allow/"), False, name)
