"""The running engine: from files that change to sidecars that follow.

watcher -> loading (read, compile, lower) -> engine (push, answer, log), and `admin`, which tells how it goes.
"""

import os

# Sidecars are child processes. gRPC's handlers for forks are of no use to a child that becomes Envoy at once,
# and print a warning for each. grpc reads this when it is first imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# It tells of each handshake that fails, in a form of its own: who looks for open ports fills the log so, and
# a sidecar whose clock is wrong, which says that itself.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
