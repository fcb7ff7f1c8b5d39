"""What the filters of a sidecar decide on one request: the native one, the one that decides once a
body was read, and the gate behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from envoy.config.rbac.v3.rbac_pb2 import RBAC as RULES
from envoy.config.rbac.v3.rbac_pb2 import Action
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.http.composite.v3.composite_pb2 import ExecuteFilterAction
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import ExtAuthz
from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from google.protobuf.any_pb2 import Any as AnyMessage
from xds.core.v3.extension_pb2 import TypedExtensionConfig

from palisade.decide.response import ANSWER
from palisade.enforce.envoy.compile import ASK, BODY, NATIVE, TOLD
from palisade.enforce.envoy.values.sources import BODY_METADATA, FIELDS, JWT_AUTHN
from palisade.explain.sidecar.bodies import laid_down
from palisade.explain.sidecar.matchers import action_of
from palisade.explain.sidecar.request import Sight, UnreadError
from palisade.xds import Snapshot
from palisade.xds.resources import EXTENSION

_METADATA, _NAME = "envoy.filters.http.rbac", "enforced_effective_policy_id"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request: whether it passes, unless the engine is asked.

    `name` is the one under which Envoy reports what the native filter did, or the one behind the reader of
    bodies and headers where that decided.
    """

    allowed: bool
    asks: bool
    name: str


def decided(snapshot: Snapshot, seen: Sight) -> Verdict:
    """What a sidecar with the snapshot does with a request. Raises UnreadError.

    Envoy denies what no action of a matcher is for. A decision in parts is not read here.
    """
    rbac = RBAC()
    if not _slot(snapshot, NATIVE).Unpack(rbac):
        raise UnreadError("a sidecar without one filter that decides")
    action = _action(rbac, seen)
    if action is None or action.action != RULES.Action.ALLOW:
        return Verdict(False, False, "" if action is None else action.name)
    read = _read(snapshot, _named(seen, action.name))
    told = _run(snapshot, TOLD, read)
    if told is not None:
        told.Unpack(rbac)
        action = _action(rbac, read)
        if action is None or action.action != RULES.Action.ALLOW:
            return Verdict(False, False, "" if action is None else action.name)
    return _behind(snapshot, _named(read, action.name), action.name)


def _action(rbac: RBAC, seen: Sight) -> Action | None:
    config = action_of(rbac.matcher, seen)
    action = Action()
    if config is not None and not config.typed_config.Unpack(action):
        raise UnreadError(f"the action {config.typed_config.type_url}")
    return None if config is None else action


def _named(seen: Sight, name: str) -> Sight:
    """The request once Envoy has reported the name of an action for it."""
    return replace(seen, metadata={**seen.metadata, _METADATA: {_NAME: name}})


def _read(snapshot: Snapshot, seen: Sight) -> Sight:
    """The request once its body and what its headers hold were read, where the sidecar reads them."""
    reader = Lua()
    found = _run(snapshot, BODY, seen)
    if found is None or not found.Unpack(reader):
        return seen
    fields = laid_down(reader, seen.headers, seen.metadata.get(JWT_AUTHN, {}), seen.body)
    return (
        seen if fields is None else replace(seen, metadata={**seen.metadata, BODY_METADATA: {FIELDS: fields}})
    )


def _run(snapshot: Snapshot, slot: str, seen: Sight) -> AnyMessage | None:
    """The filter that the composite filter in a slot runs for a request, if it does."""
    gate = ExtensionWithMatcher()
    if not _slot(snapshot, slot).Unpack(gate):
        return None
    config = action_of(gate.xds_matcher, seen)
    action = ExecuteFilterAction()
    if config is None or not config.typed_config.Unpack(action):
        return None
    found: AnyMessage = action.typed_config.typed_config
    return found


def _slot(snapshot: Snapshot, name: str) -> AnyMessage:
    resource: Any = snapshot.resources[EXTENSION][name]
    config: AnyMessage = resource.typed_config
    return config


def _behind(snapshot: Snapshot, seen: Sight, name: str) -> Verdict:
    """What becomes of a request that the native filter let pass under a name."""
    gate = ExtensionWithMatcher()
    if not _slot(snapshot, ASK).Unpack(gate):
        raise UnreadError("a sidecar without a gate to the engine")
    config = action_of(gate.xds_matcher, seen)
    return Verdict(True, False, name) if config is None else _gated(config, name)


def _gated(config: TypedExtensionConfig, name: str) -> Verdict:
    action = ExecuteFilterAction()
    if not config.typed_config.Unpack(action):
        raise UnreadError(f"the action {config.typed_config.type_url}")
    if action.typed_config.typed_config.Is(ExtAuthz.DESCRIPTOR):
        return Verdict(False, True, name)
    if not name.startswith(ANSWER):
        raise UnreadError(f"the filters behind the name {name}")
    return Verdict(name.removeprefix(ANSWER).startswith("allow/"), False, name)
