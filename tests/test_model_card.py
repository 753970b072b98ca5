from __future__ import annotations

import pytest
from pydantic import ValidationError

from trigger_api.model_card import Decision


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_every_threshold_is_a_score(threshold: float) -> None:
    for wrong in ({"threshold": threshold}, {"sensitivities": {"low": threshold}}):
        with pytest.raises(ValidationError, match=r"less than|greater than"):
            Decision.model_validate(wrong)
    assert Decision(threshold=1, sensitivities={"high": 0}).sensitivities == {"high": 0}
