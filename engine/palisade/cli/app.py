"""The command line: `palisade COMMAND`. One module a command; this one joins them."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
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


def _help(command: Callable[..., None]) -> str:
    """What a command's docstring says; lines that end within a sentence would be kept as they stand there."""
    paragraphs = (command.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(each.split()) for each in paragraphs)


_COMMANDS: dict[str, dict[str, tuple[Callable[..., None], str]]] = {
    "Write policies": {
        "check": (check.check, check.EPILOG),
        "fmt": (fmt.fmt, fmt.EPILOG),
        "test": (testing.run_tests, testing.EPILOG),
        "eval": (evaluate.evaluate, evaluate.EPILOG),
        "compile": (compile.compile_, compile.EPILOG),
        "verify": (verify.verify, verify.EPILOG),
        "diff": (diff.diff, diff.EPILOG),
    },
    "Run": {
        "demo": (demo.demo, demo.EPILOG),
        "up": (up.up, up.EPILOG),
        "serve": (serve.serve, serve.EPILOG),
        "sidecar": (sidecar.sidecar, sidecar.EPILOG),
    },
    "See what runs": {
        "status": (status.status, status.EPILOG),
        "explain": (explain.explain, explain.EPILOG),
    },
    "Change what is in force": {
        "shadow": (shadow.shadow, shadow.EPILOG),
        "promote": (promote.promote, promote.EPILOG),
        "rollback": (rollback.rollback, rollback.EPILOG),
    },
}
for _panel, _commands in _COMMANDS.items():
    for _name, (_command, _epilog) in _commands.items():
        app.command(_name, help=_help(_command), epilog=_epilog, rich_help_panel=_panel)(_command)
app.add_typer(history.app, name="history", rich_help_panel="Change what is in force")

_CLOSED = 128 + signal.SIGPIPE
"""As shells have it of what a closed pipe ends: not 0, which `palisade verify policies | head` would say in a
script that looks at it, whatever was found; and not 1, as nothing may have been."""


def run() -> None:
    """Runs a command. What a user did wrong ends as a message and an exit code, never as a traceback."""
    # A service manager may start this with its outputs closed: then there is no one to tell anything.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as this runs
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    output, code = sys.stdout, _CLOSED
    try:
        try:
            app()
        except SystemExit as ended:
            # Typer takes a closed pipe for an error that a command has found, and puts an output in its place
            # that does not complain. What the command would have found is not known then.
            if sys.stdout is not output:
                sys.exit(_CLOSED)
            code = int(ended.code or 0)
            raise
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
        sys.exit(code)
    except OSError as error:
        if error.filename is not None:
            err().print(f"palisade: {error.filename}: {error.strerror}")
            sys.exit(Exit.FAILED)
        if error.errno not in _UNWRITTEN:
            raise
        err().print(f"palisade: the output cannot be written: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
