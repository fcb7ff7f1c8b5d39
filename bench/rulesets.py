"""Policy sets of any size, for measurements: rules on method, path and role, on paths of the subject's own;
a table of subjects in data."""

from __future__ import annotations

import json
from collections.abc import Sequence

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ROLES = 50

_HEAD = "package palisade.identity\n\n"
_DEFAULT = "default allow := false\n\n"


def rule(number: int, path: str = "") -> str:
    """One rule on a method, a path and a role of the token."""
    return (
        "allow if {\n"
        f'\tinput.attributes.request.http.method == "{METHODS[number % len(METHODS)]}"\n'
        f'\tinput.attributes.request.http.path == "{path or f"/things/{number}"}"\n'
        f'\t"role{number}" in input.identity.claims.roles\n'
        "}\n"
    )


def rules(count: int, files: int = 1, changed: int = -1) -> dict[str, str]:
    """So many rules, over so many files; the path of the one that is `changed` is another."""
    each = count // files
    return {
        name(at): module(range(at * each, (at + 1) * each), default=at == 0, changed=changed)
        for at in range(files)
    }


def name(at: int) -> str:
    """The file with that number."""
    return f"rules/{at:04}.rego"


def module(numbers: range, *, default: bool = False, changed: int = -1) -> str:
    """The rules of one file; the path of the one that is `changed` is `/changed`."""
    found = (rule(number, "/changed" if number == changed else "") for number in numbers)
    return _HEAD + (_DEFAULT if default else "") + "\n".join(found)


def of_functions(count: int, functions: Sequence[str], changed: int = -1) -> dict[str, str]:
    """So many rules, each for one of the functions in turn."""
    found = []
    for number in range(count):
        text = rule(number, "/changed" if number == changed else "")
        asked = f'\tinput.function == "{functions[number % len(functions)]}"\n'
        found.append(text.replace("{\n", "{\n" + asked, 1))
    return {name(0): _HEAD + _DEFAULT + "\n".join(found)}


def owners(count: int) -> dict[str, str]:
    """So many rules on paths with the token's subject in them."""
    found = (
        f'allow if input.attributes.request.http.path == sprintf("/users/%s/things/{number}", '
        "[input.identity.claims.sub])\n"
        for number in range(count)
    )
    return {"allow.rego": _HEAD + _DEFAULT + "\n".join(found)}


SUBJECTS_RULE = (
    _HEAD
    + _DEFAULT
    + """allow if {
	some role in data.subjects[input.identity.claims.sub]
	some grant in data.grants[role]
	grant.method == input.attributes.request.http.method
	grant.path == input.attributes.request.http.path
}
"""
)


def subjects(count: int, changed: int = -1) -> dict[str, str]:
    """One rule, and a table with the roles of so many subjects; the one that is `changed` has none."""
    table = {
        f"user{number}": [] if number == changed else [f"role{number % ROLES}", f"role{number * 7 % ROLES}"]
        for number in range(count)
    }
    grants = {
        f"role{role}": [{"method": METHODS[at % 5], "path": f"/things/{role}/{at}"} for at in range(5)]
        for role in range(ROLES)
    }
    return {"allow.rego": SUBJECTS_RULE, "data.json": json.dumps({"subjects": table, "grants": grants})}
