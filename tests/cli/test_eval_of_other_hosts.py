"""`palisade eval --allow-host`: policies reach the hosts that are named, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest
from cli_helpers import Run
from shared_helpers import serving


class _Roles(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"roles": ["admin"]}')

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: standard error is looked at by the tests."""


@pytest.fixture
def roles_url() -> Iterator[str]:
    """Where a server on this machine tells roles."""
    with serving(_Roles) as address:
        yield f"http://{address}/roles"


class TestEvalOfOtherHosts:
    def test_a_host_is_reached_where_it_is_allowed(self, run: Run, roles_url: str) -> None:
        query = f'http.send({{"method": "GET", "url": "{roles_url}"}}).body.roles[0]'
        allowed = ["--allow-host", "a.example", "--allow-host", "127.0.0.1"]
        assert run("eval", *allowed, "--format", "raw", query).out == "admin\n"
        looked_up = run("eval", *allowed, "--format", "values", 'net.lookup_ip_addr("127.0.0.1")')
        assert looked_up.out == '[["127.0.0.1"]]\n'

    @pytest.mark.parametrize(
        "arguments", [[], ["--allow-host", "127.0.0.2"], ["--allow-host", "*.0.0.example"]]
    )
    def test_no_other_host_is_reached(self, run: Run, roles_url: str, arguments: list[str]) -> None:
        for query in (
            f'http.send({{"method": "GET", "url": "{roles_url}", "raise_error": false}})',
            'net.lookup_ip_addr("127.0.0.1")',
        ):
            ended = run("eval", *arguments, query)
            assert (ended.code, ended.out) == (1, "")
            assert "unallowed host: 127.0.0.1" in ended.err

    def test_a_host_that_is_none_is_wrong_usage(self, run: Run) -> None:
        ended = run("eval", "--allow-host", "http://a.example/", "1 == 1")
        assert (ended.code, "such as a.example" in ended.err) == (2, True)
