"""The options that say what is rotated, and how: ``--with`` and those that go with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from envelope.cli.precedence import settled
from envelope_secrets.cli.own_rotators import is_reference, own_rotator
from envelope_secrets.cli.password_options import PASSWORD_OPTIONS
from envelope_secrets.password import PasswordPolicy

if TYPE_CHECKING:
    from envelope.aws.session import Aws
    from envelope_secrets.rotation.strategy import Strategy

__all__ = [
    "TARGET_OPTIONS",
    "RotationTarget",
    "check_named",
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
_KEYS = ("iam-access-key", "signing-key", "elasticache-user", "oauth-client")
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
    "test_statements": "--test-statement",
    "cache_endpoint": "--cache-endpoint",
    "cache_port": "--cache-port",
    "token_url": "--token-url",
    "client_id": "--client-id",
    "scope": "--scope",
    "issuer_url": "--issuer-url",
    "issuer_secret": "--issuer-secret",
    "issuer_items": "--issuer-items",
}
_OF_STRATEGIES = {
    "single-user": {"recover_with_admin", "host_aliases", "rds_hosts"},
    "alternating-users": {"clone_suffix", "host_aliases", "rds_hosts"},
    "dual-password": {"host_aliases", "rds_hosts"},
}
_OF_TARGETS = {
    **{name: {"tls", "ca_file"} for name in _DATABASES},
    **{name: {"tls", "ca_file", "test_statements"} for name in ("postgresql", "mysql", "mariadb")},
    "redis": {"tls", "ca_file", "persistence"},
    "iam-access-key": {"user"},
    "signing-key": {"key_kind"},
    "elasticache-user": {"user", "cache_endpoint", "cache_port", "tls", "ca_file"},
    "oauth-client": {"token_url", "client_id", "scope", "issuer_url", "issuer_secret", "issuer_items", "ca_file"},
}
_NEEDED = {
    "iam-access-key": {"user": "says whose access key it is"},
    "elasticache-user": {"user": "says which user it is, by the id that ElastiCache knows it by"},
    "oauth-client": {
        "token_url": "says where a token is asked for with the new secret",
        "client_id": "says whose secret it is",
        "issuer_url": "says where secrets of the client are made, listed and deleted",
        "issuer_secret": "says which secret holds the header Authorization for that",
    },
}

TARGET_OPTIONS = ("with_", "strategy", *_FLAG_NAMES)

_HOST_WAYS = ((("rds_hosts",), ("host_aliases",)),)
_TLS_WAYS = ((("tls",), ("ca_file",)),)
"""Where TLS is disabled, certificates say the contrary."""


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
        click.option("--user", metavar="NAME", help="IAM user, or id of an elasticache-user."),
        click.option(
            "--kind", "key_kind", type=click.Choice(_KINDS), metavar="KIND", help="Of a signing-key; ed25519."
        ),
        # An environment variable of several would be split where a statement has spaces.
        click.option(
            "--test-statement",
            "test_statements",
            multiple=True,
            allow_from_autoenv=False,
            metavar="SQL",
            help="What the new login must be able to do.",
        ),
        click.option("--cache-endpoint", metavar="HOST", help="Where an elasticache-user is tried."),
        click.option("--cache-port", type=int, metavar="N", help="Of that host; 6379."),
        click.option("--token-url", metavar="URL", help="Where an oauth-client asks for tokens."),
        click.option("--client-id", metavar="TEXT", help="Of an oauth-client."),
        click.option("--scope", metavar="TEXT", help="Of the token that is asked for."),
        click.option("--issuer-url", metavar="URL", help="Where secrets of the client are made."),
        click.option("--issuer-secret", metavar="ID", help="Secret with the header Authorization for that."),
        click.option("--issuer-items", metavar="FIELD", help="Of its list: the field with the array."),
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
    check_named(name)
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
    given = _settled(context, {key: options[key] for key in given_options(context, fitting)})
    _check_needed(name, given)
    target = own_rotator(name) if is_own else _target(name, given, aws)
    return RotationTarget(_patient(target, values.get("most_refusals")), _strategy(strategy, given, aws))


def check_named(name: str | None) -> None:
    """Raise `click.UsageError` if what is rotated is not named, as by a shell's variable that is empty."""
    if not name:
        raise click.UsageError("--with says what is rotated: " + ", ".join((*_DATABASES, *_KEYS, "or MODULE:NAME")))


