"""What the four words for TLS mean to drivers that use Python's TLS, and where the trusted certificates are."""

from __future__ import annotations

import ssl
from pathlib import Path

from envelope_secrets.rotation.failures import TlsFailed
from envelope_secrets.rotation.tls import RDS_CERTIFICATES, Tls

__all__ = ["ssl_context", "trusted_certificates"]


def trusted_certificates(tls: Tls) -> str:
    """The path of the file with the certificates that are trusted: the given one, or the system's.

    Raises:
        TlsFailed: there is none.
    """
    path = tls.ca_path or ssl.get_default_verify_paths().cafile or ssl.get_default_verify_paths().openssl_cafile
    if not Path(path).is_file():
        is_of_rds = tls.ca_file == RDS_CERTIFICATES
        raise TlsFailed(
            f"the certificates of RDS are not at {path}"
            if is_of_rds
            else "the file with trusted certificates is not there",
            hint="fetch them where the function is built: python -m envelope_secrets.rotation.rds_certificates"
            if is_of_rds
            else "give ca_file the path of a PEM file, or ca_file=RDS_CERTIFICATES",
        )
    return path


def ssl_context(tls: Tls) -> ssl.SSLContext:
    """A context for a mode that uses TLS.

    Raises:
        TlsFailed: the trusted certificates cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.mode == "verify-full"
    context.verify_mode = ssl.CERT_NONE if tls.mode == "require" else ssl.CERT_REQUIRED
    if tls.mode == "require":
        return context
    path, is_loaded = trusted_certificates(tls), True
    try:
        context.load_verify_locations(path)
    except OSError:  # ssl.SSLError is one
        is_loaded = False
    if not is_loaded:
        raise TlsFailed("the file with trusted certificates is not a PEM file", hint="ca_file names it")
    return context
