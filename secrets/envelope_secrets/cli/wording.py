"""The library speaks of arguments and methods, the command of options: a table that leads from one to the other."""

from __future__ import annotations

from typing import TypeVar

from envelope.errors import EnvelopeError

__all__ = ["WORDING", "reworded"]

Error = TypeVar("Error", bound=EnvelopeError)

_KINDS = ("lowercase", "uppercase", "digits", "punctuation")

WORDING = (
    ("read .text, or store a JSON object", "without a field, the whole value is read"),
    ("read .binary", "without a field, the whole value is read"),
    ("None deletes at once and for good", "--force-without-recovery deletes at once and for good"),
    (
        "leave out kms_key_id, or make another store with another keyring",
        "leave out --kms-key, or make another store with another -k",
    ),
    (
        "use the keyring under which the store was made; the cause says which key that is",
        "give the key under which the store was made, with -k; -vv shows which that is",
    ),
    (
        "promote a version, or put a value",
        "envelope secrets promote makes a version current, envelope secrets put stores a value",
    ),
    (
        "put a new version; with staging labels, envelope_secrets.rotation.rotate rotates in this process",
        "envelope secrets rotate ID --with TARGET rotates it here; envelope secrets put stores a new version",
    ),
    ("remove_replicas deletes them; then delete it", "remove the copies first, then delete it"),
    ("--force replaces it, --skip-existing leaves it and goes on with the others", "--force replaces it"),
    (
        "decode it first: base64.b64decode(message), or base64.urlsafe_b64decode if it holds - or _",
        "base64 -d decodes it; - as the file is standard input",
    ),
    ("what can be done now: nothing", "nothing can be done"),
    ("what can be done now: ", "what can be done now: --"),
    (", promote-", ", --promote-"),
    (", drop-", ", --drop-"),
    (" is not possible: ", " is not possible now: "),
    ("with require_each", "unless --no-require-each is given"),
    ("and require_each wants one", "and one of each kind is wanted unless --no-require-each is given"),
    *((f"set {kind}=False, or exclude less", f"give --no-{kind}, or exclude less") for kind in _KINDS),
    ("recovery_window_days ", "--recovery-days "),
    ("lambda_arn must", "--lambda must"),
    ("version_id must", "the id of a version must"),
    ("kms_key_id ", "--kms-key "),
    ("or let an administrator's secret do it: SingleUser(recover_with_admin=True)", "or give --recover-with-admin"),
    ("say so: same_host=HostAliases(...)", "say so: --host-alias, once for each of them"),
    ("; RdsHosts() asks RDS", "; --rds-hosts asks RDS"),
    ('a shorter suffix helps: AlternatingUsers(suffix="_2")', "a shorter suffix helps: --clone-suffix _2"),
    ("use AlternatingUsers(), or SingleUser()", "use --strategy alternating-users, or single-user"),
    (
        "name the kind of database, like PostgreSql(), and a strategy, like SingleUser()",
        "give --with postgresql, or whichever kind it is, and --strategy",
    ),
    ("give a strategy, like SingleUser(), or an object with", "give --strategy, or an object with"),
    ("give ca_file the path", "give --ca-file the path"),
    ("or ca_file=RDS_CERTIFICATES", "or --ca-file rds"),
    ("see ca_file, and", "see --ca-file, and"),
    ("check ca_file, the", "check --ca-file, the"),
    ("ca_file names it", "--ca-file names it"),
    ('tls="disable"', "--tls disable"),
    ("look with min_age_s=0 if you know", "give --min-age 0 if you know"),
    ("give the function a longer timeout; the step", "give a longer --deadline; the step"),
    ("timeout_s must", "--deadline must"),
    ("most_refusals must", "--most-refusals must"),
    ("min_age_s must", "--min-age must"),
    ("user_name must", "--user must"),
    ("user_id must", "--user must"),
    ("token_url must", "--token-url must"),
    ("names must be two or more", "--host-alias must be given twice or more, with"),
    ("suffix must be", "--clone-suffix must be"),
    ("repeat the call with that token and the same value", "repeat the command with --token and the same value"),
)
"""Each: how a text of the library puts it, and how the command does."""


def reworded(error: Error) -> Error:
    """The same error; its text and hint name options in the place of arguments."""
    error.args = tuple(_reworded(text) if isinstance(text, str) else text for text in error.args)
    error.hint = _reworded(error.hint)
    return error


def _reworded(text: str) -> str:
    for of_the_library, of_the_command in WORDING:
        text = text.replace(of_the_library, of_the_command)
    return text
