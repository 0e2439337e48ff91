"""Models that no library trains, for what the tests must see, or see go wrong."""

import pandas as pd

from utils.serving import mlflow


class Mirror(mlflow.pyfunc.PythonModel):
    """Answers each row as a text of what it was given, so that a test sees what a model sees."""

    def predict(self, context, model_input: pd.DataFrame, params=None):
        rows = model_input.to_dict("records")
        texts = [" ".join(f"{name}={_seen(row[name])}" for name in row) for row in rows]
        return [f"{text} greeting={(params or {}).get('greeting')}" for text in texts]


def _seen(value):
    if isinstance(value, (list, dict)):
        return repr(value)
    return "missing" if pd.isna(value) else f"{type(value).__name__}:{value}"


class Fussy(mlflow.pyfunc.PythonModel):
    """Cannot score a negative x, nor any row that comes with one."""

    def predict(self, context, model_input: pd.DataFrame, params=None):
        if (model_input["x"] < 0).any():
            raise ValueError("x must not be negative")
        return model_input["x"].to_numpy() * 2


class Broken(mlflow.pyfunc.PythonModel):
    """Answers what its signature does not promise."""

    def predict(self, context, model_input: pd.DataFrame, params=None):
        kind = model_input["kind"].iloc[0]
        answers = {"infinite": [float("inf")], "few": [], "text": ["much"], "none": None}
        return answers.get(kind, [1.0])
