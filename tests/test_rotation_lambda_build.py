"""The zip of the rotation function: what is in it, that it is the same each time, and where its packages come from."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest

from examples.rotation_lambda import build
from tests.lambda_template import PATH

EXTRAS = {"psycopg": ("binary",)}
"""As requirements/rotation.in asks for them."""


def nothing(names: Sequence[str], folder: Path) -> None:
    """Fetches no package."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("zip") / "function.zip"
    build.main(["--target", "MariaDb", "--installed", "--output", str(output)])
    return output


def names_in(archive: Path) -> list[str]:
    with ZipFile(archive) as packed:
        return packed.namelist()


def needed(name: str, extras: Sequence[str] = ()) -> set[str]:
    """A package and all that it needs on Lambda, by what the installed ones say of themselves."""
    found = {name}
    for line in metadata.requires(name) or ():
        wanted, _, condition = line.partition(";")
        extra = re.search(r"extra == ['\"](.+?)['\"]", condition)
        if (extra and extra[1] not in extras) or "win32" in condition or "3.11.3" in condition:
            continue
        plain = re.match(r"[A-Za-z0-9._-]+", wanted)
        assert plain is not None
        found |= needed(plain[0].lower())
    return found


# --- what is in it


@pytest.mark.parametrize("target", build.PACKAGES)
def test_a_driver_comes_with_everything_that_it_needs(target: str) -> None:
    driver, *_ = build.PACKAGES[target]
    assert set(build.PACKAGES[target]) == needed(driver, EXTRAS.get(driver, ()))


def test_boto3_comes_with_everything_that_it_needs() -> None:
    assert set(build.BOTO3) == needed("boto3")


def test_it_has_the_project_the_driver_and_the_handler_and_nothing_else(archive: Path) -> None:
    names = names_in(archive)
    tops = {name.split("/")[0] for name in names}
    infos = {top for top in tops if top.endswith(".dist-info")}
    assert tops - infos == {"envelope", "envelope_secrets", "pymysql", "handler.py", "LICENSE"}
    assert {info.split("-")[0] for info in infos} == {"envelope_kms", "pymysql"}
    assert [name for name in names if "licen" in name.lower() and "pymysql" in name.lower()]
    left_out = ("__pycache__", ".pyc", "/testing/", "/cli/", "/tests/", "RECORD", "INSTALLER", "direct_url")
    assert not [name for name in names if any(part in name for part in left_out)]


def test_everybody_may_read_it_and_the_dates_say_nothing(archive: Path) -> None:
    with ZipFile(archive) as packed:
        entries = packed.infolist()
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert {entry.date_time for entry in entries} == {build.FIRST_DATE}
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


def test_certificates_come_along(tmp_path: Path) -> None:
    (tmp_path / "authority").write_text("a certificate")
    build.build(tmp_path / "zip", (), nothing, ca_file=tmp_path / "authority")
    with ZipFile(tmp_path / "zip") as packed:
        assert packed.read("ca.pem") == b"a certificate"


