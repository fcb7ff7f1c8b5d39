"""`palisade sidecar`: one sidecar alone."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.options import Verbose
from palisade.cli.output import err
from palisade.cli.places import is_there
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
    # What runs an Envoy takes a while to import, which other commands need not wait for.
    from palisade.cli import running

    plan = _plan(function, engine, file, upstream, listen, credentials)
    running.log_to(err(), verbose=verbose)
    running.run(_run(plan, drain))


@dataclass(frozen=True, slots=True)
class _Plan:
    function: Function
    engine: Address
    credentials: Path
    state: Path | None
    """The engine's state folder, where this machine has it: there the address is told."""


def _plan(name: str, engine: str, file: Path, upstream: str, listen: str, credentials: Path | None) -> _Plan:
    """What to run: as the command line says, and the inventory for the rest. Raises CommandError."""
    from palisade.control import announced, tls
    from palisade.control.sidecar_settings import credentials_folder

    if upstream and listen and engine and credentials and not is_there(file):
        function = Function(name, _address("--upstream", upstream), _address("--listen", listen, 0))
        return _Plan(function, _address("--engine", engine), credentials.absolute(), None)
    inventory = inventory_file.load(file)
    try:
        function = inventory.function(name)
    except UnknownFunctionError as error:
        raise CommandError(str(error)) from None
    tls.check(inventory, (function,))
    state = inventory.engine.state
    if not engine:
        known = inventory.engine.listen
        engine = str(known) if known.port else announced.ask(state, announced.ENGINE)
    if not engine:
        raise CommandError("no engine of this inventory runs here", Exit.UNREACHABLE, "name one: --engine")
    function = replace(
        function,
        upstream=_address("--upstream", upstream) if upstream else function.upstream,
        listen=_address("--listen", listen, 0) if listen else function.listen,
    )
    folder = credentials.absolute() if credentials else credentials_folder(state, name)
    return _Plan(function, _address("--engine", engine), folder, state)


async def _run(plan: _Plan, drain: float) -> None:
    from palisade.control import announced
    from palisade.control.sidecar_settings import settings_of
    from palisade_sidecar.envoy import EnvoyError
    from palisade_sidecar.run_folder import RunFolder
    from palisade_sidecar.settings import CredentialsError, SettingsError
    from palisade_sidecar.sidecar import Sidecar

    function = plan.function
    with contextlib.ExitStack() as stack:
        try:
            run_dir = stack.enter_context(RunFolder(function.name, plan.credentials))
            settings = settings_of(
                function, engine=plan.engine, credentials=plan.credentials, run_dir=run_dir
            )
            running = Sidecar(settings, drain=drain)
            await running.start()
        except CredentialsError as error:
            if plan.state is None or announced.ask(plan.state, announced.ENGINE):
                raise CommandError(str(error)) from None
            hint = "start the engine first: palisade serve -f palisade.yaml"
            raise CommandError(str(error), Exit.UNREACHABLE, hint) from None
        except SettingsError as error:
            raise CommandError(str(error)) from None
        except EnvoyError as error:
            raise CommandError(str(error), Exit.FAILED) from None
        address = running.status.listen
        shown = f"https://{address}" if function.tls else str(address)
        err().print(f"{function.name}  {shown} -> {function.upstream}, engine {plan.engine}")
        try:
            if plan.state is not None:
                announced.tell(plan.state, announced.sidecar(function.name), address)
            await asyncio.Event().wait()
        finally:
            if plan.state is not None:
                announced.forget(plan.state, announced.sidecar(function.name))
            await running.stop()


def _address(option: str, text: str, lowest_port: int = 1) -> Address:
    try:
        return parse_address(text, lowest_port)
    except AddressError as error:
        raise CommandError(f"{option}: {error}", Exit.USAGE, error.hint) from None
