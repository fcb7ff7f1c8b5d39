"""The running engine: from files that change to sidecars that follow.

watcher -> loading (read, compile, lower) -> engine (push, answer, log), and `admin`, which tells how it goes.
"""
