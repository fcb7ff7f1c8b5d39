"""What a local may hold while a plan runs with `input` unknown, and what builtins and tests come to on it."""
