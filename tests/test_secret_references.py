"""References: what they mean, and that one which is none is not shown, because it may be the secret itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.errors import InvalidArgument
from envelope_secrets.errors import SecretFormatError
from envelope_secrets.references import SecretReference, resolve
from envelope_secrets.value import Secret

ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-AbCdEf"
PARAMETER = "arn:aws-us-gov:ssm:us-gov-west-1:111122223333:parameter/app/db"
VERSION = "f0a1b2c3-d4e5-4f60-8a9b-0c1d2e3f4a5b"

WRITTEN = [
    ("prod/db", ("prod/db", "", "", "")),
    ("prod/db:password", ("prod/db", "password", "", "")),
    ("prod/db::AWSPENDING", ("prod/db", "", "AWSPENDING", "")),
    (f"prod/db:::{VERSION}", ("prod/db", "", "", VERSION)),
    (f"prod/db:password:AWSPENDING:{VERSION}", ("prod/db", "password", "AWSPENDING", VERSION)),
    ("prod/db:::", ("prod/db", "", "", "")),
    (ARN, (ARN, "", "", "")),
    (f"{ARN}:password", (ARN, "password", "", "")),
    (f"{ARN}:password::", (ARN, "password", "", "")),
    (f"{ARN}::AWSPREVIOUS:", (ARN, "", "AWSPREVIOUS", "")),
    (f"{ARN}:::{VERSION}", (ARN, "", "", VERSION)),
    (PARAMETER, (PARAMETER, "", "", "")),
    (f"{PARAMETER}:user", (PARAMETER, "user", "", "")),
    ("/app/db:Benutzername ä", ("/app/db", "Benutzername ä", "", "")),
    ("arnold:x", ("arnold", "x", "", "")),
]


def secret(value: str | bytes) -> Secret:
    return Secret(value, name="prod/db", arn=ARN, version_id=VERSION)


class Reader:
    """A `get` that says what it was asked."""

    def __init__(self, value: str | bytes) -> None:
        self.value = value
        self.asked: list[tuple[str, dict[str, str]]] = []

    def __call__(self, secret_id: str, **options: str) -> Secret:
        self.asked.append((secret_id, options))
        return secret(self.value)


@pytest.mark.parametrize(("text", "parts"), WRITTEN)
def test_a_reference_is_an_id_and_up_to_three_parts(text: str, parts: tuple[str, str, str, str]) -> None:
    assert SecretReference.parse(text) == SecretReference(*parts)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "secret_id of a reference must have 1 to 4,096 characters, not 0"),
        (":password", "secret_id of a reference must have 1 to 4,096 characters, not 0"),
        ("a:b:c:d:e", "a reference has an id and up to 3 parts after it, not 4"),
        (f"{ARN}:a:b:c:d", "a reference has an id and up to 3 parts after it, not 4"),
        ("arn:", "a reference begins like an ARN, but not like that of a secret or a parameter"),
        ("arn:aws:kms:eu-west-1:111122223333:key/x", "a reference begins like an ARN, but not like that of a secret"),
        ("arn:aws:secretsmanager:eu-west-1", "a reference begins like an ARN, but not like that of a secret"),
        ("x" * 4_097, "secret_id of a reference must have 1 to 4,096 characters, not 4,097"),
        ("a::" + "s" * 257, "stage of a reference must have 0 to 256 characters, not 257"),
        ("a:::" + "v" * 65, "version_id of a reference must have 0 to 64 characters, not 65"),
        ("prod/db\n", "secret_id of a reference must have printable characters only"),
        ("prod/db:a\x00b", "field of a reference must have printable characters only"),
        (7, "a reference must be text, not int"),
        (None, "a reference must be text, not NoneType"),
        (b"prod/db", "a reference must be text, not bytes"),
    ],
)
def test_what_is_no_reference_is_refused_with_the_syntax(text: Any, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        SecretReference.parse(text)
    assert str(caught.value).startswith(said)
    assert caught.value.hint == "write id[:field[:stage[:version_id]]], like prod/db:password"


def test_parts_are_checked_where_they_are_given_alone() -> None:
    assert SecretReference("prod/db", "a:b").field == "a:b"
    with pytest.raises(InvalidArgument, match="field of a reference must be text, not NoneType"):
        SecretReference("prod/db", None)  # type: ignore[arg-type]


@given(st.text())
def test_a_refusal_never_shows_the_text(text: str) -> None:
    marked = f"k4n4r13n{text}:k4n4r13n:k4n4r13n:k4n4r13n:k4n4r13n:{text}"
    with pytest.raises(InvalidArgument) as caught:
        SecretReference.parse(marked)
    assert (
        "k4n4r13n"
        not in f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r} {caught.value.__context__!r}"
    )


def test_a_field_is_resolved_as_json_has_it() -> None:
    get = Reader('{"password": "p", "port": 5432, "tls": {"ca": "x"}}')
    assert resolve("prod/db:password", get) == "p"
    assert resolve("prod/db:port", get) == 5432
    assert resolve("prod/db:tls", get) == {"ca": "x"}
    with pytest.raises(SecretFormatError, match="has no field 'user'"):
        resolve("prod/db:user", get)


def test_without_a_field_the_whole_value_is_meant() -> None:
    assert resolve("prod/db", Reader('{"a": 1}')) == '{"a": 1}'
    assert resolve(SecretReference("prod/db"), Reader(b"\x00")) == b"\x00"


def test_only_what_was_written_is_asked_for() -> None:
    get = Reader("{}")
    for text in ("prod/db", "prod/db::AWSPENDING", f"{ARN}:::{VERSION}", f"prod/db::mine:{VERSION}"):
        resolve(text, get)
    assert get.asked == [
        ("prod/db", {}),
        ("prod/db", {"stage": "AWSPENDING"}),
        (ARN, {"version_id": VERSION}),
        ("prod/db", {"stage": "mine", "version_id": VERSION}),
    ]
