"""`palisade check --schema`: what JSON schemas say of input and documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_helpers import Run


class TestCheckWithSchemas:
    INPUT = '{"type": "object", "properties": {"user": {"type": "string"}, "roles": {"type": "array"}}}'
    SET = "package a\n\np if input.usr\n\nq if data.roles.admn\n\nr if input.user\n"

    @pytest.fixture
    def files(self, project: Path) -> Path:
        (project / "set").mkdir()
        (project / "set" / "a.rego").write_text(self.SET)
        (project / "schemas" / "data").mkdir(parents=True)
        (project / "schemas" / "input.json").write_text(self.INPUT)
        return project

    def test_a_file_describes_the_input(self, run: Run, files: Path) -> None:
        assert run("check", "set").code == 0
        ended = run("check", "set", "--schema", "schemas/input.json")
        assert ended.code == 1
        assert "set/a.rego:3:6: rego_type_error: undefined ref: input.usr" in ended.err
        assert "1 error in set" in ended.err

    def test_a_folder_describes_the_input_and_documents(self, run: Run, files: Path) -> None:
        roles = "type: object\nproperties: {admin: {type: array}}\n"
        (files / "schemas" / "data" / "roles.yaml").write_text(roles)
        ended = run("check", "set", "-s", "schemas", "-o", "json")
        assert ended.code == 1
        found = [(each["location"]["row"], each["message"]) for each in ended.json["errors"]]
        assert found == [(3, "undefined ref: input.usr"), (5, "undefined ref: data.roles.admn")]

    def test_annotations_name_schemas_of_a_folder(self, run: Run, files: Path) -> None:
        (files / "schemas" / "input.json").rename(files / "schemas" / "user-v1.json")
        head = '# METADATA\n# schemas:\n#   - input: schema["user-v1"]\n'
        (files / "set" / "a.rego").write_text(f"package a\n\n{head}p if input.usr\n\nq if input.usr\n")
        ended = run("check", "set", "-s", "schemas")
        assert (ended.code, ended.err.count("undefined ref: input.usr")) == (1, 1)
        (files / "set" / "a.rego").write_text(f"package a\n\n{head.replace('v1', 'v2')}p if input.usr\n")
        assert "undefined schema: schema.user-v2" in run("check", "set", "-s", "schemas").err

    def test_the_library_is_right_where_a_schema_leaves_out_what_it_looks_at(
        self, run: Run, files: Path
    ) -> None:
        source = "package a\n\nimport data.palisade.lib.claims\n\np if input.user in claims.roles\n"
        (files / "set" / "a.rego").write_text(source)
        ended = run("check", "set", "-s", "schemas")
        assert (ended.code, ended.err) == (0, "")

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("a.json", "{", "schemas/a.json:1:2: load_error: not JSON"),
            ("a.json", "[]", "schemas/a.json:1:1: load_error: a JSON schema is an object"),
            ("a.json", '{"type": "strin"}', "schemas/a.json:1:1: load_error: no JSON schema"),
            ("a.json", '{"$ref": "#/definitions/x"}', "no JSON schema: Object has no key"),
            ("a.json", '{"anyOf": 5}', "schemas/a.json:1:1: load_error: no JSON schema"),
            ("a.v1.json", "{}", "rename the file"),
            (
                "input.yaml",
                "type: object",
                "schemas/input.yaml:1:1: load_error: schema.input is defined twice",
            ),
        ],
    )
    def test_what_is_no_schema_is_wrong_usage(
        self, run: Run, files: Path, name: str, text: str, message: str
    ) -> None:
        (files / "schemas" / name).write_text(text)
        ended = run("check", "set", "-s", "schemas")
        assert (ended.code, message in ended.err, "Traceback" in ended.err) == (2, True, False)

    def test_schemas_that_are_not_there_are_wrong_usage(self, run: Run, files: Path) -> None:
        assert "no such file" in run("check", "set", "-s", "gone.json").err
        (files / "empty").mkdir()
        ended = run("check", "set", "-s", "empty")
        assert (ended.code, "no schemas in the folder" in ended.err) == (2, True)
