"""Long steps under live traffic: nothing lost, nothing done twice, nobody stalled, whatever a seed decides."""

from __future__ import annotations

from tests.torture import backfill
from tests.torture.case import draw
from tests.torture.conftest import Torture


def test_a_seed(torture: Torture, kind: str, seed: int) -> None:
    case = draw(seed, backfill.FORMS)
    result = torture(case, kind=kind)
    print(f"seed {seed}: {case.form} {case.undo} {case.shape}; {result}")
    assert result.wrong == []
