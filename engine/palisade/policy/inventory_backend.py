"""The setting `backend` of palisade.yaml: who evaluates residual decisions."""

from __future__ import annotations

from collections.abc import Mapping as Settings
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from palisade.policy.inventory import OPA_TIMEOUT, OpaSettings
from palisade.policy.settings import SettingsReader
from palisade.policy.source import Mapping, Scalar, Tree

EXAMPLE = "http://127.0.0.1:8181"
_SETTINGS = {"url", "token", "ca", "cert", "key", "timeout"}
_REQUIRED = {"url": f"url: {EXAMPLE}"}

# A sidecar waits for the engine no longer than 2 seconds, and the engine for a policy no longer than 1.
_TIMEOUTS = (0.01, 0.9)


def read_backend(reader: SettingsReader, tree: Tree, name: str) -> OpaSettings | None:
    """`embedded`, `{opa: URL}` or `{opa: {url: URL, ...}}`; None is the first. Errors go to the reader."""
    if isinstance(tree, Scalar):
        if tree.value != "embedded":
            hint = f"write embedded, or {{opa: {EXAMPLE}}}"
            reader.error(tree.at, f"{name}: no backend is called '{tree.value}'", hint)
        return None
    opa = reader.settings(tree, name, {"opa"}, required={"opa": f"opa: {EXAMPLE}"}).get("opa")
    if opa is None:
        return None
    name = f"{name}.opa"
    if not isinstance(opa, Mapping):
        return _checked(reader, OpaSettings(_url(reader, opa, name)), {"url": opa}, name)
    settings = reader.settings(opa, name, _SETTINGS, required=_REQUIRED)
    read = OpaSettings(
        url=reader.read(settings, "url", lambda *at: _url(reader, *at), "", within=name),
        token=reader.read(settings, "token", reader.path_of, None, within=name),
        ca=reader.read(settings, "ca", reader.path_of, None, within=name),
        cert=reader.read(settings, "cert", reader.path_of, None, within=name),
        key=reader.read(settings, "key", reader.path_of, None, within=name),
        timeout=reader.read(settings, "timeout", lambda *at: _timeout(reader, *at), OPA_TIMEOUT, within=name),
    )
    return _checked(reader, read, settings, name)


def _url(reader: SettingsReader, tree: Tree, name: str) -> str:
    text = reader.text(tree, name, f"a URL such as {EXAMPLE}")
    if not text:
        return ""
    problem, hint = _wrong_with(text)
    if problem:
        reader.error(tree.at, f"{name}: {problem}", hint)
        return ""
    return text.rstrip("/")


def _wrong_with(text: str) -> tuple[str, str]:
    """What is wrong with a URL, and what would be right; nothing where all is well."""
    try:
        url: SplitResult = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError as error:
        return f"'{text}' is no URL: {error}", f"such as {EXAMPLE}"
    if url.username is not None or url.password is not None:
        return "a URL may hold no password", "put a token into a file, and name that as `token`"
    if url.scheme not in ("http", "https") or not host:
        return f"'{text}' is no URL of a server", f"write http:// or https://, host and port: {EXAMPLE}"
    if url.query or url.fragment or any(each.isspace() for each in text):
        return f"'{text}' is more than a server's address", f"such as {EXAMPLE}"
    if port == 0:
        return "no server is on port 0", f"such as {EXAMPLE}"
    return "", ""


def _timeout(reader: SettingsReader, tree: Tree, name: str) -> float:
    value = tree.value if isinstance(tree, Scalar) else None
    lowest, highest = _TIMEOUTS
    if isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest:
        return float(value)
    hint = "a decision that takes longer is denied, and the sidecars wait for a second"
    reader.error(tree.at, f"{name} must be a number of seconds from {lowest} to {highest}", hint)
    return OPA_TIMEOUT


def _checked(
    reader: SettingsReader, read: OpaSettings, settings: Settings[str, Tree], name: str
) -> OpaSettings:
    """Notes files that are not there, and settings that do not go together."""
    files: dict[str, Path | None] = {
        "token": read.token, "ca": read.ca, "cert": read.cert, "key": read.key
    }  # fmt: skip
    for key, path in files.items():
        if path is None:
            continue
        if not path.is_file():
            reader.error(settings[key].at, f"{name}.{key}: there is no file {path}")
        elif key != "token" and read.url.startswith("http://"):
            reader.error(settings[key].at, f"{name}.{key} is for https, but the URL is {read.url}")
    if (read.cert is None) != (read.key is None):
        there, missing = ("cert", "key") if read.key is None else ("key", "cert")
        hint = f"add the other half: {missing}: ./engine-{missing}.pem"
        reader.error(settings[there].at, f"{name}.{there} is of no use without {name}.{missing}", hint)
    return read
