"""The only door to boto3: which clients there are, and who shares them."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, Any, Self

from envelope.aws.arn import KeyArn
from envelope.aws.client_options import (
    ClientOptions,
    check_client_for_region,
    check_maker,
    check_region,
    check_session,
)
from envelope.aws.kms import describe_key
from envelope.errors import AwsMisconfigured, InvalidArgument
from envelope.process_state import reset_in_children

if TYPE_CHECKING:
    import boto3

__all__ = ["Aws"]

MAX_CLIENTS = 128
"""More than AWS has regions. A discovery keyring asks for the regions that messages name: anybody's choice."""


class Aws:
    """How to reach AWS. Safe to share between threads, and meant to be: one for the whole process.

    Regions, credentials, profiles, endpoints, CA bundles, proxies, FIPS and dual-stack endpoints are configured as for
    every other program that uses boto3; the options here come on top. boto3 is imported by the first call.

    The defaults of the timeouts suit a caller who waits. KMS answers within some 10 ms, so that 2 s to connect and 5 s
    of silence mean that something is broken. Against a silent host, three attempts take up to 21 s and up to 3 s
    of pauses between them; boto3 by itself would wait for minutes. That is no bound for a whole call: each address of
    a host has the connect timeout to itself, each packet of an answer begins the read timeout anew, and resolving names
    and fetching credentials come on top, with the time limits of the system and of the credentials' source.
    `call_timeout_s` is one, for a request path.

    Args:
        session: a boto3 session; the default configuration by default. It must not be used to make clients elsewhere at
            the same time: that is not safe between threads.
        region: where services are called that no ARN names a region for; the session's by default.
        endpoint_url: one URL for every service and region, like that of a VPC endpoint; https, or http on loopback.
        use_fips_endpoint: use FIPS endpoints even if the configuration does not ask for them.
        connect_timeout_s: for each address that is tried in an attempt, above 0 to 900.
        read_timeout_s: between two packets of an answer, above 0 to 900.
        max_attempts: how often one call is sent, 1 to 20; what AWS_MAX_ATTEMPTS or the profile says, else 3, and never
            more than 20. The pauses between them grow, with jitter (botocore's standard mode; adaptive where that is
            configured).
        call_timeout_s: how long a caller waits for one call, whatever it waits for, above 0 to 900; by default as long
            as the call takes. Each call has a thread of its own then. One that nobody waits for any more begins no
            other attempt, and may still arrive; no more than 256 of a client have no answer at a time. The first call
            in a region makes a client before, which can fetch credentials, and does not count.
        client_for_region: makes the boto3 client of KMS for a region, with whatever settings. It is called once for
            each region, and again in a forked child; by one thread at a time, and others wait, so it must not wait for
            a thread that needs this `Aws`. It may use this `Aws` itself, as for STS. Endpoint and certificates are
            checked as here.

    Raises:
        InvalidArgument: an option of the wrong type or out of range, or options that exclude one another.
    """

    __slots__ = (
        "__weakref__",
        "_clients",
        "_given_session",
        "_lock",
        "_makers",
        "_making",
        "_options",
        "_region",
        "_session",
    )

    def __init__(
        self,
        session: boto3.Session | None = None,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        use_fips_endpoint: bool = False,
        connect_timeout_s: float = 2.0,
        read_timeout_s: float = 5.0,
        max_attempts: int | None = None,
        call_timeout_s: float | None = None,
        client_for_region: Callable[[str], Any] | None = None,
    ) -> None:
        self._given_session = check_session(session)
        self._region = None if region is None else check_region("region", region)
        self._options = ClientOptions(
            endpoint_url, use_fips_endpoint, connect_timeout_s, read_timeout_s, max_attempts, call_timeout_s
        )
        maker = check_client_for_region(client_for_region, self._options)
        self._makers: dict[str, Callable[[str], Any]] = {} if maker is None else {"kms": maker}
        self.reset_after_fork()
        reset_in_children(self)

    @classmethod
    def with_clients_of(
        cls, service: str, client_for_region: Callable[[str], Any], *, region: str | None = None
    ) -> Self:
        """An `Aws` whose clients of one service, like ``secretsmanager``, the caller makes.

        Args:
            client_for_region: as in the constructor, where it makes the clients of KMS.
            region: where the service is called that no ARN names a region for.

        Raises:
            InvalidArgument: an option of the wrong type.
        """
        aws = cls(region=region)
        aws._makers[service] = check_maker(client_for_region, service)
        return aws

    def __repr__(self) -> str:
        shown = {
            "region": self._region,
            "endpoint_url": self._options.endpoint_url,
            "use_fips_endpoint": self._options.use_fips_endpoint or None,
        }
        return f"Aws({', '.join(f'{name}={value!r}' for name, value in shown.items() if value is not None)})"

    def reset_after_fork(self) -> None:
        """Forget clients, connections and the lock, which a forked child must not share with its parent."""
        self._lock = RLock()  # `client_for_region` may come back for a client of another service
        self._making: set[tuple[str, str | None]] = set()
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._session = self._given_session

    def client(self, service: str, region: str | None = None) -> Any:
        """The boto3 client of a service, like ``kms``; the same one each time, safe to use from several threads.

        Args:
            region: the `region` of this object, else the session's, by default.

        Raises:
            AwsMisconfigured: no region, no such profile, an endpoint without TLS, and the like.
        """
        key = (service, region or self._region)
        # Without the lock: to look up one key of a dict is one step, in free-threaded Python too ("Thread Safety
        # Guarantees" in the Python documentation).
        client = self._clients.get(key)
        return self._added_client(key) if client is None else client

    def resolve_key_arn(self, key_id: str) -> str:
        """The ARN of the key that a key id, an alias like ``alias/app``, or an ARN names now; one call of DescribeKey.

        Keep the result in the configuration, and not the alias: whoever points the alias elsewhere changes which key is
        used, and messages name the key, so a keyring that knows only an alias could decrypt nothing.

        Raises:
            InvalidArgument: no text, or empty.
            AwsError: the key is not found, or the caller may not describe it.
        """
        given: object = key_id
        if not isinstance(given, str) or not 1 <= len(key_id) <= 2_048:
            raise InvalidArgument("key_id must be text of 1 to 2,048 characters", hint='for example "alias/app"')
        try:
            region = KeyArn.parse(key_id).region
        except ValueError:
            region = None
        return str(describe_key(self, key_id, region))

    def _added_client(self, key: tuple[str, str | None]) -> Any:
        with self._lock:  # making clients is not safe between threads; using them is
            client = self._clients.get(key)
            if client is None:
                client = self._made_once(key)
                if len(self._clients) >= MAX_CLIENTS:
                    del self._clients[next(iter(self._clients))]
                self._clients[key] = client
        return client

    def _made_once(self, key: tuple[str, str | None]) -> Any:
        """Make a client; whoever calls holds the lock."""
        if key in self._making:
            raise InvalidArgument(
                f"client_for_region({key[1]!r}) asks for the very client that it is to make",
                hint=f'make the client with a boto3 session: session.client("{key[0]}", region_name=region)',
            )
        self._making.add(key)
        try:
            return self._made_client(*key)
        finally:
            self._making.discard(key)

    def _made_client(self, service: str, region: str | None) -> Any:
        from envelope.aws.clients import injected_client, made_client, new_session

        maker = self._makers.get(service)
        if maker is not None:
            if region is None:
                raise AwsMisconfigured(
                    "no region is known",
                    operation=f"making a client of {service}",
                    code="NoRegionError",
                    hint="give region=",
                )
            return injected_client(service, region, maker)
        if self._session is None:
            self._session = new_session()
        return made_client(service, region, self._session, self._options)
