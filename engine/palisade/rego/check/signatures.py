"""The declared types of the builtin functions.

They come from OPA's capabilities.json (v1.9.0, Apache License 2.0), kept beside this module and reduced to
names and types; its note says which are newer. https://www.openpolicyagent.org/docs/latest/deployments/#capabilities
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from palisade.rego.check.types import (
    ANY,
    ANY_ARRAY,
    BOOLEAN,
    NUMBER,
    STRING,
    Array,
    Function,
    Object,
    Type,
    from_json,
)


@dataclass(frozen=True, slots=True)
class Signature:
    """A builtin's declaration. A `relation` may yield many results for one call (`walk`)."""

    name: str
    args: tuple[Type, ...] = ()
    result: Type | None = ANY
    variadic: Type | None = None
    relation: bool = False
    type: Function = field(init=False, repr=False, compare=False)
    """Made once: each check of a module asks for those of all builtins."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "type", Function(self.args, self.result, self.variadic))

    @property
    def arity(self) -> int:
        return len(self.args)


_LATER = (
    # OPA v1.13: https://github.com/open-policy-agent/opa/releases/tag/v1.13.0
    Signature("array.flatten", (ANY_ARRAY,), ANY_ARRAY),
    # OPA v1.12, what it makes of a template string.
    Signature("internal.template_string", (ANY_ARRAY,), STRING),
    # OPA v1.16: https://github.com/orgs/open-policy-agent/discussions/752
    Signature("uri.is_valid", (STRING,), BOOLEAN),
    Signature("uri.parse", (STRING,), Object((), (STRING, STRING))),
    # OPA v1.19: https://github.com/orgs/open-policy-agent/discussions/761
    Signature("strings.split_n", (STRING, STRING, NUMBER), Array((), STRING)),
)


@cache
def builtin_signatures() -> Mapping[str, Signature]:
    """OPA's builtins by name: those of v1.9.0, and what came later that Palisade has."""
    text = files(__package__).joinpath("capabilities.json").read_text("utf-8")
    found = {}
    for each in json.loads(text)["builtins"]:
        found[each["name"]] = Signature(
            each["name"],
            tuple(map(from_json, each.get("args", ()))),
            from_json(each["result"]) if "result" in each else None,
            from_json(each["variadic"]) if "variadic" in each else None,
            each.get("relation", False),
        )
    for each in _LATER:
        found.setdefault(each.name, each)
    return found
