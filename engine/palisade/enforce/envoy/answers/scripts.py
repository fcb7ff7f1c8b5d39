"""What Envoy's filters cannot say of an answer, said by scripts in its chain: texts joined of a claim's
members, texts made of others, values of the request in dynamic metadata, and what the decision log is to have
of all that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files

from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua

from palisade.decide.response import ANSWER_METADATA, EXT_AUTHZ, FIELD
from palisade.enforce.envoy.regex.origins import Step
from palisade.enforce.envoy.values.joins import Join
from palisade.enforce.envoy.values.lists import Listed
from palisade.enforce.envoy.values.messages import Made, Messages
from palisade.enforce.envoy.values.numerals import Numeral
from palisade.enforce.envoy.values.picks import Asked, Picks
from palisade.enforce.envoy.values.puts import Coded, Put
from palisade.enforce.envoy.values.shaped import Shaped
from palisade.enforce.envoy.values.sources import (
    BODY_METADATA,
    FIELDS,
    JWT_AUTHN,
    ClaimSource,
    FieldSource,
    Parameter,
    Segment,
    TextSource,
    field_name,
)
from palisade.enforce.envoy.values.written import Kept, Written

MADE_METADATA = "palisade.made"
"""Where in Envoy's dynamic metadata joined texts and those made of others are, by their names."""

RBAC_METADATA = "envoy.filters.http.rbac"
"""Where RBAC filters leave what they have found. No client can set metadata."""

HOLDS = "holds"
"""What is noted there of a condition that holds, behind what is `said` of its number."""


def said(condition: int) -> str:
    """What begins the names under which it is noted whether the condition of this number holds."""
    return f"palisade_said_{condition}_"


def noted_fields(names: Iterable[str]) -> Lua:
    """Lays down for the decision log what was read of documents, but for what only bodies of answers have."""
    listed = ", ".join(f'"{name}"' for name in sorted(set(names)))
    return _script(
        _NOTING.format(names=listed, read=BODY_METADATA, fields=FIELDS, noted=ANSWER_METADATA, begin=FIELD)
    )


_NOTING = """function envoy_on_request(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local read = metadata:get("{read}")
  for _, name in ipairs({{{names}}}) do
    if read then
      metadata:set("{noted}", "{begin}" .. name, read["{fields}"][name])
    end
  end
end
"""


def making(made: Iterable[Made], noted: Iterable[str]) -> Lua:
    """Joins the members of claims, and messages, and makes texts of others; those of the names in `noted` are
    for the decision log, too."""
    kept = frozenset(noted)
    each_once = sorted({each.name: each for each in made}.values(), key=lambda each: each.name)
    lines = [_SHAPING] if any(map(_shapes, each_once)) else []
    lines.append(_BEGIN)
    for each in each_once:
        if isinstance(each, Messages):
            lines += _joined(each)
        else:
            lines.append(f"  local text = {_text(each)}")
        lines.append(f'  metadata:set("{MADE_METADATA}", "{each.name}", text)')
        if each.name in kept:
            lines.append(f'  metadata:set("{ANSWER_METADATA}", "{FIELD}{each.name}", text)')
    return _script("\n".join([*lines, "end\n"]))


def _shapes(put: str | Put | Messages) -> bool:
    """Whether it is made by functions of `_SHAPING`."""
    match put:
        case Join():
            return bool(put.picks.asked or put.picks.steps)
        case Messages():
            return any(_shapes(part) for each in put.members for part in each.parts)
    return isinstance(put, Shaped | Coded | Written | Listed)


def setting(values: Mapping[str, object], sources: Mapping[str, Put | Messages | Kept]) -> Lua | None:
    """Lays down, for filters behind, values in which marks stand for what a request brings; what is made of
    that stands in the metadata by then. None where a value has what Lua's tables cannot say."""
    lines = ["function envoy_on_request(handle)", "  local metadata = handle:streamInfo():dynamicMetadata()"]
    lines.append(f'  local tokens = metadata:get("{JWT_AUTHN}")')
    for key, value in values.items():
        written = _table(value, sources)
        if written is None:
            return None
        lines.append(f'  metadata:set("{EXT_AUTHZ}", {_literal(key)}, {written})')
    return _script("\n".join([*lines, "end\n"]))


