"""What partial evaluation leaves to the evaluator for some requests only, in words that say for which."""

from __future__ import annotations

from palisade.rego.partial.symbols.arrays import OF_OBJECT
from palisade.rego.partial.symbols.filled import TWICE
from palisade.rego.partial.symbols.listed import BLANK
from palisade.rego.partial.symbols.matching import ADDRESSES, LARGE, TEXTS
from palisade.rego.partial.symbols.named import AS_PATH
from palisade.rego.partial.symbols.schemas import AS_TEXT

IN_WORDS = {
    AS_PATH: "a key that is looked up is an array",
    AS_TEXT: "a schema is asked of a text",
    BLANK: "a text that is split has a piece of space alone, or of letters beyond ASCII",
    ADDRESSES: "several addresses are asked for at once",
    LARGE: "a version has a number of nineteen digits or more",
    OF_OBJECT: "entries of an object are asked for by their places",
    TEXTS: "several texts are asked for at once",
    TWICE: "what a template is filled with has the sign of a place to fill",
}
"""What only the engine knows where a condition beside it holds: for which requests."""
