"""The schema of a frame without a look at all of its rows.

MLflow looks at each value of each row to say of a column which type it has and whether it may be
missing: a second for thirty thousand rows. The dtype tells the first, one row the second.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

_FEW = 100


def telling_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return some rows of a frame, from which MLflow infers the schema that it infers from all.

    They are the first ones, and of each column the first that is missing. Columns of dtype
    ``object`` may hold anything anywhere: a frame with one is returned whole.

    >>> waits = pd.DataFrame({"wait_min": [1.0] * 500 + [None]})
    >>> int(telling_rows(waits).index[-1]), len(telling_rows(waits))
    (500, 101)
    """
    if (frame.dtypes == "object").any():
        return frame
    gaps = [frame.iloc[:, at].isna().to_numpy().argmax() for at in range(frame.shape[1])]
    return frame.iloc[np.unique([*range(min(len(frame), _FEW)), *gaps])] if len(frame) else frame
