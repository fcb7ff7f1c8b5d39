"""Who evaluates the decision on a residual request: one module a backend. See `interface`."""