def _settled(context: click.Context, given: dict[str, Any]) -> dict[str, Any]:
    """What was given, without what a stronger source contradicts.

    Raises:
        click.UsageError: two that exclude one another come from the same source.
    """
    left = settled(context, given, _HOST_WAYS + (_TLS_WAYS if given.get("tls") == "disable" else ()))
    if left.get("rds_hosts") and left.get("host_aliases"):
        raise click.UsageError("--rds-hosts and --host-alias exclude one another")
    if left.get("tls") == "disable" and left.get("ca_file"):
        raise click.UsageError("--ca-file is for TLS, and --tls disable does without")
    return {key: value for key, value in left.items() if value == given[key]}


def _patient(target: Any, most_refusals: int | None) -> Any:
    """The target, with so many refused logins at most, if it counts them."""
    if most_refusals is None or not is_dataclass(target) or not hasattr(target, "most_refusals"):
        return target
    changed: Any = replace(target, most_refusals=most_refusals)  # type: ignore[type-var]  # an instance
    return changed


def _check_needed(name: str, given: Mapping[str, Any]) -> None:
    """Raise `click.UsageError` if something is missing without which the target means nothing."""
    for key, why in _NEEDED.get(name, {}).items():
        if not given.get(key):
            more = "; for a client that needs other options, give MODULE:NAME" if name == "oauth-client" else ""
            raise click.UsageError(f"{_FLAG_NAMES[key]} {why}{more}")
    if "cache_port" in given and "cache_endpoint" not in given:
        raise click.UsageError("--cache-port goes with --cache-endpoint")


def _with_strategy(strategy: str | None) -> str:
    return "" if strategy is None else f" --strategy {strategy}"


def _target(name: str, given: Mapping[str, Any], aws: Callable[[], Aws]) -> Any:
    from envelope_secrets import rotation

    if name == "iam-access-key":
        return rotation.IamAccessKey(given["user"], aws=aws())
    if name == "signing-key":
        return rotation.SigningKey(given.get("key_kind", "ed25519"))
    if name == "elasticache-user":
        return _elasticache_user(given, aws)
    if name == "oauth-client":
        return _oauth_client(given)
    options = {key: given[key] for key in _OF_TARGETS[name] if key in given}
    return getattr(rotation, _DATABASES[name])(**options)


def _elasticache_user(given: Mapping[str, Any], aws: Callable[[], Aws]) -> Any:
    from envelope_secrets import rotation

    redis = rotation.Redis(persistence="none", **{key: given[key] for key in ("tls", "ca_file") if key in given})
    place = {"endpoint": given["cache_endpoint"]} if "cache_endpoint" in given else {}
    port = {"port": given["cache_port"]} if "cache_port" in given else {}
    return rotation.ElastiCacheUser(given["user"], aws=aws(), redis=redis, **place, **port)


def _oauth_client(given: Mapping[str, Any]) -> Any:
    from envelope_secrets import rotation

    ca_file, issuer_secret = given.get("ca_file"), given["issuer_secret"]
    issuer = rotation.HttpIssuer(
        given["issuer_url"],
        authorization=lambda rotation: rotation.other_secret(issuer_secret).text.strip(),
        items_field=given.get("issuer_items"),
        stored_as="client_secret",
        ca_file=ca_file,
    )
    return rotation.OAuthClient(
        issuer,
        token_url=given["token_url"],
        client_id=given["client_id"],
        scope=given.get("scope", ""),
        ca_file=ca_file,
    )


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
