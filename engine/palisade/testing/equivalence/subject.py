"""What is verified: one policy as it is lowered for the sidecar of one function, with keys that are ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from envoy.extensions.http.custom_response.local_response_policy.v3.local_response_policy_pb2 import (
    LocalResponsePolicy,
)
from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import (
    DirectSourceIPInput,
    SourceIPInput,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from xds.core.v3.extension_pb2 import TypedExtensionConfig

from palisade import rego
from palisade.enforce.envoy import Enforcement, compile_sidecar
from palisade.enforce.envoy.bodies.documents import documents_in
from palisade.enforce.envoy.matchers.choices import MAX_LINEAR
from palisade.enforce.envoy.matchers.dealing import PARTS
from palisade.enforce.envoy.values.sources import ADDRESS_FORMAT
from palisade.policy.inventory import Address, Function, Inventory, Tls
from palisade.policy.providers import Provider
from palisade.policy.revisions import Revision
from palisade.policy.sets import PolicySet
from palisade.rego.partial.formulas.rewriting import symbols
from palisade.rego.partial.formulas.terms import Input, Unknown, subterms
from palisade.testing.equivalence.callers import PLACES
from palisade.testing.equivalence.substitutes import VERIFYING, OwnKeys
from palisade.testing.equivalence.tokens import DECODED, Issuer, Issuers, KeyIssuer, SecretIssuer, signers_of
from palisade.testing.equivalence.walks import walks
from palisade.xds.resources import EXTENSION


class Recipient(Protocol):
    """To whom requests are drawn."""

    @property
    def issuers(self) -> Mapping[str, Issuer]:
        """Whose tokens are verified for the policy, by the names of providers."""

    @property
    def signers(self) -> Mapping[str, SecretIssuer | KeyIssuer]:
        """Who signs the tokens that the policy takes apart itself."""

    @property
    def sees_callers(self) -> bool:
        """Whether callers show certificates."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One policy for one function. `revision` has the issuers' keys in place of those of its providers."""

    name: str
    revision: Revision
    function: Function
    issuers: Mapping[str, Issuer]
    enforcement: Enforcement
    own: OwnKeys = field(default_factory=OwnKeys)
    """The keys that stand in place of those by which the policy verifies tokens itself."""

    @property
    def rule(self) -> str:
        """The path of the decision, as `data.palisade.identity.allow`."""
        return self.revision.inventory.decision_document

    @property
    def follows_proxy(self) -> bool:
        """Whether requests can come from any address: not where X-Forwarded-For is believed."""
        return self.function.trusted_hops == 0

    @cached_property
    def signers(self) -> Mapping[str, SecretIssuer | KeyIssuer]:
        """Who signs the tokens that the policy verifies itself, or only decodes."""
        work = self.enforcement.work
        if work is None:
            return signers_of((), self.own)
        read = documents_in(work.told.fields) if work.told is not None else ()
        decoded = [each.place for each in read if each.coding == "token" and each.place is not None]
        return signers_of(work.decision.tokens, self.own, decoded)

    @property
    def minting(self) -> str:
        """How tokens are made that the policy verifies itself, in words; empty where it verifies none."""
        secrets = sum(isinstance(each, SecretIssuer) for each in self.signers.values())
        decoded = sum(name.startswith(DECODED) for name in self.signers)
        keys = len(self.own.keys)
        parts = [f"by {_number(secrets - decoded, 'secret')} of the policy's"] if secrets > decoded else []
        parts += [f"by {_number(keys, 'key')} in place of the policy's own"] if keys else []
        builtins = self.revision.policy.plan([self.rule]).builtins
        names = [each for each in builtins if each.startswith(VERIFYING)] if not parts else []
        lacking = f"as no key or secret for {', '.join(names)} stands in the policy"
        if decoded:
            parts.append("for what the policy decodes without verifying it")
            return f"tokens: made {' and '.join(parts)}{f'; not valid ones, {lacking}' if names else ''}"
        if parts:
            return f"tokens: made {' and '.join(parts)}"
        return f"tokens: not made, {lacking}" if names else ""

    @cached_property
    def answers(self) -> bool:
        """Whether the decision may be an object, which says more than allow or deny."""
        return "allowed" in self.revision.policy.plan([self.rule]).strings

    @cached_property
    def asks_callers(self) -> bool:
        """Whether the policy asks who calls, of requests to this very function."""
        work = self.enforcement.work
        if not asks_callers(self.revision) or work is None:
            return False
        cases, error = work.outcome.cases, work.outcome.error
        conditions = (error, *(each.condition for each in cases))
        values = [each.value for each in cases if each.value is not None]
        if any(each.opaque for each in conditions) or any(isinstance(each, Unknown) for each in values):
            return True  # what only the evaluator can tell may hang on it
        asked = chain(values, chain.from_iterable(map(symbols, conditions)))
        inputs = (part for each in asked for part in subterms(each) if isinstance(part, Input))
        return any(part.path[: len(each)] == each for part in inputs for each in PLACES)

    @property
    def parts(self) -> int:
        """In how many filters the decision goes to Envoy."""
        return PARTS if self.enforcement.parts is not None else 1

    @property
    def sees_callers(self) -> bool:
        """Whether callers show certificates: where the function asks for them, and the policy who calls."""
        tls = self.function.tls
        return tls is not None and tls.client_certificate != "none" and self.asks_callers

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
    name: str,
    revision: Revision,
    function: Function,
    issuers: Issuers,
    *,
    linear: int = MAX_LINEAR,
    own: OwnKeys | None = None,
    divisible: bool = True,
) -> Subject:
    """The subject that a revision is for a function. Raises rego.CompileError where its decision is none.

    `own` are the keys that `with_own_keys` put into the revision. `linear` is up to how many constants are
    compared one by one: with 0 all are looked up in maps. Where it is `divisible`, a large decision is in
    parts, as the engine sends it.
    """
    found = issuers.of(revision.providers)
    signed = replace(revision, providers=tuple(each.provider for each in found))
    keys = {each.provider.name: each.jwks for each in found}
    enforcement = compile_sidecar(signed, function, keys, linear=linear, divisible=divisible)
    by_name = MappingProxyType({each.provider.name: each for each in found})
    return Subject(name, signed, function, by_name, enforcement, own or OwnKeys())


