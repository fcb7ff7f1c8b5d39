"""Envoy as a process: found, watched, restarted, drained, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from palisade.pki import Authority
from palisade_sidecar import overload
from palisade_sidecar.admin import Admin, AdminError
from palisade_sidecar.envoy import EnvoyError
from palisade_sidecar.main import FAILED, STOPPED, USAGE, run
from palisade_sidecar.settings import Address, SettingsError
from palisade_sidecar.sidecar import State

PROGRAM = """
import sys
from pathlib import Path
from palisade_sidecar.main import run
listen, credentials, run_dir = sys.argv[1:]
sys.exit(run(function="hello", engine="127.0.0.1:9", upstream="127.0.0.1:9", listen=listen,
             credentials=Path(credentials), run_dir=Path(run_dir),
             on_change=lambda status: print(status.state, status.listen, flush=True)))
"""


def _in_process(rig: Any, *, listen: str = "127.0.0.1:0") -> subprocess.Popen[str]:
    arguments = [
        sys.executable,
        "-c",
        PROGRAM,
        listen,
        str(rig.folder / "credentials"),
        str(rig.folder / "run"),
    ]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _until_live(process: subprocess.Popen[str]) -> Address:
    assert process.stdout is not None
    for line in process.stdout:
        state, _, address = line.strip().partition(" ")
        if state == State.LIVE:
            return Address.parse(address, what="the address")
    pytest.fail(f"the sidecar ended with {process.wait()} before it was live")


def _envoys(folder: Path) -> list[int]:
    """The processes whose command line names the folder, and that are not our own child."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
        except (OSError, NotADirectoryError):
            continue
        if entry.name.isdigit() and str(folder / "run" / "bootstrap.json").encode() in command:
            found.append(int(entry.name))
    return found


