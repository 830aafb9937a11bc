"""MySQL 8.4 or 9, which Debian has in unstable only: from the folder that ``ENVELOPE_MYSQL_FOLDER`` names.

The folder is the root of a system into which packages were unpacked, as `tests/servers/unpack_mysql` makes it. Its
programs run with the libraries that are in it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.processes import NoServer, free_port, new_password, server_folder
from tests.servers.running import RunningServer, write_certificates

__all__ = ["FOLDER_VARIABLE", "running_mysql"]

FOLDER_VARIABLE = "ENVELOPE_MYSQL_FOLDER"


def _mysqld() -> list[str]:
    folder = os.environ.get(FOLDER_VARIABLE, "")
    if not folder:
        raise NoServer(f"there is no MySQL on this machine: run tests/servers/unpack_mysql and set {FOLDER_VARIABLE}")
    root = Path(folder).resolve()
    loader = root / "usr/lib64/ld-linux-x86-64.so.2"
    return [str(loader), "--library-path", str(root / "usr/lib/x86_64-linux-gnu"), str(root / "usr/sbin/mysqld")]


@contextmanager
def running_mysql() -> Iterator[RunningServer]:
    """Start one; `NoServer` says what to do."""
    mysqld = _mysqld()
    with server_folder("mysql") as folder:
        data, port, password = folder.path / "data", free_port(), new_password()
        files = write_certificates(folder)
        start = folder.write(
            "start.sql",
            f"CREATE USER admin@'%' IDENTIFIED BY '{password}';\n"
            "GRANT ALL PRIVILEGES ON *.* TO admin@'%' WITH GRANT OPTION;\nDROP USER root@localhost;\n",
        )
        root = mysqld[0].removesuffix("/usr/lib64/ld-linux-x86-64.so.2")
        common = [
            "--no-defaults",
            f"--datadir={data}",
            f"--basedir={root}/usr",
            f"--lc-messages-dir={root}/usr/share/mysql",
            f"--plugin-dir={root}/usr/lib/mysql/plugin",
            "--innodb-redo-log-capacity=8M",
            "--innodb-buffer-pool-size=16M",
            "--innodb-doublewrite=0",
            "--secure-file-priv=NULL",
            "--skip-log-bin",
        ]
        folder.run([*mysqld, *common, "--initialize-insecure", f"--init-file={start}"])
        command = [
            *mysqld,
            *common,
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--socket={folder.path / 'socket'}",
            f"--pid-file={folder.path / 'pid'}",
            "--mysqlx=OFF",
            f"--ssl-ca={files['ca']}",
            f"--ssl-cert={files['certificate']}",
            f"--ssl-key={files['key']}",
            "--general-log=1",
            f"--general-log-file={folder.path / 'statements.log'}",
            "--skip-name-resolve",
        ]
        with folder.serving(command, lambda: "ready for connections" in folder.log_text(), signal.SIGKILL):
            yield RunningServer(
                engine="mysql",
                port=port,
                admin="admin",
                password=password,
                database="mysql",
                ca_file=str(files["ca"]),
                other_ca_file=str(files["other_ca"]),
                folder=folder,
            )
