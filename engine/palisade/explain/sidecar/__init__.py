"""What an Envoy with a sidecar's configuration does with one request, read off the configuration itself.

    decided(snapshot, sight(snapshot, document))      # Verdict(allowed=True, name="policies/allow.rego:7")

`request` lays out what Envoy sees of the request, `matchers` walks its matcher trees, `values` and `cel` are
the matchers of JSON values and the expressions in them. Only what `palisade.enforce.envoy` makes is read
here; a test holds it to a real Envoy.
"""

from palisade.explain.sidecar.decide import Verdict, decided
from palisade.explain.sidecar.request import Sight, UnreadError, sight, with_bytes

__all__ = ["Sight", "UnreadError", "Verdict", "decided", "sight", "with_bytes"]
