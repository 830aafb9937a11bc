"""IAM and STS on loopback, as far as access keys go: strict about limits and signatures, and late where asked to be."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from envelope import Aws

__all__ = ["ADMIN", "USER", "FakeIam", "serving"]

USER = "service-user"
ADMIN = "AKIAADMIN00000000000"
ADMIN_SECRET = "the administrator's secret part"
ACCOUNT = "111122223333"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(\w+)/\d{8}/([\w-]+)/(\w+)/aws4_request, SignedHeaders=([\w;-]+), Signature=(\w{64})"
)


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status


class FakeIam:
    """One user, its keys and its tags.

    Attributes:
        keys: secret parts by id, in the order in which they were made.
        unlisted: so many further lists do not show the newest key.
        unknown: so many further uses of a key of the user fail, as before IAM has told all regions.
        failures: error codes by action, for the next call each.
        calls: the actions so far.
        inactive: ids of keys that somebody has made inactive; they are listed, counted and deleted like others.
        owner: whom STS says a key of the user belongs to.
    """

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self.inactive: set[str] = set()
        self.tags: dict[str, str] = {}
        self.unlisted = 0
        self.unknown = 0
        self.failures: dict[str, str] = {}
        self.calls: list[str] = []
        self.owner = f"user/{USER}"
        self._made = 0
        self._pages: list[str] = []

    def make(self) -> str:
        self._made += 1
        key_id = f"AKIAUSER{self._made:012d}"
        self.keys[key_id] = f"secret+part/{self._made}"
        return key_id

    def works(self, key_id: str, secret: str) -> bool:
        return self.keys.get(key_id) == secret and key_id not in self.inactive

    def perform(self, action: str, given: Mapping[str, str], caller: str) -> str:
        """The XML inside the result."""
        self.calls.append(action)
        if action in self.failures:
            raise Refused(400, self.failures.pop(action))
        if action == "GetCallerIdentity":
            owner = "user/admin" if caller == ADMIN else self.owner
            return f"<Arn>arn:aws:iam::{ACCOUNT}:{owner}</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"
        if caller != ADMIN:
            raise Refused(403, "AccessDenied")
        if given["UserName"] != USER:
            raise Refused(404, "NoSuchEntity")
        return str(getattr(self, f"_{action}")(given))

    def listed(self) -> list[str]:
        shown = list(self.keys)
        if self.unlisted:
            self.unlisted -= 1
            shown.pop()
        return shown

    def _ListAccessKeys(self, given: Mapping[str, str]) -> str:  # noqa: N802 - the names of actions
        """One key on each page."""
        if "Marker" not in given:
            self._pages = self.listed()
        shown = self._pages
        place = int(given.get("Marker", 0))
        members = "".join(
            f"<member><UserName>{USER}</UserName><AccessKeyId>{key_id}</AccessKeyId>"
            f"<Status>{'Inactive' if key_id in self.inactive else 'Active'}</Status></member>"
            for key_id in shown[place : place + 1]
        )
        more = place + 1 < len(shown)
        marker = f"<Marker>{place + 1}</Marker>" if more else ""
        keys = f"<AccessKeyMetadata>{members}</AccessKeyMetadata>"
        return f"{keys}<IsTruncated>{str(more).lower()}</IsTruncated>{marker}"

    def _CreateAccessKey(self, given: Mapping[str, str]) -> str:  # noqa: N802
        if len(self.keys) >= 2:
            raise Refused(409, "LimitExceeded")
        key_id = self.make()
        return (
            f"<AccessKey><UserName>{USER}</UserName><AccessKeyId>{key_id}</AccessKeyId><Status>Active</Status>"
            f"<SecretAccessKey>{self.keys[key_id]}</SecretAccessKey></AccessKey>"
        )

    def _DeleteAccessKey(self, given: Mapping[str, str]) -> str:  # noqa: N802
        if given["AccessKeyId"] not in self.keys:
            raise Refused(404, "NoSuchEntity")
        del self.keys[given["AccessKeyId"]]
        return ""

    def _ListUserTags(self, given: Mapping[str, str]) -> str:  # noqa: N802
        tags = (f"<member><Key>{key}</Key><Value>{escape(value)}</Value></member>" for key, value in self.tags.items())
        return f"<Tags>{''.join(tags)}</Tags><IsTruncated>false</IsTruncated>"

    def _TagUser(self, given: Mapping[str, str]) -> str:  # noqa: N802
        value = given.get("Tags.member.1.Value", "")
        if re.fullmatch(r"[\w .:/=+@-]{0,256}", value) is None:
            raise Refused(400, "ValidationError")
        self.tags[given["Tags.member.1.Key"]] = value
        return ""

    def caller_of(self, headers: Mapping[str, str], url: str, body: bytes) -> str:
        """Whose key has signed the request."""
        found = _AUTHORIZATION.fullmatch(headers["authorization"])
        assert found is not None
        key_id, region, service, signed, signature = found.groups()
        if key_id != ADMIN and self.unknown:
            self.unknown -= 1
            raise Refused(403, "InvalidClientTokenId")
        secret = ADMIN_SECRET if key_id == ADMIN else self.keys.get(key_id)
        if secret is None or key_id in self.inactive:
            raise Refused(403, "InvalidClientTokenId")
        signer = SigV4Auth(Credentials(key_id, secret), service, region)
        request: Any = AWSRequest("POST", url, {name: headers[name] for name in signed.split(";")}, body)
        request.context["timestamp"] = headers["x-amz-date"]
        text = signer.string_to_sign(request, signer.canonical_request(request))
        if signer.signature(text, request) != signature:
            raise Refused(403, "SignatureDoesNotMatch")
        return key_id


@contextmanager
def serving(fake: FakeIam) -> Iterator[Aws]:
    """How its administrator reaches it, for as long as the block lasts."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            given = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
            action = given["Action"]
            try:
                headers = {name.lower(): value for name, value in self.headers.items()}
                caller = fake.caller_of(headers, f"http://{headers['host']}{self.path}", body)
                result = f"<{action}Result>{fake.perform(action, given, caller)}</{action}Result>"
                self.send(200, f"<{action}Response>{result}</{action}Response>")
            except Refused as error:
                inner = f"<Type>Sender</Type><Code>{error}</Code><Message>refused</Message>"
                self.send(error.status, f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>")

        def send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    session = boto3.Session(aws_access_key_id=ADMIN, aws_secret_access_key=ADMIN_SECRET)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield Aws(session, region="eu-west-1", endpoint_url=url, max_attempts=1)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
