"""Reading an edited module from what it was before: always what reading it as a whole gives, and quick."""

from __future__ import annotations

from typing import Any

import pytest
from any_asts import with_places
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade.rego import ast
from palisade.rego.errors import CompileError
from palisade.rego.parser import parse_module

RULES = [
    "default allow := false",
    'allow if input.path == "/a"',
    "allow if {\n\tsome x in input.xs\n\tx > 1\n}",
    "p contains x if some x, _ in data.xs[_]",
    "f(_, x) := y if {\n\ty := x + 1\n} else := 2 if x < 0",
    "f(_, 1) := 1 if { true } {\n\tfalse\n}",
    "raw := `a\n} b {\nc`",
    't := $"a {input.x} b {{c | c := 1}}"',
    "o := {\n\t# inside\n\t`k`: [1, 2, 3],\n}",
    "c := {x | x := 1} | {2}",
    "# alone",
    "q[x] if x := 1 # behind",
    "",
]
ODD = [
    "# METADATA\n# title: t",
    "r = 1",
    "else if true",
    "import data.late",
    "import future.keywords",
    "every := 1",
]
HEADS = [
    "package a\n",
    "package a\n\nimport data.b\nimport input.c as d\n",
    "# c\npackage a\n",
    "package a\n\np := 1\n",
]
PIECES = st.sampled_from(
    [
        *RULES,
        *ODD,
        *(
            "\n",
            "\n\n",
            " ",
            "\t",
            "x",
            "1",
            "_",
            "`",
            '"',
            "{",
            "}",
            "[",
            "]",
            "(",
            ")",
            "$",
            "#",
            "\\",
            ".",
            ",",
        ),
        *("if", "else", "contains", "default", "|", ":=", "=", "-", "p", "\r\n", "\0", "$`", '$"'),
    ]
)


def _read(source: str, version: int, previous: ast.Module | None = None) -> tuple[ast.Module | None, Any]:
    try:
        module = parse_module(source, "a.rego", version=version, previous=previous)
    except CompileError as error:
        return None, [*error.errors]
    return module, with_places(module)


@st.composite
def _edits(draw: st.DrawFn) -> list[str]:
    """A source, and what it becomes by edits one after the other: of whole rules, and of any characters."""
    rules = st.sampled_from([*RULES, *RULES, *RULES, *ODD])
    parts = [draw(st.sampled_from(HEADS)), *draw(st.lists(rules, max_size=7))]
    found = ["\n".join(parts)]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(parts)))
        if draw(st.booleans()) and at < len(parts):  # a rule moves
            parts.insert(draw(st.integers(0, len(parts))), parts.pop(at))
        else:
            parts[at : at + draw(st.integers(0, 1))] = [draw(rules)]
        found.append("\n".join(parts))
    source = found[-1]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(source)))
        removed = draw(st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 40)))
        source = source[:at] + draw(st.one_of(st.just(""), PIECES)) + source[at + removed :]
        found.append(source)
    return found


@settings(max_examples=examples(600), deadline=None)
@given(_edits(), st.sampled_from([1, 1, 0]), st.integers(1, 3))
def test_an_edited_module_is_what_it_would_be_by_itself(sources: list[str], version: int, jump: int) -> None:
    """Trees, each place in them, comments, annotations, errors; some edits are saved together."""
    previous = None
    for source in (*sources[::jump], sources[-1], sources[0]):
        module, found = _read(source, version, previous)
        assert found == _read(source, version)[1]
        previous = module or previous


