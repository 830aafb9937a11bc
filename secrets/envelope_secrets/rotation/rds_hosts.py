"""Whether two names of RDS or Aurora mean one database: RDS itself is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from envelope.arguments import check_function, check_seconds
from envelope.aws.databases import described, endpoint_kind
from envelope.aws.session import Aws
from envelope.errors import InvalidArgument
from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.hosts import EqualHosts

__all__ = ["RdsHosts"]

MOST_KEPT = 64
MOST_HOPS = 5
"""Replicas of replicas: RDS for MySQL, MariaDB and PostgreSQL allows chains of three or four."""


def _default_aws() -> Aws:
    """With timeouts that leave time for more than one call in the 30 seconds of a usual function."""
    return Aws(connect_timeout_s=2.0, read_timeout_s=4.0)


@dataclass(frozen=True, slots=True)
class RdsHosts:
    """Equal names, and names of one database by what RDS tells of them in this account and region.

    One database are: an instance and its read replicas; a cluster, its reader and custom endpoints and its instances; a
    proxy, its endpoints and what it leads to, if that is one database. A name that RDS does not tell as an endpoint of
    its own, like an alias in DNS, means nothing: see `HostAliases`. Ports are not compared.

    What RDS told is kept for `keep_s`. Whoever rotates needs rds:DescribeDBInstances and, for clusters and proxies,
    rds:DescribeDBClusters, rds:DescribeDBClusterEndpoints, rds:DescribeDBProxies, rds:DescribeDBProxyEndpoints and
    rds:DescribeDBProxyTargets; a permission that is missing is an error that names it, and no "yes".

    Args:
        aws: how to reach RDS; as the environment says by default.
        keep_s: how long an answer is good for. Within one invocation the same names are asked about several times.
        clock: monotonic seconds.

    Raises:
        InvalidArgument: an option of the wrong type or range.
    """

    _: KW_ONLY
    aws: Aws = field(default_factory=_default_aws)
    keep_s: float = 60.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _kept: dict[str, tuple[float, str | None]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        aws: object = self.aws
        if not isinstance(aws, Aws):
            raise InvalidArgument(f"aws must be an Aws, not {type(aws).__name__}")
        check_seconds("keep_s", self.keep_s)
        check_function("clock", self.clock)

    def __call__(self, one: DatabaseCredentials, other: DatabaseCredentials, /) -> bool:
        """See `HostCheck`.

        Raises:
            AwsError: RDS cannot be asked.
        """
        if EqualHosts()(one, other):
            return True
        first = self._database(one.host)
        return first is not None and first == self._database(other.host)

    def _database(self, host: str) -> str | None:
        """The database that a name belongs to; None if it is none of this account and region."""
        name = host.lower().removesuffix(".")
        now_s = self.clock()
        until_s, known = self._kept.get(name, (now_s, None))
        if until_s > now_s:
            return known
        found = self._asked(name)
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[name] = (now_s + self.keep_s, found)
        return found

    def _asked(self, name: str) -> str | None:
        kind, identifier = endpoint_kind(name) or ("", "")
        if kind == "":
            return None
        for item in described(self.aws, kind, identifier):
            if name in _endpoints(kind, item):
                return _OWNERS[kind](self.aws, item)
        return None


def _endpoints(kind: str, item: Mapping[str, Any]) -> set[str]:
    """The names under which RDS says that it is reached."""
    endpoint = item.get("Endpoint")
    found = [endpoint.get("Address") if isinstance(endpoint, Mapping) else endpoint]
    if kind == "cluster":
        found.append(item.get("ReaderEndpoint"))
    return {name.lower() for name in found if isinstance(name, str) and name}


def _of_instance(aws: Aws, instance: Mapping[str, Any]) -> str | None:
    """Its cluster, or the instance at the head of its chain of replicas."""
    for _ in range(MOST_HOPS):
        cluster = _text(instance, "DBClusterIdentifier") or _text(instance, "ReadReplicaSourceDBClusterIdentifier")
        if cluster:
            return f"cluster {cluster}"
        source = _text(instance, "ReadReplicaSourceDBInstanceIdentifier")
        if not source:
            return _named("instance", _text(instance, "DBInstanceIdentifier"))
        if ":" in source:  # an ARN: the source is in another region
            return f"instance {source}"
        found = described(aws, "instance", source)
        if len(found) != 1:
            return None
        instance = found[0]
    return None


def _of_cluster(_: Aws, cluster: Mapping[str, Any]) -> str | None:
    return _named("cluster", _text(cluster, "DBClusterIdentifier"))


def _of_proxy(aws: Aws, proxy: Mapping[str, Any]) -> str | None:
    """What all its targets belong to."""
    name = _text(proxy, "DBProxyName")
    targets = described(aws, "proxy targets", name) if name else ()
    owners = {_of_target(aws, target) for target in targets}
    return owners.pop() if len(owners) == 1 else None


def _of_target(aws: Aws, target: Mapping[str, Any]) -> str | None:
    cluster = _text(target, "TrackedClusterId")
    if not cluster and target.get("Type") == "TRACKED_CLUSTER":
        cluster = _text(target, "RdsResourceId")
    if cluster:
        return f"cluster {cluster}"
    instance = _text(target, "RdsResourceId")
    found = described(aws, "instance", instance) if instance else ()
    return _of_instance(aws, found[0]) if len(found) == 1 else None


_OWNERS: Mapping[str, Callable[[Aws, Mapping[str, Any]], str | None]] = {
    "instance": _of_instance,
    "cluster": _of_cluster,
    "cluster endpoint": _of_cluster,
    "proxy": _of_proxy,
    "proxy endpoint": _of_proxy,
}


def _named(kind: str, identifier: str) -> str | None:
    return f"{kind} {identifier}" if identifier else None


def _text(item: Mapping[str, Any], name: str) -> str:
    """Identifiers are compared in lower case, as RDS stores them."""
    value = item.get(name)
    return value.lower() if isinstance(value, str) else ""
