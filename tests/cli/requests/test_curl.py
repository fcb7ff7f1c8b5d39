"""A curl command is read as curl would send it, and what is not read is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from palisade.cli.exit_codes import CommandError
from palisade.cli.requests.curl import read
from palisade.cli.requests.interface import Sent

FORM = ("content-type", "application/x-www-form-urlencoded")
URL = "http://h/a"


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        (f"curl {URL}", Sent("GET", URL)),
        (f"$ curl -sSkL --compressed {URL}", Sent("GET", URL)),
        ("curl h/a", Sent("GET", URL)),
        (f"curl --url {URL}", Sent("GET", URL)),
        (f"curl -I {URL}", Sent("HEAD", URL)),
        (f"curl -XPUT {URL}", Sent("PUT", URL)),
        (f"curl -sXPUT {URL} -o /dev/null", Sent("PUT", URL)),
        (f"curl --request=PUT {URL}", Sent("PUT", URL)),
        (
            f"curl {URL} -H 'X-A: 1' -H'X-A:2' -H 'x-b;'",
            Sent("GET", URL, (("x-a", "1"), ("x-a", "2"), ("x-b", ""))),
        ),
        (f"curl {URL} -d a=1 -d b=2", Sent("POST", URL, (FORM,), "a=1&b=2")),
        (
            f"curl {URL} -d a=1 -H 'content-type: text/plain'",
            Sent("POST", URL, (("content-type", "text/plain"),), "a=1"),
        ),
        (f"curl {URL} -d a=1 -H 'content-type:'", Sent("POST", URL, (), "a=1")),
        (f"curl {URL} --data-raw '@a'", Sent("POST", URL, (FORM,), "@a")),
        (f"curl {URL} --data-urlencode 'a=1 2'", Sent("POST", URL, (FORM,), "a=1%202")),
        (f"curl -G {URL} -d a=1 --data-urlencode 'b=ü'", Sent("GET", f"{URL}?a=1&b=%C3%BC")),
        (f"curl {URL}?x -G -d a=1", Sent("GET", f"{URL}?x&a=1")),
        (
            f"curl {URL} --json '{{\"a\": 1}}'",
            Sent(
                "POST",
                URL,
                (("content-type", "application/json"), ("accept", "application/json")),
                '{"a": 1}',
            ),
        ),
        (f"curl {URL} -b 'a=1; b=2'", Sent("GET", URL, (("cookie", "a=1; b=2"),))),
        (f"curl {URL} -u me:pw", Sent("GET", URL, (("authorization", "Basic bWU6cHc="),))),
        (f"curl {URL} --oauth2-bearer T", Sent("GET", URL, (("authorization", "Bearer T"),))),
        (
            f"curl {URL} -A agent -e http://r",
            Sent("GET", URL, (("user-agent", "agent"), ("referer", "http://r"))),
        ),
        (f"curl --path-as-is --request-target '*' -X OPTIONS {URL}", Sent("OPTIONS", "http://h*")),
        (f"curl \\\n  -H 'a: b' \\\n  {URL}", Sent("GET", URL, (("a", "b"),))),
        (f"curl -- {URL}", Sent("GET", URL)),
    ],
)
def test_what_a_command_sends(command: str, sent: Sent) -> None:
    assert read(command) == sent


def test_data_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "body").write_text("a\nb\n")
    for option, body in (("-d", "ab"), ("--data-binary", "a\nb\n"), ("--json", "a\nb\n")):
        sent = read(f"curl {URL} {option} @{tmp_path / 'body'}")
        assert sent is not None
        assert sent.body == body


def test_what_the_shell_would_replace_is_pointed_out() -> None:
    sent = read(f'curl {URL} -H "authorization: Bearer $TOKEN"')
    assert sent is not None
    assert sent.notes == (
        "the header authorization has a shell variable, which is not replaced here: write its value",
    )


@pytest.mark.parametrize("text", ["GET /", "curly /", "", "{}"])
def test_other_texts_are_no_command(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (f"curl --form a=b {URL}", "the option --form is not read here"),
        (f"curl -sF a=b {URL}", "the option -F is not read here"),
        (f"curl {URL} -H", "-H lacks its value"),
        (f"curl {URL} -H nonsense", "'nonsense' is no header"),
        (f"curl {URL} -H @file", "-H @file names a file"),
        (f"curl {URL} -b jar", "-b jar names a file"),
        (f"curl {URL} -d @nowhere", "nowhere cannot be read"),
        ("curl -s", "no URL"),
        (f"curl {URL} {URL}", "2 URLs"),
        ("curl 'http://h", "cannot be split into words"),
    ],
)
def test_what_is_not_read_is_refused(command: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        read(command)
