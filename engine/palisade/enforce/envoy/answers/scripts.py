"""What Envoy's filters cannot say of an answer, said by scripts in its chain: texts joined of a claim's
members, values of the request in dynamic metadata, and what the decision log is to have of all that."""

from __future__ import annotations

import json
from collections.abc import Iterable

from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua

from palisade.decide.response import ANSWER_METADATA, FIELD
from palisade.enforce.envoy.values.joins import Join
from palisade.enforce.envoy.values.sources import BODY_METADATA, FIELDS, JWT_AUTHN

MADE_METADATA = "palisade.made"
"""Where in Envoy's dynamic metadata joined texts are, by their names."""


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


def joining(joins: Iterable[Join], noted: Iterable[str]) -> Lua:
    """Joins the members of claims; those of the names in `noted` are for the decision log, too."""
    kept = frozenset(noted)
    lines = [_BEGIN]
    for join in sorted({each.name: each for each in joins}.values(), key=lambda each: each.name):
        keys = "".join(f"[{_quoted(str(key))}]" for key in join.claim.path)
        lines.append(f"  local text = table.concat({join.way}(tokens{keys}), {_quoted(join.glue)})")
        lines.append(f'  metadata:set("{MADE_METADATA}", "{join.name}", text)')
        if join.name in kept:
            lines.append(f'  metadata:set("{ANSWER_METADATA}", "{FIELD}{join.name}", text)')
    return _script("\n".join([*lines, "end\n"]))


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


def _script(code: str) -> Lua:
    config = Lua()
    config.default_source_code.inline_string = code
    return config
