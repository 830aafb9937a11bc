"""Make the zip of the rotation function: this project, one driver, and nothing that Lambda has itself.

    python examples/rotation_lambda/build.py --target PostgreSql --architecture arm64

The driver comes as wheels for Lambda, in the versions and with the hashes of requirements/*.txt. The same sources and
locks make the same bytes: names are sorted, every date is the same, and nothing is compiled here.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LOCKS = (ROOT / "requirements/rotation.txt", ROOT / "requirements/runtime.txt")
DEFAULT_OUTPUT = ROOT / "dist/rotation-lambda.zip"

BOTO3 = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "PostgreSql": ("psycopg", "psycopg-binary", "typing-extensions"),
    "MySql": ("pymysql",),
    "MariaDb": ("pymysql",),
    "Redis": ("redis",),
    "MongoDb": ("pymongo", "dnspython"),
}
"""What a target needs, with what that needs. Not cryptography: no rotation of a password loads it."""

PYTHON = "3.13"
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
PLATFORMS = ("manylinux_2_28", "manylinux2014")
"""Lambda runs Python 3.12 and later on Amazon Linux 2023, whose C library is 2.34; pip does not infer older ones."""

LEFT_OUT = re.compile(
    r"(^|/)__pycache__(/|$)|\.pyc$|^bin/|^envelope(_secrets)?/(cli|testing)(/|$)|^envelope/__main__\.py$"
    r"|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json)$"
)
"""Compiled code belongs to one version of Python; the last row says who installed, which is not the same everywhere."""

FIRST_DATE = (1980, 1, 1, 0, 0, 0)
MODE = 0o100644 << 16
LAMBDA_MOST_BYTES = 250 * 1024 * 1024

Fetch = Callable[[Sequence[str], Path], None]
"""Puts packages into a folder."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.ca_file is not None and not options.ca_file.is_file():
        parser.error(f"argument --ca-file: there is no file {options.ca_file}")
    names = (*PACKAGES[options.target], *(BOTO3 if options.with_boto3 else ()))

    def fetch(wanted: Sequence[str], folder: Path) -> None:
        if options.installed:
            copy_installed(wanted, folder)
        else:
            download(wanted, folder, python=options.python, machine=MACHINES[options.architecture])

    build(options.output, names, fetch, ca_file=options.ca_file)
    print("\n".join(report(options.output, options.target)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Make the zip of the rotation function.")
    parser.add_argument("--target", choices=PACKAGES, default="PostgreSql", help="whose driver it has")
    parser.add_argument("--architecture", choices=MACHINES, default="x86_64", help="of the function")
    parser.add_argument("--python", default=PYTHON, metavar="VERSION", help=f"of the runtime; {PYTHON} by default")
    parser.add_argument("--ca-file", type=Path, metavar="PEM", help="becomes /var/task/ca.pem")
    parser.add_argument("--with-boto3", action="store_true", help="the locked boto3, not the one that Lambda has")
    parser.add_argument(
        "--installed", action="store_true", help="packages of this environment: no network, this machine"
    )
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, metavar="ZIP")
    return parser


def build(output: Path, names: Sequence[str], fetch: Fetch, *, ca_file: Path | None = None) -> None:
    """Write the zip.

    Args:
        names: of the packages beside this project.
        fetch: puts them into a folder.
        ca_file: certificates that the function trusts.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fetch(names, folder)
        _write_metadata(folder)
        for source, name in _own_files(ca_file):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
        output.parent.mkdir(parents=True, exist_ok=True)
        pack(folder, output)


def _own_files(ca_file: Path | None) -> Iterator[tuple[Path, str]]:
    for root in (ROOT, ROOT / "secrets"):
        for path in sorted(root.glob("envelope*/**/*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and not LEFT_OUT.search(name):
                yield path, name
    yield HERE / "handler.py", "handler.py"
    yield ROOT / "LICENSE", "LICENSE"
    if ca_file is not None:
        yield ca_file, "ca.pem"


def _write_metadata(folder: Path) -> None:
    """What says which version this is: the project sends it to AWS with every call."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    place = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    place.mkdir(exist_ok=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n")


