"""`Aws`: its options, who shares which client, and what a client must be like."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import boto3
import pytest

from envelope import Aws, InvalidArgument
from envelope.aws import clients
from envelope.aws.session import MAX_CLIENTS
from envelope.process_state import reset_all
from tests.aws_environment import clean_aws_environment, made_up_session
from tests.http_answers import HttpAnswers, serving
from tests.python_child import run_python
from tests.strict_kms import StrictKms

__all__ = ["clean_aws_environment"]


@pytest.fixture
def server() -> Iterator[HttpAnswers]:
    with serving(StrictKms()) as running:
        yield running


def _kms(region: str, **options: Any) -> Any:
    return made_up_session().client("kms", region_name=region, **options)


# --- options


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"session": "eu-west-1"}, "session must be a boto3.Session, not str"),
        ({"session": boto3.Session}, "session must be a boto3.Session, not type"),
        ({"session": object()}, "session must be"),
        ({"region": ""}, "region must be the name of a region, not ''"),
        ({"region": 1}, "region must be the name of a region, not int"),
        ({"region": "eu\nwest"}, "region must be"),
        ({"endpoint_url": 1}, "endpoint_url must be text, not int"),
        ({"endpoint_url": ""}, "endpoint_url must be an https URL"),
        ({"endpoint_url": "kms.eu-west-1.amazonaws.com"}, "endpoint_url must be an https URL"),
        ({"endpoint_url": "https://"}, "endpoint_url must be an https URL"),
        ({"endpoint_url": "https://[::1"}, "endpoint_url must be an https URL"),
        ({"endpoint_url": "ftp://127.0.0.1"}, "endpoint_url must be an https URL"),
        ({"endpoint_url": "http://kms.internal"}, "an https URL without user name, not 'http://kms.internal'"),
        ({"endpoint_url": "http://10.0.0.1:4566/x"}, "not 'http://10.0.0.1:4566'"),
        ({"endpoint_url": "http://127.0.0.1.example.com"}, "endpoint_url must be an https URL"),
        ({"endpoint_url": "http://localhost.example.com"}, "endpoint_url must be an https URL"),
        ({"endpoint_url": "https://user:hidden@kms.internal"}, "not 'https://kms.internal'"),
        ({"use_fips_endpoint": "yes"}, "use_fips_endpoint must be True or False, not str"),
        ({"use_fips_endpoint": None}, "use_fips_endpoint must be True or False"),
        ({"connect_timeout_s": 0}, "connect_timeout_s must be above 0 and at most 900 seconds, not 0"),
        ({"connect_timeout_s": "2"}, "connect_timeout_s must be a number of seconds, not str"),
        ({"connect_timeout_s": True}, "connect_timeout_s must be a number"),
        ({"connect_timeout_s": None}, "connect_timeout_s must be a number"),
        ({"read_timeout_s": -1}, "read_timeout_s must be above 0"),
        ({"read_timeout_s": 10**400}, "read_timeout_s must be .* not a number that large"),
        ({"connect_timeout_s": -(10**5_000)}, "connect_timeout_s must be .* not a number that large"),
        ({"read_timeout_s": 901}, "read_timeout_s must be .* not 901"),
        ({"read_timeout_s": float("nan")}, "read_timeout_s must be .* not nan"),
        ({"read_timeout_s": float("inf")}, "read_timeout_s must be .* not inf"),
        ({"max_attempts": 0}, "max_attempts must be 1 to 20, not 0"),
        ({"max_attempts": 21}, "max_attempts must be 1 to 20, not 21"),
        ({"max_attempts": 10**400}, "max_attempts must be 1 to 20, not a much larger one"),
        ({"max_attempts": True}, "max_attempts must be a whole number, not bool"),
        ({"max_attempts": 1.5}, "max_attempts must be a whole number, not float"),
        ({"client_for_region": "eu-west-1"}, "client_for_region must be a function of a region, not str"),
        ({"client_for_region": _kms, "endpoint_url": "https://kms.internal"}, "client_for_region excludes"),
        ({"client_for_region": _kms, "use_fips_endpoint": True}, "client_for_region excludes"),
        ({"client_for_region": _kms, "call_timeout_s": 3}, "client_for_region excludes"),
        ({"call_timeout_s": 0}, "call_timeout_s must be above 0 and at most 900 seconds, not 0"),
        ({"call_timeout_s": "3"}, "call_timeout_s must be a number of seconds, not str"),
    ],
)
def test_options_are_checked_where_they_are_made(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text) as caught:
        Aws(**options)
    assert "hidden" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("key_id", ["", None, 1, b"alias/app", "x" * 2_049])
def test_a_key_id_to_resolve_is_text(key_id: Any) -> None:
    with pytest.raises(InvalidArgument, match="key_id must be text"):
        Aws().resolve_key_arn(key_id)


def test_a_repr_shows_where_calls_go_and_no_credentials() -> None:
    session = boto3.Session(aws_access_key_id="AKIDSHOWN", aws_secret_access_key="hidden", aws_session_token="hidden")
    aws = Aws(session, region="eu-west-1", endpoint_url="https://kms.internal")
    assert repr(aws) == "Aws(region='eu-west-1', endpoint_url='https://kms.internal')"
    assert repr(Aws(use_fips_endpoint=True)) == "Aws(use_fips_endpoint=True)"
    assert repr(Aws()) == "Aws()"


def test_options_reach_the_client() -> None:
    aws = Aws(
        made_up_session(),
        region="us-east-2",
        use_fips_endpoint=True,
        connect_timeout_s=1,
        read_timeout_s=7.5,
        max_attempts=2,
    )
    config = aws.client("kms").meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 7.5)
    assert config.retries == {"mode": "standard", "total_max_attempts": 2}
    assert aws.client("kms").meta.endpoint_url == "https://kms-fips.us-east-2.amazonaws.com"


def test_the_defaults_suit_a_caller_who_waits() -> None:
    config = Aws(made_up_session(), region="eu-west-1").client("kms").meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 5)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}


def test_every_request_says_who_sends_it(server: HttpAnswers) -> None:
    aws = Aws(made_up_session(), region="eu-west-1", endpoint_url=server.url)
    with pytest.raises(Exception, match="NotFoundException"):
        aws.client("kms").describe_key(KeyId="x")
    assert " envelope-kms/" in server.received[0].headers["User-Agent"]


def test_a_copy_without_metadata_has_a_name_without_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(clients, "version", version)
    config = Aws(made_up_session(), region="eu-west-1").client("kms").meta.config
    assert config.user_agent_extra == "envelope-kms"


# --- who shares which client


def test_there_is_one_client_for_each_service_and_region() -> None:
    aws = Aws(made_up_session(), region="eu-west-1")
    assert aws.client("kms") is aws.client("kms", "eu-west-1")
    assert aws.client("kms", "us-east-1") is aws.client("kms", "us-east-1")
    assert aws.client("kms", "us-east-1").meta.region_name == "us-east-1"
    assert aws.client("secretsmanager").meta.service_model.service_name == "secretsmanager"
    assert len({id(aws.client(*key)) for key in (("kms",), ("kms", "us-east-1"), ("secretsmanager",))}) == 3


def test_the_region_of_the_session_is_the_default() -> None:
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-north-1")
    assert Aws(session).client("kms").meta.region_name == "eu-north-1"
    assert Aws(session, region="eu-west-1").client("kms").meta.region_name == "eu-west-1"


def test_threads_that_ask_at_once_get_one_client() -> None:
    made: list[str] = []

    def client_for_region(region: str) -> Any:
        made.append(region)
        return _kms(region)

    aws = Aws(client_for_region=client_for_region)
    barrier, got = threading.Barrier(16), []

    def ask() -> None:
        barrier.wait()
        got.append(aws.client("kms", "eu-west-1"))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["eu-west-1"]
    assert len(got) == 16
    assert len(set(map(id, got))) == 1


def test_a_message_cannot_make_clients_without_end() -> None:
    """A discovery keyring asks in the region that a message names, which may be any text."""
    client = _kms("eu-west-1")

    class Meta:
        def __init__(self, region: str) -> None:
            self.region_name, self.service_model = region, client.meta.service_model
            self.endpoint_url = client.meta.endpoint_url

    class InRegion:
        def __init__(self, region: str) -> None:
            self.meta = Meta(region)

    aws = Aws(client_for_region=InRegion)
    first = aws.client("kms", "region-0")
    for number in range(1, MAX_CLIENTS):
        aws.client("kms", f"region-{number}")
    assert aws.client("kms", "region-0") is first
    aws.client("kms", "region-more")
    assert aws.client("kms", "region-0") is not first
    assert len(aws._clients) == MAX_CLIENTS


@contextlib.contextmanager
def _held(aws: Aws) -> Iterator[None]:
    """Another thread holds the lock: the thread that holds it may take it again."""
    holds, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with aws._lock:
            holds.set()
            let_go.wait(timeout=30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(timeout=30)
    try:
        yield
    finally:
        let_go.set()
        thread.join()


def test_a_forked_child_makes_its_own_clients() -> None:
    aws = Aws(made_up_session(), region="eu-west-1")
    own = Aws(region="eu-west-1")
    before, before_own = aws.client("kms"), own.client("kms")
    with _held(aws):
        reset_all()
        assert aws.client("kms") is not before  # the child's lock is not held
    assert own.client("kms") is not before_own
    assert aws.client("kms") is aws.client("kms")


FORK = """
import threading
aws = Aws(region="eu-west-1")
client = aws.client("kms")
holds, let_go = threading.Event(), threading.Event()
def hold():
    with aws._lock:
        holds.set()
        let_go.wait()
