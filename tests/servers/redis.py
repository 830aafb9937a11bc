"""Redis: the default user has a password, one port speaks TLS, the other does not."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.servers.processes import find_binary, free_port, new_password, server_folder
from tests.servers.running import RunningServer, write_certificates

__all__ = ["RunningRedis", "running_redis"]


@dataclass(frozen=True, slots=True)
class RunningRedis:
    """A Redis server.

    Attributes:
        tls: the server by its port with TLS.
        plain_port: its port without.
    """

    tls: RunningServer
    plain_port: int


@contextmanager
def running_redis(command: Sequence[str] = ()) -> Iterator[RunningRedis]:
    """Start one; `NoServer` says what to install.

    Args:
        command: of another server that takes the same settings.
    """
    server = command or [find_binary("redis-server", package="redis-server")]
    with server_folder("redis") as folder:
        plain_port, port, password = free_port(), free_port(), new_password()
        files = write_certificates(folder)
        settings = folder.write(
            "redis.conf",
            f'bind 127.0.0.1\nport {plain_port}\ntls-port {port}\nsave ""\nappendonly no\n'
            f"dir {folder.path}\nuser default on >{password} ~* &* +@all\n"
            f"tls-cert-file {files['certificate']}\ntls-key-file {files['key']}\ntls-ca-cert-file {files['ca']}\n"
            "tls-auth-clients no\nloglevel verbose\n",
        )
        ready = "Ready to accept connections"
        with folder.serving([*server, str(settings)], lambda: ready in folder.log_text(), signal.SIGKILL):
            tls = RunningServer(
                engine="redis",
                port=port,
                admin="default",
                password=password,
                database="0",
                ca_file=str(files["ca"]),
                other_ca_file=str(files["other_ca"]),
                folder=folder,
            )
            yield RunningRedis(tls, plain_port)