def _wait(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not hold within {seconds} s"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_sidecar_and_its_envoy(rig: Any, number: signal.Signals) -> None:
    process = _in_process(rig)
    address = _until_live(process)
    assert httpx.get(f"http://{address}/", timeout=30).status_code == 503
    process.send_signal(number)
    assert process.wait(30) == STOPPED
    assert _envoys(rig.folder) == []


def test_envoy_dies_with_a_sidecar_that_is_killed(rig: Any) -> None:
    process = _in_process(rig)
    _until_live(process)
    assert len(_envoys(rig.folder)) == 1
    process.kill()
    process.wait(30)
    _wait(lambda: _envoys(rig.folder) == [])


def test_ctrl_c_in_a_terminal_lets_requests_finish(rig: Any) -> None:
    """Ctrl-C reaches the whole foreground group: Envoy must not be in it, or it would end at once."""
    process = _in_process(rig)
    _until_live(process)
    (envoy,) = _envoys(rig.folder)
    assert os.getpgid(envoy) != os.getpgid(process.pid)
    process.terminate()
    process.wait(30)


@pytest.mark.parametrize(
    ("authority", "hours", "error", "doubt"),
    [
        ("authority", 1, "certificate is not yet valid", "Do the clocks of both machines agree? It is 2"),
        ("other", 0, "unable to get local issuer certificate", "/credentials of this engine?"),
    ],
)
def test_what_is_wrong_with_the_engine_s_certificate_is_told(
    rig: Any, until: Any, caplog: pytest.LogCaptureFixture, authority: str, hours: int, error: str, doubt: str
) -> None:
    """It was out of reach, and nothing said that its clock was ahead."""
    other = Authority.open(rig.folder / authority)
    now = datetime.now(UTC) + timedelta(hours=hours)
    rig.authority = SimpleNamespace(issue_engine=partial(other.issue_engine, now=now))

    async def session() -> None:
        await rig.engine()
        async with rig.sidecar():
            await until(lambda: f"fails: {error}, and there is no revision yet" in caplog.text)

    asyncio.run(session())
    assert doubt in caplog.text


def test_an_engine_that_does_not_answer_is_out_of_reach(
    rig: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """As behind a firewall that drops all: Envoy calls itself connected as soon as it tries."""

    async def session() -> None:
        with socket.create_server(("127.0.0.1", rig.engine_port)):
            async with rig.sidecar() as (sidecar, _):
                await until(lambda: "is out of reach" in caplog.text)
                assert not sidecar.status.connected

    asyncio.run(session())


def test_decisions_that_a_full_disk_takes_are_told(
    rig: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Envoy drops what it cannot write, and says nothing. The engine is to count them, too."""
    small = rig.folder / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")

    async def session() -> None:
        await rig.engine()
        async with rig.sidecar(run_dir=small) as (_, client):
            with contextlib.suppress(OSError), (small / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(4096))

            async def told() -> bool:
                await client.get("/", headers={"x": "y" * 5000})  # a page may have some room yet
                return "decisions are in no log" in caplog.text

            await until(told)
            await until(lambda: rig.access.unlogged["hello"])

    try:
        asyncio.run(session())
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_connections_leave_open_files_for_the_function_and_the_engine(
    rig: Any, until: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Envoy that had given all of them to callers could ask neither, and nobody was told. What is too much
    is refused, which is told; all others are answered, and the log is handed on."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] - 1, before[1]))
    monkeypatch.setattr(overload.resource, "getrlimit", lambda _: (100, 100))

    async def session() -> None:
        await rig.engine()
        async with rig.sidecar() as (_, client), contextlib.AsyncExitStack() as stack:
            (envoy,) = _envoys(rig.folder)
            assert resource.prlimit(envoy, resource.RLIMIT_NOFILE) == (before[1], before[1])
            held = []
            for _ in range(40):
                reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
                stack.callback(writer.close)
                held.append((reader, writer))

            async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
                with contextlib.suppress(ConnectionError):
                    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                    return await reader.read(12)
                return b""

            answers = Counter(await asyncio.gather(*(asked(*each) for each in held)))
            assert answers == {b"HTTP/1.1 503": 25, b"": 15}
            await until(lambda: "connections are refused: 25 are open" in caplog.text)
            await until(lambda: len(rig.sink.entries) == 25)

    try:
        asyncio.run(session())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_crashed_envoy_is_started_again_on_the_same_port(
    rig: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """And the log tells where it was, as nobody finds out again by trying."""

    async def scenario() -> None:
        async with rig.sidecar() as (sidecar, client):
            assert (await client.get("/")).status_code == 503
            before = sidecar.status.listen
            (envoy,) = _envoys(rig.folder)
            os.kill(envoy, signal.SIGABRT)
            await until(lambda: sidecar.status.restarts == 1 and sidecar.status.state is State.LIVE)
            assert sidecar.status.listen == before
            assert (await client.get("/")).status_code == 503
            assert _envoys(rig.folder) != [envoy]

    asyncio.run(scenario())
    [told] = [each for each in caplog.messages if "Envoy ended" in each]
    assert "Envoy ended by SIGABRT" in told
    assert re.search(r"Envoy version: .*; Address mapping: .*; stack: 0x", told)


def test_an_envoy_that_cannot_be_started_again_is_tried_until_it_can(
    rig: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a disk that is full for a while. It was given up in silence."""

    async def scenario() -> None:
        async with rig.sidecar() as (sidecar, _):
            [envoy] = _envoys(rig.folder)
            run_dir = rig.folder / "run"
            run_dir.rename(rig.folder / "away")
            run_dir.touch()  # no folder, so nothing can be written there
            os.kill(envoy, signal.SIGKILL)
            await until(lambda: f"the run folder {run_dir} cannot be used" in caplog.text)
            run_dir.unlink()
            (rig.folder / "away").rename(run_dir)
            await until(lambda: sidecar.status.state is State.LIVE and sidecar.status.restarts == 1)

    asyncio.run(scenario())


def test_stopping_lets_a_request_under_way_finish_and_takes_no_other(
    rig: Any, make_revision: Any, until: Any
) -> None:
    async def scenario() -> None:
        await rig.engine(make_revision("r1", {"/slow": "allow"}))
        async with rig.sidecar() as (sidecar, client):
            await until(lambda: _allowed(client))
            rig.function.slow_begun = False
            slow = asyncio.create_task(client.get("/slow"))
            await until(lambda: rig.function.slow_begun)
            stopping = asyncio.create_task(sidecar.stop())
            await until(lambda: _refused(sidecar.status.listen))
            assert (await slow).status_code == 200
            await stopping
            assert sidecar.status.state is State.STOPPED
        assert [event["input"]["parsed_path"] for event in rig.sink.entries][-1] == ["slow"]

    asyncio.run(scenario())


def test_a_sidecar_that_is_stopped_while_envoy_is_started_again_ends(
    rig: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for the end of an Envoy that nobody was to end any more."""

    async def scenario() -> None:
        async with rig.sidecar() as (sidecar, _):
            begun, go_on = asyncio.Event(), asyncio.Event()
            begin_anew = sidecar._handover.begin_anew

            async def slowly() -> None:
                begun.set()
                await go_on.wait()
                await begin_anew()

            monkeypatch.setattr(sidecar._handover, "begin_anew", slowly)
            [envoy] = _envoys(rig.folder)
            os.kill(envoy, signal.SIGKILL)
            await begun.wait()
            stopping = asyncio.create_task(sidecar.stop())
            await until(lambda: sidecar._handing.done())
            go_on.set()
            async with asyncio.timeout(30):
                await stopping
            assert sidecar.status.state is State.STOPPED
            assert _envoys(rig.folder) == []

    asyncio.run(scenario())


async def _allowed(client: httpx.AsyncClient) -> bool:
    return (await client.get("/slow")).status_code == 200


async def _refused(address: Address) -> bool:
    try:
        _, writer = await asyncio.open_connection(address.host, address.port)
    except OSError:
        return True
    writer.close()
    return False


def test_a_port_in_use_is_refused_even_to_a_second_envoy(rig: Any) -> None:
    async def scenario() -> None:
        async with rig.sidecar() as (sidecar, _):
            with pytest.raises(EnvoyError, match=r"cannot listen on 127.0.0.1:\d+: Address already in use"):
                async with rig.sidecar(listen=sidecar.status.listen, run_dir=rig.folder / "two"):
                    pass

    asyncio.run(scenario())


def test_an_envoy_that_cannot_start_says_why(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palisade_sidecar.sidecar.bootstrap", lambda settings: {"node": {"idd": "hello"}})

    async def scenario() -> None:
        with pytest.raises(EnvoyError, match=r"ended with code 1 before it was live: .*idd"):
            async with rig.sidecar():
                pass

    asyncio.run(scenario())
    assert _envoys(rig.folder) == []


def test_missing_credentials_are_named(rig: Any) -> None:
    async def scenario() -> None:
        with pytest.raises(SettingsError, match=r"certificate\.pem"):
            async with rig.sidecar(credentials=rig.folder / "none"):
                pass

    asyncio.run(scenario())


def test_the_configuration_is_for_its_owner_alone_and_holds_no_key(rig: Any) -> None:
    key = (rig.folder / "credentials" / "key.pem").read_text().splitlines()[1]

    async def scenario() -> None:
        async with rig.sidecar():
            folder = rig.folder / "run"
            assert folder.stat().st_mode & 0o777 == 0o700
            assert (folder / "admin.sock").stat().st_mode & 0o777 == 0o600
            assert all(key not in file.read_text() for file in folder.glob("*.json"))

    asyncio.run(scenario())


def test_exit_codes_tell_usage_from_failure(rig: Any, caplog: pytest.LogCaptureFixture) -> None:
    given = {
        "function": "hello",
        "engine": "127.0.0.1:9",
        "upstream": "127.0.0.1:9",
        "credentials": rig.folder / "credentials",
    }
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run(**given, listen=listen) == FAILED
    assert run(**given, listen="8080") == USAGE
    assert "the address to listen on is '8080', but must be HOST:PORT" in caplog.text


def test_an_admin_interface_without_an_envoy_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AdminError, match="/ready"):
        asyncio.run(Admin(tmp_path / "admin.sock").ready())