def pack(folder: Path, output: Path) -> None:
    """Write what is in a folder, so that two folders with the same files make the same zip.

    It is finished under another name first: an interrupted build leaves no half of a zip where a whole one is expected.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    unfinished = output.with_name(f"{output.name}.{os.getpid()}")
    try:
        with ZipFile(unfinished, "w", ZIP_DEFLATED, compresslevel=6) as archive:
            for name in names:
                if not LEFT_OUT.search(name):
                    archive.writestr(_entry(name), (folder / name).read_bytes())
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name, FIRST_DATE)
    entry.compress_type = ZIP_DEFLATED
    entry.create_system = 3  # Unix, also when this runs elsewhere
    entry.external_attr = MODE  # Lambda runs as a user of its own, who must be able to read
    return entry


# --- where packages come from


def download(
    names: Sequence[str], folder: Path, *, python: str, machine: str, locks: Sequence[Path] = LOCKS, index: str = ""
) -> None:
    """Have pip put the locked wheels for a machine into a folder. The only thing here that uses the network.

    Args:
        index: a folder of wheels, instead of the index that pip is configured for.
    """
    platforms = [option for platform in PLATFORMS for option in ("--platform", f"{platform}_{machine}")]
    where = ["--no-index", "--find-links", index] if index else []
    with tempfile.TemporaryDirectory() as temporary:
        wanted = Path(temporary) / "requirements.txt"
        wanted.write_text("".join(locked(names, locks)))
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *where]
        command += ["--target", str(folder), "--no-deps", "--no-compile", "--require-hashes"]
        command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python, *platforms]
        subprocess.run([*command, "-r", str(wanted)], check=True)  # noqa: S603 - this interpreter's pip


def locked(names: Sequence[str], locks: Sequence[Path] = LOCKS) -> list[str]:
    """Lines for pip: version and hashes of each package.

    Without the conditions of the locks: pip would weigh them for the Python that runs it, and not for Lambda's.
    """
    text = "".join(path.read_text() for path in locks).replace("\\\n", " ")
    found = {line.split("==")[0]: line for line in text.splitlines() if "==" in line and "--hash=" in line}
    missing = sorted(set(names) - found.keys())
    if missing:
        raise SystemExit(f"build: not in the locks: {', '.join(missing)}")
    return [" ".join((found[name].split()[0], *re.findall(r"--hash=\S+", found[name]))) + "\n" for name in names]


def copy_installed(names: Sequence[str], folder: Path) -> None:
    """Copy packages of this environment: for this machine, and for trying without a network."""
    for name in names:
        for file in metadata.distribution(name).files or ():
            if ".." not in file.parts and not LEFT_OUT.search(file.as_posix()):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), folder / file)


# --- what came of it

MEASURE = """\
import sys, time
sys.path.insert(0, sys.argv[1])
began_s = time.perf_counter()
import handler
print(time.perf_counter() - began_s)
"""


def report(output: Path, target: str) -> list[str]:
    """Lines that tell the sizes, the time of the import, and what is in the zip.

    Raises:
        SystemExit: Lambda would not take it.
    """
    with ZipFile(output) as archive:
        entries = archive.infolist()
    unpacked_bytes = sum(entry.file_size for entry in entries)
    if unpacked_bytes > LAMBDA_MOST_BYTES:
        raise SystemExit(f"build: {unpacked_bytes:,} bytes unpacked are more than Lambda takes")
    versions = sorted(
        entry.filename.split(".dist-info")[0] for entry in entries if "dist-info/METADATA" in entry.filename
    )
    return [
        str(output),
        f"  sha256    {hashlib.sha256(output.read_bytes()).hexdigest()}",
        f"  size      {output.stat().st_size:,} bytes, {unpacked_bytes:,} unpacked, {len(entries)} files",
        f"  packages  {', '.join(versions)}",
        f"  import    {import_s(output, target) * 1_000:.0f} ms in a fresh interpreter, nothing compiled",
    ]


def import_s(output: Path, target: str, *, times: int = 3) -> float:
    """Seconds that importing the handler takes when the function starts cold; the best of several.

    The interpreter sees the standard library and the zip's files, and no site-packages. What loads later is not in it:
    boto3 and the driver, by the first event.
    """
    environment = {"TARGET": target, "STRATEGY": "SingleUser", "TLS": "verify-full", "CA_FILE": ""}
    with tempfile.TemporaryDirectory() as folder:
        with ZipFile(output) as archive:
            archive.extractall(folder)
        command = [sys.executable, "-I", "-S", "-B", "-c", MEASURE, folder]
        runs = [
            subprocess.run(command, env=environment, capture_output=True, check=True)  # noqa: S603 - this interpreter
            for _ in range(times)
        ]
    return min(float(run.stdout) for run in runs)


if __name__ == "__main__":
    main()
