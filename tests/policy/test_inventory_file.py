"""palisade.yaml: what it may say, and that each mistake is reported at its place with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from shared_helpers import plain_user

from palisade.policy import source
from palisade.policy.inventory import Address, Failure, Function, InventoryError, UnknownFunctionError
from palisade.policy.inventory_file import load, parse

GOOD = """\
policies: ./policies
functions:
  hello:
    upstream: 127.0.0.1:8081     # the function
    listen: 127.0.0.1:9081
  orders:
    upstream: orders.internal:8082
    listen: "[::1]:0"
    failure: {no_engine: 429}
    labels: {tier: "1"}
    protocol: http2
    trusted_hops: 1
decision: envoy/authz/allow
engine: {listen: 127.0.0.1:18000, admin: 127.0.0.1:18001}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    return tmp_path


def errors_of(text: str, folder: Path) -> list[tuple[int, int, str, str]]:
    with pytest.raises(InventoryError) as raised:
        parse(text, folder / "palisade.yaml")
    return [(e.row, e.col, e.message, e.hint) for e in raised.value.errors]


def functions(settings: str) -> str:
    return f"policies: ./policies\nfunctions:\n  hello: {settings}\n"


def test_every_setting_is_read(folder: Path) -> None:
    (folder / "palisade.yaml").write_text(GOOD)
    inventory = load(folder / "palisade.yaml")
    assert inventory.policies == folder / "policies"
    assert inventory.decision == "envoy/authz/allow"
    assert inventory.functions["hello"] == Function(
        "hello", Address("127.0.0.1", 8081), Address("127.0.0.1", 9081)
    )
    orders = inventory.functions["orders"]
    assert orders.upstream == Address("orders.internal", 8082)
    assert str(orders.listen) == "[::1]:0"
    assert orders.failure == Failure(no_engine=429, no_revision=503)
    assert dict(orders.labels) == {"tier": "1"}
    assert (orders.protocol, orders.escaped_slashes, orders.trusted_hops) == ("http2", "reject", 1)


def test_what_is_not_said_has_the_documented_defaults(folder: Path) -> None:
    inventory = parse(functions("{upstream: 127.0.0.1:1, listen: 127.0.0.1:2}"), folder / "palisade.yaml")
    assert inventory.decision == "palisade/identity/allow"
    assert str(inventory.engine.listen) == "127.0.0.1:18000"
    assert str(inventory.engine.admin) == "127.0.0.1:18001"
    assert inventory.engine.state == folder / ".palisade"
    assert inventory.rego_version == 1
    assert inventory.decision_log.path is None
    assert inventory.functions["hello"].failure == Failure(403, 503)


