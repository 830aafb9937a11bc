"""The certificates of RDS: fetched, looked at, and trusted by an option; nothing else gets into the file."""

from __future__ import annotations

import datetime
import hashlib
import http.server
import runpy
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from envelope.errors import InvalidArgument, StreamFailed
from envelope_secrets.rotation import rds_certificates, tls
from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_tls import ssl_context, trusted_certificates
from envelope_secrets.rotation.failures import TargetError, TlsFailed
from envelope_secrets.rotation.rds_certificates import (
    RDS_BUNDLE_URL,
    check_rds_certificates,
    fetch_rds_certificates,
    main,
)
from envelope_secrets.rotation.redis import Redis
from envelope_secrets.rotation.tls import RDS_CERTIFICATES, Tls, rds_certificates_file
from tests.servers.certificates import certificates
from tests.servers.redis import RunningRedis

pytest_plugins = ["tests.servers.fixtures"]

AWS_NAME = "Amazon Web Services, Inc."
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def authority(name: str, *, organisation: str = AWS_NAME, days: int = 30, is_ca: bool = True) -> bytes:
    """A certificate that says of itself that it is one of RDS."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [(NameOID.COMMON_NAME, name), (NameOID.ORGANIZATION_NAME, organisation)]
    subject = x509.Name([x509.NameAttribute(kind, text) for kind, text in parts])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 90 * DAY)
        .not_valid_after(NOW + days * DAY)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


ROOTS = [
    authority(f"Amazon RDS {region} Root CA ECC G1", days=days) for region, days in (("a", 30), ("b", 60), ("c", -9))
]
BUNDLE = b"".join(ROOTS)


@contextmanager
def publishing(content: bytes, folder: Path, *, status: int = 200) -> Iterator[tuple[str, str]]:
    """A server with this file: its URL, and the file with the authority that vouches for it."""

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    pem = certificates()
    for name in ("ca", "certificate", "key"):
        (folder / f"{name}.pem").write_bytes(getattr(pem, name))
    server = http.server.HTTPServer(("127.0.0.1", 0), Answering)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}/global-bundle.pem", str(folder / "ca.pem")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the certificates are kept, for this test."""
    path = tmp_path / "rds-ca-bundle.pem"
    for module in (tls, rds_certificates):
        monkeypatch.setattr(module, "rds_certificates_file", lambda: path)
    return path


def test_a_bundle_is_fetched_and_trusted(place: Path, tmp_path: Path) -> None:
    with publishing(BUNDLE, tmp_path) as (url, ca_file):
        bundle = fetch_rds_certificates(url=url, ca_file=ca_file)
    assert (bundle.certificates, bundle.sha256) == (3, hashlib.sha256(BUNDLE).hexdigest())
    assert bundle.last_end.date() == (NOW + 60 * DAY).date()
    assert place.read_bytes() == BUNDLE
    assert place.stat().st_mode & 0o777 == 0o644
    assert trusted_certificates(Tls(ca_file=RDS_CERTIFICATES)) == str(place)
    trusted = ssl_context(Tls(ca_file=RDS_CERTIFICATES)).get_ca_certs()
    assert len(trusted) == 3, "they, and nobody else"


def test_a_bundle_that_is_not_the_one_asked_for_leaves_the_old_one(place: Path, tmp_path: Path) -> None:
    place.write_bytes(b"the old one")
    with publishing(BUNDLE, tmp_path) as (url, ca_file):
        with pytest.raises(TlsFailed, match=f"their SHA-256 is {hashlib.sha256(BUNDLE).hexdigest()}"):
            fetch_rds_certificates(url=url, ca_file=ca_file, sha256="0" * 64)
        assert place.read_bytes() == b"the old one"
        fetch_rds_certificates(url=url, ca_file=ca_file, sha256=hashlib.sha256(BUNDLE).hexdigest())
    assert place.read_bytes() == BUNDLE


def test_a_server_that_nobody_vouches_for_is_not_believed(place: Path, tmp_path: Path) -> None:
    with publishing(BUNDLE, tmp_path) as (url, _), pytest.raises(TlsFailed):
        fetch_rds_certificates(url=url, ca_file=_other(tmp_path))
    assert not place.exists()


def _other(folder: Path) -> str:
    path = folder / "other.pem"
    path.write_bytes(certificates().other_ca)
    return str(path)


