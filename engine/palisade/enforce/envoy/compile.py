"""One revision for one sidecar: the filters that its Envoy gets, and an account of what they decide."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import BufferSettings, ExtAuthz
from envoy.extensions.filters.http.set_filter_state.v3.set_filter_state_pb2 import Config as SetFilterState
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from palisade.decide.body import BODIES, BODY_BYTES
from palisade.enforce.envoy.answers.ends import RESIDUAL
from palisade.enforce.envoy.answers.filters import Answer, gate
from palisade.enforce.envoy.bodies.reader import (
    nothing,
    read_alike,
    reading,
    telling,
    were_read,
)
from palisade.enforce.envoy.cases import RuleCoverage
from palisade.enforce.envoy.decision import Decision
from palisade.enforce.envoy.matchers.bounds import Reason
from palisade.enforce.envoy.matchers.captures import CAPTURES, capturing
from palisade.enforce.envoy.matchers.choices import MAX_LINEAR
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import Predicate, Text, Within, all_of, header_text, one_of
from palisade.enforce.envoy.parts import LAYOUT_STATE, Behind, Parts, Rules, Watched, in_parts
from palisade.enforce.envoy.tokens.identity import authentication, looks_at, settings_of, unseen
from palisade.enforce.envoy.values.sources import ADDRESS_TEXT, JWT_AUTHN, PATH_STATE
from palisade.enforce.envoy.whole import (
    REVISION_STATE,
    SHADOW_STATE,
    Built,
    Place,
    Whole,
    pair_of,
    whole,
)
from palisade.enforce.envoy.work import Work, work_of
from palisade.policy.inventory import Function
from palisade.policy.providers import TokenSource
from palisade.policy.revisions import Revision
from palisade.rego.builtins.encoding import marshal
from palisade.rego.collector import collector_paused
from palisade.rego.partial import Indexes
from palisade.rego.values import Key, Value
from palisade.xds import Snapshot, type_url
from palisade_sidecar.asking import ASK_HEADER

IDENTITY, ATTRIBUTES, NATIVE, BODY, TOLD, ASK = (
    "palisade.identity",
    "palisade.attributes",
    "palisade.native",
    "palisade.body",
    "palisade.told",
    "palisade.residual",
)
"""The filter slots of a sidecar, which the bootstrap names too: docs/decisions/static-listener.md."""

RESIDUAL_CLUSTER = "palisade_residual"

RESIDUAL_SECONDS = 2
"""How long a request waits for the engine's answer before it is denied."""


@dataclass(frozen=True, slots=True)
class Enforcement:
    """What one sidecar gets of a revision."""

    snapshot: Snapshot
    coverage: tuple[RuleCoverage, ...]
    residual: bool
    """Whether any request goes to the engine."""
    body: bool
    """Whether the engine gets the bodies of those requests."""
    doubts: tuple[Reason, ...] = ()
    """The requests that go to the engine before any rule is looked at."""
    work: Work | None = field(default=None, repr=False, compare=False)
    """What compiling the next revision for this sidecar starts from."""
    shadow: Work | None = field(default=None, repr=False, compare=False)
    """What compiling the next shadow starts from."""
    blind: bool = False
    """Whether the shadow reads bodies, and the engine gets none: it cannot evaluate the shadow then."""
    parts: Parts | None = field(default=None, repr=False, compare=False)
    """The decision where it is in parts."""
    settings: str = ""
    """By which settings of providers it takes tokens for verified (`palisade.decide.verified`)."""
    looks_at: tuple[TokenSource, ...] = ()
    """Where these look for tokens."""
    built: tuple[Built | None, Built | None] = field(default=(None, None), repr=False, compare=False)
    """The trees of the rules, and of those where documents were read, as far as they are in no parts."""

    @property
    def asks(self) -> frozenset[Key]:
        """The requests of `http.send` that more is native with the answers of: see `compile_sidecar`."""
        return frozenset().union(*(each.outcome.asks for each in self._works))

    @property
    def for_any_function(self) -> bool:
        """Whether no policy asked which function it decides for: another one's sidecar would get the same,
        where it was given the same before and fails in the same way."""
        return not any(each.outcome.used_given for each in self._works)

    @property
    def _works(self) -> tuple[Work, ...]:
        return tuple(each for each in (self.work, self.shadow) if each is not None)


