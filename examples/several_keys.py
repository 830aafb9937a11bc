"""Encrypt once under two keys, either of which opens the message: a recovery key that lies offline."""

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from envelope import Client, KeyUnavailable, MultiKeyring, RawAesKeyring, RawRsaKeyring


def main() -> None:
    offline_key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    public_pem = offline_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    daily = RawAesKeyring("examples", "daily", bytes(32))  # a key of zeros: for an example only
    recovery = RawRsaKeyring("examples", "recovery", public_key=public_pem)
    message = Client(MultiKeyring(daily, [recovery])).encrypt(b"plaintext", {"tenant": "42"})

    offline = Client(RawRsaKeyring("examples", "recovery", private_key=offline_key))
    print("the recovery key opens it:", offline.decrypt_message(message).unwrapped_by)

    try:
        Client(RawAesKeyring("examples", "another", bytes(32))).decrypt(message)
    except KeyUnavailable as error:
        print(f"another key does not: {error}")
        for cause in error.errors:
            print(f"  - {cause}")


if __name__ == "__main__":
    main()
