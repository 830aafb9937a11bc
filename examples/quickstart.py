"""Encrypt a file and a value on this machine alone, look at the message, decrypt, and see a changed byte refused.

Then keep a secret under the same keystore, stage a new version of it, promote it, and roll back. At last, where
PostgreSQL is found, rotate the password of an account on a server that runs for this alone.
"""

import tempfile
from pathlib import Path

from envelope import Client, LocalKeyring, LocalKeystore, NotAuthentic, describe
from envelope_secrets import LocalSecretStore, SecretsClient
from envelope_secrets.rotation import PostgreSql, SingleUser, rotate
from examples.own_postgresql import NoPostgreSql, OwnPostgreSql, own_postgresql

SOURCE = Path(__file__).parent.parent / "LICENSE"


def main(folder: Path) -> None:
    print("1. a keystore: one file of wrapping keys under a passphrase")
    keystore = LocalKeystore.create(folder / "app.keys", passphrase="correct horse battery staple")
    keystore.create_key("app")
    client = Client(LocalKeyring(keystore, "app"))
    print(f"   {folder / 'app.keys'}, keys: {', '.join(keystore.key_names())}")

    print(f"2. encrypt a file, {SOURCE.name}, and a value")
    encrypted, decrypted = folder / "LICENSE.encrypted", folder / "LICENSE"
    client.encrypt_file(SOURCE, encrypted, {"document": "license"})
    message = client.encrypt(b"4111 1111 1111 1111", {"tenant": "42", "column": "card_number"})
    print(f"   {SOURCE.stat().st_size:,} bytes became {encrypted.stat().st_size:,}; the value became {len(message)}")

    print("3. what the message of the value says without a key")
    description = describe(message)
    print(f"   suite:   {description.suite.name}")
    print(f"   context: {dict(description.encryption_context)}")
    for key in description.encrypted_data_keys:
        print(f"   key:     {key.provider_id}, {len(key.ciphertext)} bytes wrapped")
    print(f"   frames:  {description.frames}, plaintext: {description.plaintext_bytes} bytes")

    print("4. decrypt both, and say what they must belong to")
    client.decrypt_file(encrypted, decrypted, {"document": "license"})
    assert decrypted.read_bytes() == SOURCE.read_bytes()
    opened = client.decrypt_message(message, {"tenant": "42"})
    print(f"   the file is the same; the value is {opened.plaintext.decode()}")
    print(f"   unwrapped by {opened.unwrapped_by.key_name} of {opened.unwrapped_by.provider_id}")

    print("5. change one byte")
    changed = bytearray(message)
    changed[-20] ^= 1
    try:
        client.decrypt(changed)
    except NotAuthentic as error:
        print(f"   refused: {error}\n   hint:    {error.hint}")
    else:
        raise SystemExit("a changed message was opened")

    print("6. rotate the key: new messages use version 2, the old ones still open")
    keystore.rotate_key("app")
    newer = client.decrypt_message(client.encrypt(b"newer"))
    print(f"   {newer.unwrapped_by.key_name} now; {client.decrypt(message).decode()} opens as before")

    store = LocalSecretStore(folder / "secrets.db", LocalKeyring(keystore, "app"))
    with SecretsClient(store) as secrets:
        keep_a_secret(secrets)
    rotate_a_password(store)


def keep_a_secret(secrets: SecretsClient) -> None:
    print("7. a secret: one file of versions and staging labels, sealed under the same keystore")
    secrets.create("prod/db", {"username": "app", "password": "the old one"})
    secret = secrets.get("prod/db")
    print(f"   {secret!r}")
    print(f"   its fields: {', '.join(secret.json)}; the password: {secret.json['password']}")

    print("8. stage a new version; everybody still reads the current one")
    staged = secrets.put("prod/db", {"username": "app", "password": "the new one"}, stages=["AWSPENDING"])
    pending = secrets.get("prod/db", stage="AWSPENDING")
    print(f"   current: {secrets.get('prod/db').json['password']}; pending: {pending.json['password']}")

    print("9. promote it, and roll back")
    secrets.stages.promote("prod/db", staged.version_id)
    promoted = secrets.get("prod/db").json["password"]
    secrets.stages.rollback("prod/db")
    print(f"   promoted: {promoted}; rolled back: {secrets.get('prod/db').json['password']}")


def rotate_a_password(store: LocalSecretStore) -> None:
    print("10. rotate the password of an account of a real database")
    try:
        with own_postgresql() as server:
            rotate_on(server, store)
    except NoPostgreSql as reason:
        print(f"   skipped: {reason}")


def rotate_on(server: OwnPostgreSql, store: LocalSecretStore) -> None:
    old = {"engine": "postgres", "host": "127.0.0.1", "port": server.port, "username": "app", "password": "the old one"}
    with server.connect("admin", server.password) as connection:
        connection.execute("CREATE ROLE app LOGIN PASSWORD 'the old one'")
    with SecretsClient(store) as secrets:
        secrets.create("prod/postgres", old)
        rotate(store, "prod/postgres", PostgreSql(tls="disable"), SingleUser())  # a server beside us needs no TLS
        new = secrets.get("prod/postgres").json
    for whose, password in (("new", new["password"]), ("old", old["password"])):
        print(f"   the {whose} password: {'logs in' if server.accepts('app', str(password)) else 'is refused'}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
