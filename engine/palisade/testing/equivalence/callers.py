"""Who calls: what a certificate names, how near that is to what a policy compares with, and the certificates.

One authority, made for the run, signs them all; the sidecar's own certificate too.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from palisade.testing.certificates import TestAuthority, client_context
from palisade.testing.equivalence import near

PLACES = (("peer",), ("attributes", "source", "principal"))
"""Where a policy reads who calls."""

ODD = (
    "",
    "spiffe://",
    "SPIFFE://a/b",
    "spiffe:/a",
    "spiffe://a/b,spiffe://c/d",
    "spiffe://a/b\n",
    "https://a/b",
)
"""Names that few callers have."""

_COMMON = "CN="
_MOST_COMMON, _MOST = 64, 400
"""So long may a common name be (RFC 5280, appendix A.1), and any other here."""
_CONTEXTS = 512
"""So many callers are kept ready to connect."""


@dataclass(frozen=True)
class Caller:
    """What a certificate names, each kind in its order: a certificate may name nothing."""

    uris: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    common_name: str = ""

    @property
    def told(self) -> str:
        """The names, for people."""
        parts = [f"URI {each!r}" for each in self.uris] + [f"DNS name {each!r}" for each in self.hosts]
        parts += [f"subject {_COMMON}{self.common_name}"] if self.common_name else []
        return ", ".join(parts) or "no name"


def principal(caller: Caller) -> str:
    """Who that is for a policy: the first of its names that Envoy's ext_authz filter looks at
    (`palisade_sidecar.peer`). Empty where that is none."""
    subject = f"{_COMMON}{caller.common_name}" if caller.common_name else ""
    return next(iter((*caller.uris, *caller.hosts, subject)))


def named(text: str) -> Caller:
    """A caller who is known as the text, as far as one can be."""
    if text.startswith(_COMMON):
        return Caller(common_name=text.removeprefix(_COMMON))
    return Caller(uris=(text,)) if ":" in text else Caller(hosts=(text,))


def callers(known: Iterable[str]) -> Iterator[Caller]:
    """Callers who are known as one of the texts, and some who nearly are: the same name in another place,
    before or behind another, or spelled otherwise."""
    texts = list(known)
    for text in texts:
        yield named(text)
    for text in (*texts, *ODD):
        yield Caller(uris=(text,))
        yield Caller(hosts=(text,))
        yield Caller(common_name=text)
        yield Caller(uris=("spiffe://other/one", text))
        yield Caller(uris=(text, "spiffe://other/one"), hosts=(text,))
        yield Caller(uris=("https://other/one",), hosts=(text,), common_name=text)
        yield Caller(uris=("",), hosts=(text,), common_name=text)
        yield Caller(hosts=("other.example", text), common_name=text)
    for text in texts:
        for other in (
            *near.texts(text),
            f"{text}/",
            f"{text},spiffe://other/one",
            text.removeprefix("spiffe://"),
        ):
            yield named(other)
    yield Caller()


def issuable(caller: Caller) -> Caller:
    """The caller without the names that no certificate can have."""
    return Caller(
        tuple(filter(_is_name, caller.uris)),
        tuple(filter(_is_name, caller.hosts)),
        caller.common_name if 0 < len(caller.common_name) <= _MOST_COMMON else "",
    )


def _is_name(text: str) -> bool:
    return text.isascii() and len(text) <= _MOST


def plainer(caller: Caller) -> Iterator[Caller]:
    """Callers with a name less."""
    for at in range(len(caller.uris)):
        yield replace(caller, uris=caller.uris[:at] + caller.uris[at + 1 :])
    for at in range(len(caller.hosts)):
        yield replace(caller, hosts=caller.hosts[:at] + caller.hosts[at + 1 :])
    if caller.common_name:
        yield replace(caller, common_name="")


class Certificates:
    """The certificates of a run. `folder` is for keys that pass through files, as `ssl` wants them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = TestAuthority("palisade verify")
        self.server = self._authority.issue(dns=("localhost",))
        self.client = lru_cache(_CONTEXTS)(self._client)
        """How a caller, or one without a certificate, connects for HTTP/1.1 or HTTP/2."""

    @property
    def authority(self) -> bytes:
        """The certificate that all others lead to, PEM."""
        return self._authority.pem

    def _client(self, caller: Caller | None, *, http2: bool) -> ssl.SSLContext:
        pair = None
        if caller is not None:
            subject = {"CN": caller.common_name} if caller.common_name else None
            pair = self._authority.issue(uris=caller.uris, dns=caller.hosts, subject=subject)
        context = client_context(self.authority, self._folder, pair)
        context.set_alpn_protocols(["h2" if http2 else "http/1.1"])
        return context
