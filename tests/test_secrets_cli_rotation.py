"""`envelope secrets rotate --with` and `... rotation`: what is said and done, with a rotator of one's own."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from envelope_secrets.cli import store_options
from envelope_secrets.cli.wording import WORDING
from envelope_secrets.rotation.diagnosis import Verdict
from envelope_secrets.rotation.dual_password import DualPassword
from envelope_secrets.stages import AWSCURRENT, AWSPENDING
from tests.cli_for_tests import Ended, run_cli
from tests.database_rotations import RotationWorld
from tests.fake_databases import HOST
from tests.fake_secrets_for_tests import V3
from tests.iam_for_tests import USER, FakeIam, serving
from tests.secrets_cli_for_tests import LOCAL, create, done, labels, local, on_terminal, prepare, put, refused

CANARY = "hunter2-canary"

GATE = """
import json, pathlib, signal, os
from envelope_secrets.rotation import AccountLocked, LoginRefused, RotationRefused

class Gate:
    # Knows one value, which is in a file; `die` in another file names the method in which a signal comes.
    def _maybe(self, name):
        place = pathlib.Path("die")
        if place.exists() and place.read_text() == name:
            place.unlink()
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
    def new_value(self, rotation):
        self._maybe("new_value")
        return "hunter2-canary-" + rotation.token
    def apply(self, rotation, pending):
        pathlib.Path("known").write_text(pending.text)
        self._maybe("apply")
    def verify(self, rotation, pending):
        self._maybe("verify")
        if pathlib.Path("locked").exists():
            raise AccountLocked("the gate is shut", hint="open it")
        if pathlib.Path("known").read_text() != pending.text:
            raise LoginRefused("the gate does not know it")
    def retire(self, rotation, pending):
        self._maybe("retire")

gate = Gate()
def made():
    return gate
class Broken:
    def __init__(self):
        raise ValueError("hunter2-canary")
def refuses():
    raise RotationRefused("this gate is not for you")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path, monkeypatch)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@dataclass(frozen=True)
class World:
    """A secret whose gate knows its current value."""

    module: str

    @property
    def with_gate(self) -> tuple[str, ...]:
        return ("prod/gate", "--with", f"{self.module}:gate")

    def knows(self, value: str) -> None:
        Path("known").write_text(value)

    def pending(self, value: str) -> str:
        """Put a pending value; the id of its version."""
        return put("prod/gate", value, "--stage", "AWSPENDING")


@pytest.fixture(name="world")
def _world(folder: Path) -> World:
    world = World(f"gates_{uuid.uuid4().hex}")
    (folder / f"{world.module}.py").write_text(GATE)
    create("prod/gate", CANARY)
    world.knows(CANARY)
    return world


def status(world: World, *more: str) -> list[str]:
    return done("rotation", "status", *world.with_gate, *more).splitlines()


def done_below(command: str, *arguments: str) -> str:
    """What a command below ``rotation`` writes."""
    ended = run_cli("secrets", "rotation", command, *LOCAL, *arguments)
    assert ended.status == 0, ended.errors
    assert CANARY not in ended.errors + ended.out.decode()
    return ended.out.decode()


def refused_below(exit_status: int, command: str, *arguments: str) -> str:
    ended = run_cli("secrets", "rotation", command, *LOCAL, *arguments)
    assert ended.status == exit_status, ended.errors
    assert CANARY not in ended.errors + ended.out.decode()
    return ended.errors


# --- rotate


def test_a_rotation_here_says_each_step_on_standard_error_and_the_version_on_standard_output(world: World) -> None:
    before = labels("prod/gate")["AWSCURRENT"]
    ended = local("rotate", *world.with_gate)
    after = labels("prod/gate")
    assert ended.status == 0
    assert ended.out.decode() == f"prod/gate: version {after['AWSCURRENT']} is current now\n"
    assert after["AWSPREVIOUS"] == before
    assert [line.split(":")[1].strip() for line in ended.errors.splitlines()] == [
        "createSecret",
        "setSecret",
        "testSecret",
        "finishSecret",
    ]
    assert CANARY not in ended.errors + ended.out.decode()
    assert done("get", "prod/gate") == Path("known").read_text()


def test_a_rotation_here_as_json(world: World) -> None:
    ended = run_cli("--json", "secrets", "rotate", *LOCAL, *world.with_gate)
    told = json.loads(ended.out)
    assert told["version_id"] == labels("prod/gate")["AWSCURRENT"]
    assert (told["secret"], told["was_resumed"]) == ("prod/gate", False)
    steps = [json.loads(line) for line in ended.errors.splitlines()]
    assert [(step["event"], step["step"], step["action"]) for step in steps[:2]] == [
        ("step", "createSecret", "create"),
        ("step", "setSecret", "apply"),
    ]