def test_two_builds_are_equal_byte_for_byte(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    again = tmp_path / "deep/down/again.zip"
    build.build(again, build.PACKAGES["MariaDb"], build.copy_installed)
    assert again.read_bytes() == archive.read_bytes()
    assert [path.name for path in again.parent.iterdir()] == ["again.zip"]


def test_an_interrupted_build_leaves_the_zip_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "function.zip"
    output.write_bytes(b"the one before")
    monkeypatch.setattr(build, "_entry", lambda name: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build.build(output, (), nothing)
    assert (output.read_bytes(), list(tmp_path.iterdir())) == (b"the one before", [output])


# --- what it says


def test_it_prints_sizes_packages_and_the_time_of_a_cold_import(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = build.report(archive, "MariaDb")
    told = dict(line.split(maxsplit=1) for line in lines[1:])
    assert told["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert told["size"].startswith(f"{archive.stat().st_size:,} bytes, ")
    assert told["size"].endswith(f" unpacked, {len(names_in(archive))} files")
    assert told["packages"].startswith("envelope_kms-")
    assert re.match(r"\d+ ms in a fresh interpreter", told["import"])


def test_what_is_too_large_for_lambda_is_said(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "LAMBDA_MOST_BYTES", 1_000)
    with pytest.raises(SystemExit, match="more than Lambda takes"):
        build.report(archive, "MariaDb")


def test_a_handler_that_does_not_import_is_no_zip(archive: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        build.import_s(archive, "Oracle", times=1)


# --- where packages come from


def wheel(folder: Path, name: str, content: str, platform: str = "any") -> str:
    """Make a wheel of one module, and give its hash."""
    tag = "py3-none-any" if platform == "any" else f"cp313-cp313-{platform}"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": content,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: not-to-be-had\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\nTag: {tag}\n",
    }
    digests = {path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for path, text in files.items()}
    files[f"{info}/RECORD"] = "".join(f"{path},sha256={d.decode().rstrip('=')},\n" for path, d in digests.items())
    path = folder / f"{name}-1.0-{tag}.whl"
    with ZipFile(path, "w") as packed:
        for inside, text in files.items():
            packed.writestr(inside, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_pip_takes_the_locked_wheel_for_the_machine_of_the_function(tmp_path: Path) -> None:
    wheels, folder, lock = tmp_path / "wheels", tmp_path / "folder", tmp_path / "lock.txt"
    wheels.mkdir()
    machines = ("manylinux2014_aarch64", "manylinux_2_28_x86_64")
    hashes = {machine: wheel(wheels, "driver", f"MACHINE = {machine!r}", machine) for machine in machines}
    lock.write_text(
        "other==3.0 \\\n    --hash=sha256:00\n"
        'driver==1.0 ; python_version < "3.0" \\\n'
        + " \\\n".join(f"    --hash=sha256:{digest}" for digest in hashes.values())
        + "\n    # via rotation.in\n"
    )
    build.download(["driver"], folder, python="3.13", machine="aarch64", locks=[lock], index=str(wheels))
    assert (folder / "driver.py").read_text() == f"MACHINE = {machines[0]!r}"


def test_a_wheel_that_was_changed_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wheel(tmp_path, "driver", "EVIL = True")
    lock = tmp_path / "lock.txt"
    lock.write_text(f"driver==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(subprocess.CalledProcessError):
        build.download(["driver"], tmp_path / "to", python="3.13", machine="x86_64", locks=[lock], index=str(tmp_path))
    assert "HASHES" in capfd.readouterr().err
    assert not (tmp_path / "to/driver.py").exists()


def test_every_package_is_locked_with_hashes_and_without_conditions() -> None:
    every = sorted({name for names in build.PACKAGES.values() for name in names} | set(build.BOTO3))
    for line in build.locked(every):
        assert re.fullmatch(r"[a-z0-9-]+==[^ ;]+( --hash=sha256:[0-9a-f]{64})+\n", line)
    with pytest.raises(SystemExit, match="not in the locks: left-pad"):
        build.locked(["redis", "left-pad"])


def test_the_command_says_what_it_can_do() -> None:
    done = subprocess.run(
        [sys.executable, PATH.with_name("build.py"), "--help"], capture_output=True, text=True, check=True
    )
    assert {"--target", "--architecture", "--ca-file", "--with-boto3"} <= set(re.findall(r"--[a-z0-9-]+", done.stdout))


# --- what is refused


def test_a_missing_file_of_certificates_is_refused_in_one_line_before_anything_is_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, output = tmp_path / "nope.pem", tmp_path / "function.zip"
    with pytest.raises(SystemExit) as refused:
        build.main(["--installed", "--ca-file", str(missing), "--output", str(output)])
    assert refused.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"argument --ca-file: there is no file {missing}")
    assert not output.exists()
