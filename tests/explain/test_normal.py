"""`palisade explain` reads paths as a sidecar's Envoy normalizes them."""

from __future__ import annotations

from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lowered import subject_of

from palisade import rego
from palisade.explain.normal import normalized
from palisade.testing.equivalence import Bed, Issuers, Request

PARTS = (
    "",
    "a",
    "b",
    ".",
    "..",
    "...",
    "%61",
    "%2e",
    "%2E%2e",
    "%7E",
    "%20",
    "%c3%bc",
    "a%41",
    "\\",
    "a\\b",
    "%25",
    ";x",
)
QUERIES = ("", "?", "?a=%61", "?a/../b", "?//")

targets = st.builds(
    lambda parts, query: "/" + "/".join(parts) + query,
    st.lists(st.sampled_from(PARTS), max_size=5),
    st.sampled_from(QUERIES),
)


def test_paths_are_as_envoy_makes_them(bed: Bed, issuers: Issuers) -> None:
    policy = rego.compile({"p.rego": "package p\n\nallow if input.parsed_path == []\n"})
    bed.load(subject_of(policy, (), issuers))

    @settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(targets, min_size=20, max_size=20))
    def run(asked: list[str]) -> None:
        for target, seen in zip(asked, bed.ask([Request(target=each) for each in asked]), strict=True):
            if seen is None or seen.refused or seen.input is None:
                continue
            assert seen.input["attributes"]["request"]["http"]["path"] == normalized(target), target

    run()
