"""Decisions that say more than allow or deny, as filters that Envoy runs by itself.

The native filter lets such a request pass under a name that tells which answer it gets, and the slot behind
it, which otherwise only asks the engine, holds one chain of filters an answer. What they do is what ext_authz
does with the response that `palisade.decide.response` makes of the same decision, byte for byte: see
docs/decisions/answers-in-the-sidecar.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import quote

from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation as Mutation
from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.rbac.v3.rbac_pb2 import RBAC as RULES
from envoy.config.rbac.v3.rbac_pb2 import Action
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.http.composite.v3.composite_pb2 import Composite, ExecuteFilterAction
from envoy.extensions.filters.http.custom_response.v3.custom_response_pb2 import CustomResponse
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import ExtAuthz
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import HeaderMutation
from envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata_pb2 import (
    Config as HeaderToMetadata,
)
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from envoy.extensions.filters.http.set_metadata.v3.set_metadata_pb2 import Config as SetMetadata
from envoy.extensions.http.custom_response.local_response_policy.v3.local_response_policy_pb2 import (
    LocalResponsePolicy,
)
from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import DynamicMetadataInput
from envoy.extensions.matching.input_matchers.metadata.v3.metadata_pb2 import Metadata
from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from google.protobuf.message import Message
from xds.type.matcher.v3.matcher_pb2 import Matcher

from palisade.decide.decision import INVALID_DECISION, Decision, Headers, from_value
from palisade.decide.response import ANSWER, ANSWER_METADATA, EXT_AUTHZ, FIELD, METADATA, joined
from palisade.enforce.envoy.answers.scripts import (
    HOLDS,
    RBAC_METADATA,
    making,
    noted_fields,
    said,
    setting,
)
from palisade.enforce.envoy.answers.templates import Template, has_mark
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import YES, Predicate, Text, typed
from palisade.enforce.envoy.matchers.tree import build
from palisade.enforce.envoy.values.sources import Address
from palisade.enforce.envoy.values.written import Noted
from palisade.rego.values import Value, key, to_json

DECIDED = "enforced_effective_policy_id"
"""Where the native filter leaves the name under which it decided."""

MAX_ANSWERS, MAX_BYTES = 1_000, 4 << 20
"""So many different answers of one decision, of so many bytes together, Envoy tells apart; further ones are
the engine's to give. Each takes Envoy 10 kB of memory, and all are read anew for a change in one."""

ONE_OF = "is one of"
"""Begins why there is no room for an answer."""

_MOST_IN_TURN = 8
"""Of so many answers one after the other is asked for."""

_MAX_BYTES = 1 << 14
"""What Envoy's configuration takes as the value of one header, and what a body may be here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One value of the decision. `prefix` begins the names under which Envoy reports it."""

    prefix: str
    allowed: bool
    filters: tuple[bytes, ...]
    """Serialized TypedExtensionConfigs, in the order in which a request passes them."""
    texts: tuple[Text, ...] = ()
    """What of these the attributes' filter must lay down."""

    def name(self, rule: str) -> str:
        """The name of the answer where this rule gave it."""
        return f"{self.prefix}{quote(rule, safe='/')}"


class Answers:
    """The answers of one decision, each once. What the decision `before` it answers is not made again."""

    def __init__(self, before: Answers | None = None) -> None:
        self._before: Mapping[object, Answer | str] = before._made if before is not None else {}
        self._made: dict[object, Answer | str] = {}
        self._given: dict[object, Answer] = {}
        self._beyond: dict[object, str] = {}
        self._room = {False: (0, 0), True: (0, 0)}

    @property
    def given(self) -> tuple[Answer, ...]:
        """Those that Envoy gives."""
        return tuple(self._given.values())

    def to(self, template: Template, *, longer: bool = False) -> Answer | str:
        """The answer that a value of the decision is; or why Envoy cannot give it, in words. What another one
        says but for the log is a `longer` one: of these there may be as many again."""
        # Two with the same messages may ask for them under other conditions.
        form = key(template.value), tuple(template.formats.items()), template.asked, template.erased
        known = self._given.get(form) or self._beyond.get(form)
        if known is not None:
            return known
        made = self._made[form] = self._before.get(form) or answer(template)
        found = self._within_room(made, longer) if isinstance(made, Answer) else made
        if isinstance(found, Answer):
            self._given[form] = found
        else:
            self._beyond[form] = found
        return found

    def _within_room(self, made: Answer, longer: bool) -> Answer | str:
        count, taken = self._room[longer]
        if count >= MAX_ANSWERS:
            return f"{ONE_OF} more than {MAX_ANSWERS:,} different ones"
        size = sum(map(len, made.filters))
        if taken + size > MAX_BYTES:
            return f"{ONE_OF} different ones of more than {MAX_BYTES >> 20} MiB together"
        self._room[longer] = count + 1, taken + size
        return made


