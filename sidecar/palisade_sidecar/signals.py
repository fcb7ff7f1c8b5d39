"""What asks a long-running command to end."""

from __future__ import annotations

import signal


def ending() -> tuple[signal.Signals, ...]:
    """The signals that end it in order: requests under way are answered, decisions kept, folders removed.

    SIGHUP is one, which would end it at once otherwise: a terminal that is closed sends it, and so does who
    is used to servers that read their settings anew by it. Where it is ignored, as under nohup, it stays so.
    """
    asked = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        asked.append(signal.SIGHUP)
    return tuple(asked)
