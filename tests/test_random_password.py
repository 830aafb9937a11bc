"""Random passwords: the guarantees of GetRandomPassword, and that no allowed password is likelier than another."""

from __future__ import annotations

import itertools
import random
import secrets
import string
from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from envelope.errors import InvalidArgument
from envelope_secrets.password import PasswordPolicy, random_password

PRINTABLE = string.ascii_letters + string.digits + string.punctuation
KINDS = {
    "lowercase": string.ascii_lowercase,
    "uppercase": string.ascii_uppercase,
    "digits": string.digits,
    "punctuation": string.punctuation,
}


def test_by_default_it_has_32_characters_and_one_of_each_kind_at_least() -> None:
    for _ in range(50):
        password = random_password()
        assert len(password) == 32
        assert set(password) <= set(PRINTABLE)
        assert all(set(password) & set(kind) for kind in KINDS.values())


def test_the_alphabet_is_the_94_printable_characters_of_ascii() -> None:
    seen = set(random_password(PasswordPolicy(length=4_096), choose=random.Random(1).choice))
    assert seen == {chr(code) for code in range(33, 127)}


def test_two_passwords_differ() -> None:
    assert len({random_password() for _ in range(100)}) == 100


def test_the_default_source_is_that_of_the_operating_system() -> None:
    assert (random_password.__kwdefaults__ or {})["choose"] is secrets.choice


@given(
    st.integers(1, 80),
    st.text(st.sampled_from(PRINTABLE + " é"), max_size=60),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.randoms(use_true_random=False),
)
def test_whatever_the_policy_its_guarantees_hold(
    length: int, exclude: str, flags: list[bool], source: random.Random
) -> None:
    lowercase, uppercase, digits, punctuation, space, require_each = flags
    try:
        policy = PasswordPolicy(
            length=length,
            exclude=exclude,
            lowercase=lowercase,
            uppercase=uppercase,
            digits=digits,
            punctuation=punctuation,
            space=space,
            require_each=require_each,
        )
    except InvalidArgument:
        assume(False)
    password = random_password(policy, choose=random.Random(source.random()).choice)
    assert len(password) == length
    assert not set(password) & set(exclude)
    chosen = [kind for name, kind in KINDS.items() if getattr(policy, name)]
    assert set(password) <= set("".join(chosen) + (" " if space else ""))
    assert not require_each or all(set(password) & set(kind) for kind in chosen)


def test_every_allowed_password_is_equally_likely() -> None:
    # Three lowercase letters, two digits, length 3, one of each: 3**3 are letters only, 2**3 digits only, 90 are left.
    left = "abc01"
    policy = PasswordPolicy(
        length=3,
        exclude="".join(character for character in string.ascii_lowercase + string.digits if character not in left),
        uppercase=False,
        punctuation=False,
    )
    allowed = ["".join(one) for one in itertools.product(left, repeat=3)]
    allowed = [one for one in allowed if set(one) & set("abc") and set(one) & set("01")]
    assert len(allowed) == 90
    source = random.Random(20)
    drawn = Counter(random_password(policy, choose=source.choice) for _ in range(90 * 200))
    assert set(drawn) == set(allowed)
    chi_squared = sum((drawn[one] - 200) ** 2 / 200 for one in allowed)
    # 89 degrees of freedom: 99.9 % of uniform sources stay below 135.98, 0.1 % below 54.0.
    assert 54.0 < chi_squared < 135.98


def test_every_character_is_equally_likely_at_every_place() -> None:
    policy = PasswordPolicy(
        length=8, exclude=string.ascii_lowercase[4:], uppercase=False, digits=False, punctuation=False
    )
    source = random.Random(3)
    passwords = [random_password(policy, choose=source.choice) for _ in range(4_000)]
    for place in range(8):
        counted = Counter(password[place] for password in passwords)
        chi_squared = sum((counted[character] - 1_000) ** 2 / 1_000 for character in "abcd")
        assert chi_squared < 16.27  # 3 degrees of freedom, 99.9 %


def test_the_rarest_passwords_are_found() -> None:
    policy = PasswordPolicy(
        length=4, exclude=string.ascii_lowercase[1:] + string.ascii_uppercase[1:] + string.digits[1:]
    )
    source = random.Random(5)
    for _ in range(5):
        assert set(random_password(policy, choose=source.choice)) >= set("aA0")


def test_a_source_that_is_not_random_is_noticed() -> None:
    policy = PasswordPolicy(length=2, uppercase=False, punctuation=False)
    with pytest.raises(InvalidArgument, match="choose gave no allowed password in 200,000 draws"):
        random_password(policy, choose=lambda _: "a")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"length": 0}, "length must be 1 to 4,096, not 0"),
        ({"length": 4_097}, "length must be 1 to 4,096, not 4,097"),
        ({"length": True}, "length must be a whole number, not bool"),
        ({"length": "32"}, "length must be a whole number, not str"),
        ({"exclude": None}, "exclude must be text, not NoneType"),
        ({"exclude": "x" * 4_097}, "the number of characters of exclude must be 0 to 4,096, not 4,097"),
        ({"digits": 1}, "digits must be True or False, not int"),
        ({"length": 3}, "length must be at least 4 with require_each, one for each kind, not 3"),
        ({"exclude": string.digits}, "exclude leaves no character of the kind digits, and require_each wants one"),
        ({"exclude": PRINTABLE, "require_each": False}, "the policy leaves 0 characters to choose from"),
        ({"exclude": PRINTABLE, "require_each": False, "space": True}, "the policy leaves 1 characters to choose from"),
        (dict.fromkeys(KINDS, False), "the policy leaves 0 characters"),
    ],
    ids=str,
)
def test_a_policy_that_cannot_be_is_refused_when_it_is_made(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        PasswordPolicy(**options)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    "options",
    [
        {"length": 1, "require_each": False},
        {"length": 4_096, "exclude": "é" * 4_096},
        {"length": 4},
        {"exclude": string.digits, "digits": False},
        {"exclude": string.digits, "require_each": False},
        {"exclude": " ", "space": True},
        {"length": 3, "digits": False},
    ],
    ids=str,
)
def test_a_policy_at_its_limits_gives_passwords(options: dict[str, Any]) -> None:
    policy = PasswordPolicy(**options)
    assert len(random_password(policy)) == policy.length


def test_the_space_may_be_in_it_and_never_must() -> None:
    source = random.Random(7)
    policy = PasswordPolicy(
        length=8, exclude=string.ascii_lowercase[2:], uppercase=False, digits=False, punctuation=False, space=True
    )
    drawn = [random_password(policy, choose=source.choice) for _ in range(300)]
    assert any(" " in password for password in drawn)
    assert any(" " not in password for password in drawn)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="policy must be a PasswordPolicy, not int"):
        random_password(32)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="choose must be a function, not str"):
        random_password(choose="abc")  # type: ignore[arg-type]
