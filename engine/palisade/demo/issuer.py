"""A local OIDC provider with a few users: discovery, keys, the authorization code flow.

It is the `oidc-provider-mock` project's, whose users log in with one click: for demonstrations and tests.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

USERS: Mapping[str, tuple[str, ...]] = {
    "rita": ("reader",),
    "carl": ("clerk",),
    "ada": ("admin",),
    "gus": ("guest",),
}
"""The users and their roles."""

AUDIENCE = "palisade-demo"
_REDIRECT = "http://127.0.0.1/callback"


class Issuer:
    """The provider on a loopback port, in a thread. Use as a context manager."""

    def __init__(self, port: int = 0, *, lifetime: timedelta = timedelta(hours=1)) -> None:
        """`lifetime` is how long its tokens are valid; port 0 picks a free one. Raises OSError."""
        self._lifetime = lifetime
        self._server, self._thread = _serve(port, lifetime)
        self.port: int = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Issuer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def rotate(self) -> None:
        """Replace the signing key: the old one is no longer published, and new tokens bear the new one."""
        self._stop()
        self._server, self._thread = _serve(self.port, self._lifetime)

    def token(self, user: str, *, audience: str = AUDIENCE) -> str:
        """An ID token of the user, by the authorization code flow (OpenID Connect Core 1.0, section 3.1)."""
        asked = {
            "client_id": audience,
            "redirect_uri": _REDIRECT,
            "response_type": "code",
            "scope": "openid",
            "state": "demo",
        }
        with httpx.Client(base_url=self.url) as client:
            login = client.post("/oauth2/authorize", params=asked, data={"sub": user})
            code = parse_qs(urlsplit(login.headers["location"]).query)["code"][0]
            grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": _REDIRECT}
            answer = client.post("/oauth2/token", data=grant, auth=(audience, "any"))
            answer.raise_for_status()
            return str(answer.json()["id_token"])


def _serve(port: int, lifetime: timedelta) -> tuple[Any, threading.Thread]:
    with warnings.catch_warnings():
        # Imported first, since it asks to always show these; they speak of its dependencies' next versions.
        from authlib.deprecate import AuthlibDeprecationWarning

        warnings.simplefilter("ignore", AuthlibDeprecationWarning)
        from oidc_provider_mock import User, app
        from werkzeug.serving import make_server

    for name in ("werkzeug", "oidc_provider_mock"):
        logging.getLogger(name).setLevel(logging.ERROR)
    users = [User(sub=name, claims={"roles": list(roles)}) for name, roles in USERS.items()]
    server = make_server(
        "127.0.0.1", port, app(user_claims=users, access_token_max_age=lifetime), threaded=True
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    return server, thread