thread = threading.Thread(target=hold)
thread.start()
holds.wait()
child = os.fork()
if child == 0:
    os._exit(0 if aws.client("kms") is not client else 1)
let_go.set()
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), aws.client("kms") is client)
"""


def test_a_fork_while_a_client_is_being_made_does_not_hang_the_child() -> None:
    assert run_python(FORK) == b"0 True\n"


IMPORTS = """
names = KmsKeyring, KmsDiscoveryKeyring, DiscoveryFilter, KmsMrkKeyring, KmsMrkDiscoveryKeyring, Aws
keyring = KmsKeyring("arn:aws:kms:eu-west-1:111122223333:key/one", aws=Aws(region="eu-west-1"))
print(sorted({"boto3", "botocore", "urllib3"} & sys.modules.keys()))
"""


def test_boto3_is_not_imported_before_the_first_call() -> None:
    assert run_python(IMPORTS) == b"[]\n"


def test_importing_the_package_does_not_import_what_only_aws_needs() -> None:
    code = "import sys, envelope; print(sorted(name for name in sys.modules if name.startswith('envelope.aws')))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=Path(__file__).parent.parent) == b"[]\n"


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    import envelope

    with pytest.raises(AttributeError, match="no attribute 'KmsKeyRing'"):
        envelope.KmsKeyRing  # type: ignore[attr-defined]  # noqa: B018
