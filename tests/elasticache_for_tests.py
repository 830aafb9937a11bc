"""Users of ElastiCache: strict about states and passwords, slow where asked to be, and silent about what they are.

Where it goes further than moto's fake of the same service (5.2): that one has no ModifyUser and no state but active.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.query_api_for_tests import Refused

__all__ = ["ARN", "USER_ID", "USER_NAME", "FakeElastiCache"]

USER_ID = "app-user"
USER_NAME = "app"
ARN = f"arn:aws:elasticache:eu-west-1:111122223333:user:{USER_ID}"


class FakeElastiCache:
    """One user.

    Attributes:
        passwords: that log in now.
        modifying: so many further looks at the user find the newest change still under way; the old passwords and the
            new ones log in meanwhile only if they are in both.
        takes: so many looks each change takes from now on.
        changes: how often ModifyUser was taken.
        failures: error codes by action, for the next call each.
        calls: the actions so far.
    """

    def __init__(self) -> None:
        self.passwords: tuple[str, ...] = ("the first password",)
        self.next_passwords: tuple[str, ...] = ()
        self.status = "active"
        self.authentication = "password"
        self.tags: dict[str, str] = {}
        self.takes = 1
        self.modifying = 0
        self.changes = 0
        self.failures: dict[str, str] = {}
        self.calls: list[str] = []
        self.user_id = USER_ID

    def works(self, password: str) -> bool:
        """Whether it logs in on every node: while a change is under way, no one knows which have which list."""
        return password in self.passwords and (not self.modifying or password in self.next_passwords)

    def look(self) -> dict[str, Any]:
        """The user; time goes by between two looks."""
        status = "modifying" if self.modifying else self.status
        self._tick()
        return {
            "UserId": self.user_id,
            "UserName": USER_NAME,
            "Status": status,
            "Engine": "redis",
            "AccessString": "on ~* +@all",
            "UserGroupIds": ["group"],
            "Authentication": {"Type": self.authentication, "PasswordCount": len(self.passwords)},
            "ARN": ARN,
        }

    def modify(self, passwords: Sequence[str]) -> None:
        if self.modifying:
            raise Refused("InvalidUserState")
        if not 1 <= len(passwords) <= 2 or any(re.fullmatch(r"[!-~ ]{16,128}", one) is None for one in passwords):
            raise Refused("InvalidParameterValue")
        if self.authentication != "password":
            raise Refused("InvalidParameterCombination")
        self.changes += 1
        self.next_passwords, self.modifying = tuple(passwords), self.takes
        if not self.takes:
            self.passwords = self.next_passwords

    def finish(self) -> None:
        """Time goes by."""
        while self.modifying:
            self._tick()

    def _tick(self) -> None:
        if self.modifying:
            self.modifying -= 1
            if not self.modifying:
                self.passwords = self.next_passwords

    def perform(self, action: str, given: Mapping[str, str]) -> Any:
        self.calls.append(action)
        if action in self.failures:
            raise Refused(self.failures.pop(action))
        return getattr(self, f"_{action}")(given)

    def _DescribeUsers(self, given: Mapping[str, str]) -> Any:  # noqa: N802 - the names of actions
        if given["UserId"].lower() != USER_ID:
            raise Refused("UserNotFound", 404)
        return {"Users": [self.look()]}

    def _ModifyUser(self, given: Mapping[str, str]) -> Any:  # noqa: N802
        passwords = [value for name, value in sorted(given.items()) if name.startswith("Passwords.member.")]
        self.modify(passwords)
        return {"UserId": USER_ID, "Status": "modifying"}

    def _ListTagsForResource(self, given: Mapping[str, str]) -> Any:  # noqa: N802
        assert given["ResourceName"] == ARN
        return {"TagList": [{"Key": key, "Value": value} for key, value in self.tags.items()]}

    def _AddTagsToResource(self, given: Mapping[str, str]) -> Any:  # noqa: N802
        assert given["ResourceName"] == ARN
        value = given["Tags.Tag.1.Value"]
        if re.fullmatch(r"[\w .:/=+@-]{0,256}", value) is None:
            raise Refused("InvalidParameterValue")
        self.tags[given["Tags.Tag.1.Key"]] = value
        return {}
