"""Become another program, in a process group of its own, which the kernel kills when its parent dies.

Run as a script: `python launch.py PARENT_PID PROGRAM ARGUMENT...`. It is a program of its own because
what `subprocess` can run in a child before the exec (`preexec_fn`) forks the whole parent, and a parent that
serves gRPC, as the engine does, leaves such a child broken. uvloop cannot ask for a process group at all.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    parent, *command = arguments
    os.setpgid(0, 0)
    # A shell's usual thousand is for programs that cannot take more.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before the request was made
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 -- to be replaced by the program, with no shell, is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