def test_paths_are_relative_to_the_file_not_to_the_shell(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = "decision_log: {path: log/decisions.jsonl, mask: {headers: [X-Session]}}\n"
    (folder / "palisade.yaml").write_text(GOOD + log)
    monkeypatch.chdir("/")
    inventory = load(folder / "palisade.yaml")
    assert inventory.policies == folder / "policies"
    assert inventory.decision_log.path == folder / "log" / "decisions.jsonl"
    assert inventory.decision_log.mask_headers == {"x-session"}


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ("{upstream: 127.0.0.1:8081}", "functions.hello lacks 'listen'", "listen: 127.0.0.1:9081"),
        (
            "{upstraem: 127.0.0.1:1, listen: 127.0.0.1:2}",
            "unknown key 'upstraem'",
            "did you mean 'upstream'?",
        ),
        ("{upstream: 127.0.0.1:99999, listen: 127.0.0.1:2}", "'99999' is no port", "1 to 65535"),
        ("{upstream: 127.0.0.1:0, listen: 127.0.0.1:2}", "'0' is no port", "1 to 65535"),
        ("{upstream: 8081, listen: 127.0.0.1:2}", "must be an address, not 8081", "127.0.0.1:8081"),
        ("{upstream: 'http://svc:80/x', listen: 127.0.0.1:2}", "is a URL", "write svc:80"),
        ("{upstream: svc, listen: 127.0.0.1:2}", "lacks a port", "write svc:8081"),
        ("{upstream: 127.0.0.1:1, listen: ':90'}", "lacks a host", "write 127.0.0.1:90"),
        ("{upstream: 127.0.0.1:1, listen: 'me.org:90'}", "is no IP address to listen on", "0.0.0.0:90"),
        ("{upstream: 300.0.0.1:1, listen: 127.0.0.1:2}", "'300.0.0.1' is no host", "127.0.0.1"),
        ("{upstream: '::1:80', listen: 127.0.0.1:2}", "ambiguous", "[::1]:80"),
        ("{upstream: 127.0.0.1:1, listen: 127.0.0.1:1}", "is its upstream", "another port"),
        ("{upstream: 127.0.0.1:1, listen: 127.0.0.1:18000}", "is taken", "functions.hello.listen"),
        ("{upstream: 127.0.0.1:1, listen: 127.0.0.1:2, failure: {no_engine: 200}}", "no HTTP status", "400"),
        ("{upstream: 127.0.0.1:1, listen: 127.0.0.1:2, labels: {a: 1}}", "must be a string", 'a: "1"'),
        ("{upstream: 127.0.0.1:1, listen: 127.0.0.1:2, protocol: h2}", "cannot be h2", "auto, http1, http2"),
        ("{upstream: 127.0.0.1:1, listen: 127.0.0.1:2, trusted_hops: -1}", "0 to 32", "proxies"),
        ("8081", "must be a mapping", "upstream"),
    ],
)
def test_a_wrong_setting_of_a_function_tells_what_is_right(
    folder: Path, settings: str, message: str, hint: str
) -> None:
    (row, _, said, advised), *more = errors_of(functions(settings) + "engine: {}\n", folder)
    assert not more
    assert row in (3, 4)
    assert message in said
    assert hint in said + advised


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("decision: data.envoy.authz.allow", "is no entry point", "envoy/authz/allow"),
        ("decision: data/envoy/authz/allow", "is no entry point", "envoy/authz/allow"),
        ("decision: allow", "is no entry point", "allow/allow"),
        ("rego: 1", "rego cannot be 1", "write one of v1, v0"),
        ("rego:", "rego cannot be empty", "write one of v1, v0"),
        ("polices: ./policies", "unknown key 'polices'", "policies"),
        ("engine: {admin: nowhere}", "lacks a port", "nowhere:8081"),
        ("engine: {lisen: 127.0.0.1:1}", "unknown key 'lisen' in engine", "listen"),
        ("decision_log: {mask: {headers: x}}", "must be a list of names", "[x-session]"),
        ("decision_log: {mask: {header: [x]}}", "unknown key 'header'", "headers"),
        ("decision: [a", "not YAML", "while parsing a flow sequence that begins at 4:11"),
        ("functions:\n\ta: 1", "not YAML", "indent by spaces"),
    ],
)
def test_a_wrong_setting_at_the_top_tells_what_is_right(
    folder: Path, line: str, message: str, hint: str
) -> None:
    good = functions("{upstream: 127.0.0.1:1, listen: 127.0.0.1:2}")
    (row, _, said, advised), *_ = errors_of(good + line + "\n", folder)
    assert row in (4, 5)
    assert message in said
    assert hint in advised


def test_all_errors_come_at_once_in_the_order_of_the_file(folder: Path) -> None:
    text = functions("{upstream: nope, listen: 127.0.0.1:70000, retries: 3}") + "rego: v3\n"
    places = [(row, col) for row, col, _, _ in errors_of(text, folder)]
    assert places == sorted(places)
    assert len(places) == 4


def test_an_error_shows_the_line_with_a_caret(folder: Path) -> None:
    with pytest.raises(InventoryError) as raised:
        parse(functions("{upstream: nope, listen: 127.0.0.1:1}"), folder / "palisade.yaml")
    assert str(raised.value).splitlines()[:3] == [
        "palisade.yaml:3:21: config_error: functions.hello.upstream: 'nope' lacks a port",
        "      hello: {upstream: nope, listen: 127.0.0.1:1}",
        "                        ^",
    ]