def test_with_verbose_the_beginning_of_a_step_is_said_too_and_with_quiet_nothing(world: World) -> None:
    assert "envelope: setSecret begins\n" in local("rotate", "-v", *world.with_gate).errors
    ended = local("rotate", "-q", *world.with_gate)
    assert (ended.status, ended.out, ended.errors) == (0, b"", "")


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(world: World) -> None:
    before = labels("prod/gate")
    assert done("rotate", *world.with_gate, "--dry-run").splitlines() == [
        "prod/gate: would make a new version, have the target take it, try it, and make it current",
        f"  current  {before['AWSCURRENT']}  the target accepts it",
    ]
    pending = world.pending("two")
    lines = done("rotate", *world.with_gate, "--dry-run").splitlines()
    assert (
        lines[0] == f"prod/gate: would take up version {pending}: have the target take it, try it, and make it current"
    )
    world.knows("two")
    told = json.loads(run_cli("--json", "secrets", "rotate", *LOCAL, *world.with_gate, "--dry-run").out)
    assert told["would"].startswith(f"take up version {pending}: which the target knows already")
    assert labels("prod/gate") == {**before, "AWSPENDING": pending}


def test_a_dry_run_of_what_would_fail_is_refused_and_a_rotator_of_ones_own_may_need_no_value_that_works(
    world: World,
) -> None:
    world.knows("set by hand")
    assert "would make a new version" in done("rotate", *world.with_gate, "--dry-run")
    Path("locked").touch()
    errors = refused(3, "rotate", *world.with_gate, "--dry-run")
    assert "a rotation would fail: the target does not tell which version works: the gate is shut\n" in errors
    assert "hint: open it\n" in errors


