"""Any sequence of calls: the labels of the fake are those of a small model that knows only where each label is."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from envelope_secrets.testing import FaultySecretsManager
from tests.fake_secrets_for_tests import CURRENT, FUNCTION, NAME, PENDING, PREVIOUS, token

LABELS = st.sampled_from([CURRENT, PENDING, PREVIOUS, "green"])
NUMBERS = st.integers(1, 6)


class Labels(RuleBasedStateMachine):
    """Calls of the fake, and what they should do to `where`: label -> version."""

    def __init__(self) -> None:
        super().__init__()
        self.fake = FaultySecretsManager()
        self.fake.register_function(FUNCTION, lambda event, context: None)
        self.client: Any = self.fake.client()
        self.where: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self.announced: set[str] = set()

    @initialize(has_value=st.booleans())
    def create(self, has_value: bool) -> None:
        given = {"SecretString": "value"} if has_value else {}
        self.client.create_secret(Name=NAME, ClientRequestToken=token(1), **given)
        if has_value:
            self.values[token(1)] = "value"
            self.where[CURRENT] = token(1)

    @rule(number=NUMBERS, value=st.sampled_from(["value", "other"]), stages=st.none() | st.sets(LABELS, min_size=1))
    def put(self, number: int, value: str, stages: set[str] | None) -> None:
        version = token(number)
        given = {} if stages is None else {"VersionStages": sorted(stages)}
        call = {"SecretId": NAME, "ClientRequestToken": version, "SecretString": value, **given}
        known = self.values.get(version)
        if known not in (None, value):
            with pytest.raises(ClientError, match="ResourceExistsException"):
                self.client.put_secret_value(**call)
            return
        self.client.put_secret_value(**call)
        if known is None:
            self.values[version] = value
            self.announced.discard(version)
            self.attach(version, stages or {CURRENT})

    def attach(self, version: str, stages: set[str]) -> None:
        before = dict(self.where)
        self.where |= dict.fromkeys(stages if before else stages | {CURRENT}, version)
        left = before.get(CURRENT)
        if left is not None and self.where[CURRENT] != left:
            if PREVIOUS not in stages:
                self.where[PREVIOUS] = left
            if self.where.get(PENDING) == left:
                del self.where[PENDING]

    @rule(stage=LABELS, from_=st.none() | NUMBERS, to=st.none() | NUMBERS)
    def move(self, stage: str, from_: int | None, to: int | None) -> None:
        self.try_move(stage, None if from_ is None else token(from_), None if to is None else token(to))

    @rule(stage=LABELS, to=st.none() | NUMBERS)
    def move_from_where_it_is(self, stage: str, to: int | None) -> None:
        self.try_move(stage, self.where.get(stage), None if to is None else token(to))

    def try_move(self, stage: str, from_: str | None, to: str | None) -> None:
        holder = self.where.get(stage)
        is_fit = from_ == holder or (from_ is None and holder == to)
        names_one = (from_, to) != (None, None)
        is_legal = is_fit and names_one and (to in self.values or (to is None and stage != CURRENT))
        versions = {"RemoveFromVersionId": from_, "MoveToVersionId": to}
        call = {name: version for name, version in versions.items() if version is not None}
        if not is_legal:
            with pytest.raises(ClientError, match=r"InvalidParameterException|ResourceNotFoundException"):
                self.client.update_secret_version_stage(SecretId=NAME, VersionStage=stage, **call)
            return
        self.client.update_secret_version_stage(SecretId=NAME, VersionStage=stage, **call)
        if to is None:
            del self.where[stage]
        else:
            self.where[stage] = to
            if stage == CURRENT and holder not in (None, to):
                self.where[PREVIOUS] = str(holder)
        self.announced &= set(self.where.values())

    @rule(number=NUMBERS)
    def rotate(self, number: int) -> None:
        version = token(number)
        call = {"SecretId": NAME, "ClientRequestToken": version, "RotationLambdaARN": FUNCTION}
        is_known = version in self.values or version in self.announced
        if not is_known and self.where.get(PENDING) not in (None, self.where.get(CURRENT)):
            with pytest.raises(ClientError, match="InvalidRequestException"):
                self.client.rotate_secret(**call)
            return
        self.client.rotate_secret(**call)
        if not is_known:
            self.where[PENDING] = version
            self.announced.add(version)

    @precondition(lambda self: self.where)
    @rule()
    def read(self) -> None:
        for stage, version in self.where.items():
            if version in self.announced:
                with pytest.raises(ClientError, match="ResourceNotFoundException"):
                    self.client.get_secret_value(SecretId=NAME, VersionStage=stage)
            else:
                told = self.client.get_secret_value(SecretId=NAME, VersionStage=stage)
                assert (told["VersionId"], told["SecretString"]) == (version, self.values[version])

    @invariant()
    def every_label_is_where_the_model_has_it(self) -> None:
        if not self.fake.calls:
            return
        told = self.client.describe_secret(SecretId=NAME).get("VersionIdsToStages", {})
        assert {(stage, version) for version, stages in told.items() for stage in stages} == set(self.where.items())
        listed = self.client.list_secret_version_ids(SecretId=NAME, IncludeDeprecated=True)["Versions"]
        assert {version["VersionId"] for version in listed} == self.values.keys()


Labels.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestLabels = Labels.TestCase
