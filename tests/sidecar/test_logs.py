"""Envoy's lines as log records."""

from __future__ import annotations

import logging

import pytest

from palisade_sidecar.logs import EnvoyLog, Named


def take(caplog: pytest.LogCaptureFixture, *lines: str) -> EnvoyLog:
    log = EnvoyLog(logging.getLogger("palisade_sidecar.hello"))
    with caplog.at_level(logging.DEBUG, "palisade_sidecar.hello"):
        for line in lines:
            log.take(line)
    return log


def test_levels_components_and_messages_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    log = take(caplog, "info|main|starting", "error|config|bad | bar", "critical||out of memory")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.DEBUG, "envoy main: starting"),
        (logging.ERROR, "envoy config: bad | bar"),
        (logging.CRITICAL, "envoy: out of memory"),
    ]
    assert log.reason() == "envoy: out of memory"


def test_further_lines_of_a_message_have_its_level(caplog: pytest.LogCaptureFixture) -> None:
    take(caplog, "info|main|layers:", "  - name: palisade", "error|main|trace:", "  #0 0x1")
    assert [record.levelno for record in caplog.records] == [10, 10, logging.ERROR, logging.ERROR]


def test_what_comes_before_any_level_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    log = take(caplog, "error while loading shared libraries: libm.so.6")
    assert "libm.so.6" in log.reason()


def test_an_engine_out_of_reach_is_not_reported_at_every_attempt(caplog: pytest.LogCaptureFixture) -> None:
    line = "warning|config|DeltaAggregatedResources gRPC config stream to palisade_engine closed: 14, refused"
    log = take(caplog, *[line] * 100)
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
    assert log.reason() == ""


def test_stacks_do_not_hide_what_went_wrong(caplog: pytest.LogCaptureFixture) -> None:
    """As Envoy ends where the machine has no inotify instance left."""
    log = take(
        caplog,
        "critical|assert|assert failure: inotify_fd_ >= 0. Details: Consider increasing max_user_instances",
        "error|envoy_bug|stacktrace for envoy bug",
        "error|envoy_bug|#0 UNKNOWN [0x56474fb5c22c]",
        "critical|backtrace|Caught Aborted, suspect faulting address 0x2806",
        "critical|backtrace|#0: [0x7fdf7051a050]",
    )
    assert "max_user_instances" in log.reason()
    assert [each.levelno for each in caplog.records] == [logging.CRITICAL, *[logging.DEBUG] * 4]


CRASH = (
    "info|main|starting",
    "libc++abi: Pure virtual function called!",
    "critical|backtrace|Caught Aborted, suspect faulting address 0x43a7",
    "critical|backtrace|Backtrace (use tools/stack_decode.py to get line numbers):",
    "critical|backtrace|Envoy version: 9e55/1.40.0/Clean/RELEASE/BoringSSL",
    "critical|backtrace|Address mapping: 561ecfb53000-561ed3cb9000 /usr/bin/envoy",
    "critical|backtrace|#0: [0x7fd227590050]",
    "critical|backtrace|#1: Envoy::Server::run() [0x561ecfb53abc]",
)


def test_a_crash_says_what_the_runtime_said_last_and_where_it_was(caplog: pytest.LogCaptureFixture) -> None:
    log = take(caplog, *CRASH)
    assert log.reason() == "envoy: libc++abi: Pure virtual function called!"
    assert log.stack() == (
        "Envoy version: 9e55/1.40.0/Clean/RELEASE/BoringSSL; Address mapping: 561ecfb53000-561ed3cb9000 "
        "/usr/bin/envoy; stack: 0x7fd227590050 Envoy::Server::run()@0x561ecfb53abc"
    )
    log.begin()
    assert (log.reason(), log.stack()) == ("", "")


def test_the_requests_that_a_crash_prints_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """As Envoy 1.40 printed them, with their tokens and the first bytes of their bodies."""
    take(
        caplog,
        *CRASH,
        "ActiveStream 0x732abfb03c00, stream_id_: 15084199241197417808&filter_manager_: ",
        "    'authorization', 'Bearer SECRET'",
        r'current_dispatching_buffer_ front_slice length: 58 contents: "GET /x\r\nauthorization: SECRET"',
    )
    assert "SECRET" not in caplog.text
    assert "Pure virtual" in caplog.text


def test_each_message_says_whose_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """`palisade up` has the sidecars of all functions in one log."""
    with caplog.at_level(logging.WARNING):
        Named("hello").warning("%d%% of it", 5)
    assert [each.getMessage() for each in caplog.records] == ["hello: 5% of it"]
