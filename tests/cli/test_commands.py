"""The command line: what it prints for whom, and what its exit codes say."""

from __future__ import annotations

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import Run
from shared_helpers import plain_user, serving

COMMANDS = ["check", "compile", "eval", "explain", "fmt", "serve", "sidecar", "up", "status", "demo"]
COMMANDS += ["test", "verify", "history", "rollback", "shadow", "diff", "promote"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(run: Run, command: str) -> None:
    ended = run(command, "--help")
    assert ended.code == 0
    assert f"palisade {command}" in " ".join(ended.out.split())


@pytest.mark.parametrize(
    "command", [[], *([each] for each in COMMANDS), ["history", "show"], ["history", "diff"]]
)
def test_help_fills_its_lines(run: Run, command: list[str]) -> None:
    """Where the source breaks a line, help did so too, in the middle of a sentence and of the screen."""
    said = run(*command, "--help").out.split("╭")[0]
    lines = [each.strip() for each in said.splitlines()]
    for line, following in pairwise(lines):
        if line and following:
            assert len(f" {line} {following.split()[0]}") >= 80, line


def test_a_mistyped_option_is_wrong_usage(run: Run) -> None:
    assert run("check", "--nonsense").code == 2


INTERRUPTED_MEANWHILE = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Interrupting(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "palisade.rego":
            os.kill(os.getpid(), signal.SIGINT)
        return None

signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts the tests may ignore it
sys.meta_path.insert(0, Interrupting())
sys.argv = ["palisade", "--version"]
from palisade.cli.main import main
main()
"""


def test_ctrl_c_while_the_program_is_being_read_leaves_no_traceback() -> None:
    """That takes up to a second, and whoever mistyped a command ends it at once."""
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_MEANWHILE], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


COLLECTED = """
import atexit, gc, sys
looks = []
gc.callbacks.append(lambda phase, _: looks.append(phase))
atexit.register(lambda: print(len(gc.get_objects())))
from palisade.cli import main
sys.argv = ["palisade", "check", "--help"]
while_read = sys.modules["gc"].enable
gc.enable = lambda: (print(len(looks)), while_read())
main.main()
"""


def test_nobody_looks_for_what_is_unused_while_the_program_is_read_nor_at_its_end() -> None:
    """It was a quarter of what a short command took."""
    ended = subprocess.run([sys.executable, "-c", COLLECTED], capture_output=True, text=True, timeout=60)
    first, *_, last = ended.stdout.splitlines()
    assert int(first) < 10
    assert int(last) < 1_000


class TestEval:
    def test_a_decision_in_the_form_of_opa_eval(self, run: Run, project: Path) -> None:
        (project / "input.json").write_text('{"parsed_path": ["open"]}')
        ended = run("eval", "-d", "policies", "-i", "input.json", "data.palisade.identity.allow")
        assert ended.code == 0
        assert ended.json == {
            "result": [
                {
                    "expressions": [
                        {
                            "value": True,
                            "text": "data.palisade.identity.allow",
                            "location": {"row": 1, "col": 1},
                        }
                    ]
                }
            ]
        }

    def test_undefined_is_an_empty_object(self, run: Run) -> None:
        assert (run("eval", "data.nothing").json, run("eval", "data.nothing").code) == ({}, 0)
        assert run("eval", "--fail", "data.nothing").code == 1
        assert run("eval", "--fail-defined", "1 == 1").code == 1

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("1 > 2", [([False], None)]),
            ("x := 1; x > 2", []),
            ("x = 1; y := x + 1", [([True, True], {"x": 1, "y": 2})]),
            ("[1, 2, 3][i] > 1", [([True], {"i": 1}), ([True], {"i": 2})]),
            ("[1, false][_]", [([1], None)]),
            ("not false", [([True], None)]),
            ("{1, 2}", [([[1, 2]], None)]),
            ('input.x with input as {"x": 7}', [([7], None)]),
            ("some x in [3]; x + 1", [([True, 4], {"x": 3})]),
        ],
    )
    def test_values_and_bindings_are_opas(self, run: Run, query: str, expected: list[Any]) -> None:
        results = run("eval", query).json.get("result", [])
        found = [([e["value"] for e in each["expressions"]], each.get("bindings")) for each in results]
        assert found == expected

    def test_the_input_may_come_from_a_pipe_or_be_yaml(self, run: Run, project: Path) -> None:
        assert run("eval", "-i", "-", "--format", "raw", "input.x", stdin='{"x": "y"}').out == "y\n"
        (project / "input.yaml").write_text("x: [1, 2]\n")
        assert run("eval", "-i", "input.yaml", "--format", "values", "input.x").out == "[[1,2]]\n"

    @pytest.mark.parametrize("query", ["1 +", "x > 1", "nosuch(1)"])
    def test_a_wrong_query_is_wrong_usage(self, run: Run, query: str) -> None:
        ended = run("eval", query)
        assert ended.code == 2
        assert "rego_" in ended.err
        assert "Traceback" not in ended.err

    def test_a_wrong_input_is_wrong_usage(self, run: Run, project: Path) -> None:
        (project / "input.json").write_text("{")
        assert run("eval", "-i", "input.json", "input").code == 2
        (project / "noted").write_text("{")
        assert "noted:1:2: load_error: not JSON" in run("eval", "-i", "noted", "input").err
        assert run("eval", "-i", "gone.json", "input").code == 2

    def test_an_evaluation_that_fails_says_why(self, run: Run, project: Path) -> None:
        (project / "c.rego").write_text("package c\np := 1 if true\np := 2 if true\n")
        ended = run("eval", "-d", "c.rego", "data.c.p")
        assert ended.code == 1
        assert "eval_conflict_error" in ended.err
        strict = run("eval", "--strict-builtin-errors", "1 / 0")
        assert (strict.code, "divide by zero" in strict.err) == (1, True)

    def test_prints_go_to_the_side(self, run: Run, project: Path) -> None:
        (project / "d.rego").write_text('package d\np if print("seen", input)\n')
        (project / "i.json").write_text("7")
        ended = run("eval", "-d", "d.rego", "-i", "i.json", "--format", "raw", "data.d.p")
        assert (ended.out, ended.err) == ("true\n", "seen 7\n")


class TestFmt:
    UGLY = "package a\n# why\nallow   if{input.x==1\n input.y}\n"

    def test_formatted_text_is_printed_or_written(self, run: Run, project: Path) -> None:
        file = project / "ugly.rego"
        file.write_text(self.UGLY)
        file.chmod(0o640)
        printed = run("fmt", "ugly.rego").out
        assert printed == "package a\n\n# why\nallow if {\n\tinput.x == 1\n\tinput.y\n}\n"
        assert run("fmt", stdin=self.UGLY).out == printed
        assert run("fmt", "--list", "--fail", ".").out == "ugly.rego\n"
        assert "+\tinput.x == 1" in run("fmt", "--diff", "ugly.rego").out
        assert file.read_text() == self.UGLY
        assert run("fmt", "--write", "ugly.rego").code == 0
        assert file.read_text() == printed
        assert file.stat().st_mode & 0o777 == 0o640
        assert run("fmt", "--list", "--fail", "ugly.rego").code == 0

    def test_a_source_with_errors_is_left_alone(self, run: Run, project: Path) -> None:
        (project / "bad.rego").write_text("package a\nallow if {\n")
        ended = run("fmt", "-w", "bad.rego")
        assert (ended.code, "rego_parse_error" in ended.err) == (1, True)
        assert run("fmt", "gone.rego").code == 2

    def test_a_folder_that_cannot_be_read_is_not_taken_for_a_formatted_one(self, run: Run) -> None:
        with plain_user() as folder:
            (folder / "inner").mkdir(mode=0)
            ended = run("fmt", "--fail", str(folder))
        assert (ended.code, "inner:1:1: load_error: the folder cannot be read" in ended.err) == (1, True)


class TestRunning:
    def test_a_wrong_inventory_is_wrong_usage_everywhere(self, run: Run, project: Path) -> None:
        """But for what asks a running engine, as `status` and `rollback`: see the history's tests."""
        (project / "palisade.yaml").write_text("polices: x\n")
        for command in (
            ["serve"],
            ["up"],
            ["sidecar", "--function", "hello"],
            ["explain", "GET /"],
        ):
            ended = run(*command)
            assert ended.code == 2, command
            assert "palisade.yaml:1:1: config_error: unknown key 'polices'" in ended.err
            assert "did you mean 'policies'?" in ended.err

    def test_no_engine_is_a_code_of_its_own(self, run: Run, project: Path) -> None:
        ended = run("status", "--admin", "127.0.0.1:9")
        assert ended.code == 3
        assert "no engine answers" in ended.err
        assert "palisade serve" in ended.err
        assert "Errno" not in ended.err
        assert run("status", "--admin", "nowhere").code == 2

    @pytest.mark.parametrize("body", [b"hello", b"[1]", b'{"status": "UP"}'])
    def test_another_program_at_the_admin_port_is_no_engine(self, run: Run, body: bytes) -> None:
        """JSON of another program, as many have it at /status, ended in a traceback."""

        class Other(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing: standard error is looked at by the tests."""

        with serving(Other) as address:
            ended = run("status", "--admin", address)
        assert (ended.code, "but another program: 200 OK" in ended.err) == (3, True)

    def test_a_status_without_an_inventory_says_how_to_ask(self, run: Run, project: Path) -> None:
        (project / "palisade.yaml").rename(project / "other.yaml")
        ended = run("status")
        assert (ended.code, "-f FILE" in ended.err, "--admin HOST:PORT" in ended.err) == (2, True, True)
        demo = project / ".palisade" / "demo"
        demo.mkdir(parents=True)
        (project / "other.yaml").rename(demo / "palisade.yaml")
        assert "for the demo: palisade status -f .palisade/demo/palisade.yaml" in run("status").err

    def test_an_unknown_function_is_answered_with_the_nearest(self, run: Run, project: Path) -> None:
        ended = run("sidecar", "--function", "helo")
        assert (ended.code, "did you mean 'hello'?" in ended.err) == (2, True)


def palisade(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("palisade")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ("eval 'numbers.range(1, 200000)'", (0, 141)),
        ("compile policies", (0, 141)),
        ("check wrong --output json", (1, 141)),
        ("fmt --list --fail wrong", (1, 141)),
    ],
)
def test_a_reader_that_has_seen_enough_is_no_error(
    project: Path, command: str, codes: tuple[int, ...]
) -> None:
    """As with other commands, 141 or what it ends with else; never 0 where something was found."""
    (project / "wrong").mkdir()
    (project / "wrong" / "a.rego").write_text("package a\n\np  if x\n")
    written = f"{Path(sys.executable).with_name('palisade')} {command} | true"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", written], capture_output=True, text=True, timeout=60, cwd=project
    )
    assert ended.returncode in codes
    assert (ended.stdout, ended.stderr) == ("", "")


def test_colours_are_for_terminals_that_want_them(project: Path) -> None:
    (project / "policies" / "b.rego").write_text("package b\np if x\n")
    assert "\x1b[" not in palisade("check", "policies", cwd=project).stderr
    shown = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm"}
    assert "\x1b[" in palisade("check", "policies", cwd=project, env=shown).stderr
    plain = {**os.environ, "NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "xterm"}
    assert "\x1b[31m" not in palisade("check", "policies", cwd=project, env=plain).stderr
