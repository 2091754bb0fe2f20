"""Long steps under live traffic: nothing lost, nothing done twice, nobody stalled, whatever a seed decides."""

from __future__ import annotations

from tests.torture import kinds
from tests.torture.conftest import Torture


def test_a_seed(torture: Torture, kind: str, seed: int) -> None:
    case = kinds.case_of(kind, seed)
    result = torture(case, kind=kind)
    print(f"{kind} {seed}: {case.form} {case.undo} {case.shape}; {result}")
    assert result.wrong == []
