"""What is no error of a policy set and still hardly meant: `palisade check` tells of it.

Most of it makes expressions undefined for every request. A decision that rests on one denies everything, or
with `not` before it allows, and nothing else would say so. And of a key that stands twice one value is lost.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final

from palisade import rego
from palisade.policy import answers, input_reads, library, outside, revisions
from palisade.policy.data import FILE_NAMES
from palisade.policy.request_schema import KEYS, MEANT, MEANT_ELSEWHERE, SCHEMA
from palisade.policy.sets import PolicySet
from palisade.rego import ast
from palisade.rego.check import failing, passed_over, unresolved, unused
from palisade.rego.check.calls import NO_FUNCTION
from palisade.rego.check.problems import Problems
from palisade.rego.errors import Diagnostic

UNKNOWN_INPUT: Final = "unknown_input"
UNASKED_PACKAGE: Final = "unasked_package"
UNREAD_METADATA: Final = "unread_metadata"
WHOLE_HEADER: Final = "whole_header"

_WHERE: Final = f"documents are read from {', '.join(sorted(FILE_NAMES))}, and stand where their folders are"

_CHOICES: Final = re.compile(r"(?<=[\[ ])'(\w+)'(?=[,\]])")
_KEYS: Final = re.compile(r"\.(\w+)")
"""The keys that a type error names, as there are and as written."""

_HEADERS: Final = ("attributes", "request", "http", "headers")
_NEVER: Final = {
    (*_HEADERS, "x-forwarded-client-cert"): (
        "the sidecar removes it, as a client can write it itself",
        "who calls is input.attributes.source.principal, of a function with tls",
    ),
    (*_HEADERS, "host"): ("Envoy calls it :authority", "write input.attributes.request.http.host"),
    (*_HEADERS[:3], "query"): ("it is part of the path", "write input.parsed_query"),
    (*_HEADERS[:3], "fragment"): ("clients send none", "leave it out"),
    ("attributes", "source", "certificate"): (
        "no sidecar tells it",
        "who calls is input.attributes.source.principal, of a function with tls",
    ),
    ("attributes", "contextExtensions"): (
        "sidecars have none",
        "what differs from function to function is told by input.function, and by data",
    ),
}
"""What OPA-Envoy may see of a request, and no policy here: why, and what to write in its place."""

_ASKED_BY_OPA: Final = {
    "log": "name headers and parameters in decision_log.mask of palisade.yaml; tokens, cookies and bodies are"
    " never logged",
    "authz": "what changes the engine goes by a socket of its own user, and what it tells by engine.admin",
}
"""The packages below `system` that OPA asks about itself, and what is in their place."""

_ASKED: Final = ("palisade.identity", "palisade.isolation", "palisade.detection")
"""The packages that the engine asks where palisade.yaml names no other."""

_METADATA: Final = ("attributes", "metadataContext", "filterMetadata")
_JWT_AUTHN: Final = "envoy.filters.http.jwt_authn"

_NO_PROVIDERS: Final = "name the issuers whose tokens count in data.palisade.identity.providers"

_OTHER_INPUTS: Final = frozenset({("palisade", "isolation"), ("palisade", "detection")})
"""Packages whose rules are asked about more than requests: peers, images, events."""

_CALLED: Final = ("attributes", "destination", "principal")
_OWN: Final = "spiffe://palisade.local/"
"""What the SPIFFE IDs of sidecars begin with."""

_ALIKE = 0.75  # of 1, as difflib compares texts
_ALIKE_PACKAGES = 0.85  # of 1: the part that all have in common is long


def find(
    served: rego.Policy,
    tested: rego.Policy,
    policy_set: PolicySet,
    *,
    schemas: Mapping[str, Any] | None = None,
    strict: bool = False,
    decision: Sequence[str] = (),
    hosts: Sequence[str] | None = None,
    elsewhere: bool = False,
) -> tuple[Diagnostic, ...]:
    """The warnings on a set that was compiled as it is served, and with its tests, in the order of places.

    `decision` is the path below data of the rule that is asked about requests, and `hosts` are those that
    policies may reach, where that is known. `elsewhere` tells that an OPA server evaluates the rules.

    `schemas` are those that its author gave (see `schemas.load`): one of the input takes the place of what is
    known of requests. `strict` asks for what is named and never used, too.
    """
    rules = [each for each in served.checked.modules if each.loc.file in policy_set.modules]
    tests = [each for each in tested.checked.modules if each.loc.file in policy_set.tests]
    supplied = unresolved.replaced(served.checked, rules)
    found = unresolved.find(served.checked, served.data, modules=rules, supplied=supplied)
    supplied += unresolved.replaced(tested.checked, tests)
    found += unresolved.find(tested.checked, tested.data, modules=tests, supplied=supplied)
    found += policy_set.warnings
    found += _unasked(rules)
    found += _unread_metadata((*rules, *tests))
    found += _whole_headers(rules)
    found += passed_over.find(served.checked, rules)
    found += failing.find(served.checked, served.data, rules)
    found += answers.find(served.checked, tuple(decision))
    if not elsewhere:
        found += outside.find(rules, hosts)
    found += _misspelt_packages(rules, tuple(decision[:-1]))
    if not schemas or not {"schema", "input"} & schemas.keys():
        providers = [each.name for each in revisions.read_providers(served, policy_set)]
        told = tuple(_input(served, rules, providers, _deciding(served, tuple(decision))))
        # What types tell of the same place says less.
        places = {(each.file, each.row, each.col) for each in told}
        unlike = _unlike_requests(served, policy_set)
        found += [each for each in unlike if (each.file, each.row, each.col) not in places]
        found += told
    if strict:
        found += unused.find(served.checked, rules)
        found += unused.find(tested.checked, tests)
    return _placed(found)


def brought(
    policy: rego.Policy, policy_set: PolicySet, previous: rego.Policy | None
) -> tuple[Diagnostic, ...]:
    """What of a set that is served nothing defines: quick enough to be looked for at each edit.

    Rules that stand in `previous` are passed over where it defines the same names and documents.
    """
    checked = policy.checked
    served = [each for each in checked.modules if each.loc.file in policy_set.modules]
    before = previous.checked if previous is not None and previous.data == policy.data else None
    if before is not None and before.work.exported != checked.work.exported:
        before = None
    supplied = unresolved.replaced(checked, served)
    return _placed(unresolved.find(checked, policy.data, modules=served, supplied=supplied, previous=before))


def _placed(found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """In the order of files and places; where no name is near, with where documents are read from."""
    told = (each if each.hint else replace(each, hint=_WHERE) for each in found)
    return tuple(sorted(told, key=lambda each: (each.file, each.row, each.col)))


def _unread_metadata(modules: Iterable[ast.Module]) -> Iterator[Diagnostic]:
    """METADATA blocks that are wrong and left out, as no rule asks for them: schemas in them do not count."""
    for fault in (fault for module in modules for fault in module.faults):
        yield replace(fault, code=UNREAD_METADATA, hint="nothing of this METADATA block counts")


def _whole_headers(modules: Iterable[ast.Module]) -> Iterator[Diagnostic]:
    """Providers that read `Authorization` without a prefix: what clients send there begins with a word."""
    for module in modules:
        objects = (each for each in ast.walk(module) if isinstance(each, ast.Object))
        for each in objects if tuple(module.package) == ("palisade", "identity") else ():
            said = {key.value: value for key, value in each.items if isinstance(key, ast.Scalar)}
            name = said.get("header")
            if (
                isinstance(name, ast.Scalar)
                and str(name.value).lower() == "authorization"
                and "prefix" not in said
            ):
                problems = Problems(module.source, module.lines)
                message = f"all of the header {name.value} is taken for the token, `Bearer` too"
                problems.add(message, each.loc, WHOLE_HEADER, 'add "prefix": "Bearer "')
                yield from problems.found


def _unasked(modules: Iterable[ast.Module]) -> Iterator[Diagnostic]:
    """Packages that only an OPA asks about itself: whoever writes one relies on it."""
    for module in modules:
        if module.package[:1] == ("system",) and (instead := _ASKED_BY_OPA.get(".".join(module.package[1:]))):
            problems = Problems(module.source, module.lines)
            message = f"nothing asks about data.{'.'.join(module.package)} here, as OPA does"
            problems.add(message, module.loc, UNASKED_PACKAGE, instead)
            yield from problems.found


def _misspelt_packages(modules: Sequence[ast.Module], deciding: tuple[str, ...]) -> Iterator[Diagnostic]:
    """Packages spelt nearly as one that the engine asks about, where the set has none that is spelt so.

    One that goes on behind the name, such as palisade.identity_tables, is another on purpose."""
    there = {".".join(each.package) for each in modules}
    for module in modules:
        package = ".".join(module.package)
        near = get_close_matches(package, set(_ASKED) - there, 1, _ALIKE_PACKAGES)
        if near and not package.startswith(near[0]) and tuple(module.package) != deciding:
            problems = Problems(module.source, module.lines)
            message = f"nothing asks about data.{package}"
            problems.add(message, module.loc, UNASKED_PACKAGE, f"did you mean {near[0]}?")
            yield from problems.found


def _unlike_requests(policy: rego.Policy, policy_set: PolicySet) -> list[Diagnostic]:
    """What the types of a request say of the rules, also of what is handed from rule to rule."""
    try:
        revisions.compile_set(policy_set, schemas={"input": SCHEMA}, previous=policy)
    except rego.CompileError as error:
        # Rules of the library look at inputs of every shape. And a rule that is called without arguments is
        # so for OPA, which knows no types of requests, where it might be anything.
        own = [each for each in error.errors if not library.is_own(each.file) and each.hint != NO_FUNCTION]
        return [replace(each, code=UNKNOWN_INPUT, hint=_shorter(each)) for each in own]
    return []


_TEXT_AND_TEXTS = re.compile(r"left: (?:string, right: array[<\[]string.*|array[<\[]string.*, right: string)")
_TWO_PATHS = "input.attributes.request.http.path is a text, and input.parsed_path has its segments"


def _shorter(error: Diagnostic) -> str:
    """What was likely meant, in place of the list of all keys that there are."""
    if error.message == "match error":
        of_paths = _TEXT_AND_TEXTS.fullmatch(error.hint) is not None
        return f"{error.hint}, so never equal" + (f": {_TWO_PATHS}" if of_paths else "")
    names = _CHOICES.findall(error.hint)
    if not names:
        return error.hint
    # Keys that lead there may be spelt much like those that are there, as `source` and `service`.
    keys = [key for key in _KEYS.findall(error.message) if key not in {*names, *_leading(names, SCHEMA)}]
    near = (match for key in keys for match in get_close_matches(key, names, 1, 0.6))
    meant = next(near, None)
    return f"did you mean {meant}?" if meant else f"there are {', '.join(names)}"


def _leading(names: list[str], schema: Any, way: tuple[str, ...] = ()) -> Iterator[str]:
    """The keys on the ways to an object of these keys."""
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    if properties.keys() == set(names):
        yield from way
    for key, below in properties.items():
        yield from _leading(names, below, (*way, key))


def _deciding(policy: rego.Policy, decision: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    """The packages whose rules are asked about requests: the decision's own, and those that it refers to."""
    checked = policy.checked
    reached = {path for path in checked.rules if decision and path[: len(decision)] == decision}
    ahead = list(reached)
    while ahead:
        new = checked.graph.get(ahead.pop(), frozenset()) - reached
        reached |= new
        ahead += new
    packages = {each.package for path in reached for each in checked.rules.get(path, ())}
    return frozenset((decision[:-1], *packages))