def test_two_functions_cannot_share_a_listener(folder: Path) -> None:
    text = (
        "policies: ./policies\nfunctions:\n"
        "  a: {upstream: 127.0.0.1:1, listen: 127.0.0.1:9081}\n"
        "  b: {upstream: 127.0.0.1:1, listen: 0.0.0.0:9081}\n"
        "  c: {upstream: 127.0.0.1:1, listen: 127.0.0.1:0}\n"
        "  d: {upstream: 127.0.0.1:1, listen: 127.0.0.1:0}\n"
    )
    [(row, _, message, hint)] = errors_of(text, folder)
    assert row == 4
    assert "0.0.0.0:9081 is taken" in message
    assert "functions.a.listen in line 3" in hint


def test_a_function_defined_twice_is_an_error_and_not_the_last_one(folder: Path) -> None:
    text = functions("{upstream: 127.0.0.1:1, listen: 127.0.0.1:2}") + "  hello: {}\n"
    [(row, col, message, hint)] = errors_of(text, folder)
    assert (row, col, message) == (4, 3, "duplicate key 'hello'")
    assert "line 3" in hint


def test_a_missing_folder_of_policies_is_named_where_it_is_written(tmp_path: Path) -> None:
    [(row, col, message, _)] = errors_of(functions("{upstream: 127.0.0.1:1, listen: 127.0.0.1:2}"), tmp_path)
    assert (row, col) == (1, 11)
    assert "does not exist" in message


def test_a_folder_that_may_not_be_reached_is_not_called_missing() -> None:
    with plain_user() as folder:
        (folder / "closed").mkdir(mode=0)
        text = functions("{upstream: 127.0.0.1:1, listen: 127.0.0.1:2}")
        [(row, col, message, _)] = errors_of(text.replace("./policies", "./closed/policies"), folder)
        with pytest.raises(InventoryError, match=r"yaml:1:1: config_error: cannot be read: Perm"):
            load(folder / "closed" / "palisade.yaml")
    assert (row, col, "cannot be reached" in message) == (1, 11, True)


def test_hosts_that_policies_may_reach_are_read(folder: Path) -> None:
    hosts = '[API.example.com, "*.internal.example", 10.0.0.7, "[::1]"]'
    inventory = parse(GOOD + f"network: {{hosts: {hosts}}}\n", folder / "palisade.yaml")
    assert inventory.network.hosts == ("api.example.com", "*.internal.example", "10.0.0.7", "::1")
    assert parse(GOOD, folder / "palisade.yaml").network.hosts == ()


@pytest.mark.parametrize(
    ("network", "column", "message", "hint"),
    [
        ("{hosts: api.example.com}", 18, "must be a list of hosts", "[api.example.com]"),
        ("{hosts: [https://api.example.com:8/x]}", 19, "is no host", "such as api.example.com"),
        ("{hosts: [api.example.com:443]}", 19, "is no host", "such as api.example.com"),
        ('{hosts: ["*"]}', 19, "'*' is no host", "*.example.com"),
        ("{hosts: [a.*.example]}", 19, "at the front", "*.example.com"),
        ("{hosts: [300.1.1.1]}", 19, "is no host", "api.example.com"),
        ("{hosts: [443]}", 19, "must be a host", ""),
        ("{host: [a]}", 11, "unknown key 'host'", "did you mean 'hosts'?"),
        ("[a]", 10, "must be a mapping", "hosts"),
    ],
)
def test_a_wrong_host_is_an_error_and_reaches_nothing_by_chance(
    folder: Path, network: str, column: int, message: str, hint: str
) -> None:
    [(row, col, said, remedy)] = errors_of(GOOD + f"network: {network}\n", folder)
    assert (row, col) == (GOOD.count("\n") + 1, column)
    assert message in said
    assert hint in remedy


FUNCTIONS = functions("{upstream: 127.0.0.1:1, listen: 127.0.0.1:2}")


