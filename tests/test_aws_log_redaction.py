"""With everything logged, no data key and no secret stands in a log of botocore."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import Aws, Client, EncryptionContext, KmsKeyring, Suite, UnwrapRequest, WrapRequest
from envelope.aws.log_redaction import LOGGERS, REDACTED, SECRET_NAMES, redact_botocore_logs, redacted
from tests.aws_environment import clean_aws_environment, made_up_session
from tests.http_answers import Answer, HttpAnswers, serving
from tests.strict_kms import StrictKms

__all__ = ["clean_aws_environment"]

DATA_KEY = b"\xfe\xff" + b"a data key that nobody may see"
SUITE = Suite(0x0478)
NO_CONTEXT = EncryptionContext({})


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that any logger says, down to DEBUG."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.setLevel(before)
    root.removeHandler(handler)


@pytest.fixture
def kms() -> StrictKms:
    return StrictKms()


@pytest.fixture
def server(kms: StrictKms) -> Iterator[HttpAnswers]:
    with serving(kms) as running:
        yield running


@pytest.fixture
def aws(server: HttpAnswers) -> Aws:
    return Aws(made_up_session(), endpoint_url=server.url, region="eu-west-1", max_attempts=1)


def _forms(secret: bytes) -> Iterator[str]:
    yield secret.hex()
    yield base64.b64encode(secret).decode().rstrip("=")
    yield repr(secret)[2:-1]
    yield secret.decode("latin-1")


def _check_hidden(secret: bytes, text: str) -> None:
    assert [form for form in _forms(secret) if form in text] == []


def test_a_whole_encryption_and_decryption_logs_no_data_key(kms: StrictKms, aws: Aws, logged: io.StringIO) -> None:
    keyring = KmsKeyring(kms.add("one"), kms.add("two"), aws=aws)
    made = keyring.wrap(WrapRequest(SUITE, NO_CONTEXT))  # the key comes back from GenerateDataKey, and goes to Encrypt
    given_key = keyring.wrap(WrapRequest(SUITE, NO_CONTEXT, DATA_KEY))  # the key goes to Encrypt
    for wrapped in (made, given_key):
        opened = keyring.unwrap(UnwrapRequest(SUITE, NO_CONTEXT, wrapped.encrypted_data_keys))
        assert opened.plaintext == wrapped.plaintext
    message = Client(keyring).encrypt(b"the plaintext of a user", {"tenant": "42"})
    assert Client(keyring).decrypt(message) == b"the plaintext of a user"
    text = logged.getvalue()
    for secret in (made.plaintext, DATA_KEY, b"the plaintext of a user"):
        _check_hidden(secret, text)
    # The logs were on, and are good for something still.
    assert text.count("Making request for OperationModel(name=GenerateDataKey)") == 2
    assert text.count("Response body:") == text.count(REDACTED) == 9
    assert '"KeyId": "arn:aws:kms:eu-west-1:111122223333:key/one"' in text


def test_without_the_filter_the_key_would_be_logged(kms: StrictKms, aws: Aws, logged: io.StringIO) -> None:
    """So the test above can fail."""
    keyring = KmsKeyring(kms.add("one"), aws=aws)
    keyring.wrap(WrapRequest(SUITE, NO_CONTEXT))
    filters = {name: logging.getLogger(name).filters[:] for name in LOGGERS}
    try:
        for name in LOGGERS:
            logging.getLogger(name).filters.clear()
        keyring.wrap(WrapRequest(SUITE, NO_CONTEXT, DATA_KEY))
        made = keyring.wrap(WrapRequest(SUITE, NO_CONTEXT))
    finally:
        for name in LOGGERS:
            logging.getLogger(name).filters[:] = filters[name]
    text = logged.getvalue()
    for secret in (DATA_KEY, made.plaintext):
        assert any(form in text for form in _forms(secret))


def test_secrets_manager_is_covered_too(aws: Aws, server: HttpAnswers, logged: io.StringIO) -> None:
    secret = 'pass"wörd\\ with \n everything'
    server.answer = lambda _: Answer({"ARN": "arn", "Name": "app", "SecretString": secret})
    client = aws.client("secretsmanager")
    assert client.get_secret_value(SecretId="app")["SecretString"] == secret
    client.put_secret_value(SecretId="app", SecretString=secret)
    client.put_secret_value(SecretId="app", SecretBinary=DATA_KEY)
    token = server.received[-1].body["ClientRequestToken"]
    text = logged.getvalue()
    assert "wörd" not in text
    assert "everything" not in text
    assert "w\\u00f6rd" not in text
    assert token not in text
    _check_hidden(DATA_KEY, text)


def test_what_is_logged_is_not_what_is_sent(aws: Aws, server: HttpAnswers, logged: io.StringIO) -> None:
    server.answer = lambda _: Answer({"ARN": "arn"})
    aws.client("secretsmanager").put_secret_value(SecretId="app", SecretString="secret")
    assert server.received[-1].body["SecretString"] == "secret"
    assert REDACTED in logged.getvalue()


def test_the_filter_is_installed_once() -> None:
    redact_botocore_logs()
    before = [logging.getLogger(name).filters[:] for name in LOGGERS]
    redact_botocore_logs()
    assert [logging.getLogger(name).filters for name in LOGGERS] == before


@given(st.text(min_size=1), st.sampled_from(SECRET_NAMES), st.booleans())
def test_a_member_is_hidden_however_it_is_written(value: str, name: str, as_bytes: bool) -> None:
    for body in (
        json.dumps({"KeyId": "kept", name: value, "After": "kept too"}),
        json.dumps({"Outer": [{name: value}], "KeyId": "kept", "After": "kept too"}, ensure_ascii=False, indent=1),
    ):
        shown: Any = redacted(body.encode(errors="surrogatepass") if as_bytes else body)
        clean = json.loads(shown)
        hidden = clean.get(name) or clean["Outer"][0][name]
        assert hidden == REDACTED
        assert (clean["KeyId"], clean["After"]) == ("kept", "kept too")


@pytest.mark.parametrize("end", ["", "\\", '\\"', " more"])
def test_a_body_that_is_cut_shows_nothing_of_the_member(end: str) -> None:
    assert redacted('{"Plaintext": "c2VjcmV0' + end) == f'{{"Plaintext": "{REDACTED}"'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"\xa2\x69Plaintext\x46secret", REDACTED.encode()),
        (bytearray(b"<SecretString>secret</SecretString>"), REDACTED.encode()),
        (b"\xa1\x65other", b"\xa1\x65other"),
        ("Plaintext is a word", "Plaintext is a word"),
        ({"body": {"SecretBinary": b"x", "n": 1}}, {"body": {"SecretBinary": REDACTED, "n": 1}}),
        ([b'{"Plaintext":"x"}', None], [f'{{"Plaintext":"{REDACTED}"}}'.encode(), None]),
        ((), ()),
        (None, None),
    ],
)
def test_other_forms_of_a_body(value: Any, shown: Any) -> None:
    assert redacted(value) == shown
