"""What browsers save is read as it was sent."""

from __future__ import annotations

from typing import Any

import pytest

from palisade.cli.exit_codes import CommandError
from palisade.cli.requests.har import is_har, read
from palisade.cli.requests.interface import Sent


def archive(**request: Any) -> dict[str, Any]:
    return {
        "log": {"entries": [{"request": {"method": "GET", "url": "https://h/a", "headers": [], **request}}]}
    }


def test_headers_and_cookies() -> None:
    headers = [{"name": ":method", "value": "GET"}, {"name": "X-A", "value": "1"}]
    found = read(
        archive(headers=headers, cookies=[{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]), None
    )
    assert found == Sent("GET", "https://h/a", (("x-a", "1"), ("cookie", "a=1; b=2")))


def test_bodies_as_text_or_as_parameters() -> None:
    text = {"mimeType": "application/json", "text": '{"a": 1}'}
    assert read(archive(method="POST", postData=text), None).body == '{"a": 1}'
    form = {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "a b", "value": "1&2"}]}
    assert read(archive(method="POST", postData=form), None).body == "a+b=1%262"


def test_other_documents_are_no_archives() -> None:
    assert is_har(archive())
    for document in ({}, [], {"log": []}, {"log": {}}, {"input": {}}):
        assert not is_har(document)


@pytest.mark.parametrize("entries", [[], [{}], [{"request": {}}], [7]])
def test_broken_archives_are_refused(entries: list[Any]) -> None:
    with pytest.raises(CommandError):
        read({"log": {"entries": entries}}, None)