def _input(
    policy: rego.Policy,
    modules: list[ast.Module],
    providers: Sequence[str],
    deciding: frozenset[tuple[str, ...]],
) -> Iterator[Diagnostic]:
    """What types do not tell: keys at the top that no request has, headers that are not in lower case, and
    metadata that no filter leaves. The rules of the packages `deciding` are asked about requests alone."""
    rules = {
        id(module): [each.checked.rule for each in policy.checked.work.results[id(module)].rules]
        for module in modules
    }
    # Rules that are asked `with input as` something may have an input of any shape.
    replaced = any(
        isinstance(term, ast.With) and ast.Var("input") in {term.target, getattr(term.target, "head", None)}
        for each in rules.values()
        for rule in each
        for term in ast.walk(rule)
    )
    foreign = functools.cache(lambda: _names_of_another_mesh(policy, modules))
    named = input_reads.names((module.package, rule) for module in modules for rule in rules[id(module)])
    for module in modules:
        problems = Problems(module.source, module.lines)
        others = replaced or module.package[:2] in _OTHER_INPUTS
        of_requests = not others and tuple(module.package) in deciding
        unnamed = not others and not providers
        called = not others

        def missing(
            keys: input_reads.Keys, meant: Mapping[str, str] = {} if others else MEANT, of: bool = of_requests
        ) -> tuple[str, str] | None:
            return _missing(keys, meant, of) or _missing_metadata(keys, providers)

        for rule in rules[id(module)]:
            for read in input_reads.reads(rule, named):
                told = missing(read.keys) or _misspelt(read)
                # What a name stands for is told where it is named.
                if told is not None and not (read.named and missing(read.keys[: read.named])):
                    problems.add(told[0], read.loc, UNKNOWN_INPUT, told[1])
                if called and read.keys[:3] == _CALLED and foreign():
                    called = False
                    message = (
                        f"input.{'.'.join(_CALLED)} is {_OWN}function/NAME, and nothing here is called so"
                    )
                    hint = "compare input.function, the name of the function that is called"
                    problems.add(message, read.loc, UNKNOWN_INPUT, hint)
                if unnamed and read.keys[:1] == ("identity",):
                    # Once in a module: what it says of one reference it says of all.
                    unnamed = False
                    message = "input.identity is undefined in all requests: there are no providers"
                    problems.add(message, read.loc, UNKNOWN_INPUT, _NO_PROVIDERS)
        yield from problems.found


