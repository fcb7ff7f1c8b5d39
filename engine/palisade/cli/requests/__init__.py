"""Requests as people have them at hand, for `palisade explain`: one module a form.

    asked = read("GET /orders/7", options, providers)

`interface` says what a form gives, `given` makes an input of it. `line` reads `GET /orders/7`, `curl` a
command line, `har` what a browser saved, `document` an input or an entry of the decision log.
"""

from palisade.cli.requests.given import Asked, Options
from palisade.cli.requests.read import read

__all__ = ["Asked", "Options", "read"]
