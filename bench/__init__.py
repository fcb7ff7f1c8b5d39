"""Measurements. Every figure is a median with a ratio against a baseline of the same run, on real parts.

    python -m bench                 all of them
    python -m bench latency reload  some
    python -m bench --json          for programs

Machines are noisy: quote the ratios, not the microseconds.
"""
