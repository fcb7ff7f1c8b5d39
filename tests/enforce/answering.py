"""What a sidecar answers, compared with what the engine answers."""

from __future__ import annotations

from collections.abc import Sequence

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from stand import Sent, Stand, in_memory

from palisade.decide.event import Event
from palisade.testing.certificates import Pair


def compared(
    stand: Stand,
    policy: str,
    asked: Sequence[Sent],
    caller: Pair | None = None,
    instead: Sequence[TypedExtensionConfig] = (),
) -> list[Event]:
    """What is logged where the sidecar answers, after it was compared with what the engine answers: byte for
    byte for the client and the function, and the result in the log."""
    policy_set = in_memory({"p.rego": policy})
    stand.enforce(policy_set, "p/allow", ask=True, instead=instead)
    wanted = [stand.send(each, caller) for each in asked]
    told = sorted(stand.log(len(asked)), key=place)
    stand.enforce(policy_set, "p/allow", instead=instead)
    for request, engine in zip(asked, wanted, strict=True):
        assert stand.send(request, caller) == engine, request
    found = sorted(stand.log(len(asked)), key=place)
    assert [each.get("result") for each in found] == [each.get("result") for each in told]
    return found


def place(event: Event) -> tuple[str, str]:
    http = event["input"]["attributes"]["request"]["http"]
    return http["path"], http["method"]


def decider(event: Event) -> str:
    found: str = event["palisade"]["decider"]
    return found