def compile_sidecar(
    revision: Revision,
    function: Function,
    keys: Mapping[str, str],
    shadow: Revision | None = None,
    *,
    linear: int = MAX_LINEAR,
    previous: Enforcement | None = None,
    divisible: bool = False,
    sent: Mapping[Key, Value] = MappingProxyType({}),
    indexes: Indexes | None = None,
) -> Enforcement:
    """Compiles a revision for the sidecar of a function.

    `keys` holds the JSON Web Key Set of each provider, as text, by the provider's name; one that lacks
    verifies no token. A `shadow` is decided beside it, on the same input, and only reported. `linear` is up
    to how many constants are compared one by one. `previous` is what the sidecar got of the revision before:
    what is as it was there is taken over. Where it is `divisible`, a large decision goes in parts, for
    which the bootstrap has places. `sent` are answers of `http.send` that stand, by their requests. `indexes`
    are those of other functions of the revision. Raises rego.CompileError where the decision's path is none.
    """
    watching: Work | None = None
    indexes = indexes or Indexes()
    with collector_paused():
        providers, settings = revision.providers, settings_of(revision.providers, keys)
        before = previous.work if previous else None
        work = work_of(revision, function, providers, settings, before, sent, indexes)
        if shadow is not None:
            before = previous.shadow if previous else None
            watching = work_of(shadow, function, providers, settings, before, sent, indexes)
        asked = tuple(_asked(revision))
        entries = (*asked, *work.decision.entries)
        others = unseen(providers, keys, settings)
        head = Place(replace(work.decision, entries=entries), watching.decision if watching else None, others)
        told = _where_read(asked, work, watching, others)
        built, built_told = previous.built if previous is not None else (None, None)
        parts = None
        if divisible and not (built is not None and built.undivided and built.is_of(head.all_rules, linear)):
            parts = _parts(head, told, revision, shadow, linear, previous)
        native, texts, watched, built = (
            whole(head, revision, shadow, linear, built, undivided=divisible and shadow is None)
            if parts is None
            else Whole(parts.picking, parts.texts)
        )
        reader, teller = nothing(), nothing()
        if told is not None:
            reader = reading(told.fields, RESIDUAL)
            if parts is None or not parts.told:
                rest, more, too, built_told = whole(told, revision, shadow, linear, built_told)
                teller = telling(told.fields, rest)
                texts, watched = (*texts, *more), (*watched, *too)
    decision = work.decision
    tokens = dict.fromkeys((*decision.tokens, *(watching.decision.tokens if watching else ())))
    body = decision.residual and work.mentions.body
    blind = watching is not None and not body and watching.mentions.body
    filters = {
        IDENTITY: authentication(revision.providers, keys, tuple(tokens), watched=watching is not None),
        ATTRIBUTES: attributes(
            revision.marked, texts, watched, pair_of(revision, shadow), parts.layout.name if parts else ""
        ),
        CAPTURES: capturing((*texts, *watched)),
        NATIVE: native,
        BODY: reader,
        TOLD: teller,
        ASK: gate(_ask(function, body=body), _answers(decision, told.decision if told else None)),
    }
    slots = (_slot(slot, config) for slot, config in filters.items())
    last = previous.snapshot if previous is not None else None
    snapshot = Snapshot.of(_version(revision, keys, shadow, sent), [*_parted(parts, previous), *slots], last)
    shown = told.decision if told else decision
    residual = head.decision.residual
    return Enforcement(
        snapshot,
        shown.coverage,
        residual,
        body,
        shown.doubts,
        work,
        watching,
        blind,
        parts,
        settings,
        looks_at(providers, keys),
        (built, built_told),
    )


def _where_read(asked: Sequence[Entry], work: Work, watching: Work | None, others: Predicate) -> Place | None:
    """What decides where documents were read; None where nothing does.

    Nor does anything beside a shadow for which others would have to be read: no body is waited for because of
    what is only watched. The engine then decides both.
    """
    told = work.told
    if told is None:
        return None
    fields, shadow = told.fields, watching.told if watching is not None else None
    if shadow is not None:
        fields |= shadow.fields
        if not read_alike(fields, told.fields):
            return None
    elif watching is not None and watching.mentions.body:
        return None
    return Place(replace(told, entries=(*asked, *told.entries)), shadow, others, fields)


def _parts(
    head: Place,
    told: Place | None,
    revision: Revision,
    shadow: Revision | None,
    linear: int,
    previous: Enforcement | None,
) -> Parts | None:
    watched = None
    if shadow is not None and head.shadow is not None:
        beside_told = _rules(told.shadow) if told is not None and told.shadow is not None else None
        watched = Watched(shadow.marked, _rules(head.shadow), beside_told)
    before = previous.parts if previous is not None else None
    return in_parts(
        _rules(head.decision),
        revision.id,
        linear=linear,
        told=Behind(_rules(told.decision), were_read(told.fields)) if told is not None else None,
        watched=watched,
        before=before,
        again=previous is not None and before is None,
        others=head.others,
    )


