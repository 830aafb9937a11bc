"""`envelope secrets export` and `import`: secrets move from one store to another with all their labels."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envelope import Client, RawAesKeyring
from envelope_secrets import SecretsClient
from envelope_secrets.cli.export_file import CONTEXT, ExportedSecret, ExportedVersion, parsed_export, serialized_export
from envelope_secrets.cli.imports import Existing, planned
from envelope_secrets.cli.imports import bring as bring_one
from envelope_secrets.errors import SecretConflict, SecretFormatError
from envelope_secrets.stages import StageMove
from envelope_secrets.stores.local import LocalSecretStore
from tests.cli_for_tests import AES, OTHER, Ended, run_cli
from tests.secrets_cli_for_tests import create, done, labels, on_terminal, prepare, put, run_secrets

CANARY = "hunter2-canary"
SOURCE = ("--store", "secrets.db", "--store-key", AES)
TARGET = ("--store", "target.db", "--store-key", OTHER)
FILE_KEY = ("-k", "aes:tests/file@file.key")
DOCUMENT_KEY = b"\3" * 32


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path, monkeypatch)
    (tmp_path / "file.key").write_bytes(DOCUMENT_KEY)
    return tmp_path


def export(*ids: str, output: str = "out") -> Ended:
    return run_secrets("export", *SOURCE, *FILE_KEY, "-o", output, *ids)


def bring(*options: str, file: str = "out", stdin: bytes = b"") -> Ended:
    return run_secrets("import", *TARGET, *FILE_KEY, *options, file, stdin=stdin)


def target(command: str, *arguments: str, stdin: bytes = b"") -> str:
    """What a command writes on the other store."""
    ended = run_secrets(command, "--store", "target.db", "-k", OTHER, *arguments, stdin=stdin)
    assert ended.status == 0, ended.errors
    return ended.out.decode()


def target_labels(name: str = "prod/db") -> dict[str, str]:
    found: dict[str, list[str]] = json.loads(target("describe", "--json", name))["versions"]
    return {stage: version_id for version_id, stages in found.items() for stage in stages}


def rotated(name: str = "prod/db") -> dict[str, str]:
    """A secret with a version under each label; its labels."""
    create(name, "one", "--description", "for tests", "--tag", "team=a")
    put(name, CANARY, "--stage", "AWSCURRENT", "--stage", "mine")
    put(name, "three", "--stage", "AWSPENDING")
    put(name, "four", "--stage", "other")
    return labels(name)


def written(secrets: object, *, context: dict[str, str] | None = None) -> None:
    """A file with this document."""
    client = Client(RawAesKeyring("tests", "file", DOCUMENT_KEY))
    Path("out").write_bytes(client.encrypt(json.dumps(secrets).encode(), CONTEXT if context is None else context))


def test_a_secret_arrives_with_all_its_labels_and_version_ids(folder: Path) -> None:
    before = rotated()
    create("prod/key", bytes(range(256)), "--binary")
    said = export("prod/db", "prod/key", json.loads(done("describe", "--json", "prod/key"))["arn"])
    assert (said.status, said.out, said.errors) == (0, b"wrote out, with 2 secrets\n", "")
    assert stat.S_IMODE((folder / "out").stat().st_mode) == 0o600
    assert CANARY.encode() not in (folder / "out").read_bytes()
    ended = bring()
    assert (ended.status, ended.out) == (0, b"created prod/db\ncreated prod/key\n")
    assert ended.errors == "envelope: note: made the secret store target.db\n"
    assert target_labels() == before
    assert set(before) == {"AWSCURRENT", "AWSPREVIOUS", "AWSPENDING", "mine", "other"}
    values = {stage: target("get", f"prod/db::{stage}") for stage in before}
    assert values.pop("AWSPREVIOUS") == "one"
    assert values == {"AWSCURRENT": CANARY, "mine": CANARY, "AWSPENDING": "three", "other": "four"}
    described = json.loads(target("describe", "--json", "prod/db"))
    assert (described["description"], described["tags"]) == ("for tests", {"team": "a"})
    assert run_secrets("get", "--store", "target.db", "-k", OTHER, "prod/key").out == bytes(range(256))
    again = bring()
    assert (again.status, again.out) == (0, b"left unchanged prod/db\nleft unchanged prod/key\n")


def test_labels_of_the_previous_version_arrive_too() -> None:
    first = create()
    put()
    store = LocalSecretStore("secrets.db", RawAesKeyring("tests", "one", b"\1" * 32))
    store.move_stage("prod/db", StageMove("mine", first, None))
    store.close()
    assert export("prod/db").out == b"wrote out, with 1 secret\n"
    assert bring().status == 0
    assert target_labels() == labels()


def test_a_secret_without_a_value_arrives_as_one() -> None:
    done("create", "prod/db", "--without-value")
    export("prod/db")
    assert bring().out == b"created prod/db\n"
    assert json.loads(target("describe", "--json", "prod/db"))["versions"] == {}
    assert bring().out == b"left unchanged prod/db\n"
    target("put", "prod/db", stdin=b"x")
    assert bring().status == 1
    assert bring("--overwrite").out == b"overwrote prod/db\n"
    assert target("get", "prod/db") == "x"


def test_what_a_rotation_has_only_announced_is_left_out_and_told() -> None:
    create()
    store = LocalSecretStore("secrets.db", RawAesKeyring("tests", "one", b"\1" * 32))
    store.announce("prod/db", "p" * 36)
    store.close()
    assert "prod/db: left out 1 announced by a rotation, without a value" in export("prod/db").errors
    bring()
    assert list(target_labels()) == ["AWSCURRENT"]


def test_a_secret_that_exists_is_kept() -> None:
    rotated()
    export("prod/db")
    target_create()
    ended = bring()
    assert (ended.status, ended.out) == (1, b"kept prod/db\n")
    assert "what was kept has other versions here: --overwrite gives it" in ended.errors
    ended = bring("--skip-existing")
    assert (ended.status, ended.errors) == (0, "")
    assert target("get", "prod/db") == "theirs"
    assert "exclude one another" in bring("--skip-existing", "--overwrite").errors


def target_create() -> str:
    ended = run_secrets("create", "--json", "--store", "target.db", "-k", OTHER, "prod/db", stdin=b"theirs")
    return str(json.loads(ended.out)["version_id"])


def test_an_overwritten_secret_can_be_rolled_back() -> None:
    before = rotated()
    export("prod/db")
    theirs = target_create()
    assert bring("--overwrite").out == b"overwrote prod/db\n"
    expected = {**before, "AWSPREVIOUS": theirs}
    assert target_labels() == expected
    target("rollback", "prod/db")
    assert target("get", "prod/db") == "theirs"
    bring("--overwrite")  # its version is there already
    assert target_labels() == expected
    assert json.loads(target("describe", "--json", "prod/db"))["tags"] == {"team": "a"}


def test_an_import_that_was_interrupted_is_finished_by_another_one() -> None:
    before = rotated()
    export("prod/db")
    bring()
    target("repair", "prod/db", "--drop-pending")  # as if it had not come so far
    assert bring().status == 1
    assert bring("--overwrite").status == 0
    assert target_labels() == before


@pytest.mark.parametrize("is_there", [False, True])
def test_a_secret_that_somebody_changes_meanwhile_is_not_overwritten(is_there: bool) -> None:
    """Also where the file's version is there already, without a label."""
    theirs = SecretsClient(LocalSecretStore("target.db", RawAesKeyring("tests", "two", b"\2" * 32)))
    version = ExportedVersion("f" * 32, ("AWSCURRENT", "mine"), "of the file")
    secret = ExportedSecret("prod/db", "of the file", {"team": "a"}, (version,))
    if is_there:
        theirs.create("prod/db", version.value, token=version.version_id)
        theirs.put("prod/db", "two")
        theirs.put("prod/db", "three")
    else:
        theirs.create("prod/db", "three")
    plan = planned(theirs, secret, Existing.OVERWRITTEN)
    theirs.put("prod/db", "four")
    with pytest.raises(SecretConflict):
        bring_one(theirs, secret, plan)
    described = theirs.describe("prod/db")
    assert (theirs.get("prod/db").text, described.description, dict(described.tags)) == ("four", "", {})
    assert described.labels.holder("mine") is None
    bring_one(theirs, secret, planned(theirs, secret, Existing.OVERWRITTEN))
    assert (theirs.get("prod/db").text, theirs.get("prod/db", stage="AWSPREVIOUS").text) == ("of the file", "four")
    theirs.close()


