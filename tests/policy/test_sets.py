"""Policy sets: what belongs to one, where its documents mount, and what is refused."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_helpers import plain_user

from palisade import rego
from palisade.policy import data, source
from palisade.policy.sets import PolicySetError, load
from palisade.rego import text as rego_text
from palisade.rego.errors import Diagnostic


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def errors_of(root: Path) -> list[str]:
    with pytest.raises(PolicySetError) as raised:
        load(root, shown="p")
    return [str(error) for error in raised.value.errors]


def test_modules_tests_and_documents_are_told_apart(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "identity/allow.rego": "package a",
            "identity/allow_test.rego": "package a_test",
            "identity/input.json": "{}",
            "README.md": "no policy",
            ".hidden.rego": "broken",
            "data.json": '{"x": 1}',
        },
    )
    loaded = load(tmp_path, shown="p")
    assert dict(loaded.modules) == {"p/identity/allow.rego": "package a"}
    assert dict(loaded.tests) == {"p/identity/allow_test.rego": "package a_test"}
    assert loaded.data == {"x": 1}


def test_documents_stand_at_their_folders_path_and_merge(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "data.json": '{"roles": {"admin": {"level": 3}}, "pi": 3.14159265358979323846}',
            "roles/data.yaml": "reader: {level: 1, active: yes}\n",
            "roles/guest/data.yml": "level: 0\n",
            "list/data.json": "[1, 2]",
        },
    )
    loaded = load(tmp_path)
    assert loaded.data["roles"] == {
        "admin": {"level": 3},
        "reader": {"level": 1, "active": True},
        "guest": {"level": 0},
    }
    assert loaded.data["list"] == [1, 2]
    assert rego_text.dumps(loaded.data["pi"]) == "3.14159265358979323846"


def test_two_documents_for_one_value_are_an_error_that_names_both(tmp_path: Path) -> None:
    write(tmp_path, {"data.json": '{"roles": {"admin": 1}}', "roles/data.yaml": "admin: 2\n"})
    [error] = errors_of(tmp_path)
    assert "p/roles/data.yaml:1:1: load_error: data.roles.admin is defined twice" in error
    assert "p/data.json defines it too" in error


def test_an_edited_document_is_kept_once(tmp_path: Path) -> None:
    """An engine whose data are synchronized each minute grew by nine times their size each time. What did
    not change is not read again, of many files either."""
    files = {f"{number}/data.json": f'{{"n": [{number}]}}' for number in range(100)}
    write(tmp_path, files)
    before = load(tmp_path, shown="once").data
    again = load(tmp_path, shown="once").data
    assert isinstance(before, dict)
    assert isinstance(again, dict)
    assert all(before[number]["n"] is again[number]["n"] for number in before)
    tracemalloc.start()
    for edit in range(4):
        document = {str(number): [edit, number] for number in range(3_000)}
        write(tmp_path, {"large/data.json": json.dumps(document)})
        load(tmp_path, shown="once")
        if edit == 0:
            once, _ = tracemalloc.get_traced_memory()
    last, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert last < 1.5 * once


def test_merging_changes_no_document_that_was_read_before(tmp_path: Path) -> None:
    """Documents are shared between readings: a merge that wrote into one would haunt the next reading."""
    write(tmp_path, {"data.json": '{"roles": {"admin": 1}}', "roles/data.json": '{"guest": 2}'})
    assert load(tmp_path).data == {"roles": {"admin": 1, "guest": 2}}
    (tmp_path / "roles" / "data.json").unlink()
    assert load(tmp_path).data == {"roles": {"admin": 1}}


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("data.json", '{"a": 1,\n "b": }', ":2:7: load_error: not JSON"),
        ("data.json", '{"a": NaN}', "load_error: not JSON: NaN"),
        ("data.json", '{"a": Infinity}', "write null, or leave it out"),
        ("data.json", '{"a": 1' + "0" * 4400 + "}", "it has more than 4,300 digits: write it as a text"),
        ("data.json", "[" * 100_000, "load_error"),
        ("data.json", '{"a": ' + "[" * 900 + "]" * 900 + "}", "load_error: nested too deep to be read"),
        ("data.json", '{"a":' * 450 + "1" + "}" * 450, "load_error: nested too deep to be read"),
        ("data.yaml", "a: [1\nb: 2", ":2:"),
        ("data.yaml", "a: 1\na: 2", ":2:1: load_error: duplicate key 'a'"),
        ("data.yaml", "- 1", ":1:1: load_error: the document at the top must be an object"),
    ],
)
def test_a_broken_document_is_reported_at_its_place(tmp_path: Path, name: str, text: str, place: str) -> None:
    write(tmp_path, {name: text})
    [error] = errors_of(tmp_path)
    assert error.startswith(f"p/{name}")
    assert place in error


def test_all_unreadable_files_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_bytes(b"package a\n# caf\xe9\n")
    (tmp_path / "b.rego").symlink_to(tmp_path / "gone.rego")
    os.mkfifo(tmp_path / "c.rego")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "loop").symlink_to(tmp_path)
    (tmp_path / "e.rego").symlink_to(tmp_path / "e.rego")
    errors = errors_of(tmp_path)
    assert len(errors) == 5
    assert "p/a.rego:2:6: load_error: not UTF-8: byte 0xe9" in errors[0]
    assert "leads nowhere" in errors[1]
    assert "no regular file" in errors[2]
    assert "leads back to a folder above it" in errors[3]
    assert "cannot be followed" in errors[4]


def test_many_levels_of_a_document_are_read_and_used(tmp_path: Path) -> None:
    """As deep as is read, it can be compiled: what cannot must be refused at its file."""
    write(tmp_path, {"data.json": '{"d": ' + "[" * 399 + "]" * 399 + "}"})
    loaded = load(tmp_path)
    policy = rego.compile({"a.rego": "package a\n\nx := json.marshal(data.d)"}, data=loaded.data)
    assert policy.query("count(data.a.x) = n") == [{"n": 798}]


def test_what_may_not_be_reached_is_not_called_missing() -> None:
    with plain_user() as folder:
        (folder / "closed").mkdir(mode=0)
        [error] = errors_of(folder / "closed" / "policies")
    assert error == "p:1:1: load_error: the policy set cannot be read: Permission denied"


def test_a_configmap_is_read_once_through_its_links(tmp_path: Path) -> None:
    generation = tmp_path / "..2024_01_01"
    write(generation, {"allow.rego": "package a"})
    (tmp_path / "..data").symlink_to("..2024_01_01")
    (tmp_path / "allow.rego").symlink_to("..data/allow.rego")
    loaded = load(tmp_path, shown="p")
    assert dict(loaded.modules) == {"p/allow.rego": "package a"}
    assert generation.resolve() in loaded.folders


def test_a_byte_order_mark_is_no_part_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_bytes(b"\xef\xbb\xbfpackage a\n")
    assert list(load(tmp_path).modules.values()) == ["package a\n"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    assert "does not exist" in errors_of(tmp_path / "gone")[0]


def test_more_folders_than_any_set_has_are_told_and_not_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty folders with two links to the next are a million to walk through, and `/` has as many. What is
    named so by mistake is refused with what to name, without the errors of what lies about there."""
    monkeypatch.setattr("palisade.policy.sets.MOST_FOLDERS", 1_000)
    write(tmp_path, {"20/broken.rego": "not rego", "0/data.json": "not JSON"})
    for number in range(20):
        (tmp_path / f"{number}").mkdir(exist_ok=True)
        for link in "ab":
            (tmp_path / f"{number}" / link).symlink_to(tmp_path / f"{number + 1}")
    (error,) = errors_of(tmp_path / "0")
    assert error.splitlines() == [
        "p:1:1: load_error: the policy set has more than 1,000 folders",
        "    name the folder that holds your .rego files",
    ]