def _parted(parts: Parts | None, previous: Enforcement | None) -> Iterator[Message]:
    """The filters of the parts. One that is as before is not looked at again: they are megabytes."""
    if parts is None:
        return
    before = previous.parts.filters if previous is not None and previous.parts is not None else ()
    same = set(map(id, before))
    for each in parts.filters:
        if previous is not None and id(each) in same:
            yield previous.snapshot.resources[type_url(each)][each.name]
        else:
            yield each


def _rules(decision: Decision) -> Rules:
    texts = tuple(text for each in decision.answers for text in each.texts)
    return Rules(decision.entries, decision.default, texts)


def _answers(*decisions: Decision | None) -> tuple[Answer, ...]:
    found = (answer for each in decisions if each is not None for answer in each.answers)
    return tuple(dict.fromkeys(found))


def _asked(revision: Revision) -> Iterator[Entry]:
    """The requests of trusted callers who ask why: whatever Envoy could decide, the engine tells it.

    The address is the connection's. Others pay for it with one look for a header that they have not.
    """
    trusted = revision.inventory.explain.trusted
    if trusted:
        asks = one_of(header_text(ASK_HEADER), ("true",))
        yield Entry(all_of((asks, Within(ADDRESS_TEXT, frozenset(trusted)))), Verdict.RESIDUAL, RESIDUAL)


def _version(
    revision: Revision, keys: Mapping[str, str], shadow: Revision | None, sent: Mapping[Key, Value]
) -> str:
    """The revision, and a hash of what else a snapshot is made of: its providers' keys, its shadow, how
    lines are numbered in it, and answers of other hosts."""
    numbered = revision.marked != revision.id
    if not keys and shadow is None and not numbered and not sent:
        return revision.id
    parts = (
        sorted(keys.items()),
        *sorted(f"{marshal(request.value)} {marshal(answer)}" for request, answer in sent.items()),
        *([shadow.marked] if shadow else []),
        *([revision.marked] if numbered else []),
    )
    return f"{revision.id}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:6]}"


def _slot(name: str, config: Message) -> TypedExtensionConfig:
    resource = TypedExtensionConfig(name=name)
    resource.typed_config.Pack(config, deterministic=True)
    return resource


def attributes(
    revision: str,
    texts: Iterable[Text] = (),
    watched: Iterable[Text] = (),
    pair: str = "",
    layout: str = "",
) -> SetFilterState:
    """The filter that lays down what the native one reads of the request, and the revision's name.

    `watched` is what a shadow reads, and `pair` names it and the revision. `layout` is the name of that of a
    decision in parts.
    """
    config = SetFilterState()
    # Substitution commands start with a per cent sign; a revision's name has none.
    states = {PATH_STATE: "%PATH(NQ:PATH)%", REVISION_STATE: revision}
    if layout:
        states[LAYOUT_STATE] = layout
    texts, watched = (tuple(each for each in asked if each.state) for asked in (texts, watched))
    states |= {each.state: each.format for each in texts}
    if watched:
        states |= {SHADOW_STATE: pair} | {each.state: each.format for each in watched}
    optional = {each.state for each in (*texts, *watched) if each.laid}
    for key, text in states.items():
        state = config.on_request_headers.add(object_key=key, factory_key="envoy.string")
        state.format_string.text_format_source.inline_string = text
        if key in optional:
            state.format_string.omit_empty_values = state.skip_if_empty = True
    return config


def _ask(function: Function, *, body: bool) -> ExtAuthz:
    """The question to the engine."""
    config = ExtAuthz(
        transport_api_version="V3",
        grpc_service=GrpcService(
            envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=RESIDUAL_CLUSTER),
            timeout=Duration(seconds=RESIDUAL_SECONDS),
        ),
        metadata_context_namespaces=[JWT_AUTHN],
    )
    config.status_on_error.code = function.failure.no_engine
    if body:
        settings = BufferSettings(
            max_request_bytes=BODY_BYTES, allow_partial_message=True, pack_as_bytes=True
        )
        config.with_request_body.CopyFrom(settings)
        # Slots change one after the other, and the engine may decide by another revision than this one's:
        # it is told that what has no body has none.
        config.grpc_service.initial_metadata.add(key=BODIES, value="true")
    return config
