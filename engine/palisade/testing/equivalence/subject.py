"""What is verified: one policy as it is lowered for the sidecar of one function, with keys that are ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import (
    DirectSourceIPInput,
    SourceIPInput,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from xds.core.v3.extension_pb2 import TypedExtensionConfig

from palisade import rego
from palisade.enforce.envoy import Enforcement, compile_sidecar
from palisade.enforce.envoy.tree import MAX_LINEAR
from palisade.policy.inventory import Address, Function, Inventory
from palisade.policy.providers import Provider
from palisade.policy.revisions import Revision
from palisade.policy.sets import PolicySet
from palisade.testing.equivalence.tokens import Issuer, Issuers, SecretIssuer, secrets_of
from palisade.xds.resources import EXTENSION


@dataclass(frozen=True, eq=False)
class Subject:
    """One policy for one function. `revision` has the issuers' keys in place of those of its providers."""

    name: str
    revision: Revision
    function: Function
    issuers: Mapping[str, Issuer]
    enforcement: Enforcement

    @property
    def rule(self) -> str:
        """The path of the decision, as `data.palisade.identity.allow`."""
        return self.revision.inventory.decision_document

    @property
    def follows_proxy(self) -> bool:
        """Whether requests can come from any address: not where X-Forwarded-For is believed."""
        return self.function.trusted_hops == 0

    @cached_property
    def secrets(self) -> Mapping[str, SecretIssuer]:
        """Who signs the tokens that the policy verifies by secrets of its own."""
        work = self.enforcement.work
        return secrets_of(work.decision.tokens) if work is not None else {}

    @cached_property
    def answers(self) -> bool:
        """Whether the decision may be an object, which says more than allow or deny."""
        return "allowed" in self.revision.policy.plan([self.rule]).strings

    @cached_property
    def evaluate(self) -> Callable[[rego.Value], rego.Value]:
        """The reference evaluator: from an input to the decision's value. Raises rego.EvalError."""
        return self.revision.policy.prepare(self.rule)

    def slot(self, name: str) -> AnyMessage:
        """The configuration of the filter in a slot."""
        resource: Any = self.enforcement.snapshot.resources[EXTENSION][name]
        config: AnyMessage = resource.typed_config
        return config


def subject(
    name: str, revision: Revision, function: Function, issuers: Issuers, *, linear: int = MAX_LINEAR
) -> Subject:
    """The subject that a revision is for a function. Raises rego.CompileError where its decision is none.

    `linear` is up to how many constants are compared one by one: with 0 all are looked up in maps.
    """
    found = issuers.of(revision.providers)
    own = replace(revision, providers=tuple(each.provider for each in found))
    keys = {each.provider.name: each.jwks for each in found}
    enforcement = compile_sidecar(own, function, keys, linear=linear)
    by_name = MappingProxyType({each.provider.name: each for each in found})
    return Subject(name, own, function, by_name, enforcement)


def revision_of(
    policy: rego.Policy,
    decision: str,
    providers: tuple[Provider, ...] = (),
    *,
    function: str = "orders",
) -> Revision:
    """A revision of a policy that comes from no folder: the decision's path has slashes."""
    here = Address("localhost", 9080)
    inventory = Inventory(
        file=Path("policies"),
        policies=Path("policies"),
        functions=MappingProxyType({function: Function(function, here, here)}),
        decision=decision,
    )
    nothing: Mapping[str, str] = MappingProxyType({})
    policy_set = PolicySet(Path("policies"), nothing, nothing, policy.data, "")
    return Revision("verified", inventory, policy_set, policy, providers)


def follow_proxy(message: Message) -> None:
    """Has matchers read the address that the PROXY header names in place of the connection's own.

    So requests can come from any address. The two are the same wherever there is no such header, as in a
    sidecar: https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/advanced/matching/matching_api
    """
    if isinstance(message, TypedExtensionConfig):
        if message.typed_config.Is(DirectSourceIPInput.DESCRIPTOR):
            message.typed_config.Pack(SourceIPInput())
        return
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        if isinstance(value, Message):
            follow_proxy(value)
            continue
        for each in value.values() if hasattr(value, "values") else value:
            if isinstance(each, Message):
                follow_proxy(each)
