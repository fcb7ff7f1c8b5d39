"""The addresses in palisade.yaml: where functions are, and where sidecars and the engine listen."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from palisade.policy.addresses import EXAMPLE, AddressError, collisions, parse_address
from palisade.policy.inventory import Address
from palisade.policy.settings import SettingsReader
from palisade.policy.source import Scalar, Source, Tree
from palisade.rego.errors import Location

NO_ADDRESS = Address("", 0)


class AddressReader(SettingsReader):
    """Reads addresses, and tells of those that two would listen on."""

    def __init__(self, source: Source, path: Path) -> None:
        super().__init__(source, path)
        self._bound: list[tuple[str, Address, Location]] = []

    def upstream(self, tree: Tree, name: str) -> Address:
        """Where a function serves."""
        return self.address(tree, name, lowest_port=1)

    def listen(self, tree: Tree, name: str) -> Address:
        """Where something listens: an address of this machine, and port 0 for any that is free."""
        address = self.address(tree, name, lowest_port=0)
        if address.host == "localhost":
            address = Address("127.0.0.1", address.port)
        if address.host:
            try:
                ipaddress.ip_address(address.host)
            except ValueError:
                hint = f"127.0.0.1:{address.port} for this machine, 0.0.0.0:{address.port} for all interfaces"
                self.error(tree.at, f"{name}: '{address.host}' is no IP address to listen on", hint)
                return NO_ADDRESS
            self.bind(name, address, tree.at)
        return address

    def address(self, tree: Tree, name: str, lowest_port: int) -> Address:
        """The address that the text says; a wrong one is noted."""
        if isinstance(tree, Scalar) and isinstance(tree.value, int) and not isinstance(tree.value, bool):
            hint = f"write host and port: 127.0.0.1:{tree.value}"
            self.error(tree.at, f"{name} must be an address, not {tree.value}", hint)
            return NO_ADDRESS
        text = self.text(tree, name, f"an address such as {EXAMPLE}")
        if not text:
            return NO_ADDRESS
        try:
            return parse_address(text, lowest_port)
        except AddressError as error:
            self.error(tree.at, f"{name}: {error}", error.hint)
            return NO_ADDRESS

    def bind(self, name: str, address: Address, at: Location) -> None:
        """Takes note of what is to listen at an address, and where that is said."""
        self._bound.append((name, address, at))

    def check_addresses(self) -> None:
        """Notes each listener that another one leaves no place for."""
        bound = sorted(self._bound, key=lambda each: (each[2].row, each[2].col))
        for (name, address, at), (other, _, place) in collisions((each, each[1]) for each in bound):
            hint = f"{other} in line {place.row} has it; choose another port, or 0 for a free one"
            self.error(at, f"{name}: {address} is taken", hint)
