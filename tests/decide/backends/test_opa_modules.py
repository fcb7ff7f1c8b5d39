"""What OPA is given of a revision means there what it means in the set."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from effort import examples, some

from palisade import rego
from palisade.decide.backends.opa_modules import OpaModule, Place, Publication, publication
from palisade.policy import library, revisions
from palisade.policy.inventory import Inventory
from palisade.policy.sets import PolicySet
from palisade.rego import text

PLACE = Place("e0", "r1")
CASES = Path(__file__).resolve().parents[3].parent / "shared" / "conformance"

# Two packages that call each other's functions, and every way to write `data`.
MODULES = {
    "a.rego": """# METADATA
# description: what data says
package a

import data.b
import data.c as other # data

default allow := false

allow if b.twice(input.n) == data.limits["data"]

allow if { # a comment with data in it
	some name in data["names"]
	name == input.data
	not data.a.blocked[name] with data.names as ["x"]
}

blocked contains data.names[i] if data.flags[i]

once(x) := x

words := $"{data.limits.data} {[data.x | data.x]}"

all_names := {x | walk(data.names, [_, x]); is_string(x)}

renamed := other.value
""",
    "b.rego": "package b\r\n\r\nimport data.a\r\n\r\ntwice(x) := a.once(x) * 2\r\n",
    "c.rego": 'package c\nimport data\nvalue := data.limits\nodd["data.x"] := "data.y"\n',
    "keyword.rego": "\ufeffpackage default.if\n\nyes := data.limits.data\n",
}
DATA: dict[str, Any] = {"limits": {"data": 6}, "names": ["x", "y"], "flags": [True, False]}


def published(
    modules: dict[str, str],
    data: Any = None,
    *,
    version: int = 1,
    decision: str = "a/allow",
    previous: rego.Policy | None = None,
) -> Publication:
    inventory = Inventory(Path("palisade.yaml"), Path("policies"), {}, decision, version)
    policy_set = PolicySet(Path("policies"), modules, {}, data or {}, "digest", version)
    policy = revisions.compile_set(policy_set, previous=previous)
    return publication(PLACE, revisions.Revision("1", inventory, policy_set, policy, ()))


def sources(given: Publication) -> dict[str, str]:
    return {module.id: module.text for module in given.policies}


def documents(given: Publication) -> Any:
    value: Any = given.documents
    for part in reversed(given.place.base.split("/")):
        value = {part: value}
    return value


@pytest.mark.parametrize(
    "given", [{}, {"n": 3}, {"n": 4}, {"data": "x"}, {"data": "y"}, {"data": {"x": 1}, "n": 3}]
)
def test_everything_means_what_it_meant(given: Any) -> None:
    here = rego.compile(MODULES, DATA)
    there = published(MODULES, DATA)
    moved = rego.compile(sources(there), documents(there))
    paths = ("a.blocked", "a.words", "a.all_names", "a.renamed", "b", "c.odd", 'default["if"].yes', "a.allow")
    for path in paths:
        assert moved.evaluate(f"data.{PLACE.prefix}.{path}", given) == here.evaluate(f"data.{path}", given)
    entry = moved.evaluate(f"data.{PLACE.entry.replace('/', '.')}", given)
    assert entry == {"revision": "r1", "decision": here.evaluate("data.a.allow", given)}


def test_nothing_but_the_name_of_the_package_and_data_is_changed() -> None:
    for module in published(MODULES).policies:
        if module.origin is not None:
            restored = module.text.replace(f"{PLACE.prefix}.", "").replace(f".{PLACE.prefix}", "")
            restored = restored.replace(f'{PLACE.prefix}["default"]', "default")
            assert restored == module.origin.source


def test_modules_can_be_put_one_by_one_and_removed_in_turn() -> None:
    """OPA compiles what it has after each: no step may lack a function."""
    given = published(MODULES, DATA)
    there: dict[str, str] = {}
    for module in given.policies:
        there[module.id] = module.text
        rego.compile(there)
    assert given.policies[-1].id.endswith("/entry")
    for name in given.removal:
        del there[name]
        rego.compile(there)
    assert there == {}


def test_where_the_entry_is_but_not_the_documents_no_revision_is_given() -> None:
    given = published(MODULES, DATA)
    lost = rego.compile(sources(given), {})
    assert "revision" not in lost.evaluate(f"data.{PLACE.entry.replace('/', '.')}", {"n": 3})


def module_of(name: str) -> OpaModule:
    return next(each for each in published(MODULES).policies if each.origin and each.origin.loc.file == name)


def test_places_lead_back_to_the_source() -> None:
    source = MODULES["a.rego"]
    moved = module_of("a.rego")
    for found in re.finditer(r"\w+", source):
        at = found.start()
        if found[0] == "data":
            continue  # what follows it belongs to it
        row, col = source.count("\n", 0, at) + 1, at - source.rfind("\n", 0, at)
        before = source[:at]
        grown = sum(len(edit.text) for edit in moved.edits if edit.offset <= at)
        there = moved.text[: at + grown]
        assert moved.text[at + grown :].startswith(found[0]), before[-20:]
        place = moved.place_of(there.count("\n") + 1, len(there) - there.rfind("\n"))
        assert place is not None
        assert (place.file, place.row, place.col) == ("a.rego", row, col)


def test_a_place_in_what_was_put_in_and_one_behind_the_end_are_near() -> None:
    moved = module_of("b.rego")
    inside = moved.place_of(1, 20)
    assert inside is not None
    assert (inside.row, inside.col) == (1, 9)
    end = moved.place_of(99, 99)
    assert end is not None
    assert end.row == 6
    assert published(MODULES).policies[0].place_of(1, 1) is None


def test_an_edited_set_is_given_as_one_that_is_new() -> None:
    """Its trees name lines by the numbers under which they were first read; `data` stands elsewhere now."""
    before = {name: source.removeprefix("# METADATA\n") for name, source in MODULES.items()}
    moved = before | {
        "a.rego": before["a.rego"].replace("default allow", "more := data.limits\n\ndefault allow"),
        "b.rego": f"# new\n{before['b.rego']}",
    }
    previous = rego.compile(before, DATA)
    edited = revisions.compile_set(PolicySet(Path(), moved, {}, DATA, "", 1), previous=previous)
    assert set(edited.lines) == {"a.rego", "b.rego"}
    assert sources(published(moved, DATA, previous=previous)) == sources(published(moved, DATA))
    asking = moved | {"b.rego": before["b.rego"] + "\r\n\r\nx := rego.metadata.chain()\r\n"}
    with pytest.raises(rego.CompileError) as raised:
        published(asking, DATA, previous=edited)
    (error,) = raised.value.errors
    assert (error.file, error.row, error.line) == ("b.rego", 8, "x := rego.metadata.chain()")


def test_a_policy_that_asks_where_it_stands_is_refused_at_its_place() -> None:
    source = 'package a\n\nallow if rego.metadata.chain()[0].path == ["a", "allow"]\n'
    with pytest.raises(rego.CompileError) as raised:
        published({"a.rego": source})
    (error,) = raised.value.errors
    assert (error.file, error.row, error.col) == ("a.rego", 3, 10)
    assert error.line.startswith("allow if rego")


def test_odd_names_of_files_and_functions_do_no_harm() -> None:
    modules = {
        "../../../etc/ä b?#%2f.rego": 'package a["b c"]\n\nf.g(x) := x\n\nallow if f.g(1) == 1\n',
        "x.rego": 'package x\n\nallow if data.a["b c"].allow\n',
    }
    given = published(modules, decision="x/allow")
    for module in given.policies:
        assert re.fullmatch(r"palisade/e0/r1/[A-Za-z0-9._-]+", module.id)
        assert ".." not in module.id
    policy = rego.compile(sources(given), documents(given))
    assert policy.evaluate(f"data.{PLACE.entry.replace('/', '.')}.decision") is True


def cases() -> Iterator[dict[str, Any]]:
    folder = Path(os.environ.get("PALISADE_CONFORMANCE") or CASES) / "cases"
    for file in sorted(folder.glob("*.json")):
        yield from text.loads(file.read_text(encoding="utf-8"))["cases"]


def evaluated(modules: dict[str, str], data: Any, query: str, given: Any) -> str:
    try:
        found = rego.compile(modules, data).query(query, given)
        return json.dumps(sorted(map(text.dumps, found)))
    except rego.CompileError as error:
        return error.errors[0].code
    except rego.EvalError as error:
        return error.code


def test_the_conformance_cases_have_the_same_results_there() -> None:
    """A fifth of them, and at a desk a fifth of these; or all where PALISADE_EXAMPLES asks for more."""
    compared = 0
    chosen = list(cases())
    for case in chosen if os.environ.get("PALISADE_EXAMPLES") else some(chosen[::5]):
        modules = {f"test-{number}.rego": source for number, source in enumerate(case["modules"])}
        data = case.get("data") or {}
        given = case.get("input", rego.UNDEFINED)
        try:
            there = published(modules, data)
        except rego.CompileError:
            continue  # refused here already, or for rego.metadata.chain
        query = re.sub(r"\bdata\b", f"data.{PLACE.prefix}", case["query"])
        result = evaluated(sources(there), documents(there), query, given)
        assert result == evaluated({**library.modules(), **modules}, data, case["query"], given), case["note"]
        compared += 1
    if not compared:
        pytest.skip("no conformance cases: set PALISADE_CONFORMANCE to their folder")
    assert compared > examples(150)
