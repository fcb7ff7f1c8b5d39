"""What OPA's own engine says of rules: `python opa_answers.py`, questions and answers as lines of JSON.

In a process of its own, as the library brings Go's runtime with it. A question is
`[source, input, rules, data]`; the answer has for each rule of package `p` its value in a list of one, or an
empty list where OPA has none: it is undefined, or an error, which the library does not take for undefined.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class OpaAnswers:
    """A context in which OPA can be asked."""

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, source: str, asked: Any, rules: Sequence[str], data: Any = None) -> list[list[Any]]:
        """Raises ValueError with OPA's message where it does not compile the source."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([source, asked, rules, data]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if isinstance(answer, str):
            raise ValueError(answer)
        found: list[list[Any]] = answer
        return found


def _serve() -> None:
    from opa_bindings import OpaEngine
    from opa_bindings.engine import OpaError

    engine, refused, last = OpaEngine(), "", None
    for line in sys.stdin:
        source, asked, rules, data = json.loads(line)
        if last != (source, json.dumps(data)):  # to compile takes far longer than to ask
            engine.close()
            engine, refused, last = OpaEngine(), "", (source, json.dumps(data))
            try:
                engine.add_policy("p.rego", source)
                engine.add_data(data or {})
                engine.eval_query("true", asked)
            except OpaError as error:
                refused = str(error)
        answers: list[list[Any]] = []
        for rule in () if refused else rules:
            try:
                answers.append([engine.eval_document(f"p.{rule}", asked)])
            except OpaError:
                answers.append([])
        print(json.dumps(refused or answers), flush=True)


if __name__ == "__main__":
    _serve()
