"""Multipart forms are read as OPA-Envoy reads them, by Go's library, or refused.

What Go makes of each was looked up in its source, `mime/mediatype.go`, `mime/multipart/multipart.go` and
`net/textproto/reader.go`: no Go runs here.
"""

from __future__ import annotations

from typing import Any

import pytest

from palisade.decide.body import BodyError, parse_body

TYPE = "multipart/form-data; boundary=XX"


def form(*heads: str, end: str = "--XX--\r\n") -> str:
    return "".join(f"--XX\r\n{head}\r\n\r\n{at}\r\n" for at, head in enumerate(heads)) + end


def disposed(rest: str) -> str:
    return f"Content-Disposition: {rest}"


def parsed(body: str, content_type: str = TYPE) -> Any:
    value, truncated = parse_body({"content-type": content_type}, body.encode())
    assert not truncated
    return value


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (disposed('form-data; name="a"'), "a"),
        (disposed("form-data; name=a"), "a"),
        (disposed('FORM-DATA ; NAME = "a" ;'), "a"),
        (disposed('form-data; filename="x"; name="a"'), "a"),
        ("content-disposition:form-data;name=a", "a"),
        (disposed("form-data; name=a; filename*=utf-8''x%20y; filename=x"), "a"),
        (disposed('form-data; name="a;b"'), "a;b"),
        (disposed(r'form-data; name="a\"b"'), 'a"b'),
        (disposed(r'form-data; name="a\\b"'), r"a\b"),
        # As browsers once sent the paths of files.
        (disposed(r'form-data; filename="C:\x\y"; name="a\b"'), r"a\b"),
        (disposed('form-data; name="é"'), "é"),
        (disposed('form-data; name="a"; name="a"'), "a"),
        (disposed('form-data;\r\n\tname="a"'), "a"),
        (disposed('form-data; name="a"') + "\r\n" + disposed('form-data; name="b"'), "a"),
        (disposed('form-data; name="a"') + "\r\nContent-Transfer-Encoding: 8bit", "a"),
    ],
)
def test_names_of_parts(head: str, name: str) -> None:
    assert parsed(form(head)) == {name: ["0"]}


@pytest.mark.parametrize(
    "head",
    [
        disposed('form-data; name="a"; name="b"'),
        disposed('form-data; name="a"; filename="x"; filename="y"'),
        disposed('form-data; name="a'),
        disposed('form-data; name="a" b'),
        disposed('form-data; name="a"; ;'),
        disposed("form-data; name"),
        disposed('attachment; name="a"'),
        "X-Name: a",
    ],
)
def test_parts_that_have_no_name_in_go_have_none(head: str) -> None:
    """A name that stands twice was the first one, where Go takes neither."""
    assert parsed(form(head)) == {}


@pytest.mark.parametrize(
    "body",
    [
        form(disposed('form-data; name="a"') + "\r\nname"),
        form(" " + disposed('form-data; name="a"')),
        form('Content-Disposition : form-data; name="a"'),
        form(disposed('form-data; name="a"\nX: y')),
        form(disposed('form-data; name="a\x01"')),
        form(disposed("form-data; name*=utf-8''a")),
        form(disposed('form-data; name*0="a"')),
        form(disposed("form data")),
        form(disposed('form-data; name="a"') + "\r\nContent-Transfer-Encoding: quoted-printable"),
        form(disposed('form-data; name="a"'), end="--XX--garbage"),
        form(disposed('form-data; name="a"'), end="--XX-\r\n"),
        form(disposed('form-data; name="a"'), end=""),
        form(disposed('form-data; name="a"')).replace("\r\n", "\n"),
    ],
)
def test_what_go_does_not_read_is_refused(body: str) -> None:
    """Some that Go reads are, too: names in pieces or in a character set, parts that are quoted-printable."""
    with pytest.raises(BodyError, match="multipart form"):
        parsed(body)


@pytest.mark.parametrize(
    ("content_type", "value"),
    [
        ('multipart/form-data; boundary="XX"', {"a": ["0"]}),
        ("multipart/form-data;charset=utf-8;BOUNDARY=XX;", {"a": ["0"]}),
        ("multipart/form-data; boundary=XX; boundary=XX", {"a": ["0"]}),
        ("multipart/form-data", None),
    ],
)
def test_boundaries(content_type: str, value: Any) -> None:
    body = "before\r\n" + form(disposed('form-data; name="a"'), end="--XX-- \t\r\nbehind")
    assert parsed(body, content_type) == value


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=XX; boundary=YY",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=XX Y",
        "multipart/form-data, multipart/form-data; boundary=XX",
    ],
)
def test_content_types_that_are_none(content_type: str) -> None:
    with pytest.raises(BodyError, match="multipart form"):
        parsed(form(disposed('form-data; name="a"')), content_type)


@pytest.mark.parametrize(
    ("rest", "value"),
    [
        (f'; filename="{";" * 400_000}"', {"a": ["0"]}),
        (" " * 400_000 + "!", {}),
        (" " * 400_000 + ";\r\n " + " " * 400_000 + "filename=x", {"a": ["0"]}),
        ("; x=y" + " " * 400_000 + "!", {}),
    ],
)
def test_long_headers_hold_nothing_up(rest: str, value: Any) -> None:
    """What may be read in several ways was tried in each, from each of its characters: for hours."""
    assert parsed(form(disposed(f'form-data; name="a"{rest}'))) == value


def test_a_long_content_type_holds_nothing_up() -> None:
    """As a part's header does: 58 kB of spaces took ten seconds."""
    with pytest.raises(BodyError, match="multipart form"):
        parsed(form(disposed('form-data; name="a"')), f"{TYPE}{' ' * 400_000}!")
