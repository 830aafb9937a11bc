"""Signing keys: made by rotations, verified with by others, published without what must not be."""

from __future__ import annotations

import base64
import json
import pickle
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from envelope.crypto.signing_keys import PrivateSigningKey, thumbprint
from envelope.errors import EnvelopeError, InvalidArgument, NotAuthentic
from envelope_secrets.errors import SecretFormatError
from envelope_secrets.key_ring import KeyRing, read_key_ring
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.rotation.handler import rotation_handler
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.rotation.json_web_keys import jwks
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.signing_key import SigningKey, key_id_of, sign, verify_signature
from envelope_secrets.stages import StageMove
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.protocol import NewSecret, NewVersion, SecretStore
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.testing import FaultySecretsManager
from envelope_secrets.value import Secret
from tests.crash_points import CrashPoints, rehearse
from tests.local_secrets_for_tests import local_store
from tests.rotation_stops import STORES, Stops, repeated, stopping_store, store_of, store_problems
from tests.thoroughness import POINTS, Recorder

NAME = "prod/signing-key"
KINDS = ("hmac-sha256", "rsa-3072", "ec-p256", "ec-p384", "ed25519")
PUBLIC_KINDS = KINDS[1:]
MESSAGE = b"header.payload"
T1, T2, T3 = (f"{number:032d}" for number in (1, 2, 3))


@pytest.fixture
def store(tmp_path: Path) -> LocalSecretStore:
    return local_store(tmp_path / "secrets.db")


@cache
def made(kind: Any) -> Secret:
    """A version with a key of this kind; one for all tests, because keys of RSA take their time."""
    rotation = Rotation("arn", T1, no_store(), Deadline(60.0), None)
    return version_of(SigningKey(kind).new_value(rotation), "AWSCURRENT")


def no_store() -> Any:
    return None


def version_of(value: Any, *stages: str, version_id: str = T1) -> Secret:
    text = value if isinstance(value, (str, bytes)) else json.dumps(value)
    return Secret(text, name=NAME, arn="arn", version_id=version_id, stages=stages)


def number(text: str) -> int:
    return int.from_bytes(decoded(text))


def decoded(text: str) -> bytes:
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verify_by_jwk(jwk: dict[str, str], message: bytes, signature: bytes) -> None:
    """As somebody does who has read RFC 7518 and RFC 8037 and nothing of this package."""
    if jwk["alg"] == "RS256":
        public = rsa.RSAPublicNumbers(number(jwk["e"]), number(jwk["n"])).public_key()
        return public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    if jwk["alg"] == "EdDSA":
        assert (jwk["kty"], jwk["crv"]) == ("OKP", "Ed25519")
        return ed25519.Ed25519PublicKey.from_public_bytes(decoded(jwk["x"])).verify(signature, message)
    curve, algorithm, size = {
        "P-256": (ec.SECP256R1(), hashes.SHA256(), 32),
        "P-384": (ec.SECP384R1(), hashes.SHA384(), 48),
    }[jwk["crv"]]
    assert len(decoded(jwk["x"])) == len(decoded(jwk["y"])) == size
    point = ec.EllipticCurvePublicNumbers(number(jwk["x"]), number(jwk["y"]), curve)
    der = utils.encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))
    assert len(signature) == 2 * size
    return point.public_key().verify(der, message, ec.ECDSA(algorithm))


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_version_signs_that_version_verifies_and_nothing_else(kind: str) -> None:
    signature = sign(made(kind), MESSAGE)
    assert verify_signature([made(kind)], MESSAGE, signature) is made(kind)
    for message, other in ((MESSAGE + b".", signature), (MESSAGE, signature[:-1]), (MESSAGE, signature[:-1] + b"\0\0")):
        with pytest.raises(NotAuthentic):
            verify_signature([made(kind)], message, other)


@pytest.mark.parametrize("kind", PUBLIC_KINDS)
def test_a_stranger_verifies_by_the_published_key(kind: str) -> None:
    (jwk,) = jwks([made(kind)])["keys"]
    verify_by_jwk(jwk, MESSAGE, sign(made(kind), MESSAGE))
    assert jwk["use"] == "sig"
    assert jwk["kid"] == made(kind).json["kid"] == key_id_of(made(kind))