def test_the_digest_tells_what_is_served_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "one", {"a.rego": "package a", "a_test.rego": "package t", "x.txt": "1"})
    write(tmp_path / "two", {"a.rego": "package a"})
    one = load(tmp_path / "one").digest
    assert one == load(tmp_path / "two").digest, "neither tests nor the folder's name are served"
    assert one != load(tmp_path / "one", rego_version=0).digest
    write(tmp_path / "two", {"a.rego": "package b"})
    assert one != load(tmp_path / "two").digest
    write(tmp_path / "one", {"data.json": "{}"})
    assert one != load(tmp_path / "one").digest


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
objects = st.recursive(
    st.dictionaries(st.sampled_from("abc"), scalars, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), scalars | inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.long
@given(objects, objects)
def test_merging_is_symmetric_and_loses_nothing(a: dict[str, object], b: dict[str, object]) -> None:
    one, errors = data.merge([data.Document("a", (), a), data.Document("b", (), b)])
    other, other_errors = data.merge([data.Document("b", (), b), data.Document("a", (), a)])
    assert bool(errors) == bool(other_errors)
    if not errors:
        assert one == other
        assert set(one) == set(a) | set(b)


@given(
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=10,
    )
)
def test_json_is_yaml_that_means_the_same(value: object) -> None:
    text = rego_text.dumps(value)
    if all(ch.isprintable() for ch in text):
        assert data.read("data.yaml", text) == data.read("data.json", text) == value


