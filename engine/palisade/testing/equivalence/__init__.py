"""Does a real Envoy decide as the Rego does? The equivalence of what is compiled with what is written.

    from palisade.testing.equivalence import Bed, Issuers, subject, verify

    revision = from_folder(Path("policies"))
    with Bed() as bed:
        for name, function in revision.inventory.functions.items():
            report = verify(bed, subject(name, revision, function, Issuers()))
            assert report.difference is None

`vocabulary` gathers what a policy speaks of, `strategies` draws requests near to that, `bed` sends them to
an Envoy with the sidecar's own filters, `oracle` compares, `smallest` makes a difference small, and `telling`
tells it. Needs the extra `palisade[verify]`.
"""

from palisade.testing.equivalence.bed import Bed, BedError
from palisade.testing.equivalence.oracle import Difference, Tally, compare, compare_many
from palisade.testing.equivalence.requests import Request, Token
from palisade.testing.equivalence.run import Report, verify
from palisade.testing.equivalence.sources import from_folder, from_inventory, functions
from palisade.testing.equivalence.strategies import requests
from palisade.testing.equivalence.subject import Subject, revision_of, subject
from palisade.testing.equivalence.substitutes import with_own_keys
from palisade.testing.equivalence.tokens import Issuers
from palisade.testing.equivalence.vocabulary import Vocabulary, gather

__all__ = [
    "Bed",
    "BedError",
    "Difference",
    "Issuers",
    "Report",
    "Request",
    "Subject",
    "Tally",
    "Token",
    "Vocabulary",
    "compare",
    "compare_many",
    "from_folder",
    "from_inventory",
    "functions",
    "gather",
    "requests",
    "revision_of",
    "subject",
    "verify",
    "with_own_keys",
]
