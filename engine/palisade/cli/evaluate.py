"""`palisade eval`: a query against a policy set, answered as `opa eval` does."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from palisade import rego
from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.output import err, out, print_diagnostics
from palisade.cli.queries import Query
from palisade.policy import data as documents
from palisade.policy import library, sets
from palisade.policy.addresses import AddressError, parse_host_pattern
from palisade.policy.source import SourceError, read_text
from palisade.rego import text
from palisade.rego.errors import Diagnostic
from palisade.rego.values import UNDEFINED, Value

EPILOG = "Example: palisade eval -d policies -i input.json data.palisade.identity.allow"


class Format(StrEnum):
    JSON = "json"
    PRETTY = "pretty"
    VALUES = "values"
    BINDINGS = "bindings"
    RAW = "raw"


def evaluate(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A Rego query.")],
    data: Annotated[
        list[Path] | None, typer.Option("--data", "-d", help="A policy set: folder or file. May be repeated.")
    ] = None,
    input_file: Annotated[
        str | None, typer.Option("--input", "-i", help="The input document: a JSON or YAML file, or - .")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", "-f", "--output", "-o", help="How to print the result.")
    ] = Format.JSON,
    strict: Annotated[
        bool, typer.Option("--strict-builtin-errors", help="End at the first error of a builtin.")
    ] = False,
    v0: Annotated[bool, typer.Option("--v0-compatible", help="Read modules as Rego v0.")] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="HOST",
            help="A host that http.send and net.lookup_ip_addr may reach, or *.NAME. May be repeated.",
        ),
    ] = None,
    fail: Annotated[bool, typer.Option("--fail", help="Exit 1 if the result is undefined.")] = False,
    fail_defined: Annotated[bool, typer.Option("--fail-defined", help="Exit 1 if it is defined.")] = False,
) -> None:
    """Evaluate a query against policies, data and an input."""
    network = _network(allow_host or [])
    policy = _policy(data or [], rego_version=0 if v0 else 1, network=network)
    document = UNDEFINED if input_file is None else _input(input_file)
    try:
        results = Query.parse(query).run(policy, document, strict_builtin_errors=strict)
    except rego.CompileError as error:
        print_diagnostics(error.errors, err())
        raise typer.Exit(Exit.USAGE) from None
    except rego.EvalError as error:
        raise CommandError(str(error), Exit.FOUND) from None
    _print(results, format_)
    if (fail and not results) or (fail_defined and results):
        raise typer.Exit(Exit.FOUND)


def _network(hosts: list[str]) -> rego.Network:
    try:
        return rego.Network(tuple(map(parse_host_pattern, hosts)))
    except AddressError as error:
        raise CommandError(f"--allow-host: {error}", hint=error.hint) from None


def _policy(paths: list[Path], *, rego_version: int, network: rego.Network) -> rego.Policy:
    modules: dict[str, str] = dict(library.modules())
    parts = []
    try:
        for path in paths:
            loaded = sets.load(path, rego_version=rego_version)
            modules |= {**loaded.modules, **loaded.tests}
            parts.append(documents.Document(str(path), (), loaded.data))
        merged, conflicts = documents.merge(parts)
        if conflicts:
            raise SourceError(conflicts)
        return rego.compile(
            modules, data=merged, version=rego_version, network=network, printed=_print_message
        )
    except (SourceError, rego.CompileError) as error:
        print_diagnostics(error.errors, err())
        raise typer.Exit(Exit.USAGE) from None


def _print_message(message: str, _: rego.Location) -> None:
    err().print(message)


def _input(name: str) -> Value:
    content = sys.stdin.read() if name == "-" else read_text(Path(name), name)
    # JSON is what input nearly always is, whatever the file is called.
    value: Any = content if isinstance(content, Diagnostic) else documents.read_json(name, content)
    if isinstance(value, Diagnostic) and isinstance(content, str) and name.endswith((".yaml", ".yml")):
        value = documents.read(name, content)
    if isinstance(value, Diagnostic):
        print_diagnostics([value], err())
        raise typer.Exit(Exit.USAGE)
    return value


def _print(results: list[dict[str, Any]], format_: Format) -> None:
    if format_ is Format.JSON:
        sys.stdout.write(text.dumps({"result": results} if results else {}, indent=2) + "\n")
    elif format_ is Format.VALUES:
        values = [[each["value"] for each in result["expressions"]] for result in results]
        sys.stdout.write("".join(f"{text.dumps(each)}\n" for each in values))
    elif format_ is Format.BINDINGS:
        bindings = [result.get("bindings", {}) for result in results]
        sys.stdout.write("".join(f"{text.dumps(each)}\n" for each in bindings))
    elif format_ is Format.RAW:
        for result in results:
            values = [each["value"] for each in result["expressions"]]
            shown = [value if isinstance(value, str) else text.dumps(value) for value in values]
            sys.stdout.write(" ".join(shown) + "\n")
    else:
        _print_pretty(results)


def _print_pretty(results: list[dict[str, Any]]) -> None:
    if not results:
        out().print("undefined")
        return
    if len(results) == 1 and len(results[0]["expressions"]) == 1 and not results[0].get("bindings"):
        sys.stdout.write(text.dumps(results[0]["expressions"][0]["value"], indent=2) + "\n")
        return
    names = sorted({name for result in results for name in result.get("bindings", {})})
    table = Table(*names, *(each["text"] for each in results[0]["expressions"]))
    for result in results:
        bound = [text.dumps(result.get("bindings", {}).get(name)) for name in names]
        table.add_row(*bound, *(text.dumps(each["value"]) for each in result["expressions"]))
    out().print(table)
