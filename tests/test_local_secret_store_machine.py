"""Any sequence of calls on two stores that share one file, compared with a model that is written otherwise."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from envelope.errors import InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.errors import SecretConflict, SecretDeleted, SecretNotFound, SecretsError
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, StageMove
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.protocol import NewVersion
from tests.local_secrets_for_tests import DAY_S, local_store, secret, token

NAMES = ("a", "b")
TOKENS = tuple(token(number) for number in range(1, 7))
LABELS = (AWSCURRENT, AWSPENDING, AWSPREVIOUS, "mine")


@dataclass
class Model:
    """One secret: where each label is, as a mapping from the label, and the values; None for an announced one."""

    values: dict[str, str | None]
    place: dict[str, str] = field(default_factory=dict)
    deletes_s: float | None = None

    def put_label(self, label: str, version_id: str) -> None:
        left = self.place.get(label)
        self.place[label] = version_id
        if label == AWSCURRENT and left is not None and left != version_id:
            self.place[AWSPREVIOUS] = left

    def stages(self) -> dict[str, set[str]]:
        return {one: {label for label, on in self.place.items() if on == one} for one in set(self.place.values())}


class LocalStoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.models: dict[str, Model] = {}

    @initialize()
    def open_both(self) -> None:
        self.stores = [self._opened(), self._opened()]

    def _opened(self) -> LocalSecretStore:
        return local_store(self.directory / "secrets.db", clock=self.clock)

    def teardown(self) -> None:
        for store in getattr(self, "stores", []):
            store.close()
        shutil.rmtree(self.directory)

    def model(self, name: str) -> Model | None:
        model = self.models.get(name)
        if model is not None and model.deletes_s is not None and self.clock() >= model.deletes_s:
            del self.models[name]
            return None
        return model

    def refusal(self, name: str) -> type[SecretsError] | None:
        """What every call gets that needs a live secret."""
        model = self.model(name)
        if model is None:
            return SecretNotFound
        return None if model.deletes_s is None else SecretDeleted

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES), version_id=st.sampled_from(TOKENS))
    def create(self, which: int, name: str, version_id: str) -> None:
        new = secret(f"value of {version_id}", int(version_id), name=name)
        model = self.model(name)
        if model is None:
            assert self.stores[which].create(new).stages == (AWSCURRENT,)
            self.models[name] = Model({version_id: f"value of {version_id}"}, {AWSCURRENT: version_id})
        elif model.deletes_s is None and model.values.get(version_id) == f"value of {version_id}":
            assert self.stores[which].create(new).version_id == version_id
        else:
            with pytest.raises(SecretDeleted if model.deletes_s is not None else SecretConflict):
                self.stores[which].create(new)

    @rule(
        which=st.integers(0, 1),
        name=st.sampled_from(NAMES),
        version_id=st.sampled_from(TOKENS),
        is_usual=st.sampled_from([True, True, True, False]),
        labels=st.sets(st.sampled_from(LABELS), min_size=1).map(sorted),
    )
    def put(self, which: int, name: str, version_id: str, is_usual: bool, labels: list[str]) -> None:
        value = f"value of {version_id}" if is_usual else "another value"
        new = NewVersion(value, version_id, tuple(labels))
        if refused := self.refusal(name):
            with pytest.raises(refused):
                self.stores[which].put(name, new)
            return
        model = self.models[name]
        known = model.values.get(version_id)
        if known is not None and known != value:
            with pytest.raises(SecretConflict):
                self.stores[which].put(name, new)
            return
        self.stores[which].put(name, new)
        if known is None:
            self._model_put(model, version_id, value, labels)

    def _model_put(self, model: Model, version_id: str, value: str, labels: list[str]) -> None:
        model.values.pop(version_id, None)
        model.values[version_id] = value
        left = model.place.get(AWSCURRENT)
        for label in labels:  # in alphabetical order, so AWSPREVIOUS as it was asked for comes after AWSCURRENT
            model.put_label(label, version_id)
        if AWSCURRENT in labels and left not in (None, version_id) and model.place.get(AWSPENDING) == left:
            del model.place[AWSPENDING]

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES), version_id=st.sampled_from(TOKENS))
    def announce(self, which: int, name: str, version_id: str) -> None:
        refused = self.refusal(name)
        model = self.models.get(name)
        pending = model.place.get(AWSPENDING) if model else None
        if refused is None and model is not None and version_id not in model.values:
            if pending is not None and pending != model.place.get(AWSCURRENT):
                refused = SecretConflict
            else:
                model.values[version_id] = None
                model.place[AWSPENDING] = version_id
        if refused:
            with pytest.raises(refused):
                self.stores[which].announce(name, version_id)
        else:
            self.stores[which].announce(name, version_id)

    @rule(
        which=st.integers(0, 1),
        name=st.sampled_from(NAMES),
        label=st.sampled_from(LABELS),
        to_version=st.none() | st.sampled_from(TOKENS),
        from_version=st.none() | st.sampled_from(TOKENS),
        is_right=st.booleans(),
    )
    def move(
        self, which: int, name: str, label: str, to_version: str | None, from_version: str | None, is_right: bool
    ) -> None:
        model = self.model(name)
        if is_right and model is not None:
            from_version = model.place.get(label)
        move = StageMove(label, to_version, from_version)
        if to_version is None and from_version is None:
            with pytest.raises(InvalidArgument):
                self.stores[which].move_stage(name, move)
            return
        if refused := self.refusal(name) or self._move_refusal(self.models[name], move):
            with pytest.raises(refused):
                self.stores[which].move_stage(name, move)
            return
        self.stores[which].move_stage(name, move)
        assert model is not None
        if to_version is None:
            model.place.pop(label, None)
        else:
            model.put_label(label, to_version)
        for one in [one for one, value in model.values.items() if value is None]:
            if one not in model.place.values():
                del model.values[one]  # announced, and without its label it never was

    @staticmethod
    def _move_refusal(model: Model, move: StageMove) -> type[SecretsError] | None:
        holder = model.place.get(move.stage)
        if move.to_version is None and (move.from_version is None or move.stage == AWSCURRENT):
            return SecretConflict
        if move.to_version is not None and model.values.get(move.to_version) is None:
            return SecretNotFound
        if move.from_version is None:
            return None if holder in (None, move.to_version) else SecretConflict
        return None if holder == move.from_version else SecretConflict

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES), days=st.sampled_from([None, 7, 30]))
    def delete(self, which: int, name: str, days: int | None) -> None:
        refused = self.refusal(name)
        if days is None:
            self.stores[which].delete(name, recovery_window_days=None)
            self.models.pop(name, None)
        elif refused:
            with pytest.raises(refused):
                self.stores[which].delete(name, recovery_window_days=days)
        else:
            self.stores[which].delete(name, recovery_window_days=days)
            self.models[name].deletes_s = self.clock() + days * DAY_S

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES))
    def restore(self, which: int, name: str) -> None:
        if self.refusal(name) is SecretDeleted:
            self.stores[which].restore(name)
            self.models[name].deletes_s = None
        else:
            with pytest.raises((SecretNotFound, SecretConflict)):
                self.stores[which].restore(name)

    @rule(days=st.integers(1, 31))
    def wait(self, days: int) -> None:
        self.clock.advance(days * DAY_S)

    @precondition(lambda self: hasattr(self, "stores"))
    @rule(which=st.integers(0, 1))
    def open_again(self, which: int) -> None:
        self.stores[which].close()
        self.stores[which] = self._opened()

    @invariant()
    def both_stores_show_what_the_model_has(self) -> None:
        for store in getattr(self, "stores", []):
            live = [name for name in NAMES if self.refusal(name) is None]
            assert [described.name for described in store.list()] == live
            for name in live:
                model, described = self.models[name], store.describe(name)
                assert described.labels.problems() == []
                assert described.labels.by_version == model.stages()
                for version_id, value in model.values.items():
                    if value is not None:
                        assert store.read(name, stage=None, version_id=version_id).text == value
                listed = store.versions(name, include_deprecated=True)
                with_value = [one.version_id for one in listed if one.has_value]
                assert with_value == [one for one, value in reversed(model.values.items()) if value is not None]
                assert {one.version_id for one in listed if not one.has_value} == {
                    one for one in model.place.values() if model.values[one] is None
                }
                for label, version_id in model.place.items():
                    if model.values[version_id] is not None:
                        assert store.read(name, stage=label).version_id == version_id


TestLocalStoreMachine = LocalStoreMachine.TestCase
TestLocalStoreMachine.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