def _many(count: int, changed: str = "/b") -> str:
    rules = [f'allow if {{\n\tinput.path == "/{at}"\n}}\n' for at in range(count)]
    rules[count // 2] = f'allow if {{\n\tinput.path == "{changed}"\n}}\n'
    return "package a\n\nimport data.b\n\n" + "\n".join(rules)


def _kept(before: ast.Module, after: ast.Module) -> int:
    return len({id(rule) for rule in before.rules} & {id(rule) for rule in after.rules})


def test_one_rule_that_changes_within_its_lines_leaves_all_others_the_objects_they_are() -> None:
    """What comes after recognizes them by that."""
    before = parse_module(_many(100), "a.rego")
    after = parse_module(_many(100, "/longer"), "a.rego", previous=before)
    assert _kept(before, after) == 99


def test_rules_below_a_line_that_is_added_stay() -> None:
    """They are named by the numbers of their lines, which go on."""
    before = parse_module(_many(100), "a.rego")
    after = parse_module(_many(100, '/b"\n\tinput.x == "1'), "a.rego", previous=before)
    assert _kept(before, after) == 99
    assert after.lines.now(after.rules[-1].loc).row == before.rules[-1].loc.row + 1


def test_imports_that_stand_behind_a_rule_are_read_on() -> None:
    """Also where their lines have numbers that are no rows."""
    rules = "\n".join(["default allow := false"] * 3)
    source = f"package a\n\nimport future.keywords\n{rules}"
    module = parse_module(source, "a.rego")
    text = source.replace("import", "default allow := false\nimport")
    for _ in range(2):
        module = parse_module(text, "a.rego", previous=module)
        assert with_places(module) == with_places(parse_module(text, "a.rego"))


ADDED = ["# c\n", "\n", "allow if input.new\n\n", "default allow := false\n"]


@pytest.mark.parametrize("added", ADDED)
@pytest.mark.parametrize(
    "before", ["package a\n", "import data.b\n\n", 'allow if {\n\tinput.path == "/3"', ""]
)
def test_what_comes_and_goes_leaves_all_rules(added: str, before: str) -> None:
    """At the top, among imports, between rules, at the end; the edit back too, and one more each time."""
    source = _many(100)
    module = parse_module(source, "a.rego")
    at = source.index(before) + (len(before) if before.endswith("\n") else 0) if before else len(source)
    grown = source[:at] + added + source[at:]
    for text in (grown, source, grown, grown[:at] + added + grown[at:]):
        after = parse_module(text, "a.rego", previous=module)
        assert _kept(module, after) >= 98
        assert with_places(after) == with_places(parse_module(text, "a.rego"))
        module = after


def test_edits_that_are_saved_together_leave_what_is_between() -> None:
    """As a checkout changes a file here and there, and a rule that moves goes and comes."""
    source = _many(1000)
    module = parse_module(source, "a.rego")
    here_and_there = source.replace("import", "# c\nimport").replace('"/7"', '"/x"').replace('"/900"', '"/y"')
    moved = (
        source.replace('allow if {\n\tinput.path == "/7"\n}\n\n', "")
        + '\nallow if {\n\tinput.path == "/7"\n}\n'
    )
    first = source.replace("allow if", "# c\n\nallow if", 1).replace('"/2"', '"/x"')
    for text, least in ((first, 998), (here_and_there, 998), (moved, 997)):
        after = parse_module(text, "a.rego", previous=module)
        assert _kept(module, after) >= least
        assert with_places(after) == with_places(parse_module(text, "a.rego"))


def test_rows_of_the_past_do_not_pile_up() -> None:
    """A line that comes and goes, again and again, is told from all others in few words."""
    source, module = _many(100), parse_module(_many(100), "a.rego")
    for _ in range(50):
        for text in (source.replace("import", "# c\nimport"), source):
            module = parse_module(text, "a.rego", previous=module)
    assert len(module.lines.runs) < 6


@pytest.mark.parametrize("number", [0, 99])
def test_the_first_and_the_last_rule_can_be_edited_alone(number: int) -> None:
    before = parse_module(_many(100), "a.rego")
    after = parse_module(_many(100).replace(f'"/{number}"', '"/else"'), "a.rego", previous=before)
    assert _kept(before, after) == 99


def test_an_import_that_changes_changes_every_rule() -> None:
    """A name may mean something else everywhere."""
    before = parse_module(_many(10), "a.rego")
    after = parse_module(_many(10).replace("data.b", "data.c"), "a.rego", previous=before)
    assert _kept(before, after) == 0


def test_all_errors_are_told_wherever_the_edit_is() -> None:
    broken = _many(10).replace('"/7"', '"/7') + "\np := := 1\n"
    with pytest.raises(CompileError) as whole:
        parse_module(broken, "a.rego")
    with pytest.raises(CompileError) as edited:
        parse_module(broken, "a.rego", previous=parse_module(_many(10), "a.rego"))
    assert edited.value.errors == whole.value.errors
    assert len(whole.value.errors) > 1