def asks_callers(revision: Revision) -> bool:
    """Whether the decision of a revision depends on who calls."""
    places = walks(revision.policy.plan([revision.inventory.decision_document]))
    return any(place[: len(each)] == each for place in places for each in PLACES)


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def revision_of(
    policy: rego.Policy,
    decision: str,
    providers: tuple[Provider, ...] = (),
    *,
    function: str = "orders",
    tls: Tls | None = None,
) -> Revision:
    """A revision of a policy that comes from no folder: the decision's path has slashes."""
    here = Address("localhost", 9080)
    inventory = Inventory(
        file=Path("policies"),
        policies=Path("policies"),
        functions=MappingProxyType({function: Function(function, here, here, tls=tls)}),
        decision=decision,
    )
    nothing: Mapping[str, str] = MappingProxyType({})
    policy_set = PolicySet(Path("policies"), nothing, nothing, policy.data, "")
    return Revision("verified", inventory, policy_set, policy, providers)


_NAMED_BY_PROXY = ADDRESS_FORMAT.replace("_DIRECT", "")


def follow_proxy(message: Message) -> None:
    """Has matchers and answers read the address that the PROXY header names in place of the connection's own.

    So requests can come from any address. The two are the same wherever there is no such header, as in a
    sidecar: https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/advanced/matching/matching_api
    """
    if isinstance(message, TypedExtensionConfig):
        if message.typed_config.Is(DirectSourceIPInput.DESCRIPTOR):
            message.typed_config.Pack(SourceIPInput())
        elif message.typed_config.Unpack(policy := LocalResponsePolicy()):
            follow_proxy(policy)
            message.typed_config.Pack(policy, deterministic=True)
        return
    for descriptor, value in message.ListFields():
        if isinstance(value, str) and ADDRESS_FORMAT in value:
            setattr(message, descriptor.name, value.replace(ADDRESS_FORMAT, _NAMED_BY_PROXY))
        if descriptor.type != descriptor.TYPE_MESSAGE:
            continue
        if isinstance(value, Message):
            follow_proxy(value)
            continue
        for each in value.values() if hasattr(value, "values") else value:
            if isinstance(each, Message):
                follow_proxy(each)
