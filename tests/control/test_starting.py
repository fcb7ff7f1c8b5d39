"""What keeps an engine from starting is told with its setting and what to do, and harms none that runs."""

from __future__ import annotations

import os
import stat

import pytest
from control_helpers import SETTINGS, Project
from shared_helpers import run

from palisade.control import admin, announced
from palisade.control.engine import Engine
from palisade.control.errors import EngineError
from palisade.policy.inventory import InventoryError


def test_a_port_that_is_taken_is_an_error_and_not_shared(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine, admin.serve(engine) as address:
            project.file.write_text(
                SETTINGS.replace(
                    "0.1:0, admin: 127.0.0.1:0", f"0.1:{engine.listen.port}, admin: 127.0.0.1:0, state: other"
                )
            )
            with pytest.raises(EngineError, match=r"yaml:4:18: engine\.listen: .* cannot be list") as raised:
                async with Engine(project.file):
                    pass
            assert "another engine" in raised.value.hint
            project.file.write_text(SETTINGS.replace("admin: 127.0.0.1:0", f"admin: {address}, state: other"))
            async with Engine(project.file) as other:
                with pytest.raises(EngineError, match=r":4:38: engine\.admin: .* cannot be") as raised:
                    async with admin.serve(other):
                        pass
                assert "another engine" in raised.value.hint

    run(session())


def test_a_second_engine_on_a_state_folder_is_no_start_and_harms_nothing(project: Project) -> None:
    """It would take back the addresses that the first one told, and write over its history."""

    async def session() -> None:
        async with Engine(project.file) as engine, admin.serve(engine):
            state = engine.inventory.engine.state
            told = announced.ask(state, announced.ENGINE), announced.ask(state, announced.ADMIN)
            with pytest.raises(EngineError, match=rf"engine\.state: .* by process {os.getpid()}$") as raised:
                async with Engine(project.file):
                    pass
            assert "another engine" in raised.value.hint
            assert (announced.ask(state, announced.ENGINE), announced.ask(state, announced.ADMIN)) == told
        async with Engine(project.file):
            pass

    run(session())


@pytest.mark.parametrize("key", ["listen", "admin"])
def test_an_address_of_another_machine_is_told_as_such(project: Project, key: str) -> None:
    """Not as a port that is taken: 192.0.2.0/24 is no machine's (RFC 5737)."""
    project.file.write_text(SETTINGS.replace(f"{key}: 127.0.0.1:0, admin", f"{key}: 192.0.2.1:0, admin"))
    if key == "admin":
        project.file.write_text(SETTINGS.replace("admin: 127.0.0.1:0", "admin: 192.0.2.1:0"))

    async def session() -> None:
        async with Engine(project.file) as engine, admin.serve(engine):
            pass

    with pytest.raises(EngineError, match=rf"engine\.{key}: 192\.0\.2\.1:0 .*: Cannot assign") as raised:
        run(session())
    assert raised.value.hint.startswith("192.0.2.1 is no address of this machine")


@pytest.mark.parametrize("state", ["palisade.yaml", "palisade.yaml/below", "/proc/palisade"])
def test_a_state_folder_that_cannot_be_made_is_told_with_its_place(project: Project, state: str) -> None:
    project.file.write_text(SETTINGS.replace("admin: 127.0.0.1:0", f"admin: 127.0.0.1:0, state: {state}"))
    with pytest.raises(EngineError, match=r"yaml:4:\d+: engine\.state: .* cannot be used: ") as raised:
        Engine(project.file)
    assert "Errno" not in str(raised.value)
    assert raised.value.hint


def test_certificates_that_cannot_be_written_are_no_start_and_no_fault_of_the_compiler(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a disk that is full."""
    (project.root / ".palisade").mkdir()
    (project.root / ".palisade" / "credentials").write_text("")

    async def session() -> None:
        async with Engine(project.file):
            pass

    with pytest.raises(EngineError, match=r"engine\.state: .* cannot be used: ") as raised:
        run(session())
    assert raised.value.hint
    assert "compiling failed" not in caplog.text


def test_a_wrong_inventory_is_no_start(project: Project) -> None:
    project.file.write_text("policies: 1\n")
    with pytest.raises(InventoryError):
        Engine(project.file)


def test_a_log_that_cannot_be_written_is_no_start(project: Project) -> None:
    (project.root / "decisions.jsonl").mkdir()
    with pytest.raises(EngineError, match=r"palisade\.yaml:5:\d+: decision_log\.path: .*directory"):
        Engine(project.file)


def test_the_state_folder_is_for_its_owner_only(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file, log_name="log.jsonl"):
            state = project.root / ".palisade"
            assert stat.S_IMODE(state.stat().st_mode) == 0o700
            for path in [*(state / "history").iterdir(), *(state / "credentials").rglob("key.pem")]:
                assert path.stat().st_mode & 0o077 == 0, path

    run(session())
