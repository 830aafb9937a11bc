#!/bin/sh
# A backup of a directory, encrypted file by file: what is new or was changed, then a check, then a restore.
#
#     backup.sh SOURCE BACKUP KEY      encrypts SOURCE into BACKUP and verifies it
#     backup.sh                        shows it with a directory and a keystore of its own, which go away again
#
# Messages are bound to the purpose `backup=files`, so that none of another purpose is taken for one. Their names are
# not in them: keep BACKUP where only you can write, or bind each file to its name with a -c of its own.
set -eu

purpose='backup=files'

back_up() { # SOURCE BACKUP KEY
    # All that has no message yet: one run, files in parallel, one data key.
    envelope encrypt -r "$1" -o "$2" -k "$3" -c "$purpose" --skip-existing --preserve
    # A message has the time of its file, so a file that was changed is newer. Each is replaced as a whole or not at all.
    (cd "$1" && find . -type f) | while IFS= read -r file; do
        if [ "$1/$file" -nt "$2/$file.encrypted" ]; then
            envelope encrypt "$1/$file" -o "$2/$file.encrypted" -k "$3" -c "$purpose" --force --preserve </dev/null
            echo "changed: $file"
        fi
    done
    envelope verify -r "$2" -k "$3" -c "$purpose"
}

restore() { # BACKUP TARGET KEY
    envelope decrypt -r "$1" -o "$2" -k "$3" -c "$purpose" --preserve
}

demonstrate() {
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    export ENVELOPE_KEYSTORE="$folder/keystore.json"
    ENVELOPE_KEYSTORE_PASSPHRASE=$(head -c 24 /dev/urandom | base64)
    export ENVELOPE_KEYSTORE_PASSPHRASE
    envelope keys create backup

    echo '1. a first backup'
    mkdir -p "$folder/files/letters"
    echo 'Dear Ada' >"$folder/files/letters/ada.txt"
    echo '17' >"$folder/files/balance"
    touch -d '2024-05-01T12:00:00' "$folder/files/balance"
    back_up "$folder/files" "$folder/backup" local:backup

    echo '2. one file is new, one was changed'
    echo 'Dear Bob' >"$folder/files/letters/bob.txt"
    echo '42' >"$folder/files/balance"
    back_up "$folder/files" "$folder/backup" local:backup

    echo '3. restored'
    restore "$folder/backup" "$folder/restored" local:backup
    diff -r "$folder/files" "$folder/restored"
    echo 'the same'

    echo '4. somebody changes a message'
    printf 'x' >>"$folder/backup/balance.encrypted"
    if restore "$folder/backup" "$folder/again" local:backup; then
        echo 'a changed message was opened' >&2
        exit 1
    else
        echo "status $?: the others are there, that one is not:"
        (cd "$folder/again" && find . -type f | sort)
    fi
}

case $# in
0) demonstrate ;;
3) back_up "$@" ;;
*)
    echo 'usage: backup.sh [SOURCE BACKUP KEY]' >&2
    exit 2
    ;;
esac