def test_who_may_ask_why_is_read(folder: Path) -> None:
    text = FUNCTIONS + "explain: {trusted: [127.0.0.1, 10.1.0.0/16, '2001:db8::/32']}\n"
    trusted = parse(text, folder / "palisade.yaml").explain.trusted
    assert trusted == ("127.0.0.1/32", "10.1.0.0/16", "2001:db8::/32")
    assert parse(FUNCTIONS, folder / "palisade.yaml").explain.trusted == ()
    logged = parse(FUNCTIONS + "decision_log: {explain: denied}\n", folder / "palisade.yaml").decision_log
    assert (logged.explain, parse(FUNCTIONS, folder / "palisade.yaml").decision_log.explain) == (
        "denied",
        "none",
    )


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ("explain: {trusted: [0.0.0.0/0]}", "0.0.0.0/0 is everyone", "name those who may ask"),
        ("explain: {trusted: ['::/0']}", "::/0 is everyone", "name those who may ask"),
        ("explain: {trusted: [10.1.0.1/16]}", "host bits set", "10.1.0.0/16"),
        ("explain: {trusted: [localhost]}", "localhost", "127.0.0.1"),
        ("explain: {trusted: 127.0.0.1}", "must be a list", "[127.0.0.1"),
        ("explain: {}", "lacks 'trusted'", "trusted: [127.0.0.1]"),
        ("decision_log: {explain: yes}", "cannot be", "none, denied, all"),
    ],
)
def test_a_wrong_word_on_explaining_trusts_nobody(
    folder: Path, settings: str, message: str, hint: str
) -> None:
    [found] = errors_of(f"{FUNCTIONS}{settings}\n", folder)
    assert message in found[2]
    assert hint in found[3]


def test_a_missing_file_is_an_error_of_the_inventory(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="no such file") as raised:
        load(tmp_path / "palisade.yaml")
    assert "or write one" in raised.value.errors[0].hint
    (tmp_path / "palisade.yml").write_text("")
    with pytest.raises(InventoryError, match=r"palisade\.yml is there: name it with -f, or call it"):
        load(tmp_path / "palisade.yaml")


def test_an_unknown_function_is_answered_with_the_nearest(folder: Path) -> None:
    inventory = parse(GOOD, folder / "palisade.yaml")
    with pytest.raises(UnknownFunctionError, match="did you mean 'hello'"):
        inventory.function("helo")


@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(
            [*GOOD.splitlines(), "  ", "-", ": &a *a", "<<: {}", "{", "functions:", "? x", "a: !!int z"]
        )
    ).map("\n".join)
)
def test_no_text_crashes_the_reader(text: str) -> None:
    try:
        parse(text, Path("/nowhere/palisade.yaml"))
        errors = []
    except InventoryError as error:
        errors = list(error.errors)
    assert all(e.row >= 1 and e.col >= 1 and e.message for e in errors)


def test_a_home_of_nobody_is_an_error_like_any_other(folder: Path) -> None:
    text = functions("{upstream: h:1, listen: 127.0.0.1:0}") + "engine: {state: ~no-such-user/x}\n"
    ((row, _, message, _),) = errors_of(text, folder)
    assert (row, message) == (4, "engine.state: ~no-such-user is no user of this machine")


def test_a_file_that_is_as_before_is_not_read_as_yaml_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at with each edit of a policy, and that of two hundred functions took a tenth of a second
    each time. What it names is looked at all the same: a folder may have gone."""
    read = 0

    class Counting(YAML):
        def compose(self, text: str) -> object:  # type: ignore[override]
            nonlocal read
            read += 1
            return super().compose(text)

    monkeypatch.setattr(source, "YAML", Counting)
    file = folder / "palisade.yaml"
    file.write_text(GOOD + "# twice\n")
    assert load(file).functions == load(file).functions
    assert read == 1
    file.write_text(GOOD + "# once more\n")
    load(file)
    assert read == 2
    (folder / "policies").rmdir()
    with pytest.raises(InventoryError, match="policies"):
        load(file)
    assert read == 2