def answer(template: Template) -> Answer | str:
    """What Envoy does for a value of the decision; or why it cannot, in words."""
    value = template.value
    decision = from_value(value)
    trouble = _beyond(decision) or _too_late(decision, template)
    if trouble:
        return trouble
    shown = _logged(value)
    log: dict[str, object] = {"result": shown}
    if decision.code == INVALID_DECISION:
        log |= {"code": decision.code, "message": decision.reason}
    fields = {mark: name for mark, name in template.fields.items() if has_mark(shown, mark)}
    made = {mark: each.name for mark, each in template.made.items() if has_mark(shown, mark)}
    texts = template.texts | {mark: f"{FIELD}{name}" for mark, name in (fields | made).items()}
    marks = {"claims": template.claims, "callers": template.callers, "texts": texts}
    marks["addresses"] = template.addresses
    marks |= {"values": template.noted, "erased": list(template.erased)}
    log |= {name: each for name, each in marks.items() if each}
    metadata = SetMetadata()
    noted = metadata.metadata.add(metadata_namespace=ANSWER_METADATA)
    noted.value.update(log)
    filled, known = _filled_and_known(decision.dynamic_metadata, template)
    if known:
        given = metadata.metadata.add(metadata_namespace=EXT_AUTHZ, allow_overwrite=True)
        given.value.update(known)
    filters: list[tuple[str, Message]] = [("set_metadata", metadata)]
    asked = [_asked(number, each) for number, each in enumerate(template.asked)]
    filters += [("rbac", config) for config, _ in asked]
    if template.headers:
        filters.append(("header_to_metadata", _noted_headers(template.headers)))
    if fields:
        filters.append(("lua", noted_fields(fields.values())))
    if template.made:
        filters.append(("lua", making(template.made.values(), made.values())))
    if filled:
        scripted = {
            mark: each for mark, each in template.sources.items() if not isinstance(each, Address | Noted)
        }
        if any(has_mark(filled, mark) for mark in template.addresses):
            return "has the address that connects in the metadata, which no script has"
        script = setting(filled, scripted)
        if script is None:
            return "has null or an empty value in the metadata beside what the request brings"
        filters.append(("lua", script))
    if not decision.allowed:
        filters += [("custom_response", _reply(decision, template.formats)), ("rbac", _DENIAL)]
    elif (mutation := _mutation(decision, template.formats)) is not None:
        filters.append(("header_mutation", mutation))
    chain = tuple(_filter(name, config) for name, config in filters)
    # Filters change one after the other: the name holds all of the answer, so that no two can be mixed up.
    mark = hashlib.sha256(b"".join(chain)).hexdigest()[:16]
    prefix = f"{ANSWER}{'allow' if decision.allowed else 'deny'}/{mark}/"
    laid = dict.fromkeys(text for _, own in asked for text in own)
    return Answer(prefix, decision.allowed, chain, tuple(laid))