@pytest.mark.parametrize("kind", PUBLIC_KINDS)
def test_nothing_private_is_published(kind: str) -> None:
    (jwk,) = jwks([made(kind)])["keys"]
    assert not jwk.keys() & {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
    assert jwk.keys() <= {"alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"}


def test_a_coordinate_with_leading_zeros_keeps_its_length() -> None:
    keys = (ec.derive_private_key(scalar, ec.SECP256R1()) for scalar in range(1, 10_000))
    short = next(key for key in keys if key.public_key().public_numbers().x.bit_length() <= 248)
    jwk = PrivateSigningKey(short).public_jwk()
    assert len(decoded(jwk["x"])) == len(decoded(jwk["y"])) == 32


def test_a_symmetric_key_is_never_published() -> None:
    assert jwks([made("hmac-sha256")]) == {"keys": []}


def test_a_symmetric_key_has_the_bytes_of_its_hash_and_the_id_of_its_version() -> None:
    fields = made("hmac-sha256").json
    assert len(base64.b64decode(fields["key"])) == 32
    assert fields["kid"] == T1


def test_the_thumbprint_is_that_of_rfc_8037() -> None:
    """Appendix A.3."""
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": x}
    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    private = ed25519.Ed25519PrivateKey.from_private_bytes(decoded("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
    assert PrivateSigningKey(private).public_jwk() == jwk


def test_the_signature_is_that_of_rfc_8037() -> None:
    """Appendix A.4."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(decoded("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
    signature = PrivateSigningKey(private).sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")
    assert base64.urlsafe_b64encode(signature).decode() == (
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg=="
    )


def pem_of(key: Any) -> str:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


@pytest.mark.parametrize("kind", PUBLIC_KINDS)
def test_a_key_is_read_back_from_its_pem(kind: str) -> None:
    key = PrivateSigningKey.parse(made(kind).json["private_key"])
    assert key.is_valid(MESSAGE, sign(made(kind), MESSAGE))
    assert key.pem() == made(kind).json["private_key"]
    assert repr(key) == f"PrivateSigningKey({key.algorithm})"
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_keys_that_are_none_of_these_are_refused() -> None:
    for pem, said in (
        ("canary", "is no private key of RSA, P-256, P-384 or Ed25519 in PEM without a passphrase"),
        ("\ud800", "is no private key of RSA"),
        (pem_of(ec.generate_private_key(ec.SECP256R1())).replace("E", "F"), "is no private key of RSA"),
        (pem_of(ec.generate_private_key(ec.SECP521R1())), "is a key on the curve secp521r1"),
        (pem_of(rsa.generate_private_key(65_537, 1_024)), "is a key of RSA with 1024 bits"),  # noqa: S505 - refused
        ("x" * 16_385, "is too long for a private key"),
    ):
        with pytest.raises(ValueError, match="^" + said) as caught:
            PrivateSigningKey.parse(pem)
        assert caught.value.__context__ is None


# --- versions that are no keys --------------------------------------------------------------------------------------

NO_KEYS = [
    ("no JSON", "the value of prod/signing-key is no JSON"),
    (b"binary", "the value of prod/signing-key is binary, not text"),
    ({}, "its field kind names none that is known"),
    ({"kind": ["rsa-3072"]}, "its field kind names none that is known"),
    ({"kind": "ed25519"}, "its field private_key is missing or no text"),
    ({"kind": "ed25519", "private_key": "canary"}, "its field private_key is no private key of RSA"),
    ({"kind": "hmac-sha256"}, "its field key is no base64 of 32 bytes or more"),
    ({"kind": "hmac-sha256", "key": "canary!"}, "its field key is no base64 of 32 bytes or more"),
    ({"kind": "hmac-sha256", "key": "Y2FuYXJ5"}, "its field key is no base64 of 32 bytes or more"),
]


@pytest.mark.parametrize(("value", "said"), NO_KEYS)
def test_a_version_without_a_key_does_not_sign_and_is_passed_over(value: Any, said: str) -> None:
    version = version_of(value, "AWSCURRENT")
    with pytest.raises(SecretFormatError) as caught:
        sign(version, MESSAGE)
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)
    assert verify_signature([version, made("ed25519")], MESSAGE, sign(made("ed25519"), MESSAGE)) is made("ed25519")


@pytest.mark.parametrize(("value", "said"), NO_KEYS)
def test_a_pending_version_without_a_key_is_refused(value: Any, said: str, store: LocalSecretStore) -> None:
    rotation = Rotation("arn", T2, store, Deadline(60.0), None)
    with pytest.raises(RotationRefused) as caught:
        SigningKey().verify(rotation, version_of(value, "AWSPENDING"))
    assert str(caught.value).startswith("the pending version holds no signing key: ")
    assert said in str(caught.value)
    assert "take AWSPENDING away" in caught.value.hint
    assert caught.value.__context__ is None


def test_a_key_of_another_kind_than_it_says_is_refused() -> None:
    version = version_of({**made("ed25519").json, "kind": "ec-p256"})
    with pytest.raises(SecretFormatError, match="is a key for EdDSA, and its kind says ec-p256"):
        sign(version, MESSAGE)


def test_a_key_that_was_made_by_hand_is_known_by_its_thumbprint_or_its_own_name() -> None:
    fields = {name: value for name, value in made("ec-p256").json.items() if name != "kid"}
    assert key_id_of(version_of(fields)) == made("ec-p256").json["kid"]
    assert key_id_of(version_of({**fields, "kid": "our first key"})) == "our first key"


def test_a_symmetric_key_without_an_id_has_none() -> None:
    fields = {name: value for name, value in made("hmac-sha256").json.items() if name != "kid"}
    with pytest.raises(SecretFormatError, match="its field kid is missing or no text"):
        key_id_of(version_of(fields))


@pytest.mark.parametrize(("value", "said"), [*NO_KEYS[:6], ({"kind": "rsa-3072", "private_key": ""}, "is no private")])
def test_a_current_version_without_a_key_cannot_be_published_and_others_are_left_out(value: Any, said: str) -> None:
    with pytest.raises(SecretFormatError, match=said):
        jwks([version_of(value, "AWSCURRENT")])
    published = jwks([made("ed25519"), version_of(value, "AWSPREVIOUS"), version_of(value, "AWSPENDING")])
    assert [key["kid"] for key in published["keys"]] == [key_id_of(made("ed25519"))]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: sign(made("ed25519"), "text"), "message must be bytes, not str"),  # type: ignore[arg-type]
        (lambda: verify_signature([], "text", b""), "message must be bytes, not str"),  # type: ignore[arg-type]
        (lambda: verify_signature([], b"", "text"), "signature must be bytes, not str"),  # type: ignore[arg-type]
        (lambda: SigningKey("rsa-1024"), "kind must be one of hmac-sha256, rsa-3072"),  # type: ignore[arg-type]
        (lambda: SigningKey(7), "kind must be one of hmac-sha256, rsa-3072"),  # type: ignore[arg-type]
    ],
)
def test_arguments_are_checked(call: Any, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert str(caught.value).startswith(said)


# --- rotations ------------------------------------------------------------------------------------------------------


def with_first_key(store: SecretStore, kind: Any = "ed25519", name: str = NAME) -> None:
    fields = {**dict(made(kind).json), "issuer": "https://id.example"}
    store.create(NewSecret(name, NewVersion(json.dumps(fields), T1)))


@pytest.mark.parametrize("kind", ["hmac-sha256", "ec-p256"])
def test_what_was_signed_before_a_rotation_verifies_after_it(kind: Any, store: LocalSecretStore) -> None:
    with_first_key(store, kind)
    before = sign(store.read(NAME), MESSAGE)
    rotate(store, NAME, SigningKey(kind), token=T2)
    ring = read_key_ring(store, NAME)
    assert verify_signature(ring, MESSAGE, before).version_id == T1
    assert verify_signature(ring, MESSAGE, sign(ring.current, MESSAGE)).version_id == T2
    assert ring.current.json["issuer"] == "https://id.example"


def test_the_kind_of_a_key_changes_with_a_rotation_and_nothing_of_the_old_one_stays(store: LocalSecretStore) -> None:
    with_first_key(store, "hmac-sha256")
    rotate(store, NAME, SigningKey("ec-p384"))
    assert store.read(NAME).json.keys() == {"issuer", "kind", "kid", "private_key"}
    ring = read_key_ring(store, NAME)
    assert [key["alg"] for key in jwks(ring)["keys"]] == ["ES384"]


@pytest.mark.parametrize("value", ["no JSON", b"binary"])
def test_a_secret_that_was_no_json_object_gets_a_key(value: str | bytes, store: LocalSecretStore) -> None:
    store.create(NewSecret(NAME, NewVersion(value, T1)))
    rotate(store, NAME, SigningKey())
    assert store.read(NAME).json.keys() == {"kind", "kid", "private_key"}


def test_the_first_value_of_a_secret_comes_from_a_rotation(store: LocalSecretStore) -> None:
    store.create(NewSecret(NAME))
    rotate(store, NAME, SigningKey())
    assert len(jwks(read_key_ring(store, NAME))["keys"]) == 1


def test_the_keys_of_the_current_the_previous_and_the_pending_version_are_published(store: LocalSecretStore) -> None:
    with_first_key(store)
    store.move_stage(NAME, StageMove("PINNED", T1, None))
    rotate(store, NAME, SigningKey(), token=T2)
    rotate(store, NAME, SigningKey(), token=T3)
    rotation = Rotation(store.describe(NAME).arn, "4" * 32, store, Deadline(60.0), store.read(NAME))
    value = json.dumps(SigningKey().new_value(rotation))
    store.put(NAME, NewVersion(value, rotation.token, ("AWSPENDING",)))
    ring = read_key_ring(store, NAME)
    assert [version.version_id for version in ring] == [T3, T2, rotation.token, T1]
    assert [key["kid"] for key in jwks(ring)["keys"]] == [key_id_of(version) for version in ring][:3]


def test_a_test_of_the_configuration_publishes_no_key_twice() -> None:
    fake = FaultySecretsManager()
    store = SecretsManagerStore(fake.aws())
    with_first_key(store)
    seen = []

    def watched(event: Any, context: Any) -> None:
        rotation_handler(SigningKey(), store=store)(event, context)
        seen.extend(jwks(read_key_ring(store, NAME))["keys"])

    assert fake.rotate(NAME, watched, immediately=False).succeeded
    assert [key["kid"] for key in seen] == [made("ed25519").json["kid"]]


@pytest.mark.parametrize("kind", STORES)
def test_a_rotation_that_dies_at_any_call_leaves_a_key_that_signs_and_old_signatures_that_verify(
    kind: str, tmp_path: Path, record_property: Recorder
) -> None:
    store, stops, numbers = store_of(kind, tmp_path), Stops(), count(1)
    watched = stopping_store(store, stops)

    def run(points: CrashPoints) -> list[str]:
        name = f"prod/{next(numbers)}"
        with_first_key(store, name=name)
        before = sign(store.read(name), MESSAGE)

        def verified() -> list[str]:
            ring = read_key_ring(store, name)
            return problems_of_signatures(ring, before, sign(ring.current, MESSAGE))

        stops.points, found = points, []
        repeated(lambda: rotate(watched, name, SigningKey(), token=T2), lambda: found.extend(verified()))
        stops.points = CrashPoints()
        ring = read_key_ring(store, name)
        published = jwks(ring)["keys"][0]["kid"]
        found += (
            [] if published == key_id_of(ring.current) else ["the first key that is published is not the current one"]
        )
        return found + verified() + store_problems(store, name, values=2)

    outcome = rehearse(run, seconds=6)
    record_property(POINTS, f"signing key, {kind}: {outcome}")
    assert outcome.points >= 20
    assert not outcome.bad


def problems_of_signatures(ring: KeyRing, *signatures: bytes) -> list[str]:
    """Signatures by keys that are in force, or were, which nobody can verify."""
    found = []
    for signature in signatures:
        try:
            verify_signature(ring, MESSAGE, signature)
        except EnvelopeError:
            found.append("a signature does not verify")
    return found


def test_no_log_shows_a_key(store: LocalSecretStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with_first_key(store)
    list(map(partial(rotate, store, NAME), [SigningKey(), SigningKey("hmac-sha256")]))
    assert "PRIVATE KEY" not in caplog.text
    assert store.read(NAME).json["key"] not in caplog.text