@pytest.mark.parametrize("method", ["new_value", "apply", "verify", "retire"])
def test_after_an_interrupt_in_any_step_the_same_command_takes_it_up(world: World, method: str, folder: Path) -> None:
    (folder / "die").write_text(method)
    steps = {"new_value": "createSecret", "apply": "setSecret", "verify": "testSecret", "retire": "finishSecret"}
    ended = subprocess.run(
        [sys.executable, "-m", "envelope.cli", "secrets", "rotate", *LOCAL, *world.with_gate],
        cwd=folder,
        env=dict(os.environ),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == -signal.SIGINT
    errors = ended.stderr.decode()
    assert f"envelope: note: it stopped in {steps[method]} of version " in errors
    assert "the same command takes it up there" in errors
    assert CANARY not in errors
    version = errors.rpartition("of version ")[2].partition(";")[0]
    plan = "give" if method == "new_value" else "take up"
    assert f"would {plan} version {version}" in done("rotate", *world.with_gate, "--dry-run")
    assert (
        f"version {version} is current now, taken up from an earlier run"
        in local("rotate", *world.with_gate).out.decode()
    )
    assert done("get", "prod/gate") == Path("known").read_text()


def test_a_step_that_fails_says_where_the_next_run_goes_on(world: World) -> None:
    Path("locked").touch()
    ended = local("rotate", *world.with_gate)
    assert (ended.status, ended.out) == (1, b"")
    assert "it stopped in testSecret of version" in ended.errors
    assert "envelope: error: the gate is shut\nenvelope: hint: open it\n" in ended.errors
    Path("locked").unlink()
    assert local("rotate", *world.with_gate).status == 0


# --- status and repair


def test_status_tells_each_version_and_what_a_repair_would_do(world: World) -> None:
    first = labels("prod/gate")["AWSCURRENT"]
    pending = world.pending("two")
    world.knows("two")
    assert done_below("status", *world.with_gate).splitlines() == [
        f"prod/gate: {Verdict.IN_FORCE.value}",
        f"  pending  {pending}  the target accepts it",
        f"  current  {first}  the target does not accept it (the gate does not know it)",
        "repair would: promote-pending: make the pending version current",
        "    or could: rotate: take the rotation up where it stopped, or begin one",
    ]
    told = json.loads(done_below("status", *world.with_gate, "--json"))
    assert (told["secret"], told["verdict"], told["action"]) == ("prod/gate", "IN_FORCE", "promote-pending")
    assert (told["is_well"], told["actions"]) == (False, ["promote-pending", "rotate"])
    assert [(one["label"], one["answer"]) for one in told["versions"]] == [
        ("pending", "ACCEPTED"),
        ("current", "REFUSED"),
    ]


def test_l8_repair_promotes_what_is_in_force_after_yes(world: World) -> None:
    pending = world.pending("two")
    world.knows("two")
    text = done_below("repair", *world.with_gate, "--yes")
    assert text.startswith(f"prod/gate: AWSCURRENT is on version {pending} now")
    assert done_below("repair", *world.with_gate, "--yes") == "prod/gate: nothing is to be done\n"
    assert done_below("status", *world.with_gate).startswith("prod/gate: the current version works, and no rotation")


def test_l8_repair_drops_what_the_target_does_not_know_unless_it_is_young(world: World) -> None:
    pending = world.pending("two")
    errors = refused_below(3, "repair", *world.with_gate, "--yes")
    assert "the rotation that made it may still run" in errors
    assert "give --min-age 0 if you know that none runs" in errors
    assert labels("prod/gate")["AWSPENDING"] == pending
    assert f"took AWSPENDING away from version {pending}" in done_below(
        "repair", *world.with_gate, "--min-age", "0", "--yes"
    )


def test_repair_by_a_rotation_says_its_steps(world: World) -> None:
    pending = world.pending("two")
    told = run_cli(
        *("--json", "secrets", "rotation", "repair", *LOCAL, *world.with_gate),
        *("--min-age", "0", "--action", "rotate", "--yes"),
    )
    assert told.status == 0
    assert json.loads(told.out)["rotation"]["version_id"] == pending
    assert "setSecret" in told.errors
    assert Path("known").read_text() == "two"
    pending = world.pending("three")
    shown = done_below("repair", *world.with_gate, "--min-age", "0", "--action", "rotate", "--yes")
    assert shown == f"prod/gate: version {pending} is current now, taken up from an earlier run\n"


def test_repair_with_dry_run_says_what_it_would_do_or_why_it_would_refuse(world: World) -> None:
    pending = world.pending("two")
    shown = done_below("repair", *world.with_gate, "--min-age", "0", "--dry-run")
    assert "repair would: drop-pending: take AWSPENDING away\n" in shown
    told = run_cli(
        *("--json", "secrets", "rotation", "repair", *LOCAL, *world.with_gate), "--min-age", "0", "--dry-run"
    )
    assert json.loads(told.out)["action"] == "drop-pending"
    errors = refused_below(3, "repair", *world.with_gate, "--min-age", "0", "--dry-run", "--action", "promote-orphan")
    assert "promote-orphan is not possible" in errors
    assert labels("prod/gate")["AWSPENDING"] == pending


def test_repair_asks_at_a_terminal_and_nowhere_else(world: World) -> None:
    pending = world.pending("two")
    assert "give --yes, or --dry-run" in refused_below(2, "repair", *world.with_gate, "--min-age", "0")
    command = ("rotation", "repair", *LOCAL, *world.with_gate, "--min-age", "0")
    asked = on_terminal(*command, typed=b"n\n")
    assert (asked.status, b"drop-pending: take AWSPENDING away [y/N]" in asked.out) == (0, True)
    assert labels("prod/gate")["AWSPENDING"] == pending
    assert on_terminal(*command, typed=b"y\n").status == 0
    assert "AWSPENDING" not in labels("prod/gate")
    assert b"nothing is to be done" in on_terminal(*command).out


def test_repair_refuses_where_the_target_does_not_tell(world: World) -> None:
    world.pending("two")
    Path("locked").touch()
    errors = refused_below(3, "repair", *world.with_gate, "--yes")
    assert "the target does not tell which value works" in errors or "the target does not tell which version" in errors
    assert "the gate is shut: open it" in errors
    shown = done_below("status", *world.with_gate)
    assert "  pending  " in shown
    assert "no rotation now: the target does not tell which version works" in shown


# --- databases, and secrets that a function rotates


@pytest.fixture(name="server")
def _server(monkeypatch: pytest.MonkeyPatch) -> RotationWorld:
    """A service in the place of AWS, a fake database server, and a rotation by a function that is half-way."""
    world = RotationWorld(DualPassword())
    assert world.rotate(2).succeeded
    world.clock.advance(60)
    world.fake.rotate(world.name, lambda event, context: None, token=V3)
    monkeypatch.setattr(store_options, "_aws_store", lambda settings: world.store)
    monkeypatch.setitem(sys.modules, "the_database", SimpleNamespace(database=world.database))
    return world


def on_aws(*arguments: str) -> Ended:
    """A command about the secret of that service."""
    return run_cli("secrets", *arguments, "--with", "the_database:database")


def test_a_secret_that_a_function_rotates_is_left_to_it_unless_that_is_said(server: RotationWorld) -> None:
    dual = ("prod/db", "--strategy", "dual-password")
    for more in ((), ("--dry-run",)):
        ended = on_aws("rotate", *dual, *more)
        assert (ended.status, "prod/db is rotated by arn:aws:lambda:" in ended.errors) == (3, True)
    assert server.labels.holder(AWSPENDING) == V3
    assert "\nrotated by: arn:aws:lambda:" in on_aws("rotation", "status", *dual).out.decode()
    ended = on_aws("rotate", *dual, "--despite-function", "--dry-run")
    assert f"would give version {V3} a value" in ended.out.decode()
    assert on_aws("rotate", *dual, "--despite-function", "--deadline", "60").status == 0
    assert (server.labels.holder(AWSCURRENT), server.problems()) == (V3, [])


def test_options_of_strategies_and_of_passwords_are_those_of_the_library(server: RotationWorld) -> None:
    server.cancel()
    server.server.accounts["app"].take("set by hand")
    single = ("prod/db", "--strategy", "single-user")
    assert "or give --recover-with-admin" in on_aws("rotate", *single).errors
    ended = on_aws("rotate", *single, "--recover-with-admin")
    assert (ended.status, server.works()) == (0, True), ended.errors
    alternating = ("prod/db", "--strategy", "alternating-users", "--clone-suffix", "_2", "--host-alias", "a")
    ended = on_aws(
        *("rotate", *alternating, "--host-alias", HOST),
        *("--length", "48", "--no-punctuation", "--exclude-characters", "abc"),
    )
    assert ended.status == 0, ended.errors
    value = server.value()
    assert (value["username"], len(value["password"]), value["password"].isalnum()) == ("app_2", 48, True)
    assert not set("abc") & set(value["password"])


def test_a_configuration_may_say_more_than_one_rotation_needs(server: RotationWorld, folder: Path) -> None:
    server.cancel()
    (folder / "config").mkdir()
    (folder / "config/envelope").mkdir()
    (folder / "config/envelope/config.toml").write_text(
        '[secrets.rotate]\nlength = 40\ntls = "require"\nclone-suffix = "_3"\n'
    )
    assert on_aws("rotate", "prod/db", "--strategy", "alternating-users").status == 0
    value = server.value()
    assert (value["username"], len(value["password"])) == ("app_3", 40)
    create("prod/jwt", "{}")
    assert local("rotate", "prod/jwt", "--with", "signing-key").status == 0
    assert run_cli("secrets", "rotate", "prod/db").status != 2  # what is for --with does not make this one wrong


@pytest.mark.parametrize("name", ["postgresql", "mysql", "mariadb", "redis", "mongodb"])
def test_every_database_has_its_name_and_asks_rds_only_about_names_that_differ(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ca.pem").write_text("none")
    create("prod/db", json.dumps({"engine": "oracle", "host": "db", "username": "app", "password": CANARY}))
    how = ("prod/db", "--with", name, "--strategy", "single-user", "--rds-hosts", "--tls", "verify-ca")
    lines = done_below("status", *how, "--ca-file", "ca.pem").splitlines()
    assert "its field engine is none of" in lines[1]


def test_the_access_key_of_a_user_is_rotated_where_the_command_reaches_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    iam = FakeIam()
    key_id = iam.make()
    create("prod/iam", json.dumps({"AccessKeyId": key_id, "SecretAccessKey": iam.keys[key_id]}))
    with serving(iam) as aws:
        monkeypatch.setattr(store_options, "shared_aws", lambda settings: aws)
        ended = local("rotate", "prod/iam", "--with", "iam-access-key", "--user", USER)
    assert ended.status == 0, ended.errors
    assert json.loads(done("get", "prod/iam"))["AccessKeyId"] in {*iam.keys} - {key_id}


# --- what cannot be meant


DATABASE = ("prod/gate", "--with", "postgresql")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("prod/gate", "--strategy", "single-user"), "are for --with"),
        (("prod/gate", "--dry-run"), "are for --with"),
        (("prod/gate", "--length", "20"), "are for --with"),
        (("prod/gate", "--with", "postgresql", "--cancel"), "exclude one another"),
        (("prod/gate", "--with", "oracle"), "--with must be one of postgresql, mysql"),
        (("prod/gate", "--with", ""), "--with says what is rotated"),
        (DATABASE, "--strategy says how accounts take turns"),
        (
            (*DATABASE, "--strategy", "single-user", "--clone-suffix", "_2"),
            "--clone-suffix does not go with --with postgresql --str",
        ),
        ((*DATABASE, "--strategy", "dual-password", "--recover-with-admin"), "--recover-with-admin does not go with"),
        ((*DATABASE, "--strategy", "single-user", "--persistence", "none"), "--persistence does not go with"),
        ((*DATABASE, "--strategy", "single-user", "--host-alias", "a"), "--host-alias must be given twice or more"),
        ((*DATABASE, "--strategy", "dual-password", "--rds-hosts", "--host-alias", "a"), "exclude one another"),
        ((*DATABASE, "--strategy", "alternating-users", "--clone-suffix", ""), "--clone-suffix must be text"),
        ((*DATABASE, "--strategy", "single-user", "--length", "0"), "length must be 1 to"),
        (("prod/gate", "--with", "signing-key", "--strategy", "single-user"), "is for accounts of a database"),
        (("prod/gate", "--with", "signing-key", "--tls", "require"), "--tls does not go with --with signing-key"),
        (("prod/gate", "--with", "signing-key", "--no-digits"), "--no-digits is for passwords"),
        (("prod/gate", "--with", "iam-access-key"), "--user says whose access key it is"),
        (("prod/gate", "--with", "iam-access-key", "--user", "a/b"), "--user must be the name of an IAM user"),
        (("prod/gate", "--with", "signing-key", "--deadline", "-1"), "--deadline must be more than 0"),
        (("prod/gate", "--with", "no_such_module:gate"), "cannot be used: ModuleNotFoundError"),
    ],
)
def test_options_that_cannot_be_meant_are_usage(world: World, arguments: tuple[str, ...], text: str) -> None:
    assert text in refused(2, "rotate", *arguments)
    assert list(labels("prod/gate")) == ["AWSCURRENT"]


