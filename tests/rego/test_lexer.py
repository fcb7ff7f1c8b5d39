"""Tokens: their kinds and places, and what is no token."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from palisade.rego.lexer import NEWLINE, NO_GAP, SPACE, string_value, template_text, tokenize


def kinds(source: str) -> list[str]:
    return [token.kind for token in tokenize(source).tokens]


def errors(source: str) -> list[tuple[str, int]]:
    return [(error.message, error.start) for error in tokenize(source).errors]


def test_every_kind() -> None:
    source = 'p.q[_] := f(1.5e3) >= "x" | `y` # z\nif in'
    wanted = "name . name [ name ] := name ( number ) >= string | string if in eof"
    assert kinds(source) == wanted.split()
    assert tokenize(source).comments == [(source.index("#"), " z")]


def test_places_and_gaps() -> None:
    """Statements end with lines, and `a [0]` is no reference: the parser must see what was between tokens."""
    tokens = tokenize("a[0]  b#c\n\r\t d").tokens
    assert [(t.text, t.start, t.end, t.gap) for t in tokens] == [
        ("a", 0, 1, NO_GAP),
        ("[", 1, 2, NO_GAP),
        ("0", 2, 3, NO_GAP),
        ("]", 3, 4, NO_GAP),
        ("b", 6, 7, SPACE),
        ("d", 13, 14, NEWLINE),
        ("", 14, 14, NO_GAP),
    ]


def test_a_comment_is_a_gap() -> None:
    assert [token.gap for token in tokenize("a # b\n# c\n+1").tokens] == [NO_GAP, NEWLINE, NO_GAP, NO_GAP]


def test_a_byte_order_mark_may_start_a_source() -> None:
    assert kinds("\ufeffa") == ["name", "eof"]
    assert errors("\ufeffa") == []


def test_words_are_keywords_only_where_they_are_asked_for() -> None:
    v0 = tokenize("if in x", frozenset(("in",)))
    assert [token.kind for token in v0.tokens] == ["name", "in", "name", "eof"]


def test_template_strings_nest() -> None:
    source = '$"a{x}{ {"k": $"{y}"} }\\{z"'
    tokens = tokenize(source).tokens
    wanted = "template name } template { string : template name } template-end } } template-end eof"
    assert [token.kind for token in tokens] == wanted.split()
    assert template_text(tokens[0]) == "a"
    assert template_text(tokens[-2]) == "{z"


def test_raw_template_strings_keep_backslashes_and_lines() -> None:
    tokens = tokenize("$`\\n\n\\{{x}`").tokens
    assert [token.kind for token in tokens] == ["template", "name", "}", "template-end", "eof"]
    assert template_text(tokens[0]) == "\\n\n{"


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ('"a\\n\\u00e9\\/"', "a\né/"),
        ('"\\ud83d\\ude00"', "😀"),
        ('"\\ud83d"', "\ufffd"),
        ("`a\\n`", "a\\n"),
        ('"a`b"', "a`b"),
    ],
)
def test_string_values(literal: str, value: str) -> None:
    assert string_value(literal) == value


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ('p := "a\nq', [("non-terminated string", 5)]),
        ("p := `a\nq", [("non-terminated string", 5)]),
        ('p := "\\q"', [("illegal escape sequence", 5)]),
        ("1.", [("expected fraction", 0)]),
        ("1e+", [("expected exponent", 0)]),
        ("0a2b", [("illegal number format", 0)]),
        ("!x", [("illegal ! character", 0)]),
        ("$x", [("illegal $ character", 0)]),
        ("a @ b ~ c", [("illegal token", 2), ("illegal token", 6)]),
        ('"a\0b"', [("illegal null character", 2)]),
        ("a\ufeffb", [("illegal byte-order mark", 1)]),
        ('# \ud800\n"x"', [("illegal utf-8 character", 2)]),
        ('$"{x', []),
        ('$"a', [("non-terminated string", 0)]),
        ('$"\\q"', [("illegal escape sequence", 0), ("non-terminated string", 4)]),
    ],
)
def test_lexical_errors(source: str, wanted: list[tuple[str, int]]) -> None:
    """OPA's words, at the place, and all of them."""
    assert errors(source) == wanted


@given(st.text() | st.text(alphabet='ab_09.e+-*/%&|=<>!:;,()[]{}"`$\\# \t\r\n\0\ufeffé'))
def test_tokens_cover_any_text(source: str) -> None:
    """Whatever the text: tokens stand in order, apart, with gaps of nothing but whitespace and comments."""
    lexed = tokenize(source)
    assume(sum(token.kind == "illegal" for token in lexed.tokens) < 100)  # then the rest is not looked at
    end = 1 if source.startswith("\ufeff") else 0
    comments = dict(lexed.comments)
    for token in lexed.tokens:
        gap = source[end : token.start]
        for start, text in comments.items():
            if end <= start < token.start:
                gap = gap.replace(f"#{text}", "", 1)
        assert not gap.strip(" \t\r\n")
        assert token.start <= token.end
        end = token.end
    assert lexed.tokens[-1].kind == "eof"
    assert lexed.tokens[-1].start == len(source)
    assert any(token.kind == "illegal" for token in lexed.tokens) <= bool(lexed.errors)


@pytest.mark.parametrize("char", ["\0", "!", "\ufeff", "~"])
def test_what_is_no_source_at_all_is_given_up_soon(char: str) -> None:
    """A binary file by the name of a policy: no one reads a million errors, and making them takes minutes."""
    found = tokenize(char * 1_000_000)
    assert 0 < len(found.errors) <= 200
    assert len(found.tokens) <= 200
    assert found.tokens[-1].kind == "eof"
