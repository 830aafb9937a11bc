"""Keys travel in private: over TLS with a certificate that is verified, or inside this machine."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from envelope.errors import AwsMisconfigured

__all__ = ["check_transport", "is_private", "origin"]

_PLAIN_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:%/-]*)?",
    re.IGNORECASE | re.ASCII,
)
"""A URL that every parser reads alike. With an ``@``, a backslash or a line break in it, urllib and urllib3, which
opens the connection, find different hosts."""


def check_transport(client: Any) -> None:
    """Raise `AwsMisconfigured` if a boto3 client would send keys in the clear, or to whoever claims to be AWS."""
    url: object = client.meta.endpoint_url
    # botocore offers no public way to ask. The tests notice if the names change.
    http_session = getattr(getattr(client, "_endpoint", None), "http_session", None)
    if not isinstance(url, str) or _PLAIN_URL.fullmatch(url) is None:
        raise _insecure(
            "the endpoint is not a plain URL: scheme, host, port and path in ASCII, without user name, query, spaces "
            "and backslashes",
            hint="check AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_KMS and endpoint_url in the profile; for example "
            "https://kms.eu-west-1.amazonaws.com",
        )
    if not is_private(url):
        raise _insecure(
            f"the endpoint {origin(url)} has no TLS",
            hint="use https; http is for loopback (127.0.0.1, ::1, localhost) only",
        )
    verify = getattr(http_session, "_verify", True)
    if isinstance(verify, str) and verify and not Path(verify).exists():
        raise _insecure(f"the CA bundle {verify!r:.200} does not exist", hint="check AWS_CA_BUNDLE and ca_bundle")
    if not verify:
        raise _insecure(
            f"the certificate of {origin(url)} would not be verified",
            hint="unset an empty AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or ca_bundle, and remove verify=False; "
            "AWS_CA_BUNDLE names the file of a private authority",
        )
    proxies = getattr(http_session, "_proxy_config", None)
    if url.lower().startswith("http:") and proxies is not None and proxies.proxy_url_for(url):
        raise _insecure(
            f"a proxy would see what is sent to {origin(url)}", hint="add the host of the endpoint to NO_PROXY"
        )


def is_private(url: str) -> bool:
    """Whether nobody on a network can read what is sent there: https, or http on loopback."""
    parts = _PLAIN_URL.fullmatch(url)
    if parts is None or parts["scheme"].lower() == "https":
        return parts is not None
    host = parts["host"].lower()
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name
        return False


def origin(url: str) -> str:
    """Scheme and host of a URL, fit for an error text."""
    scheme, separator, rest = url.partition("://")
    shown = f"{scheme}{separator}{rest.partition('/')[0].rpartition('@')[2]}"
    return "".join(character if character.isprintable() else "?" for character in shown[:200])


def _insecure(message: str, *, hint: str) -> AwsMisconfigured:
    return AwsMisconfigured(message, operation="making a client", code="InsecureTransport", hint=hint)
