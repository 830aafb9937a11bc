"""RDS on loopback as far as names of hosts go: strict about what is asked for, one thing on each page, errors as AWS's.

Where it goes further than moto's fake of the same service (5.2): read replicas in chains, custom endpoints and targets
of proxies with the clusters that they track.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.query_api_for_tests import Refused

__all__ = ["FakeRds", "rds_host"]

HASH = "c1a2b3c4d5e6"

_ARGUMENTS = {
    "DescribeDBInstances": ("DBInstanceIdentifier", "DBInstances", "DBInstanceNotFound"),
    "DescribeDBClusters": ("DBClusterIdentifier", "DBClusters", "DBClusterNotFoundFault"),
    "DescribeDBClusterEndpoints": ("DBClusterEndpointIdentifier", "DBClusterEndpoints", "DBClusterNotFoundFault"),
    "DescribeDBProxies": ("DBProxyName", "DBProxies", "DBProxyNotFoundFault"),
    "DescribeDBProxyEndpoints": ("DBProxyEndpointName", "DBProxyEndpoints", "DBProxyEndpointNotFoundFault"),
    "DescribeDBProxyTargets": ("DBProxyName", "Targets", "DBProxyNotFoundFault"),
}


def rds_host(identifier: str, kind: str = "") -> str:
    """The name of an endpoint; `kind` like ``cluster-``."""
    return f"{identifier}.{kind}{HASH}.eu-west-1.rds.amazonaws.com"


class FakeRds:
    """One account in one region: a cluster `shop` with two instances, an instance `books` with replicas, two proxies.

    Attributes:
        found: what each action finds, by identifier.
        failures: error codes by action, for all calls from now on.
        calls: action and identifier of each call.
    """

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}
        self.calls: list[str] = []
        self.found: dict[str, dict[str, list[dict[str, Any]]]] = {
            "DescribeDBInstances": {
                "shop-1": [instance("shop-1", DBClusterIdentifier="shop")],
                "shop-2": [instance("shop-2", DBClusterIdentifier="shop")],
                "books": [instance("books")],
                "books-ro": [instance("books-ro", ReadReplicaSourceDBInstanceIdentifier="books")],
                "books-ro-2": [instance("books-ro-2", ReadReplicaSourceDBInstanceIdentifier="books-ro")],
                "far": [instance("far", ReadReplicaSourceDBInstanceIdentifier="arn:aws:rds:us-east-1:1:db:books")],
                "copy": [instance("copy", ReadReplicaSourceDBClusterIdentifier="shop")],
                "snake": [instance("snake", ReadReplicaSourceDBInstanceIdentifier="snake")],
                "stray": [instance("stray", ReadReplicaSourceDBInstanceIdentifier="gone")],
            },
            "DescribeDBClusters": {
                "shop": [
                    {
                        "DBClusterIdentifier": "shop",
                        "Endpoint": rds_host("shop", "cluster-"),
                        "ReaderEndpoint": rds_host("shop", "cluster-ro-"),
                    }
                ]
            },
            "DescribeDBClusterEndpoints": {
                "reports": [{"DBClusterIdentifier": "shop", "Endpoint": rds_host("reports", "cluster-custom-")}]
            },
            "DescribeDBProxies": {
                name: [{"DBProxyName": name, "Endpoint": rds_host(name, "proxy-")}]
                for name in ("shop-proxy", "books-proxy", "mixed", "empty", "lost", "odd")
            },
            "DescribeDBProxyEndpoints": {
                "shop-ro": [{"DBProxyName": "shop-proxy", "Endpoint": rds_host("shop-ro.endpoint", "proxy-")}]
            },
            "DescribeDBProxyTargets": {
                "shop-proxy": [
                    {"Type": "TRACKED_CLUSTER", "RdsResourceId": "shop"},
                    {"Type": "RDS_INSTANCE", "RdsResourceId": "shop-1", "TrackedClusterId": "shop"},
                    {"Type": "RDS_INSTANCE", "RdsResourceId": "shop-2", "TrackedClusterId": "shop"},
                ],
                "books-proxy": [{"Type": "RDS_INSTANCE", "RdsResourceId": "books"}],
                "mixed": [
                    {"Type": "TRACKED_CLUSTER", "RdsResourceId": "shop"},
                    {"Type": "RDS_INSTANCE", "RdsResourceId": "books"},
                ],
                "empty": [],
                "lost": [{"Type": "RDS_INSTANCE", "RdsResourceId": "gone"}],
                "odd": [{"Type": "RDS_SERVERLESS_ENDPOINT"}],
            },
        }

    def perform(self, action: str, given: Mapping[str, str]) -> Any:
        argument, member, not_found = _ARGUMENTS[action]
        assert set(given) <= {"Action", "Version", argument, "Marker"}, "it is asked for one thing by its identifier"
        identifier = given[argument]
        self.calls.append(f"{action} {identifier}")
        if action in self.failures:
            raise Refused(self.failures[action], 403)
        if identifier not in self.found[action]:
            raise Refused(not_found, 404)
        things = self.found[action][identifier]
        place = int(given.get("Marker", 0))
        following = str(place + 1) if place + 1 < len(things) else None
        return {member: things[place : place + 1], "Marker": following}


def instance(identifier: str, **others: str) -> dict[str, Any]:
    """An instance with its endpoint."""
    return {
        "DBInstanceIdentifier": identifier,
        "Endpoint": {"Address": rds_host(identifier), "Port": 5432},
        **others,
    }
