"""What the demonstration leaves for other commands: its folder, and an inventory that they can read."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from palisade.demo.stage import FUNCTIONS, _inventory, _write
from palisade.policy import inventory_file


def test_other_commands_can_read_the_demonstrations_inventory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`palisade status -f .palisade/demo/palisade.yaml`, whichever the folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    upstreams = {name: f"127.0.0.1:{port}" for port, name in enumerate(FUNCTIONS, 8081)}
    text = _inventory(Path("policies"), upstreams, {}, 18001)
    file = _write(Path(".palisade", "demo"), text)
    inventory = inventory_file.load(file)
    assert inventory.policies == tmp_path / "policies"
    assert inventory.engine.state == tmp_path / ".palisade" / "demo" / "state"
    for folder in (tmp_path / ".palisade", tmp_path / ".palisade" / "demo"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_installed_package_has_the_policies_of_the_demonstration() -> None:
    """`pip install 'palisade[demo]'`: without a checkout `palisade demo` ended as it found none."""
    root = Path(__file__).parents[2]
    wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    sources = {target: root / source for source, target in wheel["force-include"].items()}
    assert (sources["palisade/policies"] / "identity" / "allow.rego").is_file()
    assert (sources["palisade/library"] / "lib" / "request.rego").is_file()
