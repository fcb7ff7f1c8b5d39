"""`palisade check`: every error at once, and warnings."""

from __future__ import annotations

from pathlib import Path

from cli_helpers import ALLOW, SETTINGS, Run


class TestCheck:
    def test_a_sound_set(self, run: Run, project: Path) -> None:
        ended = run("check", "policies")
        assert (ended.code, ended.out) == (0, "1 module in policies: no errors\n")
        assert run("check", "policies", "--output", "json").json == {}

    def test_all_errors_with_line_and_caret(self, run: Run, project: Path) -> None:
        text = 'package b\n\np if x\n\nq if nosuch(1)\n\nr if startwith(input.x, "a")\n'
        (project / "policies" / "b.rego").write_text(text)
        ended = run("check", "policies")
        assert ended.code == 1
        assert "policies/b.rego:3:6: rego_unsafe_var_error: var x is unsafe" in ended.err
        assert "    p if x\n         ^\n" in ended.err
        assert "policies/b.rego:5:6: rego_type_error: undefined function nosuch" in ended.err
        assert "policies/b.rego:7:6: rego_type_error: undefined function startwith" in ended.err
        assert "    did you mean startswith?\n" in ended.err
        assert ended.err.count("did you mean") == 1
        assert "3 errors in policies" in ended.err
        assert ended.out == ""

    def test_errors_for_programs_are_in_opas_form(self, run: Run, project: Path) -> None:
        (project / "policies" / "b.rego").write_text("package b\n\np if x\n")
        ended = run("check", "policies", "-o", "json")
        assert ended.code == 1
        [error] = ended.json["errors"]
        assert error.pop("hint").startswith("nothing gives it a value")  # the only member that is not OPA's
        assert error == {
            "message": "var x is unsafe",
            "code": "rego_unsafe_var_error",
            "location": {"file": "policies/b.rego", "row": 3, "col": 6},
            "details": {"line": "p if x", "idx": 5},
        }

    def test_files_that_cannot_be_read_and_errors_in_others_come_together(
        self, run: Run, project: Path
    ) -> None:
        (project / "policies" / "data.json").write_text("{")
        (project / "policies" / "b.rego").write_text("package b\np if {\n")
        ended = run("check", "policies")
        assert ended.code == 1
        assert "policies/data.json:1:2: load_error: not JSON" in ended.err
        assert "rego_parse_error" in ended.err

    def test_tests_are_checked_too(self, run: Run, project: Path) -> None:
        (project / "policies" / "b_test.rego").write_text("package b\np if x\n")
        assert run("check", "policies").code == 1

    def test_an_inventory_is_checked_with_its_policies(self, run: Run, project: Path) -> None:
        ended = run("check")
        assert (ended.code, ended.out) == (0, "1 module in palisade.yaml: no errors\n")
        (project / "palisade.yaml").write_text(SETTINGS + "decision: palisade/identity/alow\n")
        ended = run("check")
        assert ended.code == 1
        assert (
            "palisade.yaml:3:11: document_error: decision: no rule defines palisade/identity/alow"
            in ended.err
        )
        assert "did you mean 'palisade/identity/allow'?" in ended.err
        (project / "policies" / "b.rego").write_text("package b\n\np if x\n")
        assert "policies/b.rego:3:6: rego_unsafe_var_error" in run("check", "palisade.yaml").err
        (project / "palisade.yaml").write_text(SETTINGS.replace("functions", "function"))
        ended = run("check", "-o", "json")
        assert (ended.code, ended.json["errors"][0]["hint"]) == (1, "did you mean 'functions'?")

    def test_the_rego_of_an_inventory_is_that_which_it_says(self, run: Run, project: Path) -> None:
        (project / "policies" / "allow.rego").write_text("package palisade.identity\n\nallow { input.x }\n")
        assert run("check").code == 1
        (project / "palisade.yaml").write_text(SETTINGS + "rego: v0\n")
        assert run("check").code == 0
        assert run("check", "--v0-compatible").code == 2

    def test_what_only_a_test_defines_is_not_served(self, run: Run, project: Path) -> None:
        """The engine refused the set that `check` had passed."""
        (project / "policies" / "b.rego").write_text("package b\n\np if data.c.f(1)\n")
        (project / "policies" / "c_test.rego").write_text("package c\n\nf(x) := x\n")
        ended = run("check", "policies")
        assert ended.code == 1
        assert "policies/b.rego:3:6: rego_type_error: undefined function data.c.f" in ended.err

    def test_a_careless_providers_document_is_an_error(self, run: Run, project: Path) -> None:
        (project / "policies" / "allow.rego").write_text(ALLOW.replace('["a"]', "[]"))
        ended = run("check", "policies")
        assert ended.code == 1
        assert "policies/allow.rego:16:2: document_error" in ended.err

    def test_a_misspelt_module_of_the_library_is_an_error(self, run: Run, project: Path) -> None:
        """It denied everything, and nothing said so."""
        (project / "policies" / "allow.rego").write_text(ALLOW.replace("lib.claims", "lib.clams"))
        ended = run("check", "policies")
        assert ended.code == 1
        assert (
            "policies/allow.rego:3:8: rego_compile_error: data.palisade.lib.clams is undefined" in ended.err
        )
        assert "    did you mean data.palisade.lib.claims?\n" in ended.err

    def test_warnings_are_told_and_are_errors_where_it_is_strict(self, run: Run, project: Path) -> None:
        (project / "policies" / "b.rego").write_text("package b\n\nimport data.c\n\np if data.roles.x\n")
        ended = run("check", "policies")
        assert (ended.code, ended.out) == (0, "2 modules in policies: no errors\n")
        assert "policies/b.rego:5:6: unresolved_reference: data.roles is undefined" in ended.err
        assert "2 warnings in policies" in ended.err
        found = run("check", "policies", "-o", "json").json
        assert [each["location"]["row"] for each in found["warnings"]] == [3, 5]
        assert "errors" not in found
        strict = run("check", "policies", "--strict")
        assert (strict.code, strict.out) == (1, "")
        assert "policies/b.rego:3:1: unused_import: import c unused" in strict.err
        assert "4 errors in policies" in strict.err

    def test_a_folder_without_policies_is_told(self, run: Run, tmp_path: Path) -> None:
        """Of a wrong folder CI heard only that there was no error in it."""
        ended = run("check", str(tmp_path))
        assert (ended.code, f"{tmp_path}:1:1: empty_set: no .rego file is there" in ended.err) == (0, True)
        assert run("check", str(tmp_path), "--strict").code == 1

    def test_an_inventory_may_be_named_as_elsewhere(self, run: Run, project: Path) -> None:
        """By -f, as `up`, `compile` and `explain` take it."""
        (project / "palisade.yaml").rename(project / "other.yaml")
        ended = run("check", "-f", "other.yaml")
        assert (ended.code, ended.out) == (0, "1 module in other.yaml: no errors\n")
        both = run("check", "policies", "-f", "other.yaml")
        assert (both.code, "leave one of the two out" in both.err) == (2, True)

    def test_an_inventory_with_the_other_ending_is_named(self, run: Run, project: Path) -> None:
        """It was not found, and folders of .rego files were asked for."""
        (project / "palisade.yaml").rename(project / "palisade.yml")
        ended = run("check")
        assert (ended.code, "palisade.yml is there" in ended.err) == (2, True)

    def test_a_folder_that_is_not_there_is_wrong_usage(self, run: Run, project: Path) -> None:
        ended = run("check", "nowhere")
        assert ended.code == 2
        assert "does not exist" in ended.err

    def test_older_rego_by_a_flag(self, run: Run, project: Path) -> None:
        (project / "old.rego").write_text("package old\n\np { input.x }\n")
        refused = run("check", "old.rego")
        assert (refused.code, "rego: v0" in refused.err) == (1, True)
        assert run("check", "old.rego", "--v0-compatible").code == 0

    def test_older_rego_is_no_way_out_of_what_a_module_asks_for_itself(self, run: Run, project: Path) -> None:
        """Published policies mix both. The hint led to `rego: v0`, where the same error stood again."""
        (project / "mixed.rego").write_text("package old\n\nimport rego.v1\n\np { input.x }\n")
        for older in ((), ("--v0-compatible",)):
            refused = run("check", "mixed.rego", *older)
            assert (refused.code, "v0" in refused.err) == (1, False)
            assert "write `if` before the brace: `import rego.v1` asks for it" in refused.err
