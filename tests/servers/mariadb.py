"""MariaDB: passwords, TLS for those who want it, every statement logged as it came."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.processes import find_binary, free_port, new_password, server_folder
from tests.servers.running import RunningServer, write_certificates

__all__ = ["running_mariadb"]

PACKAGE = "mariadb-server-core"
SYSTEM_TABLES = ("mysql_system_tables", "mysql_performance_tables", "mysql_system_tables_data")


@contextmanager
def running_mariadb() -> Iterator[RunningServer]:
    """Start one; `NoServer` says what to install."""
    mariadbd = find_binary("mariadbd", package=PACKAGE)
    with server_folder("mariadb") as folder:
        data, port, password = folder.path / "data", free_port(), new_password()
        folder.make("data")
        files = write_certificates(folder)
        small = ["--innodb-log-file-size=4M", "--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0"]
        # What mariadb-install-db does; it is a script that needs programs of further packages.
        tables = "".join(Path(f"/usr/share/mysql/{name}.sql").read_text() for name in SYSTEM_TABLES)
        system = folder.write("system.sql", f"CREATE DATABASE mysql;\nUSE mysql;\n{tables}")
        bootstrap = [mariadbd, "--no-defaults", "--bootstrap", f"--datadir={data}", "--skip-log-bin", *small]
        folder.run(bootstrap, standard_input=system)
        start = folder.write(
            "start.sql",
            f"CREATE USER admin@'%' IDENTIFIED BY '{password}';\n"
            "GRANT ALL PRIVILEGES ON *.* TO admin@'%' WITH GRANT OPTION;\n"
            "DELETE FROM mysql.global_priv WHERE User <> 'admin' AND User <> 'mariadb.sys';\nFLUSH PRIVILEGES;\n",
        )
        command = [
            mariadbd,
            "--no-defaults",
            f"--datadir={data}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--socket={folder.path / 'socket'}",
            f"--pid-file={folder.path / 'pid'}",
            f"--ssl-ca={files['ca']}",
            f"--ssl-cert={files['certificate']}",
            f"--ssl-key={files['key']}",
            f"--init-file={start}",
            "--general-log=1",
            f"--general-log-file={folder.path / 'statements.log'}",
            "--character-set-server=utf8mb4",
            "--skip-name-resolve",
            "--skip-log-bin",
            *small,
        ]
        with folder.serving(command, lambda: "ready for connections" in folder.log_text(), signal.SIGKILL):
            yield RunningServer(
                engine="mariadb",
                port=port,
                admin="admin",
                password=password,
                database="mysql",
                ca_file=str(files["ca"]),
                other_ca_file=str(files["other_ca"]),
                folder=folder,
            )