def _filled_and_known(values: Mapping[str, Any], template: Template) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metadata with what the request brings, and those without."""
    filled = {
        name: value
        for name, value in values.items()
        if any(has_mark(value, mark) for mark in template.sources)
    }
    return filled, {name: value for name, value in values.items() if name not in filled}


def _asked(number: int, condition: Predicate) -> tuple[RBAC, tuple[Text, ...]]:
    """A filter that notes whether a condition holds, and denies nobody; and what it wants laid down."""
    tree = build([Entry(condition, Verdict.ALLOW, HOLDS)], Entry(YES, Verdict.DENY, "holds not"))
    return RBAC(shadow_matcher=tree.matcher, shadow_rules_stat_prefix=said(number)), tree.attributes


def gate(ask: ExtAuthz, answers: Sequence[Answer]) -> ExtensionWithMatcher:
    """The slot behind the native filter: lets pass what a rule let pass, gives the answers, and asks the
    engine, by `ask`, about all else. It costs a request that a rule let pass one look at the name.

    Names of rules have a colon and no others do. Filters change one after the other, so the name may be of
    another revision, or missing: that goes to the engine as well.
    """
    config = ExtensionWithMatcher()
    config.extension_config.name = "palisade.gate"
    config.extension_config.typed_config.Pack(Composite())
    asking = _on_match(ExecuteFilterAction(typed_config=_extension("palisade.ask", ask)))
    otherwise = asking
    if answers:
        known = Matcher(on_no_match=asking)
        apart = {each.prefix: each for each in answers}
        _add_answers(known, [apart[prefix] for prefix in sorted(apart)])
        otherwise = Matcher.OnMatch(matcher=known)
    _add(config.xds_matcher, ValueMatcher(string_match={"contains": ":"}), otherwise, negated=True)
    return config


def _add_answers(matcher: Matcher, answers: Sequence[Answer]) -> None:
    """Takes the requests that get one of the answers, which are in order, and of which no two begin alike:
    where they are many, by what these begin with. Envoy goes on behind a matcher in which nothing matches."""
    if len(answers) <= _MOST_IN_TURN:
        for each in answers:
            action = ExecuteFilterAction()
            for part in each.filters:
                action.filter_chain.typed_config.add().MergeFromString(part)
            _add(matcher, ValueMatcher(string_match={"prefix": each.prefix}), _on_match(action))
        return
    first, last = answers[0].prefix, answers[-1].prefix
    alike = next(at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    for begins, own in groupby(answers, key=lambda each: each.prefix[: alike + 1]):
        on_match = Matcher.OnMatch()
        _add_answers(on_match.matcher, list(own))
        _add(matcher, ValueMatcher(string_match={"prefix": begins}), on_match)


def _beyond(decision: Decision) -> str:
    """What of a decision Envoy has no filter for that does the same as ext_authz; empty if nothing."""
    if decision.query_parameters_to_set or decision.query_parameters_to_remove:
        return "changes query parameters, which Envoy's filters spell otherwise"
    if METADATA in decision.dynamic_metadata:
        return f'sets the dynamic metadata "{METADATA}", which is the engine\'s'
    headers = (*decision.headers, *decision.response_headers_to_add)
    names = (*(name for name, _ in headers), *decision.request_headers_to_remove)
    for name in sorted(each.lower() for each in names):
        if name.startswith(":") or name in _RESERVED:
            return f'changes the header "{name}"'
    if len(decision.body.encode()) > _MAX_BYTES or any(len(v.encode()) > _MAX_BYTES for _, v in headers):
        return f"has a body or a header of more than {_MAX_BYTES} bytes"
    return ""


def _too_late(decision: Decision, template: Template) -> str:
    """Which header cannot be put in, as another filter has changed it by then; empty if none."""
    if not decision.allowed:
        return ""
    value = template.value
    groups = value.get("headers", {})
    for header in template.headers:
        # One header is changed after the other; those that the client gets are written at the end.
        changed = [content for name, content in decision.headers if name.lower() == header]
        if len(changed) == 1 and template.texts.get(changed[0]) == f"header {header}":
            changed = []  # it stays what it is
        others = [
            {name: content for name, content in group.items() if str(name).lower() != header}
            for group in (groups if isinstance(groups, list) else [groups])
        ]
        late = value.get("response_headers_to_add")
        removed = header in map(str.lower, decision.request_headers_to_remove)
        if (changed and (len(changed) > 1 or template.puts(header, [others, late]))) or (
            removed and template.puts(header, late)
        ):
            return f'answers with the header "{header}", and changes it'
    return ""


def _noted_headers(names: Iterable[str]) -> HeaderToMetadata:
    """Lays down for the decision log what the headers say."""
    config = HeaderToMetadata()
    for name in names:
        rule = config.request_rules.add(header=name)
        rule.on_header_present.metadata_namespace = ANSWER_METADATA
        rule.on_header_present.key = f"header {name}"
    return config


_RESERVED = frozenset(("host", "transfer-encoding", "content-length", "connection", "upgrade"))
"""Headers that Envoy's codecs and ext_authz treat in ways of their own."""

