"""The certificates of RDS: fetched where a function is built, looked at, and kept beside the package.

    python -m envelope_secrets.rotation.rds_certificates build/rds-ca-bundle.pem

puts them into the folder that becomes the zip of a function; without a file beside the installed package, and with
``--from global-bundle.pem`` takes what was downloaded otherwise.

A function then trusts them, and nobody else, with ``PostgreSql(ca_file=RDS_CERTIFICATES)``.

Source: Amazon RDS User Guide, "Using SSL/TLS to encrypt a connection to a DB instance" (certificate bundles).
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import re
import ssl
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from envelope.errors import EnvelopeError, InvalidArgument
from envelope.replacement import check_path, replacing, translated_os_errors
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import TlsFailed
from envelope_secrets.rotation.http_requests import HttpRequest, check_answer, check_http_options, send
from envelope_secrets.rotation.tls import rds_certificates_file

__all__ = ["RDS_BUNDLE_URL", "CertificateBundle", "check_rds_certificates", "fetch_rds_certificates", "main"]

RDS_BUNDLE_URL = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
"""Of all commercial regions. Those of China and GovCloud have bundles of their own: see the guide of RDS."""

TIMEOUT_S = 30.0

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----\s+(.+?)-----END CERTIFICATE-----", re.DOTALL)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ORGANISATION = "Amazon Web Services, Inc."
_NAME_PREFIX = "Amazon RDS "


@dataclass(frozen=True, slots=True)
class CertificateBundle:
    """What a bundle holds.

    Attributes:
        certificates: how many.
        sha256: of the file, in hexadecimal.
        last_end: when the last of them ends.
    """

    certificates: int
    sha256: str
    last_end: datetime


def fetch_rds_certificates(
    path: str | Path | None = None,
    *,
    url: str = RDS_BUNDLE_URL,
    sha256: str | None = None,
    ca_file: str | None = None,
) -> CertificateBundle:
    """Fetch the certificates of RDS, look at them and put them into a file; the old file stays if anything is wrong.

    Args:
        path: of the file; by default the one that ``ca_file=RDS_CERTIFICATES`` means.
        url: https. The server is verified by the certificates of the system.
        sha256: what the file must have, for builds that must not change by themselves; in hexadecimal.
        ca_file: whom to trust instead of the system's, for a server of your own.

    Raises:
        TlsFailed: that is not a bundle of certificates of RDS, or not the one that was asked for.
        TargetError: it could not be fetched.
        StreamFailed: the file could not be written.
        InvalidArgument: an argument of the wrong type.
    """
    target = _target(path)
    check_http_options("url", url, ca_file, TIMEOUT_S)
    _check_sha256(sha256)
    request = HttpRequest("GET", url, {"Accept": "*/*"})
    answer = send(request, deadline=Deadline(TIMEOUT_S + 1), timeout_s=TIMEOUT_S, ca_file=ca_file)
    return _kept(check_answer(answer, "fetching the certificates").body, target, sha256)


def check_rds_certificates(content: bytes, *, now_s: Callable[[], float] = time.time) -> CertificateBundle:
    """What a bundle holds, if it is one: authorities of RDS, and nothing else.

    This keeps out an error page, a wrong file, and a bundle of all the world's authorities. Whether the certificates
    are genuine is for the connection to say by which they came, or for their SHA-256.

    Raises:
        TlsFailed: it is none.
    """
    found = _authorities(content)
    if not found or len(found) != len(set(_BLOCK.findall(content))):
        raise _none("it has something else than certificates of authorities")
    if not all(_is_of_rds(certificate) for certificate in found):
        raise _none("it has a certificate that is not of RDS")
    last_end_s = max(ssl.cert_time_to_seconds(certificate["notAfter"]) for certificate in found)
    if last_end_s <= now_s():
        raise _none("all its certificates have ended")
    return CertificateBundle(len(found), hashlib.sha256(content).hexdigest(), datetime.fromtimestamp(last_end_s, UTC))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0, or 1 if there is no bundle now that can be trusted."""
    parser = argparse.ArgumentParser(prog="python -m envelope_secrets.rotation.rds_certificates")
    parser.add_argument("file", nargs="?", type=Path, help="where to put them (default: beside the package)")
    parser.add_argument("--from", dest="source", type=Path, metavar="FILE", help="a bundle that is here already")
    parser.add_argument("--url", default=RDS_BUNDLE_URL, help="(default: %(default)s)")
    parser.add_argument("--sha256", help="what the bundle must have, in hexadecimal")
    options = parser.parse_args(arguments)
    try:
        if options.source is None:
            bundle = fetch_rds_certificates(options.file, url=options.url, sha256=options.sha256)
        else:
            bundle = _copied(options.source, options.file, options.sha256)
    except EnvelopeError as error:
        sys.stderr.write(f"error: {error}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return 1
    sys.stdout.write(
        f"{bundle.certificates} certificates of RDS, the last until {bundle.last_end:%Y-%m-%d}\n"
        f"sha256 {bundle.sha256}\n{_target(options.file)}\n"
    )
    return 0


def _copied(source: Path, path: Path | None, sha256: str | None) -> CertificateBundle:
    _check_sha256(sha256)
    with translated_os_errors("read", source):
        content = source.read_bytes()
    return _kept(content, _target(path), sha256)


def _kept(content: bytes, target: Path, sha256: str | None) -> CertificateBundle:
    bundle = check_rds_certificates(content)
    if sha256 is not None and not hmac.compare_digest(bundle.sha256, sha256):
        raise TlsFailed(
            f"the certificates are not those that were asked for: their SHA-256 is {bundle.sha256}",
            hint="RDS adds certificates for new regions and authorities: look what has changed, then ask for this one",
        )
    with translated_os_errors("write", target), replacing(target, new_mode=0o644) as file:
        file.write(content)
    return bundle


def _authorities(content: bytes) -> Sequence[Mapping[str, Any]]:
    """The certificates of authorities in a PEM text; none if it is no such text."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=content.decode("ascii"))
    except (ssl.SSLError, ValueError):
        return ()
    return context.get_ca_certs()


def _is_of_rds(certificate: Mapping[str, Any]) -> bool:
    subject = {name: value for part in certificate.get("subject", ()) for name, value in part}
    name = str(subject.get("commonName", ""))
    return subject.get("organizationName") == _ORGANISATION and name.startswith(_NAME_PREFIX)


def _target(path: object) -> Path:
    return rds_certificates_file() if path is None else check_path(path, "path")


def _check_sha256(sha256: object) -> None:
    if sha256 is not None and (not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None):
        raise InvalidArgument("sha256 must be 64 hexadecimal digits in lower case, or None")


def _none(why: str) -> TlsFailed:
    return TlsFailed(f"this is no bundle of certificates of RDS: {why}", hint=f"RDS publishes it at {RDS_BUNDLE_URL}")


if __name__ == "__main__":
    sys.exit(main())
