"""State that must not be carried into another process."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from collections.abc import Callable

import pytest

from envelope import process_state


class Holder:
    """Counts how often it began anew."""

    resets = 0

    def reset_after_fork(self) -> None:
        self.resets += 1


def test_the_runtime_of_lambda_is_asked_to_tell_of_restored_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Callable[[], None]] = []
    module = types.ModuleType("snapshot_restore_py")
    module.__spec__ = importlib.machinery.ModuleSpec("snapshot_restore_py", None)
    module.register_after_restore = told.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", module)
    process_state._register.cache_clear()
    holder = Holder()
    process_state.reset_in_children(holder)
    process_state.reset_in_children(Holder())
    assert told == [process_state.reset_all]
    told[0]()
    assert holder.resets == 1
