"""Databases of RDS and Aurora, by the names of their hosts: which instance, cluster or proxy answers there.

The kind and the identifier of each are the first labels of its name. Nothing is believed of a name: whoever asks
compares it with the endpoint that the service tells.

Source: Amazon RDS API reference, DescribeDBInstances, DescribeDBClusters, DescribeDBClusterEndpoints,
DescribeDBProxies, DescribeDBProxyEndpoints, DescribeDBProxyTargets; Amazon Aurora User Guide, "Endpoints".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from envelope.aws.calls import call_service
from envelope.aws.service_refusal import ServiceRefusal
from envelope.aws.session import Aws
from envelope.errors import AwsError, EnvelopeError

__all__ = ["described", "endpoint_kind"]

_CALLS: Mapping[str, tuple[str, str, str]] = {
    "instance": ("describe_db_instances", "DBInstanceIdentifier", "DBInstances"),
    "cluster": ("describe_db_clusters", "DBClusterIdentifier", "DBClusters"),
    "cluster endpoint": ("describe_db_cluster_endpoints", "DBClusterEndpointIdentifier", "DBClusterEndpoints"),
    "proxy": ("describe_db_proxies", "DBProxyName", "DBProxies"),
    "proxy endpoint": ("describe_db_proxy_endpoints", "DBProxyEndpointName", "DBProxyEndpoints"),
    "proxy targets": ("describe_db_proxy_targets", "DBProxyName", "Targets"),
}
"""The method of the client, its argument and the member of its answer, for each kind of thing."""

_OPERATIONS = {
    "instance": "rds:DescribeDBInstances",
    "cluster": "rds:DescribeDBClusters",
    "cluster endpoint": "rds:DescribeDBClusterEndpoints",
    "proxy": "rds:DescribeDBProxies",
    "proxy endpoint": "rds:DescribeDBProxyEndpoints",
    "proxy targets": "rds:DescribeDBProxyTargets",
}

MOST_PAGES = 20


def endpoint_kind(host: str) -> tuple[str, str] | None:
    """What a name of RDS says that it belongs to, and its identifier; None for a name of another form."""
    labels = host.lower().removesuffix(".").split(".")
    if len(labels) < 5 or "rds" not in labels:
        return None
    identifier, second, third = labels[:3]
    if second == "endpoint" and third.startswith("proxy-"):
        return "proxy endpoint", identifier
    for prefix, kind in (("proxy-", "proxy"), ("cluster-custom-", "cluster endpoint"), ("cluster-", "cluster")):
        if second.startswith(prefix):
            return kind, identifier
    return "instance", identifier


def described(aws: Aws, kind: str, identifier: str) -> tuple[Mapping[str, Any], ...]:
    """What RDS tells of one thing, as boto3 gives it; nothing if there is none of this name.

    Args:
        kind: one of those of `endpoint_kind`, or ``proxy targets``.

    Raises:
        AwsError: the call failed.
    """
    method, argument, member = _CALLS[kind]
    found: list[Mapping[str, Any]] = []
    for page in _pages(aws, kind, method, {argument: identifier}):
        items = page.get(member)
        found.extend(item for item in (items if isinstance(items, list) else ()) if isinstance(item, Mapping))
    return tuple(found)


class _NotThere(EnvelopeError):
    """RDS has nothing of this name."""


def _pages(aws: Aws, kind: str, method: str, arguments: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    marker: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        try:
            page: object = call_service(
                getattr(aws.client("rds"), method),
                {**arguments, **marker},
                operation=_OPERATIONS[kind],
                resource=f"the {kind} {next(iter(arguments.values()))}",
                refused=_not_there,
            )
        except _NotThere:
            return
        if not isinstance(page, Mapping):
            break
        yield page
        if not page.get("Marker"):
            return
        marker = {"Marker": str(page["Marker"])}
    raise AwsError(
        "the answer is not one of RDS",
        operation=_OPERATIONS[kind],
        code="UnexpectedResponse",
        hint="is the endpoint one of AWS?",
    )


def _not_there(refusal: ServiceRefusal) -> EnvelopeError | None:
    return _NotThere("not there") if "NotFound" in refusal.code else None