def test_an_edited_file_gives_no_version_another_value() -> None:
    create()
    export("prod/db")
    bring()
    target("put", "prod/db", stdin=b"theirs")
    secret = ExportedSecret("prod/db", "", {}, (ExportedVersion(labels()["AWSCURRENT"], ("AWSCURRENT",), CANARY),))
    written(json.loads(serialized_export([secret])))
    ended = bring("--overwrite")
    assert (ended.status, "has another value there" in ended.errors, CANARY in ended.errors) == (3, True, False)
    assert target("get", "prod/db") == "theirs"
    same = ExportedSecret("prod/db", "", {}, (ExportedVersion(labels()["AWSCURRENT"], ("AWSCURRENT",), "one"),))
    written(json.loads(serialized_export([same])))
    assert bring("--overwrite").status == 0
    assert target("get", "prod/db") == "one"


def test_an_overwritten_binary_version_is_compared_too() -> None:
    create("prod/db", b"\xff", "--binary")
    export("prod/db")
    bring()
    target("put", "prod/db", stdin=b"theirs")
    assert bring("--overwrite").status == 0
    assert run_secrets("get", "--store", "target.db", "-k", OTHER, "prod/db").out == b"\xff"


def test_a_dry_run_changes_nothing(folder: Path) -> None:
    create()
    create("prod/new", "x")
    export("prod/db", "prod/new")
    ended = bring("--dry-run")
    assert (ended.status, ended.out) == (0, b"would create prod/db\nwould create prod/new\n")
    assert not (folder / "target.db").exists()
    target_create()
    assert bring("--dry-run").out == b"would keep prod/db\nwould create prod/new\n"
    assert bring("--dry-run", "--overwrite").out == b"would overwrite prod/db\nwould create prod/new\n"
    assert target("list") == "prod/db\n"
    assert [json.loads(line)["step"] for line in bring("--json", "--dry-run").out.splitlines()] == ["keep", "create"]