def test_a_rotator_of_ones_own_is_an_object_a_function_or_a_class_and_its_errors_show_their_names_alone(
    world: World,
) -> None:
    assert local("rotate", "prod/gate", "--with", f"{world.module}:made").status == 0
    assert local("rotate", "prod/gate", "--with", f"{world.module}:Gate").status == 0
    for name, text in (
        ("Broken", "cannot be used: ValueError"),
        ("nothing", "AttributeError"),
        ("json.nope", "Attrib"),
    ):
        errors = refused(2, "rotate", "prod/gate", "--with", f"{world.module}:{name}")
        assert text in errors
        assert CANARY not in errors
    assert "this gate is not for you" in refused(3, "rotate", "prod/gate", "--with", f"{world.module}:refuses")
    assert "is no rotator: it has no new_value" in refused(2, "rotate", "prod/gate", "--with", f"{world.module}:json")
    errors = refused(2, "rotate", *world.with_gate, "--strategy", "single-user")
    assert "target must be a kind of database" in errors


def test_the_directory_of_the_command_hides_no_module_that_is_installed(world: World, folder: Path) -> None:
    (folder / "colorsys.py").write_text("raise ValueError")
    sys.modules.pop("colorsys", None)
    assert "is no rotator" in refused(2, "rotate", "prod/gate", "--with", "colorsys:ONE_THIRD")
    assert sys.path.count(str(folder)) == 1


def test_a_signing_key_rotates_by_its_name(world: World) -> None:
    assert "would make a new version" in done(
        "rotate", "prod/gate", "--with", "signing-key", "--dry-run", "--despite-function"
    )
    ended = local("rotate", "prod/gate", "--with", "signing-key", "--kind", "ec-p256")
    assert ended.status == 0, ended.errors
    assert json.loads(done("get", "prod/gate"))["kind"] == "ec-p256"


def test_the_texts_of_rotations_that_are_reworded_are_texts_of_the_library() -> None:
    root = Path(__file__).parent.parent
    sources = [*root.glob("secrets/envelope_secrets/**/*.py"), *root.glob("envelope/**/*.py")]
    texts = "\n".join(
        node.value
        for source in sources
        if source.name != "wording.py"
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    names = re.findall(r"^([a-z_]+) must\b", "\n".join(text for text, _ in WORDING), re.MULTILINE)
    assert {"timeout_s", "most_refusals", "min_age_s", "user_name"} <= {*names}
    assert not [text for text, _ in WORDING if text not in texts and text.partition(" ")[0] not in texts]
