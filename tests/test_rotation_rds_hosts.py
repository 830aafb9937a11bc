"""Names of RDS and Aurora that mean one database, and names that only look as if they did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from envelope import Aws
from envelope.aws.databases import described, endpoint_kind
from envelope.errors import AwsAccessDenied, AwsError, AwsUnavailable, InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.rds_hosts import MOST_KEPT, RdsHosts
from envelope_secrets.rotation.single_user import SingleUser
from tests.database_rotations import RotationWorld, fields
from tests.query_api_for_tests import serving
from tests.rds_for_tests import FakeRds, rds_host

WRITER = rds_host("shop", "cluster-")
READER = rds_host("shop", "cluster-ro-")
CUSTOM = rds_host("reports", "cluster-custom-")
PROXY = rds_host("shop-proxy", "proxy-")
PROXY_ENDPOINT = rds_host("shop-ro.endpoint", "proxy-")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[FakeRds, Aws]]:
    fake = FakeRds()
    with serving(fake) as aws:
        yield fake, aws


@pytest.fixture
def rds(server: tuple[FakeRds, Aws]) -> FakeRds:
    FakeRds.__init__(server[0])
    return server[0]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def same_host(server: tuple[FakeRds, Aws], rds: FakeRds, clock: FakeClock) -> RdsHosts:
    return RdsHosts(aws=server[1], clock=clock.now)


def at(host: str, port: int = 5432) -> DatabaseCredentials:
    return DatabaseCredentials("postgres", host, port, "app", "a password")


@pytest.mark.parametrize("other", [READER, CUSTOM, rds_host("shop-1"), rds_host("shop-2"), PROXY, PROXY_ENDPOINT])
def test_e21_readers_instances_and_proxies_of_a_cluster_are_one_database(same_host: RdsHosts, other: str) -> None:
    assert same_host(at(WRITER), at(other))
    assert same_host(at(other), at(WRITER.upper() + "."))


@pytest.mark.parametrize("other", [rds_host("books-ro"), rds_host("books-ro-2"), rds_host("books-proxy", "proxy-")])
def test_e21_replicas_and_a_proxy_of_an_instance_are_one_database(same_host: RdsHosts, other: str) -> None:
    assert same_host(at(rds_host("books")), at(other, 6_432))


def test_e21_a_replica_of_a_cluster_is_of_that_cluster(same_host: RdsHosts) -> None:
    assert same_host(at(WRITER), at(rds_host("copy")))


@pytest.mark.parametrize(
    "other",
    [
        rds_host("books"),
        rds_host("far"),
        rds_host("snake"),
        rds_host("stray"),
        rds_host("unknown"),
        rds_host("mixed", "proxy-"),
        rds_host("empty", "proxy-"),
        rds_host("lost", "proxy-"),
        rds_host("odd", "proxy-"),
        rds_host("unknown", "proxy-"),
        rds_host("unknown", "cluster-"),
        rds_host("unknown", "cluster-custom-"),
        "shop.example",
        "10.0.0.1",
    ],
)
def test_e21_what_rds_does_not_tell_to_be_one_database_is_another(same_host: RdsHosts, other: str) -> None:
    assert not same_host(at(WRITER), at(other))
    assert not same_host(at(other), at(WRITER))


def test_e21_a_proxy_of_two_databases_is_neither_of_them(same_host: RdsHosts) -> None:
    proxy = at(rds_host("mixed", "proxy-"))
    assert [same_host(at(one), proxy) for one in (WRITER, rds_host("books"))] == [False, False]


def test_two_names_that_mean_nothing_are_not_the_same_nothing(same_host: RdsHosts) -> None:
    assert not same_host(at("one.example"), at("two.example"))
    assert not same_host(at(rds_host("snake")), at(rds_host("stray")))
    assert not same_host(at(rds_host("far")), at(rds_host("books")))


@pytest.mark.parametrize(
    "forged",
    [
        "shop.cluster-c1a2b3c4d5e6.eu-west-1.rds.amazonaws.com.evil.example",
        "shop.cluster-0000000evil0.eu-west-1.rds.amazonaws.com",
        "shop.cluster-c1a2b3c4d5e6.us-east-1.rds.amazonaws.com",
        "shop.cluster-ro-c1a2b3c4d5e6.rds.evil.example.com",
        "shop-1.rds.evil.example.com",
        "shop-proxy.proxy-x.rds.evil.example",
    ],
)
def test_a_confused_deputy_is_not_fooled_by_a_name_that_begins_as_the_right_one(
    same_host: RdsHosts, rds: FakeRds, forged: str
) -> None:
    assert not same_host(at(forged), at(WRITER))
    assert rds.calls, "it was looked up, and the endpoint that RDS tells is another"


def test_equal_names_are_not_asked_about(same_host: RdsHosts, rds: FakeRds) -> None:
    assert same_host(at("db.example"), at("DB.example."))
    assert rds.calls == []


# --- what was told is kept for a while ------------------------------------------------------------------------------


def test_each_name_is_asked_about_once_for_as_long_as_an_answer_is_kept(
    same_host: RdsHosts, rds: FakeRds, clock: FakeClock
) -> None:
    for _ in range(3):
        assert same_host(at(WRITER), at(READER))
        assert not same_host(at(WRITER), at("shop.example"))
    assert rds.calls == ["DescribeDBClusters shop"] * 2
    clock.advance(61)
    del rds.found["DescribeDBClusters"]["shop"]
    assert not same_host(at(WRITER), at(READER))


def test_what_is_kept_has_a_bound(same_host: RdsHosts, rds: FakeRds) -> None:
    for number in range(MOST_KEPT + 5):
        assert not same_host(at(f"{number}.example"), at("other.example"))
    assert len(same_host._kept) <= MOST_KEPT


# --- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"), [("AccessDenied", AwsAccessDenied), ("Throttling", AwsUnavailable), ("Strange", AwsError)]
)
def test_a_check_that_cannot_be_made_is_an_error_and_is_not_kept(
    same_host: RdsHosts, rds: FakeRds, code: str, kind: type[AwsError]
) -> None:
    rds.failures = {"DescribeDBClusters": code}
    with pytest.raises(kind, match="rds:DescribeDBClusters on the cluster shop"):
        same_host(at(WRITER), at(READER))
    rds.failures = {}
    assert same_host(at(WRITER), at(READER))


class Strange:
    """A client whose answers are not those of RDS."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def client(self, service: str, region: str | None = None) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        return lambda **arguments: self.answer


