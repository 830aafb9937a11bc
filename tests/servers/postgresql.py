"""PostgreSQL: password authentication by SCRAM, TLS for those who want it, every statement logged."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.processes import find_binary, free_port, new_password, server_folder
from tests.servers.running import RunningServer, write_certificates

__all__ = ["running_postgresql"]

ACCESS = """\
# TYPE  DATABASE  USER         ADDRESS       METHOD
hostssl all       tls_only     127.0.0.1/32  scram-sha-256
host    all       tls_only     127.0.0.1/32  reject
host    all       trusted      127.0.0.1/32  trust
host    all       all          127.0.0.1/32  scram-sha-256
"""
"""The account ``tls_only`` must use TLS; ``trusted`` is never asked for its password."""


@contextmanager
def running_postgresql() -> Iterator[RunningServer]:
    """Start one; `NoServer` says what to install."""
    binaries = "/usr/lib/postgresql/*/bin"
    initdb = find_binary("initdb", binaries, package="postgresql")
    postgres = find_binary("postgres", binaries, package="postgresql")
    with server_folder("postgresql") as folder:
        data, port, password = folder.path / "data", free_port(), new_password()
        files = write_certificates(folder)
        options = f"-D {data} -U admin --auth=scram-sha-256 --pwfile={folder.write('password', password)} -E UTF8"
        folder.run([initdb, *options.split(), "--locale=C.UTF-8", "--no-sync"])
        access = folder.write("access.conf", ACCESS)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "hba_file": str(access),
            "fsync": "off",
            "shared_buffers": "16MB",
            "ssl": "on",
            "ssl_cert_file": str(files["certificate"]),
            "ssl_key_file": str(files["key"]),
            "log_statement": "all",
            "log_connections": "on",
        }
        command = [postgres, "-D", str(data)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        ready = "database system is ready to accept connections"
        with folder.serving(command, lambda: ready in folder.log_text(), signal.SIGQUIT):
            yield RunningServer(
                engine="postgres",
                port=port,
                admin="admin",
                password=password,
                database="postgres",
                ca_file=str(files["ca"]),
                other_ca_file=str(files["other_ca"]),
                folder=folder,
            )