def test_aliases_make_no_huge_document_of_a_small_file() -> None:
    """Such a file took half a minute to be refused, in which no edit was in force. OPA refuses it, too."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, 9)]
    refused = data.read("data.yaml", "\n".join(lines))
    assert isinstance(refused, Diagnostic)
    assert refused.message == "document contains excessive aliasing"
    merged = data.read("data.yaml", "x: &x {k: 1}\na: {<<: *x, j: 2}\nb: [*x, *x]\n")
    assert merged == {"x": {"k": 1}, "a": {"k": 1, "j": 2}, "b": [{"k": 1}, {"k": 1}]}


def test_a_key_that_stands_twice_in_json_is_told_at_its_place(tmp_path: Path) -> None:
    """The last counts, as in OPA: nothing else would say that a grant or a blocked user is lost."""
    text = '{"a": {"x\\"{": [{"k": "}"}], "n": 1},\n "b": {"n": 2}, "A": 0,\n  "\\u0061" : {"n": 1, "n": 2}}'
    (tmp_path / "data.json").write_text(text)
    loaded = load(tmp_path, shown="p")
    assert loaded.data == {"a": {"n": 2}, "b": {"n": 2}, "A": 0}
    assert [f"{each.location} {each.message}; {each.hint[:27]}" for each in loaded.warnings] == [
        'p/data.json:3:3 duplicate key "\\u0061"; it stands in line 1 already',
        'p/data.json:3:23 duplicate key "n"; it stands in line 3 already',
    ]
    (tmp_path / "data.json").write_text('{"a": {"n": 1}, "b": [{"n": 1}, {"n": 1}], "n": 1}')
    assert load(tmp_path).warnings == ()


def test_a_file_without_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_MOST_BYTES", 1 << 20)
    found = source.read_text(Path("/dev/zero"), "zero")
    assert isinstance(found, Diagnostic)
    assert found.message == "too large: more than 1 MiB"
    (tmp_path / "a.rego").write_bytes(b"#" * (1 << 20))
    assert isinstance(source.read_text(tmp_path / "a.rego", "a"), str)


def test_a_file_larger_than_what_is_read_at_once_is_read_whole(tmp_path: Path) -> None:
    text = "package a\n" + "".join(f"# {number} \u00e4\n" for number in range(200_000))
    (tmp_path / "a.rego").write_text(text, encoding="utf-8")
    assert load(tmp_path, shown="p").modules == {"p/a.rego": text}