def test_one_secret_that_fails_does_not_stop_the_others() -> None:
    create()
    create("prod/new", "x")
    export("prod/db", "prod/new")
    target_create()
    target("delete", "prod/db")
    ended = bring()
    assert (ended.status, ended.out) == (1, b"created prod/new\n")
    assert "envelope: error: prod/db: it is scheduled for deletion here" in ended.errors


def test_no_version_becomes_current_by_accident() -> None:
    written({"format": "envelope-secrets", "version": 1, "secrets": [exported(stages=["AWSPENDING"])]})
    ended = bring()
    assert (ended.status, "no version of it is current" in ended.errors) == (1, True)
    assert target("list") == ""


def test_files_are_kept_and_replaced_as_elsewhere(folder: Path) -> None:
    create()
    (folder / "out").write_bytes(b"mine")
    ended = export("prod/db")
    assert (ended.status, "exists already" in ended.errors) == (1, True)
    assert (folder / "out").read_bytes() == b"mine"
    assert run_secrets("export", *SOURCE, *FILE_KEY, "-f", "-o", "out", "prod/db").status == 0
    assert bring().status == 0
    assert export("nope", output="other").status == 1
    assert not (folder / "other").exists()


def test_pipes_carry_an_export() -> None:
    create()
    message = run_secrets("export", *SOURCE, *FILE_KEY, "prod/db").out
    assert bring(file="-", stdin=message).status == 0
    assert target("get", "prod/db") == "one"
    shown = on_terminal("export", *SOURCE, *FILE_KEY, "prod/db")
    assert (shown.status, b"standard output is a terminal: -o FILE" in shown.out) == (2, True)
    assert export("prod/db", output="-").out[:1] == b"\x02"


def test_the_file_is_a_message_that_says_what_it_is() -> None:
    create()
    export("prod/db")
    shown = json.loads(run_cli("inspect", "--json", "out").out)
    assert CONTEXT.items() <= shown["encryption_context"].items()
    plain = run_cli("decrypt", "out", "-o", "-", *FILE_KEY, "-c", "Format=envelope-secrets").out
    assert [secret.name for secret in parsed_export(plain)] == ["prod/db"]


