"""Models in service: their life cycle, the endpoint that captures what it answers, HTTP, clients.

MLflow is imported here, before any module of this room: it reads while it is being imported
whether to send telemetry (``MLFLOW_DISABLE_TELEMETRY`` in the environment has the last word), and
warns of type hints of its own.
"""

import os
import warnings

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.pyfunc
    import mlflow.sklearn  # noqa: F401
