"""A `curl` command line, as browsers and API documentation give it to be copied.

https://curl.se/docs/manpage.html
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from palisade.cli.exit_codes import CommandError
from palisade.cli.requests.interface import Sent, header

_VARIABLE = re.compile(r"\$(?:\w+|\{)")
_FORM = "application/x-www-form-urlencoded"

_VALUES = {
    "-X": "request",
    "-H": "header",
    "-d": "data",
    "-b": "cookie",
    "-u": "user",
    "-A": "user-agent",
    "-e": "referer",
}
"""Short options that have a value, and what they are in long."""
_SWITCHES = {"-G": "get", "-I": "head"}
_READ = frozenset(
    (
        *_VALUES.values(),
        *("data-raw", "data-ascii", "data-binary", "data-urlencode", "json", "url", "oauth2-bearer"),
        *("request-target", "url-query"),
    )
)
_PASSED_OVER = frozenset(
    (
        *(
            "silent",
            "show-error",
            "insecure",
            "location",
            "include",
            "verbose",
            "fail",
            "compressed",
            "globoff",
        ),
        *(
            "http1.0",
            "http1.1",
            "http2",
            "http2-prior-knowledge",
            "http3",
            "path-as-is",
            "progress-bar",
            "ipv4",
        ),
        *("ipv6", "no-buffer", "fail-with-body", "tcp-nodelay", "no-keepalive", "raw", "remote-name"),
    )
)
"""Options that do not change what is asked."""
_PASSED_SHORT = frozenset("sSkLivfgN#046Oj")
_PASSED_WITH_VALUE = frozenset(
    (
        *("output", "connect-timeout", "max-time", "retry", "resolve", "cacert", "cert", "key", "write-out"),
        *("proxy", "connect-to", "retry-delay", "dump-header", "cookie-jar", "trace", "stderr", "limit-rate"),
        *("tls-max", "ciphers", "interface", "unix-socket"),
    )
)
_SHORT_WITH_VALUE = {"-o": "output", "-m": "max-time", "-w": "write-out", "-x": "proxy", "-D": "dump-header"}
_SHORT_WITH_VALUE |= {"-c": "cookie-jar", "-E": "cert"}


def read(text: str) -> Sent | None:
    """The request that a command line sends; None for what is no `curl` command. Raises CommandError."""
    if not re.match(r"\s*\$?\s*curl(\.exe)?\s", text):
        return None
    try:
        words = shlex.split(text.replace("\\\n", " ").replace("\\\r\n", " "))
    except ValueError as error:
        raise CommandError(f"the curl command cannot be split into words: {error}") from None
    return _Command(words[words.index("curl") + 1 :] if "curl" in words else words[1:]).sent()


class _Command:
    """Reads the options in turn."""

    def __init__(self, words: list[str]) -> None:
        self._words = iter(words)
        self._method = ""
        self._urls: list[str] = []
        self._headers: list[tuple[str, str]] = []
        self._removed: set[str] = set()
        self._data: list[str] = []
        self._query: list[str] = []
        self._json = self._get = self._head = False
        self._target = ""
        for name, value in self._options():
            self._take(name, value)

    def _options(self) -> Iterator[tuple[str, str]]:
        for word in self._words:
            if word == "--":
                self._urls += self._words
            elif word.startswith("--"):
                yield from self._long(word[2:])
            elif word.startswith("-") and len(word) > 1:
                yield from self._short(word[1:])
            else:
                self._urls.append(word)

    def _long(self, word: str) -> Iterator[tuple[str, str]]:
        name, sign, value = word.partition("=")
        if name in _READ:
            yield name, value if sign else self._value(f"--{name}")
        elif word in ("get", "head"):
            yield word, ""
        elif name in _PASSED_WITH_VALUE:
            if not sign:
                self._value(f"--{name}")
        elif word not in _PASSED_OVER:
            raise CommandError(f"curl: the option --{word} is not read here", hint=_KNOWN)

    def _short(self, letters: str) -> Iterator[tuple[str, str]]:
        while letters:
            letter, letters = f"-{letters[0]}", letters[1:]
            name = _VALUES.get(letter) or _SHORT_WITH_VALUE.get(letter)
            if name is not None:
                value = letters or self._value(letter)
                if letter in _VALUES:
                    yield name, value
                return
            if letter in _SWITCHES:
                yield _SWITCHES[letter], ""
            elif letter[1] not in _PASSED_SHORT:
                raise CommandError(f"curl: the option {letter} is not read here", hint=_KNOWN)

    def _value(self, option: str) -> str:
        value = next(self._words, None)
        if value is None:
            raise CommandError(f"curl: {option} lacks its value")
        return value

    def _take(self, name: str, value: str) -> None:
        match name:
            case "request":
                self._method = value
            case "url":
                self._urls.append(value)
            case "header":
                self._header(value)
            case "data" | "data-ascii" | "data-binary":
                self._data.append(_content(value, strip=name != "data-binary"))
            case "data-raw":
                self._data.append(value)
            case "data-urlencode":
                self._data.append(_encoded(value))
            case "json":
                self._json = True
                self._data.append(_content(value, strip=False))
            case "url-query":
                self._query.append(value[1:] if value.startswith("+") else _encoded(value))
            case "cookie":
                if "=" not in value:
                    raise CommandError(
                        f"curl: -b {value} names a file", hint="write the cookies: -b 'name=value'"
                    )
                self._headers.append(("cookie", value))
            case "user":
                self._headers.append(("authorization", f"Basic {base64.b64encode(value.encode()).decode()}"))
            case "oauth2-bearer":
                self._headers.append(("authorization", f"Bearer {value}"))
            case "user-agent":
                self._headers.append(("user-agent", value))
            case "referer":
                self._headers.append(("referer", value))
            case "request-target":
                self._target = value
            case "get":
                self._get = True
            case "head":
                self._head = True

    def _header(self, text: str) -> None:
        if text.startswith("@"):
            raise CommandError(f"curl: -H {text} names a file", hint="write the headers: -H 'name: value'")
        if text.endswith(";") and ":" not in text:
            self._headers.append((text[:-1].strip().lower(), ""))
            return
        name, value = header(text, "curl -H")
        if value:
            self._headers.append((name, value))
        else:
            self._removed.add(name)

    def sent(self) -> Sent:
        """The request. Raises CommandError where there is no URL, or more than one."""
        if len(self._urls) != 1:
            found = f"{len(self._urls)} URLs: {' '.join(self._urls)}" if self._urls else "no URL"
            raise CommandError(f"curl: the command has {found}", hint="give it exactly one")
        url = self._urls[0] if "://" in self._urls[0] else f"http://{self._urls[0]}"
        body = ("" if self._json else "&").join(self._data)
        query = [*self._query, *([body] if self._get and body else [])]
        if query:
            url += ("&" if "?" in url else "?") + "&".join(query)
        if self._target:
            scheme, _, rest = url.partition("://")
            url = f"{scheme}://{rest.partition('/')[0]}{self._target}"
        posts = bool(self._data) and not self._get
        method = self._method or ("HEAD" if self._head else "POST" if posts else "GET")
        headers = [*self._headers]
        if posts:
            self._default(headers, "content-type", "application/json" if self._json else _FORM)
        if self._json:
            self._default(headers, "accept", "application/json")
        return Sent(method, url, tuple(headers), body if posts else "", tuple(self._notes(headers)))

    def _default(self, headers: list[tuple[str, str]], name: str, value: str) -> None:
        if name not in self._removed and name not in dict(headers):
            headers.append((name, value))

    @staticmethod
    def _notes(headers: list[tuple[str, str]]) -> Iterator[str]:
        for name, value in headers:
            if _VARIABLE.search(value):
                yield f"the header {name} has a shell variable, which is not replaced here: write its value"


_KNOWN = "what a request is made of is: -X, -H, -d, --data-raw, --json, -b, -u, -A, -e, -G, -I, --url"


def _content(value: str, *, strip: bool) -> str:
    """The data, or the content of the file that `@FILE` names."""
    if not value.startswith("@"):
        return value
    try:
        text = Path(value[1:]).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"curl: {value[1:]} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None
    return text.replace("\r", "").replace("\n", "") if strip else text


def _encoded(value: str) -> str:
    """What --data-urlencode makes of `content`, `=content` and `name=content`."""
    name, sign, content = value.partition("=")
    if not sign:
        if "@" in value:
            name, _, file = value.partition("@")
            content = _content(f"@{file}", strip=False)
            return f"{name}={quote(content)}" if name else quote(content)
        return quote(value)
    return f"{name}={quote(content)}" if name else quote(content)
