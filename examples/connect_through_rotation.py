"""Connections that go on through a rotation, also while the new password is in force and the label has not moved.

The server is a made-up one, and so is its driver. With a real one, `make` is `psycopg.connect` or `pymysql.connect`.
"""

import tempfile
from pathlib import Path

from envelope import LocalKeyring, LocalKeystore
from envelope_secrets import AWSPENDING, LocalSecretStore, SecretsClient
from envelope_secrets.connectors import connect

DATABASE = "prod/db"


class PasswordRefused(Exception):
    """What the driver raises for a wrong password."""


class Server:
    """A database with one account. It counts what was refused."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.refused = 0

    def connect(self, *, host: str, user: str, password: str) -> str:
        """The connect function of the driver."""
        if password != self.password:
            self.refused += 1
            raise PasswordRefused(f"{user}:{password}@{host}")  # some drivers say as much; nobody will see it
        return f"connected to {host} as {user}"


def login(password: str) -> dict[str, str]:
    return {"host": "db.internal", "username": "app", "password": password}


def main(folder: Path) -> None:
    keystore = LocalKeystore.create(folder / "app.keys", passphrase="correct horse battery staple")
    keystore.create_key("secrets")
    store = LocalSecretStore(folder / "secrets.db", LocalKeyring(keystore, "secrets"))
    server = Server("the first")
    with SecretsClient(store) as operator, SecretsClient(store) as secrets:
        operator.create(DATABASE, login("the first"))

        def request(moment: str) -> None:
            connection = connect(
                secrets, DATABASE, server.connect, is_refused=lambda error: isinstance(error, PasswordRefused)
            )
            print(f"{moment}: {connection}, {server.refused} logins refused so far")

        request("before the rotation")
        pending = operator.put(DATABASE, login("the second"), stages=[AWSPENDING])
        server.password = "the second"
        request("the password is set, the label has not moved")
        request("another connection in that window")
        operator.stages.promote(DATABASE, pending.version_id)
        request("after the rotation")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