def _names_of_another_mesh(policy: rego.Policy, modules: Iterable[ast.Module]) -> bool:
    """Whether the set has SPIFFE IDs, in rules or documents, and none that a sidecar has."""
    written = (node.value for module in modules for node in ast.walk(module) if isinstance(node, ast.Scalar))
    texts = [each for each in (*written, *_scalars(policy.data)) if isinstance(each, str)]
    ids = [each for each in texts if each.startswith("spiffe://")]
    return bool(ids) and not any(each.startswith(_OWN) for each in ids)


def _scalars(value: Any) -> Iterator[Any]:
    """What stands in a document, keys as well, however deep."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, Mapping):
            left += (*each, *each.values())
        elif isinstance(each, (list, tuple)):
            left += each
        else:
            yield each


def _missing(keys: input_reads.Keys, meant: Mapping[str, str], of_requests: bool) -> tuple[str, str] | None:
    """What to say of a path that no request has, and what to do; None of one that a request may have.

    `meant` are keys at the top that no request has, and what is likely meant by each."""
    first, header = keys[0], keys[4] if len(keys) > 4 else None
    if first == "request" and len(keys) > 1 and isinstance(keys[1], str) and keys[1] in meant:
        return f"input.request.{keys[1]} is undefined in all requests", f"write {meant[keys[1]]}"
    if isinstance(first, str) and first in meant:
        return f"input.{first} is undefined in all requests", f"a request has {meant[first]}"
    if isinstance(first, str) and first not in KEYS:
        message = f"input.{first} is undefined in all requests"
        if near := get_close_matches(first, KEYS, 1, _ALIKE):
            return message, f"did you mean input.{near[0]}?"
        there = MEANT_ELSEWHERE.get(first, ", ".join(sorted(KEYS)))
        return (message, f"a request has {there}") if of_requests else None
    lower = header.lower() if isinstance(header, str) else None
    if keys[:4] == _HEADERS and lower is not None and header != lower and (*_HEADERS, lower) not in _NEVER:
        message = f'headers["{header}"] is undefined in all requests: names of headers are in lower case'
        return message, f'write headers["{lower}"]'
    if keys[:4] == _HEADERS and len(keys) > 5:
        shown = f'headers["{header}"]' if lower is not None else "a header"
        message = f"{shown} is a text: below it all is undefined"
        return message, "what a client sends in several headers of one name is one text, with commas between"
    folded = (*keys[:4], lower)
    never = next((each for each in _NEVER if folded[: len(each)] == each), None)
    if never is None:
        return None
    why, hint = _NEVER[never]
    shown = f'headers["{never[-1]}"]' if never[:4] == _HEADERS else f"input.{'.'.join(never)}"
    return f"{shown} is undefined in all requests: {why}", hint


def _misspelt(read: input_reads.Read) -> tuple[str, str] | None:
    """A key that no request has, where `object.get` reaches for it: types say so of all others."""
    schema: Any = SCHEMA
    for at, key in enumerate(read.keys):
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is False and isinstance(key, str) and key not in properties:
            if at < read.typed:
                return None
            near = get_close_matches(key, properties, 1, 0.6)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(properties)}"
            return f"input.{'.'.join(map(str, read.keys[: at + 1]))} is undefined in all requests", hint
        schema = properties.get(key, {}) if isinstance(key, str) else {}
    return None


def _missing_metadata(keys: input_reads.Keys, providers: Sequence[str]) -> tuple[str, str] | None:
    """Claims that a mesh leaves under names of its own are there only of a provider that is called so."""
    of, name = (*keys[3:5], None, None)[:2]
    if keys[:3] != _METADATA or not isinstance(of, str):
        return None
    shown = f'filterMetadata["{of}"]'
    if of != _JWT_AUTHN:
        message = f"{shown} is undefined in all requests: no filter of a sidecar leaves any there"
        return message, f'claims of tokens are in filterMetadata["{_JWT_AUTHN}"], by provider'
    if isinstance(name, str) and name not in providers:
        message = f"{shown}.{name} is undefined in all requests: no provider is called so"
        there = (
            f"there are {', '.join(providers)}; or call one so" if providers else "there are none: name one"
        )
        return message, f"{there} in data.palisade.identity.providers"
    return None
