"""A model that can be made slow, for the chapter that watches the Monitoring tab."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from utils.serving.models import Scorer


class Slowed:
    """A model that takes ``pause_s`` seconds longer for each request; at first no longer at all.

    >>> from utils.serving.example import FLIGHTS, TenMinutesWonBack
    >>> slowed = Slowed(TenMinutesWonBack())
    >>> slowed.predict(FLIGHTS)[0].tolist(), slowed.model_name
    ([10.0, -15.0], 'ten_minutes')
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.pause_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)

    def predict(
        self, frame: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return what the model answers, after the pause."""
        time.sleep(self.pause_s)
        return self._scorer.predict(frame, params)
