"""The options that say what is rotated, and how: ``--with`` and those that go with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from envelope_secrets.cli.own_rotators import is_reference, own_rotator
from envelope_secrets.cli.password_options import PASSWORD_OPTIONS
from envelope_secrets.password import PasswordPolicy

if TYPE_CHECKING:
    from envelope.aws.session import Aws
    from envelope_secrets.rotation.strategy import Strategy

__all__ = [
    "TARGET_OPTIONS",
    "RotationTarget",
    "given_options",
    "given_policy",
    "target_of",
    "target_options",
    "typed_options",
]

Command = TypeVar("Command", bound=Callable[..., Any])

_DATABASES = {
    "postgresql": "PostgreSql",
    "mysql": "MySql",
    "mariadb": "MariaDb",
    "redis": "Redis",
    "mongodb": "MongoDb",
}
_KEYS = {"iam-access-key": "IamAccessKey", "signing-key": "SigningKey"}
_STRATEGIES = {"single-user": "SingleUser", "alternating-users": "AlternatingUsers", "dual-password": "DualPassword"}

_TLS = ("verify-full", "verify-ca", "require", "disable")
_PERSISTENCE = ("acl-file", "config-file", "none")
_KINDS = ("hmac-sha256", "rsa-3072", "ec-p256", "ec-p384", "ed25519")

_FLAG_NAMES = {
    "clone_suffix": "--clone-suffix",
    "recover_with_admin": "--recover-with-admin",
    "host_aliases": "--host-alias",
    "rds_hosts": "--rds-hosts",
    "tls": "--tls",
    "ca_file": "--ca-file",
    "persistence": "--persistence",
    "user": "--user",
    "key_kind": "--kind",
}
_OF_STRATEGIES = {
    "single-user": {"recover_with_admin", "host_aliases", "rds_hosts"},
    "alternating-users": {"clone_suffix", "host_aliases", "rds_hosts"},
    "dual-password": {"host_aliases", "rds_hosts"},
}
_OF_TARGETS = {
    **{name: {"tls", "ca_file"} for name in _DATABASES},
    "redis": {"tls", "ca_file", "persistence"},
    "iam-access-key": {"user"},
    "signing-key": {"key_kind"},
}

TARGET_OPTIONS = ("with_", "strategy", *_FLAG_NAMES)


def target_options(command: Command) -> Command:
    """Add these options; `target_of` takes their values."""
    options = (
        # Where code comes from is not for an environment that somebody else has made.
        click.option(
            "--with",
            "with_",
            metavar="TARGET",
            allow_from_autoenv=False,
            help="postgresql, mysql, mariadb, redis, MODULE:NAME, ...",
        ),
        click.option(
            "--strategy", type=click.Choice(list(_STRATEGIES)), metavar="NAME", help=f"{', '.join(_STRATEGIES)}."
        ),
        click.option(
            "--tls", type=click.Choice(_TLS), metavar="MODE", help="verify-full; or verify-ca, require, disable."
        ),
        click.option("--ca-file", metavar="FILE", help="Trusted certificates, as PEM."),
        click.option("--clone-suffix", metavar="TEXT", help="End of the clone's name; _clone."),
        click.option("--recover-with-admin", is_flag=True, help="Let masterarn help if no password works."),
        click.option("--host-alias", "host_aliases", multiple=True, metavar="NAME", help="Names of one server."),
        click.option("--rds-hosts", is_flag=True, help="Ask RDS which names mean one server."),
        click.option(
            "--persistence", type=click.Choice(_PERSISTENCE), metavar="WHERE", help="acl-file; or config-file, none."
        ),
        click.option("--user", metavar="NAME", help="The IAM user of an iam-access-key."),
        click.option(
            "--kind", "key_kind", type=click.Choice(_KINDS), metavar="KIND", help="Of a signing-key; ed25519."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class RotationTarget:
    """What is rotated.

    Attributes:
        target: a kind of database, or a rotator.
        strategy: None for a rotator.
    """

    target: Any
    strategy: Strategy | None

    @property
    def password_policy(self) -> PasswordPolicy | None:
        """Of the target itself; None where nothing there has a password."""
        policy = getattr(self.target, "password_policy", None)
        return policy if isinstance(policy, PasswordPolicy) else None


def given_options(context: click.Context, names: Iterable[str]) -> list[str]:
    """Those of these options that were given in some way, a file of configuration too, by the name of their value."""
    return [name for name in names if context.get_parameter_source(name) not in (ParameterSource.DEFAULT, None)]


def typed_options(context: click.Context, names: Iterable[str]) -> list[str]:
    """Those that stand on the command line: there, one that has no effect is a mistake."""
    return [name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]


def target_of(context: click.Context, values: dict[str, Any], aws: Callable[[], Aws]) -> RotationTarget:
    """Take the values of these options out of a command's keyword arguments.

    Args:
        aws: how to reach AWS, for what is rotated or asked there.

    Raises:
        click.UsageError: options that do not go together.
        InvalidArgument: a value that cannot be.
    """
    name, strategy = values.pop("with_"), values.pop("strategy")
    options = {key: values.pop(key) for key in _FLAG_NAMES}
    if not name:
        raise click.UsageError("--with says what is rotated: " + ", ".join((*_DATABASES, *_KEYS, "or MODULE:NAME")))
    is_own = is_reference(name)
    if not is_own and name not in _OF_TARGETS:
        raise click.UsageError(f"--with must be one of {', '.join(_OF_TARGETS)}, or MODULE:NAME, not {name[:80]!r}")
    if name in _DATABASES and strategy is None:
        raise click.UsageError(f"--strategy says how accounts take turns: {', '.join(_STRATEGIES)}")
    if name in _KEYS and strategy is not None:
        raise click.UsageError(f"--strategy is for accounts of a database, and not for {name}")
    fitting = _OF_TARGETS.get(name, set()) | _OF_STRATEGIES.get(strategy or "", set())
    for key in typed_options(context, options):
        if key not in fitting:
            raise click.UsageError(f"{_FLAG_NAMES[key]} does not go with --with {name}{_with_strategy(strategy)}")
    given = {key: options[key] for key in given_options(context, fitting)}
    if name == "iam-access-key" and "user" not in given:
        raise click.UsageError("--user says whose access key it is")
    if "rds_hosts" in given and "host_aliases" in given:
        raise click.UsageError("--rds-hosts and --host-alias exclude one another")
    return RotationTarget(own_rotator(name) if is_own else _target(name, given, aws), _strategy(strategy, given, aws))


def _with_strategy(strategy: str | None) -> str:
    return "" if strategy is None else f" --strategy {strategy}"


def _target(name: str, given: Mapping[str, Any], aws: Callable[[], Aws]) -> Any:
    from envelope_secrets import rotation

    if name == "iam-access-key":
        return rotation.IamAccessKey(given["user"], aws=aws())
    if name == "signing-key":
        return rotation.SigningKey(given.get("key_kind", "ed25519"))
    options = {key: given[key] for key in _OF_TARGETS[name] if key in given}
    return getattr(rotation, _DATABASES[name])(**options)


def _strategy(name: str | None, given: Mapping[str, Any], aws: Callable[[], Aws]) -> Strategy | None:
    from envelope_secrets import rotation

    if name is None:
        return None
    options: dict[str, Any] = {}
    if "host_aliases" in given:
        options["same_host"] = rotation.HostAliases(*given["host_aliases"])
    if "rds_hosts" in given:
        options["same_host"] = rotation.RdsHosts(aws=aws())
    if "clone_suffix" in given:
        options["suffix"] = given["clone_suffix"]
    if "recover_with_admin" in given:
        options["recover_with_admin"] = given["recover_with_admin"]
    made: Strategy = getattr(rotation, _STRATEGIES[name])(**options)
    return made


def given_policy(context: click.Context, values: dict[str, Any], target: RotationTarget) -> PasswordPolicy | None:
    """The target's policy for passwords, changed by what was given of `password_options`; None if nothing was.

    Raises:
        click.UsageError: the target has no passwords.
        InvalidArgument: no password could be like that.
    """
    options = {name: values.pop(name) for name in PASSWORD_OPTIONS}
    given = given_options(context, options)
    if target.password_policy is None:
        for name in typed_options(context, options):
            flag = name.replace("_", "-")
            raise click.UsageError(f"--{flag} is for passwords, and nothing that is rotated here says that it has one")
        return None
    if not given:
        return None
    changed: dict[str, Any] = {}
    for name in given:
        if name.startswith("no_"):
            changed[name.removeprefix("no_")] = not options[name]
        else:
            changed["exclude" if name == "exclude_characters" else name] = options[name]
    return replace(target.password_policy, **changed)