_DENIAL = RBAC(rules_stat_prefix="palisade_answer_")
_DENIAL.matcher.on_no_match.action.CopyFrom(
    typed("palisade.action", Action(name="answered", action=RULES.Action.DENY))
)
"""The end of a denial's chain: the answer is put in place of what this filter replies."""


def _reply(decision: Decision, formats: Mapping[str, str]) -> CustomResponse:
    policy = LocalResponsePolicy()
    policy.status_code.value = decision.status
    if any(mark in decision.body for mark in formats):
        policy.body_format.text_format_source.inline_string = _filled(decision.body, formats)
    else:
        policy.body.inline_string = decision.body
    # No header is there yet: what is added stands in the order in which ext_authz would put it.
    add = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
    policy.response_headers_to_add.extend(
        _option(name, value, add, formats) for name, value in decision.headers
    )
    config = CustomResponse()
    config.custom_response_matcher.on_no_match.action.CopyFrom(typed("palisade.reply", policy))
    return config


def _mutation(decision: Decision, formats: Mapping[str, str]) -> HeaderMutation | None:
    config = HeaderMutation()
    add = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
    overwrite = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    mutations = config.mutations
    mutations.request_mutations.extend(_appended(joined(decision.headers), overwrite, formats))
    mutations.request_mutations.extend(Mutation(remove=name) for name in decision.request_headers_to_remove)
    mutations.response_mutations.extend(_appended(decision.response_headers_to_add, add, formats))
    return config if mutations.ByteSize() else None


def _appended(
    headers: Headers, action: HeaderValueOption.HeaderAppendAction, formats: Mapping[str, str]
) -> Iterable[Mutation]:
    return (Mutation(append=_option(name, value, action, formats)) for name, value in headers)


def _option(
    name: str, value: str, action: HeaderValueOption.HeaderAppendAction, formats: Mapping[str, str]
) -> HeaderValueOption:
    option = HeaderValueOption(append_action=action, keep_empty_value=True)
    option.header.key = name
    option.header.value = _filled(value, formats)
    return option


def _filled(text: str, formats: Mapping[str, str]) -> str:
    """The text as Envoy's formatter takes it, to which a per cent sign begins a command."""
    text = text.replace("%", "%%")
    for mark, command in formats.items():
        text = text.replace(mark, command)
    return text


def _logged(value: Value) -> object:
    """The value as the decision log shows it: bodies never stand there."""
    plain = to_json(value)
    return {**plain, "body": ""} if isinstance(plain, dict) and "body" in plain else plain


def _filter(name: str, config: Message) -> bytes:
    serialized: bytes = _extension(f"palisade.answer.{name}", config).SerializeToString(deterministic=True)
    return serialized


def _extension(name: str, config: Message) -> TypedExtensionConfig:
    extension = TypedExtensionConfig(name=name)
    extension.typed_config.Pack(config, deterministic=True)
    return extension


def _on_match(action: ExecuteFilterAction) -> Matcher.OnMatch:
    return Matcher.OnMatch(action=typed("palisade.answer", action))


def _add(matcher: Matcher, decided: ValueMatcher, then: Matcher.OnMatch, *, negated: bool = False) -> None:
    """Takes the requests that the native filter decided under a name which `decided` matches, or all others.

    Metadata are no text to Envoy's maps: a map on them matches nothing, and complains of nothing.
    """
    source = DynamicMetadataInput(filter=RBAC_METADATA)
    source.path.add(key=DECIDED)
    item = matcher.matcher_list.matchers.add()
    single = (item.predicate.not_matcher if negated else item.predicate).single_predicate
    single.input.CopyFrom(typed("palisade.decided", source))
    single.custom_match.CopyFrom(typed("palisade.name", Metadata(value=decided)))
    item.on_match.CopyFrom(then)