def test_an_error_page_is_no_bundle(place: Path, tmp_path: Path) -> None:
    with publishing(b"<html>", tmp_path, status=404) as (url, ca_file), pytest.raises(TargetError, match="404"):
        fetch_rds_certificates(url=url, ca_file=ca_file)
    assert not place.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "something else than certificates"),
        (b"<html>\xff", "something else than certificates"),
        (BUNDLE + authority("Amazon RDS x", is_ca=False), "something else than certificates"),
        (BUNDLE[:-200] + b"\n", "something else than certificates"),
        (BUNDLE + authority("Somebody's Root CA"), "a certificate that is not of RDS"),
        (BUNDLE + authority("Amazon RDS x", organisation="Somebody"), "a certificate that is not of RDS"),
        (ROOTS[2], "all its certificates have ended"),
    ],
    ids=["empty", "a page", "a server's", "cut", "another name", "another organisation", "ended"],
)
def test_what_is_no_bundle_of_rds_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(TlsFailed, match=said) as caught:
        check_rds_certificates(content)
    assert RDS_BUNDLE_URL in caught.value.hint


def test_a_certificate_may_be_there_twice() -> None:
    assert check_rds_certificates(BUNDLE + ROOTS[0]).certificates == 3


def test_without_the_bundle_there_is_no_connection_and_no_other_trust(place: Path) -> None:
    with pytest.raises(TlsFailed, match="the certificates of RDS are not at") as caught:
        trusted_certificates(Tls(ca_file=RDS_CERTIFICATES))
    assert "python -m envelope_secrets.rotation.rds_certificates" in caught.value.hint
    with pytest.raises(TlsFailed, match="the file with trusted certificates is not there"):
        trusted_certificates(Tls(ca_file="./rds"))


def test_it_is_kept_beside_the_package() -> None:
    import envelope_secrets

    assert rds_certificates_file().parent == Path(str(envelope_secrets.__file__)).parent.parent
    assert Tls().ca_path is None
    assert Tls(ca_file="ca.pem").ca_path == "ca.pem"


def test_a_server_by_any_of_several_authorities_is_trusted_by_the_option(
    place: Path, redis_server: RunningRedis
) -> None:
    server = redis_server.tls
    credentials = DatabaseCredentials("redis", "localhost", server.port, server.admin, server.password)
    target = Redis(ca_file=RDS_CERTIFICATES, persistence="none")
    place.write_bytes(BUNDLE + Path(server.ca_file).read_bytes() + ROOTS[0])
    with target.connect(credentials, deadline=Deadline(30)) as session:
        session.check_use()
    place.write_bytes(BUNDLE)
    with pytest.raises(TlsFailed):
        target.connect(credentials, deadline=Deadline(30))


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_puts_a_file_that_is_here_where_it_belongs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "global-bundle.pem", tmp_path / "zip" / "rds-ca-bundle.pem"
    target.parent.mkdir()
    source.write_bytes(BUNDLE)
    assert main(["--from", str(source), str(target)]) == 0
    assert target.read_bytes() == BUNDLE
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"3 certificates of RDS, the last until {(NOW + 60 * DAY):%Y-%m-%d}"
    assert shown[1:] == [f"sha256 {hashlib.sha256(BUNDLE).hexdigest()}", str(target)]


def test_the_command_fetches(tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with publishing(BUNDLE, tmp_path) as (url, _):
        assert main(["--url", url]) == 1, "the system trusts no authority of a test"
    shown = capsys.readouterr().err
    assert "error: no TLS connection to localhost" in shown
    assert "hint: check ca_file" in shown


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_bytes(b"wrong")
    assert main(["--from", str(wrong), str(tmp_path / "x.pem")]) == 1
    assert main(["--from", str(wrong), "--sha256", "AB"]) == 1
    shown = capsys.readouterr().err.splitlines()
    assert shown[0].startswith("error: this is no bundle of certificates of RDS")
    assert shown[-1] == "error: sha256 must be 64 hexadecimal digits in lower case, or None"


def test_the_module_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["rds_certificates", "--sha256", "x"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(rds_certificates.__file__), run_name="__main__")
    assert caught.value.code == 1
    assert "sha256 must be" in capsys.readouterr().err


def test_files_that_cannot_be_read_or_written_are_errors_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StreamFailed, match="cannot read"):
        rds_certificates._copied(tmp_path / "nothing.pem", None, None)
    source = tmp_path / "bundle.pem"
    source.write_bytes(BUNDLE)
    with pytest.raises(StreamFailed, match="cannot write"):
        rds_certificates._copied(source, tmp_path / "nowhere" / "x.pem", None)


def test_arguments_are_checked() -> None:
    with pytest.raises(InvalidArgument, match="url must be an https URL"):
        fetch_rds_certificates(url="http://truststore.example/")
    with pytest.raises(InvalidArgument, match="path must be a path"):
        fetch_rds_certificates(7)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="sha256 must be"):
        fetch_rds_certificates(sha256="x")
