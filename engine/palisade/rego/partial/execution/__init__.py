"""Runs a plan with `input` unknown: its blocks, loops and statements, and what becomes of their states."""
