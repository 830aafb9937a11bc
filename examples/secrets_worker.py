"""A worker that follows the rotation of its secret: `on_change` tells it when the label has moved, and never the value.

It renews its session with the queue when the password has changed, and not before each job.
"""

import tempfile
import threading
from pathlib import Path

from envelope import LocalKeyring, LocalKeystore
from envelope_secrets import CacheLimits, LocalSecretStore, SecretChange, SecretsClient

QUEUE = "prod/queue"


class Session:
    """Logged in to a queue. A real one would hold a connection."""

    def __init__(self, password: str) -> None:
        self._password = password

    def work(self) -> str:
        return f"a job done, logged in by a password of {len(self._password)} characters"


class Worker:
    def __init__(self, secrets: SecretsClient) -> None:
        self._secrets = secrets
        self.changed = threading.Event()
        self._subscription = secrets.on_change(QUEUE, self._log_in_again)
        self._session = self._log_in()

    def _log_in(self) -> Session:
        return Session(self._secrets.get(QUEUE).json["password"])

    def _log_in_again(self, change: SecretChange) -> None:
        print(f"the label moved to another version of {change.secret_id}: logging in again")
        self._session = self._log_in()
        self.changed.set()

    def work(self) -> str:
        return self._session.work()

    def stop(self) -> None:
        self._subscription.close()


def main(folder: Path) -> None:
    keystore = LocalKeystore.create(folder / "app.keys", passphrase="correct horse battery staple")
    keystore.create_key("secrets")
    store = LocalSecretStore(folder / "secrets.db", LocalKeyring(keystore, "secrets"))
    operator = SecretsClient(store)  # in production: another program, or a rotation
    operator.create(QUEUE, {"password": "short"})
    # Asks twice a second, so that this example is quick; the default asks every five minutes.
    with SecretsClient(store, limits=CacheLimits(soft_age_s=0.5, hard_age_s=60)) as secrets:
        worker = Worker(secrets)
        print(worker.work())
        operator.put(QUEUE, {"password": "correct horse battery staple"})
        if not worker.changed.wait(30):
            raise SystemExit("the change was not noticed")
        print(worker.work())
        worker.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
