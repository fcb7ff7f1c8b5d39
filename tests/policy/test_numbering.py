"""Rules that sidecars name are told by the rows where they stood in the revision that decided."""

from __future__ import annotations

from pathlib import Path

import pytest

from palisade.policy.numbering import PLAIN, Numbering, Numberings, marked, spelled, unmarked
from palisade.rego.lines import ROWS

MOVED = Numbering({"p/a.rego": ROWS.with_new(3, 3, 2, 11, 10), "b.rego": ROWS.with_new(1, 2, 1, 6, 5)})
"""Two lines came to a.rego before the third; the first of b.rego became another."""


def test_a_rule_is_told_by_the_row_where_it_stands() -> None:
    assert MOVED.shown("p/a.rego:2") == "p/a.rego:2"
    assert MOVED.shown("p/a.rego:3") == "p/a.rego:5"
    assert MOVED.shown("p/a.rego:11") == "p/a.rego:3"
    assert MOVED.shown("b.rego:6") == "b.rego:1"


def test_what_is_no_line_of_an_edited_file_stays() -> None:
    for name in ("c.rego:7", "default", "default:allow", "residual", "error", "", "p/a.rego:x"):
        assert MOVED.shown(name) == name


def test_a_line_that_is_gone_has_no_row() -> None:
    """As where a part of the revision before decided: no other line is to be taken for it."""
    assert MOVED.shown("b.rego:1") == "b.rego"


def test_a_file_is_told_as_names_spell_it() -> None:
    """Names stand in lines of an access log."""
    file = "od\nd.rego"
    numbering = Numbering({file: ROWS.with_new(1, 1, 1, 4, 3)})
    assert numbering.shown(f"{spelled(file)}:1") == "od?d.rego:2"


def test_a_revision_is_marked_where_numbers_are_no_rows() -> None:
    assert marked("0123", PLAIN) == "0123"
    assert unmarked("0123") == ("0123", "")
    assert unmarked(marked("0123", MOVED)) == ("0123", MOVED.id)
    back = ROWS.with_new(1, 1, 1, 4, 3).with_new(1, 2, 0, 5, 4)
    assert Numbering({"a.rego": back}).id == "", "all lines are back where they were read"


def test_numberings_are_known_after_a_restart(tmp_path: Path) -> None:
    """Sidecars tell of decisions that they made while the engine was away."""
    Numberings(tmp_path / "lines").keep(MOVED)
    assert Numberings(tmp_path / "lines").shown(MOVED.id, "p/a.rego:3") == "p/a.rego:5"
    assert Numberings(tmp_path / "lines").shown("", "p/a.rego:3") == "p/a.rego:3"


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"p/a.rego": [[1]]}', b"\xff"])
def test_a_numbering_that_cannot_be_read_gives_no_row(tmp_path: Path, content: bytes | None) -> None:
    """A wrong one would be worse."""
    folder = tmp_path / "lines"
    Numberings(folder).keep(MOVED)
    file = folder / f"{MOVED.id}.json"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert Numberings(folder).shown(MOVED.id, "p/a.rego:3") == "p/a.rego"
    assert Numberings(folder).shown(MOVED.id, "default") == "default"


def test_no_sidecar_names_a_file_of_the_engine(tmp_path: Path) -> None:
    Numberings(tmp_path / "lines").keep(MOVED)
    for name in (f"../lines/{MOVED.id}", f"{MOVED.id}.json", "", "x" * 300):
        known = Numberings(tmp_path / "lines").shown(name, "p/a.rego:3")
        assert known == ("p/a.rego:3" if not name else "p/a.rego")


def test_numberings_of_long_ago_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are asked for again stay at hand as long as their files do."""
    monkeypatch.setattr("palisade.policy.numbering._MOST_ON_DISK", 3)
    monkeypatch.setattr("palisade.policy.numbering._MOST_IN_MEMORY", 2)
    kept = Numberings(tmp_path / "lines")
    every = [Numbering({"a.rego": ROWS.with_new(1, 1, count, 9, 8)}) for count in range(1, 7)]
    for each in every:
        kept.keep(each)
    assert len(list((tmp_path / "lines").iterdir())) == 3
    assert kept.shown(every[-1].id, "a.rego:1") == "a.rego:7"
    assert kept.shown(every[-3].id, "a.rego:1") == "a.rego:5"
    assert kept.shown(every[0].id, "a.rego:1") == "a.rego"


def test_a_full_disk_keeps_no_edit_back(tmp_path: Path) -> None:
    """Rows are told until a restart."""
    (tmp_path / "lines").write_text("a file where a folder should be")
    kept = Numberings(tmp_path / "lines")
    kept.keep(MOVED)
    assert kept.shown(MOVED.id, "p/a.rego:3") == "p/a.rego:5"
