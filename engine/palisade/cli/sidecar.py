"""`palisade sidecar`: one sidecar alone."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.options import Verbose
from palisade.cli.output import err
from palisade.policy import inventory_file
from palisade.policy.addresses import AddressError, parse_address
from palisade.policy.inventory import Address, Function, UnknownFunctionError

EPILOG = "Example: palisade sidecar --function hello --engine 127.0.0.1:18000"

_DEFAULT_FILE = Path("palisade.yaml")


def sidecar(
    function: Annotated[str, typer.Option("--function", metavar="NAME", help="Whose sidecar this is.")],
    engine: Annotated[
        str, typer.Option("--engine", metavar="HOST:PORT", help="The engine. Default: as in the inventory.")
    ] = "",
    file: Annotated[
        Path, typer.Option("--file", "-f", metavar="FILE", help="The inventory, for what is not given here.")
    ] = _DEFAULT_FILE,
    upstream: Annotated[
        str, typer.Option("--upstream", metavar="HOST:PORT", help="Where the function itself serves.")
    ] = "",
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where to serve; port 0 picks a free one.")
    ] = "",
    credentials: Annotated[
        Path | None,
        typer.Option(help="The folder with certificate.pem, key.pem and bundle.pem that the engine made."),
    ] = None,
    drain: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long requests may finish when it ends.")
    ] = 5.0,
    verbose: Verbose = False,
) -> None:
    """Run the sidecar of one function: an Envoy that takes its policy from the engine. Ends with Ctrl-C."""
    from palisade.cli import running
    from palisade.control.credentials import credentials_folder

    told = bool(upstream and listen and engine and credentials)
    if told and not file.exists():
        known = Function(function, _address("--upstream", upstream), _address("--listen", listen, 0))
        serving, folder = _address("--engine", engine), credentials
    else:
        inventory = inventory_file.load(file)
        try:
            known = inventory.function(function)
        except UnknownFunctionError as error:
            raise CommandError(str(error)) from None
        serving = _address("--engine", engine) if engine else inventory.engine.listen
        folder = credentials or credentials_folder(inventory.engine.state, function)
    assert folder is not None  # noqa: S101 - either given, or made of the inventory
    running.log_to(err(), verbose=verbose)
    running.run(
        _run(
            known,
            engine=serving,
            credentials=folder,
            upstream=_address("--upstream", upstream) if upstream else known.upstream,
            listen=_address("--listen", listen, 0) if listen else known.listen,
            drain=drain,
        )
    )


async def _run(
    function: Function,
    *,
    engine: Address,
    credentials: Path,
    upstream: Address,
    listen: Address,
    drain: float,
) -> None:
    from dataclasses import replace

    from palisade.control.sidecars import settings_of
    from palisade_sidecar.envoy import EnvoyError
    from palisade_sidecar.settings import SettingsError
    from palisade_sidecar.sidecar import Sidecar

    with tempfile.TemporaryDirectory(prefix="palisade-") as folder:
        try:
            settings = settings_of(
                replace(function, upstream=upstream),
                engine=engine,
                credentials=credentials,
                run_dir=Path(folder) / function.name,
                listen=listen,
            )
            running = Sidecar(settings, drain=drain)
            await running.start()
        except SettingsError as error:
            raise CommandError(str(error), Exit.USAGE) from None
        except EnvoyError as error:
            raise CommandError(str(error), Exit.FAILED) from None
        err().print(f"{function.name}  {running.status.listen} -> {upstream}, engine {engine}")
        try:
            await asyncio.Event().wait()
        finally:
            await running.stop()


def _address(option: str, text: str, lowest_port: int = 1) -> Address:
    try:
        return parse_address(text, lowest_port)
    except AddressError as error:
        raise CommandError(f"{option}: {error}", Exit.USAGE, error.hint) from None