def test_another_message_under_the_key_is_no_export() -> None:
    written({"format": "envelope-secrets", "version": 1, "secrets": []}, context={})
    assert (bring().status, "does not store 'Format'" in bring().errors) == (3, True)
    Path("out").write_bytes(b"no message")
    assert bring().status == 3
    assert bring(file="none").status == 1
    assert run_secrets("import", *TARGET, "-k", AES, "out").status == 3


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envelope_secrets.cli.importing.MOST_FILE_BYTES", 10)
    Path("out").write_bytes(b"x" * 11)
    assert "the file has more than 10 bytes" in bring().errors


# --- the document


def exported(**changes: object) -> dict[str, Any]:
    """A secret as the document has it."""
    version = {"version_id": "v" * 32, "stages": ["AWSCURRENT"], "text": CANARY}
    secret: dict[str, Any] = {"name": "prod/db", "description": "", "tags": {}, "versions": [version]}
    for name, value in changes.items():
        (secret if name in secret else secret["versions"][0])[name] = value
    return secret


def test_a_document_is_read_as_it_is_written() -> None:
    secrets = (
        ExportedSecret("a", "text", {"b": "c"}, (ExportedVersion("v" * 32, ("AWSCURRENT", "x"), "\U0001f511"),)),
        ExportedSecret("b", "", {}, (ExportedVersion("v" * 32, ("y",), b"\xff\0"),)),
        ExportedSecret("c", "", {}, ()),
    )
    assert parsed_export(serialized_export(secrets)) == secrets
    assert CANARY not in repr(ExportedVersion("v" * 32, (), CANARY))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.pop("format"), "is no document of secrets"),
        (lambda d: d.update(format="other"), "is no document of secrets"),
        (lambda d: d.update(version=2), "has version 2; this one knows 1"),
        (lambda d: d.update(secrets={}), "is no document of secrets"),
        (lambda d: d.update(secrets=[CANARY]), "a secret without a name"),
        (lambda d: d.update(secrets=[exported(), exported()]), "has a secret twice"),
        (lambda d: d.update(secrets=[exported(name="a b")]), "a wrong name"),
        (lambda d: d.update(secrets=[exported(description=5)]), "a wrong name"),
        (lambda d: d.update(secrets=[exported(tags=[CANARY])]), "a wrong name"),
        (lambda d: d.update(secrets=[exported(versions=[CANARY])]), "a version without an id"),
        (
            lambda d: d.update(secrets=[exported(versions=exported()["versions"] * 2)]),
            "with a label or version twice",
        ),
        (lambda d: d.update(secrets=[exported(text=5)]), "a version without an id"),
        (lambda d: d.update(secrets=[exported(text="")]), "a value that no store takes"),
        (lambda d: d.update(secrets=[exported(version_id="short")]), "a wrong id or label"),
        (lambda d: d.update(secrets=[exported(stages=[])]), "a wrong id or label"),
        (lambda d: d.update(secrets=[exported(stages=[5])]), "a wrong id or label"),
    ],
)
def test_a_document_of_another_kind_is_refused_without_its_values(
    change: Callable[[dict[str, Any]], object], text: str
) -> None:
    document: dict[str, Any] = {"format": "envelope-secrets", "version": 1, "secrets": [exported()]}
    parsed_export(json.dumps(document).encode())
    change(document)
    with pytest.raises(SecretFormatError) as caught:
        parsed_export(json.dumps(document).encode())
    assert text in str(caught.value)
    assert CANARY not in str(caught.value) + caught.value.hint
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_base64_that_is_none_is_refused() -> None:
    secret = exported()
    secret["versions"][0] = {"version_id": "v" * 32, "stages": ["AWSCURRENT"], "base64": f"{CANARY}!"}
    document: dict[str, Any] = {"format": "envelope-secrets", "version": 1, "secrets": [secret]}
    with pytest.raises(SecretFormatError) as caught:
        parsed_export(json.dumps(document).encode())
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("document", [b"", b"\xff", b"[" * 100_000, b"[]"])
def test_what_is_no_json_is_no_document(document: bytes) -> None:
    with pytest.raises(SecretFormatError, match="is no document of secrets"):
        parsed_export(document)
