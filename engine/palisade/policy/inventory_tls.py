"""The setting `tls` of a function in palisade.yaml: what its sidecar shows callers, and asks of them.

Whether the files are there and fit together is for the machine that the sidecar runs on: `control.tls`.
"""

from __future__ import annotations

from palisade.policy.inventory import ClientCertificate, Tls
from palisade.policy.settings import SettingsReader
from palisade.policy.source import Tree

_CLIENTS: tuple[ClientCertificate, ...] = ("optional", "required", "none")
_SETTINGS = {"certificate", "key", "client_ca", "client_certificate"}


def read_tls(reader: SettingsReader, tree: Tree, name: str) -> Tls:
    """The setting, a mapping that may be empty. Errors go to the reader."""
    settings = reader.settings(tree, name, _SETTINGS)
    read = Tls(
        certificate=reader.read(settings, "certificate", reader.path_of, None, within=name),
        key=reader.read(settings, "key", reader.path_of, None, within=name),
        client_ca=reader.read(settings, "client_ca", reader.path_of, None, within=name),
        client_certificate=reader.read(
            settings, "client_certificate", reader.one_of(_CLIENTS), "optional", within=name
        ),
    )
    if (read.certificate is None) != (read.key is None):
        there, missing = ("certificate", "key") if read.key is None else ("key", "certificate")
        hint = f"add the other half: {missing}: ./{missing}.pem; without both, the engine issues one"
        reader.error(settings[there].at, f"{name}.{there} is of no use without {name}.{missing}", hint)
    if read.client_ca is not None and read.client_certificate == "none":
        hint = "write client_certificate: optional or required, or leave out client_ca"
        reader.error(
            settings["client_ca"].at, f"{name}.client_ca is of no use where no caller is asked", hint
        )
    return read
