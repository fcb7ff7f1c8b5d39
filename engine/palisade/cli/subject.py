"""What a command is about: the policies and functions of a palisade.yaml, or a policy set alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from palisade import rego
from palisade.cli.exit_codes import CommandError
from palisade.cli.places import is_folder
from palisade.policy import inventory_file, library, revisions, sets
from palisade.policy.inventory import DEFAULT_DECISION, Address, Function, Inventory
from palisade.policy.revisions import DocumentError, Revision
from palisade.policy.sets import PolicySet
from palisade.policy.source import did_you_mean

DEFAULT_FILE = Path("palisade.yaml")
_NAMED = "function"


def chosen(named: Path | None, file: Path | None) -> Path:
    """What the command line names: a policy set or an inventory by its argument, or an inventory by --file;
    else the palisade.yaml here. Raises CommandError where both are given."""
    if named is not None and file is not None:
        raise CommandError(
            f"{named} and {file}: a command is about one policy set or inventory, not both",
            hint="leave one of the two out",
        )
    return named or file or DEFAULT_FILE


def is_set(path: Path) -> bool:
    """Whether that is a policy set, and no inventory. Raises CommandError where it may not be seen."""
    return path.suffix == ".rego" or is_folder(path)


def load(path: Path, *, function: str = "", decision: str = "", v0: bool = False) -> Revision:
    """The revision of an inventory, or of a policy set: a folder or a .rego file.

    A policy set has no functions: it is compiled for one that is named `function`. `decision` and `v0` are
    for sets alone. Raises CommandError, SourceError and CompileError.
    """
    from palisade.control import loading

    if not is_set(path):
        if decision or v0:
            raise CommandError(
                f"{path} says itself which rule decides, and in which Rego",
                hint="leave --decision and --v0-compatible to policy sets: palisade compile DIR",
            )
        inventory = inventory_file.load(path)
        return loading.build(inventory, revisions.read_set(inventory))
    policy_set = sets.load(path, rego_version=0 if v0 else 1)
    name = function or _NAMED
    nowhere = Address("127.0.0.1", 0)
    inventory = Inventory(
        file=path,
        policies=path,
        functions=MappingProxyType({name: Function(name, nowhere, nowhere)}),
        rego_version=0 if v0 else 1,
    )
    return decided(
        lambda rule: revisions.build(replace(inventory, decision=rule), policy_set), decision, policy_set
    )


def decided(build: Callable[[str], Revision], decision: str, policy_set: PolicySet) -> Revision:
    """The revision of a policy set whose rule that decides is named, or Palisade's, or the only `allow`."""
    try:
        return build(decision or DEFAULT_DECISION)
    except DocumentError:
        found = "" if decision else _only_allow(policy_set)
        if not found:
            raise
    return build(found)


def functions(revision: Revision, name: str) -> tuple[Function, ...]:
    """The function of that name, or all of them where the name is empty. Raises CommandError."""
    known = revision.inventory.functions
    if not name:
        return tuple(known.values())
    if name not in known:
        raise CommandError(
            f"no function '{name}' in {revision.inventory.file.name}: {did_you_mean(name, known)}"
        )
    return (known[name],)


def allows(policy: rego.Policy) -> list[str]:
    """The rules of a set that are called allow, named as decisions are, in order."""
    paths = (
        path
        for path, rules in policy.checked.rules.items()
        if path[-1] == "allow" and not library.is_own(rules[0].file)
    )
    return sorted("/".join(path) for path in paths)


def _only_allow(policy_set: PolicySet) -> str:
    """The rule that decides where nothing names it: the only one that is called allow; empty without one."""
    found = allows(revisions.compile_set(policy_set))
    if len(found) > 1:
        raise CommandError("which rule decides?", hint=f"add --decision with one of {', '.join(found)}")
    return "".join(found)
