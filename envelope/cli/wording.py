"""The library speaks of arguments and classes, the command of options: a table that leads from one to the other."""

from __future__ import annotations

__all__ = ["WORDING", "in_words_of_the_command"]

WORDING = (
    ("raise max_encrypted_data_keys of the client", "give a larger --max-encrypted-data-keys"),
    ("raise max_frame_bytes of the client; so much memory is needed at once", "give a larger --max-length"),
    (
        "to open older messages, make a client with commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT",
        "--commitment-policy require-encrypt-allow-decrypt opens older messages",
    ),
    (
        "leave out suite= or choose one that the policy allows",
        "leave out --suite, or choose one that the policy allows",
    ),
    (
        "a client that writes committing suites needs commitment_policy=REQUIRE_ENCRYPT_ALLOW_DECRYPT",
        "committing suites need --commitment-policy require-encrypt-allow-decrypt",
    ),
    (
        "decode it first: base64.b64decode(message), or base64.urlsafe_b64decode if it holds - or _",
        "--decode decodes it first",
    ),
    (
        "LocalKeystore.open_unprotected_for_development opens it, if that is what you expect",
        "--unprotected-for-development opens it, if that is what you expect",
    ),
    ("LocalKeystore.open(path, passphrase=...)", "leave out --unprotected-for-development"),
    (
        "for development, LocalKeystore.create_unprotected_for_development needs none",
        "for development, --unprotected-for-development needs none",
    ),
    (
        "restore it from a backup; LocalKeystore.create makes a new one",
        "restore it from a backup, or name it with --keystore; envelope keys create makes a new one",
    ),
    (
        "key_names() lists what it has; create_key adds one, but old messages need the keystore of theirs",
        "envelope keys list shows what it has; envelope keys create adds one, but old messages need their own keystore",
    ),
    ("rotate_key adds a version to it", "envelope keys rotate adds a version to it"),
    ("a client without decrypt_unsigned_only opens it", "without --unsigned-only it can be opened"),
    (".errors of this exception says why each was not unwrapped", "the causes say why each was not unwrapped"),
    ("use a larger frame_length_bytes", "use a larger --frame-length"),
    ("describe(message) shows the stored encryption context", "envelope inspect shows the stored encryption context"),
    (
        "raise max_encrypted_data_keys of this client and of the clients that read its messages",
        "give a larger --max-encrypted-data-keys, here and to whoever decrypts",
    ),
    (
        "raise max_frame_bytes of this client and of the clients that read its messages",
        "give a larger --max-length, here and to whoever decrypts",
    ),
    ("the operating system's own error is the cause of this one", ""),  # the text has all of it
    ("give Aws(region=...), or set", "give --region, or set"),
    ("check the key ARN, region= and", "check the key ARN, --region and"),
    ("try again; Aws(read_timeout_s=...) waits longer", "try again"),
    ("give the pairs that the message does not store", "give the pairs that the message does not store with -c"),
)
"""Each: how a text of the library puts it, and how the command does."""


def in_words_of_the_command(text: str) -> str:
    """An error text or hint of the library with options in the place of arguments."""
    for of_the_library, of_the_command in WORDING:
        text = text.replace(of_the_library, of_the_command)
    return text
