"""The revisions to verify: from a policy folder, or from an inventory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from palisade.policy import data as documents
from palisade.policy import inventory_file, revisions, sets
from palisade.policy.inventory import DEFAULT_DECISION, Address, Function, Inventory, Tls
from palisade.policy.revisions import Revision
from palisade.policy.sets import PolicySet
from palisade.policy.source import SourceError, read_text
from palisade.rego.errors import Diagnostic
from palisade.testing.equivalence.subject import asks_callers

_SOMEWHERE = Address("localhost", 9080)
"""Where a sidecar might be: nothing is served there."""


def from_folder(
    folder: Path,
    *,
    decision: str = DEFAULT_DECISION,
    function: str = "function",
    data: Sequence[Path] = (),
    rego_version: int = 1,
) -> Revision:
    """The revision of a policy set for one function. `data` are further documents, mounted at the top.

    Where the policy asks who calls, the function asks its callers for certificates.
    Raises SourceError and rego.CompileError.
    """
    inventory = Inventory(
        file=folder,
        policies=folder,
        functions=MappingProxyType({function: Function(function, _SOMEWHERE, _SOMEWHERE)}),
        decision=decision,
        rego_version=rego_version,
    )
    built = revisions.build(inventory, with_data(sets.load(folder, rego_version=rego_version), data))
    if not asks_callers(built):
        return built
    asking = replace(inventory.functions[function], tls=Tls())
    functions = MappingProxyType({function: asking})
    return replace(built, inventory=replace(inventory, functions=functions))


def from_inventory(file: Path, *, decision: str = "", data: Sequence[Path] = ()) -> Revision:
    """The revision of a `palisade.yaml`. Raises SourceError and rego.CompileError."""
    inventory = inventory_file.load(file)
    if decision:
        inventory = replace(inventory, decision=decision, places=None)
    return revisions.build(inventory, with_data(revisions.read_set(inventory), data))


def with_data(policy_set: PolicySet, files: Sequence[Path]) -> PolicySet:
    """The set with further documents. Raises SourceError for what cannot be read, or stands twice."""
    if not files:
        return policy_set
    found = [documents.Document("the policy set", (), policy_set.data)]
    errors: list[Diagnostic] = []
    for file in files:
        text = read_text(file, str(file))
        value = text if isinstance(text, Diagnostic) else documents.read(str(file), text)
        if isinstance(value, Diagnostic):
            errors.append(value)
        else:
            found.append(documents.Document(str(file), (), value))
    merged, conflicts = documents.merge(found)
    if errors or conflicts:
        raise SourceError([*errors, *conflicts])
    # The digest names the set on disk; a set with more data is never put in force.
    return replace(policy_set, data=merged)


def functions(revision: Revision, names: Sequence[str] = ()) -> Mapping[str, Function]:
    """The functions of a revision, or those of the names. Raises inventory.UnknownFunctionError."""
    inventory = revision.inventory
    return {name: inventory.function(name) for name in names or inventory.functions}
