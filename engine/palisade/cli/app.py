"""The command line: `palisade COMMAND`. One module a command; this one joins them."""

from __future__ import annotations

import errno
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from palisade.cli import (
    check,
    compile,
    demo,
    diff,
    evaluate,
    explain,
    fmt,
    history,
    promote,
    rollback,
    serve,
    shadow,
    sidecar,
    status,
    testing,
    up,
    verify,
)
from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.output import err, out, print_diagnostics
from palisade.policy.source import SourceError
from palisade.rego.errors import CompileError

# What writing to standard output may end with; errors about files name them.
_UNWRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

app = typer.Typer(
    name="palisade",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 found something, 2 wrong usage or settings, 3 no engine, 4 a part failed.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        out().print(f"palisade {version('palisade')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Policy as code for function containers: Rego compiled into Envoy's own matchers."""


app.command("check", epilog=check.EPILOG)(check.check)
app.command("eval", epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command("test", epilog=testing.EPILOG)(testing.run_tests)
app.command("fmt", epilog=fmt.EPILOG)(fmt.fmt)
app.command("compile", epilog=compile.EPILOG)(compile.compile_)
app.command("explain", epilog=explain.EPILOG)(explain.explain)
app.command("serve", epilog=serve.EPILOG)(serve.serve)
app.command("sidecar", epilog=sidecar.EPILOG)(sidecar.sidecar)
app.command("demo", epilog=demo.EPILOG)(demo.demo)
app.command("up", epilog=up.EPILOG)(up.up)
app.command("status", epilog=status.EPILOG)(status.status)
app.add_typer(history.app, name="history")
app.command("rollback", epilog=rollback.EPILOG)(rollback.rollback)
app.command("verify", epilog=verify.EPILOG)(verify.verify)
app.command("diff", epilog=diff.EPILOG)(diff.diff)
app.command("shadow", epilog=shadow.EPILOG)(shadow.shadow)
app.command("promote", epilog=promote.EPILOG)(promote.promote)


def run() -> None:
    """Runs a command. What a user did wrong ends as a message and an exit code, never as a traceback."""
    # A service manager may start this with its outputs closed: then there is no one to tell anything.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as this runs
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except CommandError as error:
        err().print(f"palisade: {error}", style="bold red" if err().is_terminal else None)
        if error.hint:
            err().print(f"    {error.hint}")
        sys.exit(error.code)
    except (SourceError, CompileError) as error:
        print_diagnostics(error.errors, err())
        sys.exit(Exit.USAGE)
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.OK)
    except OSError as error:
        if error.filename is not None:
            err().print(f"palisade: {error.filename}: {error.strerror}")
            sys.exit(Exit.FAILED)
        if error.errno not in _UNWRITTEN:
            raise
        err().print(f"palisade: the output cannot be written: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
