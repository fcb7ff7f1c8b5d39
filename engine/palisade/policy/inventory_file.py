"""Reading palisade.yaml: one method a setting, and every error at once."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from palisade.files import missing
from palisade.policy.addresses import EXAMPLE, AddressError, parse_host_pattern
from palisade.policy.inventory import (
    DEFAULT_DECISION,
    DecisionLogSettings,
    EngineSettings,
    EscapedSlashes,
    Explain,
    ExplainSettings,
    Failure,
    Function,
    HistorySettings,
    Inventory,
    InventoryError,
    OpaSettings,
    Protocol,
)
from palisade.policy.inventory_addresses import NO_ADDRESS, AddressReader
from palisade.policy.inventory_backend import read_backend
from palisade.policy.inventory_tls import read_tls
from palisade.policy.places import Places
from palisade.policy.source import (
    Mapping,
    Scalar,
    Sequence,
    Source,
    Tree,
    read_text,
)
from palisade.rego import Network
from palisade.rego.errors import Diagnostic, Location

T = TypeVar("T")

_NO_FILE = (
    "name the inventory with -f, or write one: README.md and docs/reference/palisade-yaml.md have examples"
)

# A function's name becomes part of a SPIFFE ID and of host names: these characters are right for both.
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_SEGMENT = re.compile(r"[^/\s\"]+")

_PROTOCOLS: tuple[Protocol, ...] = ("auto", "http1", "http2")
_ESCAPED_SLASHES: tuple[EscapedSlashes, ...] = ("reject", "keep", "unescape")

_EXPLAIN: tuple[Explain, ...] = ("none", "denied", "all")


def load(file: Path | str) -> Inventory:
    """The inventory in a file; relative paths in it are relative to its folder.

    Raises InventoryError with every error of the file.
    """
    path = Path(os.path.abspath(file))
    return parse(_text_of(path, os.fspath(file)), path, shown=os.fspath(file))


def engine_of(file: Path | str) -> EngineSettings:
    """The engine's settings alone, whatever is wrong with others: who asks one that runs needs no more.

    Raises InventoryError where the file cannot be read, or something is wrong with these.
    """
    path = Path(os.path.abspath(file))
    source = Source(os.fspath(file), _text_of(path, os.fspath(file)))
    tree = source.parse()
    if isinstance(tree, Diagnostic):
        raise InventoryError([tree])
    reader = _Reader(source, path)
    engine = reader.engine(
        {str(key.value): value for key, value in tree} if isinstance(tree, Mapping) else {}
    )
    if reader.errors:
        raise InventoryError(reader.errors)
    return engine


def _text_of(path: Path, shown: str) -> str:
    text = read_text(path, shown)
    if isinstance(text, Diagnostic):
        raise InventoryError(
            [replace(text, hint=otherwise_called(path) or _NO_FILE) if missing(path) else text]
        )
    return text


def otherwise_called(path: Path) -> str:
    """What to do where no inventory is at a path, and one has the other ending of YAML; else empty."""
    other = path.with_suffix(".yml" if path.suffix == ".yaml" else ".yaml")
    return "" if missing(other) else f"{other.name} is there: name it with -f, or call it {path.name}"


def parse(text: str, path: Path, shown: str = "palisade.yaml") -> Inventory:
    """The inventory that `text` spells, as if it stood at `path`; errors call the file `shown`.

    Raises InventoryError with every error of the text.
    """
    source = Source(shown, text)
    tree = _tree(source)
    if isinstance(tree, Diagnostic):
        raise InventoryError([tree])
    reader = _Reader(source, path)
    inventory = reader.inventory(tree)
    if reader.errors:
        raise InventoryError(reader.errors)
    return inventory


@lru_cache(maxsize=1)
def _tree(source: Source) -> Tree | Diagnostic:
    """What the text says. It is read again with each edit of a policy, mostly as it was, and YAML of hundreds
    of functions takes half a second."""
    return source.parse()


class _Reader(AddressReader):
    """Reads each setting of a tree. A wrong one is noted in `errors` and read as its default."""

    def inventory(self, tree: Tree) -> Inventory:
        known = {"policies", "functions", "decision", "rego", "engine"}
        known |= {"decision_log", "network", "history", "backend", "explain"}
        top = self.settings(tree, "the inventory", known, required=_REQUIRED, within="")
        inventory = Inventory(
            file=self._path,
            policies=self.read(top, "policies", self._folder, self._path.parent),
            functions=MappingProxyType(self.read(top, "functions", self._functions, {})),
            decision=self.read(top, "decision", self._decision, DEFAULT_DECISION),
            rego_version=self.read(top, "rego", self._rego_version, 1),
            engine=self.engine(top),
            decision_log=self.read(top, "decision_log", self._decision_log, DecisionLogSettings()),
            network=self.read(top, "network", self._network, Network()),
            explain=self.read(top, "explain", self._explain, ExplainSettings()),
            history=self.read(top, "history", self._history, HistorySettings()),
            backend=self.read(top, "backend", self._backend, None),
            places=Places(self._source, MappingProxyType(self.places)),
        )
        if "engine" not in top:
            self.bind("engine.listen", inventory.engine.listen, tree.at)
            self.bind("engine.admin", inventory.engine.admin, tree.at)
        self.check_addresses()
        return inventory

    # Settings ---------------------------------------------------------------------------------------

    def engine(self, top: dict[str, Tree]) -> EngineSettings:
        return self.read(top, "engine", self._engine, self._default_engine())

    def _functions(self, tree: Tree, name: str) -> dict[str, Function]:
        if not isinstance(tree, Mapping):
            self.error(tree.at, f"{name} must be a mapping of names to functions", _FUNCTIONS_EXAMPLE)
            return {}
        if not tree.entries:
            self.error(tree.at, "no functions", _FUNCTIONS_EXAMPLE)
        functions = {}
        for key, value in tree:
            title = str(key.value)
            if not isinstance(key.value, str) or not _NAME.fullmatch(title) or len(title) > 63:
                hint = "use up to 63 of a-z, 0-9, '-' and '.', with a letter or digit at both ends"
                self.error(key.at, f"'{title}' cannot name a function", hint)
                continue
            functions[title] = self._function(title, value, key.at)
        return functions

    def _function(self, name: str, tree: Tree, at: Location) -> Function:
        known = {"upstream", "listen", "failure", "labels", "protocol", "escaped_slashes", "trusted_hops"}
        known |= {"tls"}
        what = f"functions.{name}"
        settings = self.settings(tree, what, known, required=_REQUIRED_OF_FUNCTION, at=at)
        upstream = self.read(settings, "upstream", self.upstream, NO_ADDRESS, within=what)
        listen = self.read(settings, "listen", self.listen, NO_ADDRESS, within=what)
        if upstream.port and upstream == listen:
            hint = "the sidecar would call itself: give one of the two another port"
            self.error(settings["listen"].at, f"{what}.listen is its upstream, {listen}", hint)
        return Function(
            name=name,
            upstream=upstream,
            listen=listen,
            failure=self.read(settings, "failure", self._failure, Failure(), within=what),
            labels=MappingProxyType(self.read(settings, "labels", self._labels, {}, within=what)),
            protocol=self.read(settings, "protocol", self.one_of(_PROTOCOLS), "auto", within=what),
            escaped_slashes=self.read(
                settings, "escaped_slashes", self.one_of(_ESCAPED_SLASHES), "reject", within=what
            ),
            trusted_hops=self.read(settings, "trusted_hops", self.whole(0, 32, _HOPS), 0, within=what),
            tls=self.read(settings, "tls", lambda *at: read_tls(self, *at), None, within=what),
        )

    def _failure(self, tree: Tree, name: str) -> Failure:
        settings = self.settings(tree, name, {"no_engine", "no_revision"})
        default = Failure()
        return Failure(
            no_engine=self.read(settings, "no_engine", self._status, default.no_engine, within=name),
            no_revision=self.read(settings, "no_revision", self._status, default.no_revision, within=name),
        )

    def _labels(self, tree: Tree, name: str) -> dict[str, str]:
        if not isinstance(tree, Mapping):
            self.error(tree.at, f"{name} must be a mapping of strings", "such as {team: payments}")
            return {}
        labels = {}
        for key, value in tree:
            if isinstance(key.value, str) and isinstance(value, Scalar) and isinstance(value.value, str):
                labels[key.value] = value.value
            else:
                shown = value.value if isinstance(value, Scalar) else "..."
                hint = f'quote it: {key.value}: "{shown}"' if isinstance(value, Scalar) else ""
                self.error(value.at, f"{name}.{key.value} must be a string", hint)
        return labels

    def _engine(self, tree: Tree, name: str) -> EngineSettings:
        settings = self.settings(tree, name, {"listen", "admin", "state"})
        default = self._default_engine()
        for key in ("listen", "admin"):
            if key not in settings:
                self.bind(f"{name}.{key}", getattr(default, key), tree.at)
        return EngineSettings(
            listen=self.read(settings, "listen", self.listen, default.listen, within=name),
            admin=self.read(settings, "admin", self.listen, default.admin, within=name),
            state=self.read(settings, "state", self.path_of, default.state, within=name),
        )

    def _default_engine(self) -> EngineSettings:
        return EngineSettings(state=self._path.parent / ".palisade")

    def _decision_log(self, tree: Tree, name: str) -> DecisionLogSettings:
        settings = self.settings(tree, name, {"path", "mask", "explain"})
        mask = settings.get("mask")
        what = f"{name}.mask"
        masked = self.settings(mask, what, {"headers", "parameters"}) if mask is not None else {}
        return DecisionLogSettings(
            path=self.read(settings, "path", self._log_path, None, within=name),
            mask_headers=self.read(masked, "headers", self._names, frozenset(), within=what),
            mask_parameters=self.read(masked, "parameters", self._names, frozenset(), within=what),
            explain=self.read(settings, "explain", self.one_of(_EXPLAIN), "none", within=name),
        )

    def _network(self, tree: Tree, name: str) -> Network:
        settings = self.settings(tree, name, {"hosts"})
        return Network(hosts=self.read(settings, "hosts", self._hosts, (), within=name))

    def _explain(self, tree: Tree, name: str) -> ExplainSettings:
        settings = self.settings(tree, name, {"trusted"}, required={"trusted": "trusted: [127.0.0.1]"})
        return ExplainSettings(trusted=self.read(settings, "trusted", self._ranges, (), within=name))

    def _history(self, tree: Tree, name: str) -> HistorySettings:
        settings = self.settings(tree, name, {"keep"})
        keep = self.read(settings, "keep", self.whole(1, 1000, _KEEP), HistorySettings().keep, within=name)
        return HistorySettings(keep=keep)

    def _backend(self, tree: Tree, name: str) -> OpaSettings | None:
        return read_backend(self, tree, name)

    # Values -----------------------------------------------------------------------------------------

    def _folder(self, tree: Tree, name: str) -> Path:
        path = self.path_of(tree, name)
        if isinstance(tree, Scalar) and isinstance(tree.value, str) and tree.value:
            hint = f"make it, or name the folder that holds your .rego files (looked for {path})"
            if missing(path):
                self.error(tree.at, f"{name}: {tree.value} does not exist", hint)
            elif not os.path.isdir(path):
                what = "is not a folder" if os.path.exists(path) else "cannot be reached"
                self.error(tree.at, f"{name}: {tree.value} {what}", hint)
        return path

    def _log_path(self, tree: Tree, name: str) -> Path | None:
        if isinstance(tree, Scalar) and tree.value == "-":
            return None
        return self.path_of(tree, name)

    def _names(self, tree: Tree, name: str) -> frozenset[str]:
        names = (
            [each.value for each in tree.items if isinstance(each, Scalar)]
            if isinstance(tree, Sequence)
            else []
        )
        if not names or not all(isinstance(each, str) and each for each in names):
            self.error(tree.at, f"{name} must be a list of names", "such as [x-session]")
        return frozenset(str(each).lower() for each in names)

    def _ranges(self, tree: Tree, name: str) -> tuple[str, ...]:
        example = "such as [127.0.0.1, 10.1.0.0/16]"
        if not isinstance(tree, Sequence):
            self.error(tree.at, f"{name} must be a list of addresses or ranges", example)
            return ()
        ranges: list[str] = []
        for each in tree.items:
            text = self.text(each, f"each of {name}", "an address or a range")
            try:
                network = ipaddress.ip_network(text) if text else None
            except ValueError as error:
                self.error(each.at, f"{name}: {error}", example)
                continue
            if network is not None and not network.prefixlen:
                self.error(each.at, f"{name}: {text} is everyone", f"name those who may ask, {example}")
            elif network is not None:
                ranges.append(str(network))
        return tuple(ranges)

    def _hosts(self, tree: Tree, name: str) -> tuple[str, ...]:
        if not isinstance(tree, Sequence):
            self.error(tree.at, f"{name} must be a list of hosts", "such as [api.example.com]")
            return ()
        hosts: list[str] = []
        for each in tree.items:
            text = self.text(each, f"each of {name}", "a host")
            try:
                hosts += [parse_host_pattern(text)] if text else []
            except AddressError as error:
                self.error(each.at, f"{name}: {error}", error.hint)
        return tuple(hosts)

    def _decision(self, tree: Tree, name: str) -> str:
        text = self.text(tree, name, "an entry point")
        if not text:
            return DEFAULT_DECISION
        parts = text.split("/")
        if len(parts) > 1 and parts[0] != "data" and all(map(_SEGMENT.fullmatch, parts)):
            return text
        bare = text.removeprefix("data").strip("./").replace(".", "/")
        right = bare if "/" in bare else f"{bare or 'envoy/authz'}/allow"
        self.error(tree.at, f"{name}: '{text}' is no entry point", f"write the rule's path: {right}")
        return DEFAULT_DECISION

    def _rego_version(self, tree: Tree, name: str) -> int:
        return 0 if self.one_of(("v1", "v0"))(tree, name) == "v0" else 1

    def _status(self, tree: Tree, name: str) -> int:
        value = tree.value if isinstance(tree, Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
            return value
        shown = value if isinstance(tree, Scalar) else "this"
        hint = "a request without a decision is never let through: write a status from 400 to 599"
        self.error(tree.at, f"{name}: {shown} is no HTTP status of a refusal", hint)
        return 503


_HOPS = "the number of proxies before the sidecar"
_KEEP = "the number of revisions to go back to, beside the one in force"
_FUNCTIONS_EXAMPLE = "such as {hello: {upstream: 127.0.0.1:8081, listen: 127.0.0.1:9081}}"
_REQUIRED = {
    "policies": "policies: ./policies",
    "functions": f"functions: {_FUNCTIONS_EXAMPLE.removeprefix('such as ')}",
}
_REQUIRED_OF_FUNCTION = {
    "upstream": f"upstream: {EXAMPLE}, where the function itself serves",
    "listen": "listen: 127.0.0.1:9081, where its sidecar serves; port 0 picks a free one",
}