@pytest.mark.parametrize("answer", [None, {"Marker": "for ever"}])
def test_an_answer_that_is_not_of_rds_is_an_error(answer: Any) -> None:
    strange: Any = Strange(answer)
    with pytest.raises(AwsError, match="the answer is not one of RDS"):
        described(strange, "instance", "books")


@pytest.mark.parametrize("answer", [{}, {"DBInstances": "books"}, {"DBInstances": ["books"]}])
def test_an_answer_without_what_was_asked_for_tells_nothing(answer: Any) -> None:
    strange: Any = Strange(answer)
    assert described(strange, "instance", "books") == ()


@pytest.mark.parametrize("told", [{}, {"Endpoint": None}, {"Endpoint": {"Address": 7}}, {"Endpoint": {}}])
def test_an_instance_without_an_endpoint_has_no_names(same_host: RdsHosts, rds: FakeRds, told: dict[str, Any]) -> None:
    rds.found["DescribeDBInstances"]["books"] = [{"DBInstanceIdentifier": "books", **told}]
    assert not same_host(at(rds_host("books")), at(rds_host("books-ro-2")))


@pytest.mark.parametrize("kind", ["", "cluster-", "proxy-"])
def test_a_thing_without_an_identifier_is_nothing(same_host: RdsHosts, rds: FakeRds, kind: str) -> None:
    name = rds_host("x", kind)
    endpoint: Any = {"Address": name} if kind == "" else name
    for action in ("DescribeDBInstances", "DescribeDBClusters", "DescribeDBProxies"):
        rds.found[action]["x"] = [{"Endpoint": endpoint}]
    assert not same_host(at(name), at(WRITER))


def test_kinds_of_names_are_told_by_their_first_labels() -> None:
    assert endpoint_kind(WRITER) == ("cluster", "shop")
    assert endpoint_kind(f"{READER.upper()}.") == ("cluster", "shop")
    assert endpoint_kind(CUSTOM) == ("cluster endpoint", "reports")
    assert endpoint_kind(PROXY) == ("proxy", "shop-proxy")
    assert endpoint_kind(PROXY_ENDPOINT) == ("proxy endpoint", "shop-ro")
    assert endpoint_kind("books.endpoint.eu-west-1.rds.amazonaws.com.cn") == ("instance", "books")
    assert endpoint_kind("db.example.com") is None
    assert endpoint_kind("a.b.c.d.example.com") is None


@pytest.mark.parametrize(
    ("options", "said"),
    [({"aws": None}, "aws must be an Aws"), ({"keep_s": 0}, "keep_s must be"), ({"clock": 7}, "clock must be")],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        RdsHosts(**options)
    assert RdsHosts().keep_s == 60


# --- in a rotation --------------------------------------------------------------------------------------------------


def test_e21_an_administrator_at_the_writer_sets_passwords_of_a_secret_for_the_reader(same_host: RdsHosts) -> None:
    world = RotationWorld(
        AlternatingUsers(same_host=same_host),
        value={"host": READER},
        admin_value=fields("root", "rootpw", host=WRITER),
    )
    world.server.hosts = {READER, WRITER}
    assert world.rotate(2).succeeded
    assert world.problems() == []


def test_e21_an_administrator_of_another_database_sets_none(same_host: RdsHosts, rds: FakeRds) -> None:
    world = RotationWorld(
        AlternatingUsers(same_host=same_host),
        value={"host": READER},
        admin_value=fields("root", "rootpw", host=rds_host("books")),
    )
    world.server.hosts = {READER, rds_host("books")}
    run = world.rotate(2)
    assert "is for another server" in str([step.error for step in run.steps if step.error])
    assert set(world.server.accounts) == {"app", "root"}


def test_e21_a_pending_version_that_names_another_database_is_refused_before_a_connection(same_host: RdsHosts) -> None:
    world = RotationWorld(SingleUser(same_host=same_host), value={"host": WRITER}, with_admin=False)
    world.server.hosts = {WRITER, rds_host("books")}
    world.put(2, {**world.value(), "host": rds_host("books"), "password": "a thief's"}, "AWSPENDING")
    run = world.rotate(2)
    assert not run.succeeded
    assert "names another server" in str([step.error for step in run.steps if step.error])
    assert world.works()


def test_credentials_are_compared_by_their_hosts_alone(same_host: RdsHosts) -> None:
    assert same_host(at(WRITER), replace(at(READER), username="other", port=1))
