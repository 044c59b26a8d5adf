"""The pointers against a model of them: whatever is swapped, by whom, and however often the database is reopened."""

import shutil
import tempfile

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tandem.database import Database
from tandem.errors import Conflict

VARIANTS = st.sampled_from(["finetuned", "hybrid"])
VERSIONS = st.sampled_from(["a" * 12, "b" * 12, "c" * 12])


class PointerMachine(RuleBasedStateMachine):
    """Two processes' databases on one file, and a dictionary: variant → (version, previous)."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.databases = [self.open(), self.open()]
        self.model: dict[str, tuple[str, str | None]] = {}

    def open(self) -> Database:
        return Database(f"sqlite:///{self.folder}/tandem.db")

    @rule(who=st.integers(0, 1), variant=VARIANTS, version=VERSIONS, expected=st.none() | VERSIONS)
    def swap_expecting_anything(self, who: int, variant: str, version: str, expected: str | None) -> None:
        live = self.model.get(variant, (None, None))[0]
        if expected != live:
            with pytest.raises(Conflict) as caught:
                self.databases[who].move_pointer("shop", variant, version, expected)
            assert caught.value.details == {"live": live}
            return
        pointer = self.databases[who].move_pointer("shop", variant, version, expected)
        self.model[variant] = (version, live)
        assert (pointer.version, pointer.previous) == (version, live)

    @rule(who=st.integers(0, 1), variant=VARIANTS, version=VERSIONS)
    def swap_from_what_is_live(self, who: int, variant: str, version: str) -> None:
        self.swap_expecting_anything(who, variant, version, self.model.get(variant, (None, None))[0])

    @rule(who=st.integers(0, 1))
    def open_again(self, who: int) -> None:
        self.databases[who].close()
        self.databases[who] = self.open()

    @invariant()
    def everyone_sees_what_was_moved_last(self) -> None:
        for database in self.databases:
            assert {p.variant: (p.version, p.previous) for p in database.pointers("shop")} == self.model

    def teardown(self) -> None:
        for database in self.databases:
            database.close()
        shutil.rmtree(self.folder)


TestPointers = PointerMachine.TestCase
TestPointers.settings = settings(max_examples=15, stateful_step_count=15)