def _table(value: object, sources: Mapping[str, Put | Messages | Kept]) -> str | None:
    """A value as an expression of Lua; None for null and what is empty, which Lua has in no table or in one
    like another."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(float(value))
    if isinstance(value, str):
        parts = re.split(f"({'|'.join(map(re.escape, sources))})", value)
        return " .. ".join(_put(sources[part]) if part in sources else _literal(part) for part in parts)
    entries: list[str | None] = []
    if isinstance(value, dict):
        entries = [
            None if (written := _table(each, sources)) is None else f"[{_literal(name)}] = {written}"
            for name, each in value.items()
        ]
    elif isinstance(value, list):
        entries = [_table(each, sources) for each in value]
    if not entries or None in entries:
        return None
    return f"{{{', '.join(map(str, entries))}}}"


def _put(source: Put | Messages | Kept) -> str:
    """What is put in for a mark, as a script reaches it behind the one that makes texts."""
    if isinstance(source, Made):
        return f'metadata:get("{MADE_METADATA}")["{source.name}"]'
    return _claim(source.base) if isinstance(source, Kept) else _whole(source)


def _joined(messages: Messages) -> Iterator[str]:
    """Joins the messages of which filters before this one have noted that their conditions hold."""
    yield f'  local noted, found = metadata:get("{RBAC_METADATA}"), {{}}'
    for each in messages.members:
        if not each.parts:
            continue
        text = _one_behind_the_other(each.parts)
        yield f'  if noted["{said(each.condition)}shadow_effective_policy_id"] == "{HOLDS}" then'
        yield f"    found[#found + 1] = {text}"
        yield "  end"
    begin, glue, end = map(_literal, (messages.begin, messages.glue, messages.end))
    yield f"  local text = {begin} .. table.concat(found, {glue}) .. {end}"


def _one_behind_the_other(parts: Iterable[str | Put]) -> str:
    return " .. ".join(_literal(part) if isinstance(part, str) else _text(part) for part in parts)


def _text(put: Put) -> str:
    """What is put into an answer, as the script makes it."""
    match put:
        case Join():
            return f"table.concat({put.way}({_picked(_claim(put.claim), put.picks)}), {_quoted(put.glue)})"
        case Listed():
            lists = [_picked(f"members({_path(each.claim)})", each.picks) for each in put.picked]
            lists += [f"{{{', '.join(map(_literal, put.also))}}}"] if put.also else []
            members = f"{put.way}(all({', '.join(lists)}))"
            return (
                f"listed({members})" if put.glue is None else f"table.concat({members}, {_quoted(put.glue)})"
            )
        case Numeral():
            return f'string.format("%d", {_claim(put.base)} + 0)'
        case Shaped():
            text = _whole(put.base)
            for step in put.steps:
                text = _made(text, step)
            return text
        case Written(base, among, None):
            return f"written({_claim(base)}, handle:streamInfo():filterState():get({_quoted(put.state)}))"
        case Written(base, among, names):
            listed = ", ".join(f"[{_literal(each)}] = true" for each in names or ())
            return f"json({_claim(base)}, {{{listed}}}, {str(among).lower()})"
        case Coded():
            return _CODED[put.code].format(_one_behind_the_other(put.parts))
    return _whole(put)


_CODED = {
    "urlquery.encode": "encode({})",
    "base64.encode": "handle:base64Escape({})",
    "base64url.encode": "of_url(handle:base64Escape({}))",
    "base64url.encode_no_pad": 'trim_right(of_url(handle:base64Escape({})), "=")',
    "hex.encode": "hex({})",
}
"""How a script encodes a text."""


def _picked(members: str, picks: Picks) -> str:
    """The members that are picked, as texts."""
    if not picks.asked and not picks.steps:
        return members
    made = "each"
    for step in picks.steps:
        made = _made(made, step)
    asked = " and ".join((*map(_asked, picks.asked), made))
    return f"picked({members}, function(each) return {asked} end)"


def _asked(asked: Asked) -> str:
    """A condition on a member."""
    name, holds, values = asked
    text, *others = values or ("",)
    constant = _literal(str(text))
    length = len(str(text).encode())
    match name:
        case "startswith":
            found = f"string.sub(each, 1, {length}) == {constant}"
        case "endswith":
            found = f"string.sub(each, {-length}) == {constant}" if length else "true"
        case "contains":
            found = f"string.find(each, {constant}, 1, true) ~= nil"
        case "piece":
            found = f"has_piece(each, {constant}, {others[0]})"
        case _:
            found = f"({{{', '.join(f'[{_literal(str(each))}] = true' for each in values)}}})[each] == true"
    return found if holds else f"not ({found})"


def _whole(base: ClaimSource | TextSource | Segment | Parameter) -> str:
    """What a text is made of, as the script reaches it."""
    match base:
        case FieldSource(path):
            return f'metadata:get("{BODY_METADATA}")["{FIELDS}"]["v{field_name(path)}"]'
        case ClaimSource():
            return _claim(base)
        case TextSource(text) if text.state:
            return f"handle:streamInfo():filterState():get({_quoted(text.state)})"
        case TextSource(text):
            return f"handle:headers():get({_quoted(text.name.removeprefix('header '))})"
        case Parameter(name):
            return f'parameter(handle:headers():get(":path"), {_quoted(name)})'
    return 'string.match(handle:headers():get(":path"), "^[^?]*")'


def _claim(claim: ClaimSource) -> str:
    """A claim, as the script reaches it."""
    return "tokens" + "".join(f"[{key}]" for key in _keys(claim))


def _path(claim: ClaimSource) -> str:
    """The same for a claim that may be missing."""
    return ", ".join(("tokens", *_keys(claim)))


def _keys(claim: ClaimSource) -> Iterator[str]:
    """Lua counts members from one."""
    return (str(key + 1) if isinstance(key, int) else _quoted(str(key)) for key in claim.path)


def _made(text: str, step: Step) -> str:
    name, *others = step
    name = str(name).replace("urlquery.", "")
    return f"{name}({', '.join([text, *(_quoted(x) if isinstance(x, str) else str(x) for x in others)])})"


_SHAPING = files("palisade.enforce.envoy.answers").joinpath("texts.lua").read_text()

_BEGIN = f"""local function in_turn(members)
  return members
end

local function sorted(members)
  local found = {{}}
  for at, each in ipairs(members) do
    found[at] = each
  end
  table.sort(found)
  return found
end

local function once(members)
  local found = {{}}
  for _, each in ipairs(sorted(members)) do
    if each ~= found[#found] then
      found[#found + 1] = each
    end
  end
  return found
end

function envoy_on_request(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local tokens = metadata:get("{JWT_AUTHN}")"""


def _quoted(text: str) -> str:
    """A printable text of ASCII as a literal of Lua."""
    return json.dumps(text)


def _literal(text: str) -> str:
    """Any text as a literal of Lua, byte by byte but for what is plain."""
    plain = frozenset(b" !#$%&'()*+,-./0123456789:;<=>?@[]^_`{|}~") | {*range(65, 91), *range(97, 123)}
    return '"' + "".join(chr(x) if x in plain else f"\\{x:03}" for x in text.encode()) + '"'


def _script(code: str) -> Lua:
    config = Lua()
    config.default_source_code.inline_string = code
    return config
