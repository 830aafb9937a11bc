"""Names and ARNs of a local store, ``arn:aws:secretsmanager:local:<12 digits>:secret:<name>-<6 random>``."""

from __future__ import annotations

import random
import re
import string
from typing import TYPE_CHECKING

from envelope.errors import InvalidArgument
from envelope_secrets.stores.local_tables import SecretRow, row_by_arn, row_by_name

if TYPE_CHECKING:
    from sqlite3 import Connection

__all__ = ["check_secret_id", "new_arn", "new_store_id", "row_of"]

MAX_ID_CHARACTERS = 2048
"""As the service has it for SecretId."""

SUFFIX_CHARACTERS = string.ascii_letters + string.digits
_COMPLETE = re.compile(r"-[A-Za-z0-9]{6}\Z")
_draw = random.SystemRandom()


def new_store_id() -> str:
    """Twelve digits, where AWS has the number of an account."""
    return f"{_draw.randrange(10**12):012}"


def new_arn(store_id: str, name: str) -> str:
    """An ARN that no secret has had before: a recreated secret is another one."""
    return f"{_prefix(store_id)}{name}-{''.join(_draw.choices(SUFFIX_CHARACTERS, k=6))}"


def check_secret_id(secret_id: object) -> str:
    """Return a name or an ARN, or raise `InvalidArgument`.

    What it names may not exist: no name has letters like those of Greek, but they may be asked for, as in the service.
    What cannot be printed is refused by every store: it is a value, or a line end that was read along with a name.
    """
    if not isinstance(secret_id, str):
        raise InvalidArgument(f"secret_id must be a name or an ARN, not {type(secret_id).__name__}")
    if not 1 <= len(secret_id) <= MAX_ID_CHARACTERS or not secret_id.isprintable():
        raise InvalidArgument(
            f"secret_id must be 1 to {MAX_ID_CHARACTERS:,} printable characters",
            hint="a name, or an ARN with or without its last six characters",
        )
    return secret_id


def row_of(connection: Connection, store_id: str, secret_id: str) -> SecretRow | None:
    """The secret of that name, full ARN or ARN without its suffix.

    As in the service, a partial ARN that ends like a full one finds nothing: a name should not end in a hyphen and six
    letters or digits.
    """
    if not secret_id.startswith("arn:"):
        return row_by_name(connection, secret_id)
    if not secret_id.startswith(_prefix(store_id)):
        return None
    name = secret_id.removeprefix(_prefix(store_id))
    found = row_by_arn(connection, secret_id)
    return row_by_name(connection, name) if found is None and _COMPLETE.search(name) is None else found


def _prefix(store_id: str) -> str:
    return f"arn:aws:secretsmanager:local:{store_id}:secret:"
