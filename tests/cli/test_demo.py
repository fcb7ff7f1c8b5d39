"""`palisade demo`: what the tour prints. That it passes is seen by CI, which runs it."""

import pytest

from palisade.cli.demo import show_rows
from palisade.demo.tour import Row


def test_the_tours_table_is_readable_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    """No row is wider than 80 columns where the output is a file, and a step that fails says what was due."""
    show_rows(
        [
            Row("a token for another audience", "GET orders/orders/7", 403, 403),
            Row("after an edit that allows it", "DELETE orders/orders/7", 200, 403, "in 10004 ms"),
            Row("after an edit with an error", "DELETE orders/orders/7", 200, 200, "no error told " * 5),
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "403, not 200" in lines[2]
    assert lines[2].startswith("NO  after an edit that allows it")
