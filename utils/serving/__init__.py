"""Models in service: their life cycle, the endpoint that captures what it answers, HTTP, clients.

MLflow is imported here, before any module of this room: it reads while it is being imported
whether to send telemetry, and warns of type hints of its own. Its telemetry and its progress bars
are off unless the environment says otherwise. The rooms above take MLflow from here, for the same
reason: ``from utils.serving import mlflow``.
"""

import os
import warnings

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.pyfunc
    import mlflow.sklearn  # noqa: F401
