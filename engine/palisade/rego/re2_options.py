"""How RE2 is asked everywhere: without words of its own on standard error, where a pattern that it does not
take would be shown, and with that what a request brought."""

from __future__ import annotations

import re2

QUIET = re2.Options()
QUIET.log_errors = False
