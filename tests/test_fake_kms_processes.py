"""What the fake KMS does not take from its surroundings: no configuration of AWS, no lock of a parent process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.configprovider
import pytest
from botocore.config import Config
from botocore.loaders import Loader

from envelope import Client, KmsKeyring
from envelope.aws import in_process
from envelope.testing import FakeKms
from tests.fake_kms_for_tests import new_key
from tests.python_child import run_python


@pytest.fixture(name="no_session_yet")
def _no_session_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "_session", in_process._Session())


@pytest.mark.usefixtures("no_session_yet")
def test_no_variable_that_botocore_knows_changes_a_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each of them has a value that botocore does not take, or that would lead elsewhere."""
    for _, variables, _, _ in botocore.configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES.values():
        for name in [variables] if isinstance(variables, str) else variables or ():
            monkeypatch.setenv(name, "bogus")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    models = tmp_path / ".aws" / "models" / "kms" / "2999-01-01"
    models.mkdir(parents=True)
    (models / "service-2.json").write_text("{")
    (tmp_path / ".aws" / "config").write_text("[default\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(Loader, "CUSTOMER_DATA_PATH", str(models.parent.parent))
    fake = FakeKms()
    client = Client(KmsKeyring(new_key(fake), aws=fake.aws()))
    assert client.decrypt(client.encrypt(b"plaintext")) == b"plaintext"
    settings: Any = fake.client().meta.config
    assert settings.retries == {"mode": "standard", "total_max_attempts": 1}
    assert (settings.user_agent_appid, settings.proxies) == (None, {})
    assert fake.client().meta.endpoint_url == "https://kms.eu-west-1.amazonaws.com"


@pytest.mark.usefixtures("no_session_yet")
def test_files_of_aws_are_not_read_either(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("[default]\nmax_attempts = bogus\ndefaults_mode = bogus\nuse_fips_endpoint = true\n[broken\n")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(path))
    assert FakeKms().client().meta.endpoint_url == "https://kms.eu-west-1.amazonaws.com"


FORK = """
import threading
from envelope.aws import in_process
from envelope.testing import FakeKms

fake = FakeKms()
key_arn = fake.client().create_key()["KeyMetadata"]["Arn"]
client = Client(KmsKeyring(key_arn, aws=fake.aws()))
message = client.encrypt(b"plaintext")
locks = [fake._lock, fake._trouble.lock, fake.clock._changed, in_process._session._lock]
ready, let_go = threading.Barrier(len(locks) + 1), threading.Event()

def hold(lock):
    with lock:
        ready.wait()
        let_go.wait()

threads = [threading.Thread(target=hold, args=[lock]) for lock in locks]
for thread in threads:
    thread.start()
ready.wait()
child = os.fork()
if child == 0:
    opened = client.decrypt(message) == b"plaintext" == client.decrypt(client.encrypt(b"plaintext"))
    os._exit(0 if opened and fake.count("Decrypt") == 2 and fake.in_flight == 0 else 1)
let_go.set()
for thread in threads:
    thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), fake.count("Decrypt"))
"""


def test_a_forked_child_goes_on_with_a_copy_whatever_the_threads_of_its_parent_do() -> None:
    assert run_python(FORK) == b"0 0\n"


def test_a_forked_child_keeps_the_models_that_are_read_unless_they_are_being_read() -> None:
    session = in_process._Session()
    session.client("kms", "eu-west-1", Config())
    read = session._boto3_session
    session.reset_after_fork()
    assert session._boto3_session is read
    with session._lock:
        session.reset_after_fork()
        assert session._boto3_session is None
        assert session.client("kms", "eu-west-1", Config())
