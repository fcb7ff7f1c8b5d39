"""Records are what frozen data classes are, but that the type checker alone keeps others from writing."""

from __future__ import annotations

import copy
import pickle
from dataclasses import field, replace
from pathlib import Path

import pytest
from mypy import api

from palisade.rego.records import kept_property, record


@record()
class Point:
    x: int
    y: int
    note: str = field(default="", compare=False)


@record()
class Named:
    name: str
    rest: tuple[int, ...] = ()

    def __hash__(self) -> int:
        return hash(self.name)


@record(kw_only=True)
class Placed:
    row: int = 0


@record()
class Word(Placed):
    text: str


def test_records_are_compared_and_hashed_by_their_fields() -> None:
    """They are keys of dictionaries all over the compiler."""
    assert Point(1, 2, "here") == Point(1, 2, "there")
    assert hash(Point(1, 2, "here")) == hash(Point(1, 2, "there"))
    assert Point(1, 2) != Point(2, 1)
    assert len({Point(1, 2), Point(1, 2), Point(2, 1)}) == 2


def test_a_hash_of_the_class_itself_is_kept() -> None:
    """One that is quicker than over all fields, where few objects share it."""
    assert hash(Named("a", (1,))) == hash("a")
    assert Named("a", (1,)) != Named("a", (2,))


def test_records_of_records_take_what_stands_above_by_name() -> None:
    """Places are given by name, as nodes of trees and statements of plans have it."""
    word = Word("a", row=3)
    assert (word.text, word.row) == ("a", 3)
    assert replace(word, text="b") == Word("b", row=3)


def test_records_have_no_room_for_other_attributes() -> None:
    """They take the memory of their fields: a large set has a million."""
    with pytest.raises(AttributeError):
        Point(1, 2).other = 3  # type: ignore[attr-defined]


def test_records_are_copied_and_sent_to_other_processes() -> None:
    """As the process that explains is sent them."""
    assert pickle.loads(pickle.dumps(Point(1, 2, "here"))).note == "here"
    assert copy.deepcopy(Named("a", (1,))) == Named("a", (1,))


class Counted:
    asked = 0

    @kept_property
    def found(self) -> int:
        """Found out."""
        self.asked += 1
        return self.asked


def test_a_kept_property_is_found_out_once_for_each_object() -> None:
    """Formulas are asked thousands of times which terms they imply."""
    one, other = Counted(), Counted()
    assert (one.found, one.found, one.asked, other.asked) == (1, 1, 1, 0)
    assert other.found == 1


@pytest.mark.long
def test_the_type_checker_refuses_to_write_to_a_record(tmp_path: Path) -> None:
    """Nothing else does: what stages keep of each other would not hold any more."""
    source = tmp_path / "writing.py"
    source.write_text(
        "from palisade.rego.records import record\n\n\n"
        "@record()\nclass Point:\n    x: int\n\n\n"
        "point = Point(1)\npoint.x = 2\n"
    )
    output, _, status = api.run([str(source), "--cache-dir", str(tmp_path / "cache")])
    assert status == 1
    assert f"{source}:10: error: " in output
    assert "read-only" in output
