"""`palisade compile`: what Envoy gets of a policy, how large that is, and what of it Envoy decides."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palisade.cli import coverage as shown
from palisade.cli import subject, yaml_text
from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.output import err, out, print_json, working

if TYPE_CHECKING:
    from palisade.decide.mask import Mask
    from palisade.explain.compiled import Compiled
    from palisade.policy.revisions import Revision

EPILOG = "Example: palisade compile policies --coverage"


_MOST_SHOWN = 20
"""So many rules does the report show that stands beside the configuration."""


class Form(StrEnum):
    TEXT = "text"
    JSON = "json"
    PROTOBUF = "protobuf"


def compile_(
    policies: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="A policy set: a folder, or one .rego file; in place of --file."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="FILE", help="The inventory. Default: palisade.yaml."),
    ] = None,
    function: Annotated[
        str, typer.Option("--function", metavar="NAME", help="For this function only. Default: for all.")
    ] = "",
    decision: Annotated[
        str, typer.Option("--decision", metavar="PATH", help="The rule that decides; for a policy set.")
    ] = "",
    v0: Annotated[
        bool, typer.Option("--v0-compatible", help="Read modules as Rego v0; for a policy set.")
    ] = False,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Print only where each rule is decided.")
    ] = False,
    fail_on_residual: Annotated[
        bool, typer.Option("--fail-on-residual", help="Exit 1 if a rule is for the engine.")
    ] = False,
    fail_on_conditional: Annotated[
        bool,
        typer.Option("--fail-on-conditional", help="Exit 1 if any request of a rule is for the engine."),
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", help="Write each resource there, for Envoy to read as files."
        ),
    ] = None,
    output: Annotated[Form, typer.Option("--output", "-o", help="How to print it.")] = Form.TEXT,
) -> None:
    """Compile policies and print what Envoy gets: YAML, with sizes and coverage on standard error.

    Secrets are masked in what is printed. --out writes the real thing, readable by its owner only. Exits 0
    whatever is for the engine, but 1 with --fail-on-residual or --fail-on-conditional if something is.
    """
    path = subject.chosen(policies, file)
    if output is Form.PROTOBUF and coverage:
        raise CommandError("a coverage report is no protobuf message", hint="use --output text or json")
    # Envoy's protocol takes half a second to import, which commands that do without it need not wait for.
    from palisade.explain.compiled import compiled, missing_answers

    with working("reading the policies") as step:
        revision = subject.load(path, function=function, decision=decision, v0=v0)
        found = []
        for each in subject.functions(revision, function):
            step(f"compiling for {each.name}")
            found.append(compiled(revision, each))
        if folder is not None:
            _write(folder, found)
        if output is Form.PROTOBUF:
            _print_protobuf(found)
        elif output is Form.JSON:
            step("printing")
            _print_json(revision, found, resources=not coverage and folder is None)
        elif coverage:
            shown.show_coverages(found, out())
            _note(missing_answers(found))
        else:
            step("printing")
            _print_text(revision, found, resources=folder is None)
    failed = (fail_on_residual and any(each.coverage.residual for each in found)) or (
        fail_on_conditional and any(each.coverage.conditional for each in found)
    )
    raise typer.Exit(Exit.FOUND if failed else Exit.OK)


def _write(folder: Path, compiled: Sequence[Compiled]) -> None:
    """FOLDER/FUNCTION/SLOT.pb, each a DiscoveryResponse with one resource, as Envoy reads it from a file."""
    from palisade.explain.printed import responses

    path = folder
    try:
        for each in compiled:
            path = below = folder / each.function
            below.mkdir(parents=True, exist_ok=True)
            for name, message in responses(each.snapshot):
                path = below / f"{name}.pb"
                path.touch(mode=0o600)
                path.chmod(0o600)
                path.write_bytes(message.SerializeToString(deterministic=True))
    except OSError as error:
        raise CommandError(f"--out: {path}: {error.strerror}", Exit.FAILED) from None


def _print_protobuf(compiled: Sequence[Compiled]) -> None:
    from palisade.explain.printed import response

    if len(compiled) > 1:
        names = ", ".join(each.function for each in compiled)
        raise CommandError("one message is for one function", hint=f"add --function with one of {names}")
    if sys.stdout.isatty():
        raise CommandError("a terminal shows no protobuf", hint="send it to a file, or use --out FOLDER")
    sys.stdout.buffer.write(response(compiled[0].snapshot).SerializeToString(deterministic=True))
    sys.stdout.buffer.flush()


def _print_json(revision: Revision, compiled: Sequence[Compiled], *, resources: bool) -> None:
    from palisade.explain.compiled import missing_answers, missing_keys
    from palisade.explain.printed import plain

    functions: dict[str, Any] = {}
    for each in compiled:
        functions[each.function] = shown.as_json(each)
        if resources:
            functions[each.function]["resources"] = plain(each.snapshot, _mask(revision))
    print_json(
        {
            "revision": revision.id,
            "decision": revision.inventory.decision,
            "functions": functions,
            "notes": [*missing_keys(revision), *missing_answers(compiled)],
        }
    )


def _print_text(revision: Revision, compiled: Sequence[Compiled], *, resources: bool) -> None:
    from palisade.explain.compiled import missing_answers, missing_keys
    from palisade.explain.printed import plain

    notes = [*missing_keys(revision), *missing_answers(compiled)]
    for each in compiled if resources else ():
        sys.stdout.write(f"---\n# What the sidecar of {each.function} gets.\n")
        sys.stdout.writelines(f"# {note}\n" for note in notes)
        yaml_text.dump(plain(each.snapshot, _mask(revision)), sys.stdout.write)
    sys.stdout.flush()
    for each in compiled:
        shown.show_sizes(each, err())
    shown.show_coverages(compiled, err(), most=_MOST_SHOWN)
    _note(notes)


def _note(notes: Iterable[str]) -> None:
    for note in notes:
        err().print(f"note: {note}", style="yellow")


def _mask(revision: Revision) -> Mask:
    """What the decision log hides is not shown here either."""
    from palisade.decide.mask import Mask

    logged = revision.inventory.decision_log
    return Mask().also(headers=logged.mask_headers, parameters=logged.mask_parameters)
