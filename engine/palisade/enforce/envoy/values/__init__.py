"""Where Envoy has the values of a request: its attributes, headers, verified claims, and the time."""
