"""The server against what its own OpenAPI says, with requests that schemathesis makes up."""

from contextlib import ExitStack

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode

from tests.serving.conftest import KEY
from utils.serving import models
from utils.serving.app import create_app, running
from utils.serving.endpoint import Endpoint
from utils.store import open_store


@pytest.fixture(scope="module")
def described(logged):
    """Serve two models; give what each server says of itself, by the name of its model."""
    with ExitStack() as stack:
        store = stack.enter_context(open_store("sqlite://"))
        schemas = {}
        for name in ("boosted", "mirror"):
            scorer = models.load(logged.uri(name), tracking_uri=logged.tracking_uri)
            endpoint = Endpoint(scorer, store, models.deploy_scorer(store, scorer, name=name))
            url = stack.enter_context(running(create_app(endpoint, access_keys={KEY: "tests"})))
            schemas[name] = schemathesis.openapi.from_url(f"{url}/openapi.json")
        yield schemas


def assert_kept(operation, mode):
    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def keeps_to_it(case):
        case.call_and_validate(headers={"Authorization": f"Bearer {KEY}"})

    keeps_to_it()


@pytest.mark.parametrize("path", ["/ping", "/health", "/version", "/metrics"])
def test_what_is_read_is_as_described(described, path):
    assert_kept(described["boosted"][path]["GET"], GenerationMode.POSITIVE)


@pytest.mark.parametrize("path", ["/invocations", "/model"])
def test_what_the_description_allows_is_taken(described, path):
    assert_kept(described["boosted"][path]["POST"], GenerationMode.POSITIVE)


@pytest.mark.parametrize("path", ["/invocations", "/model", "/ground-truth"])
def test_what_the_description_forbids_is_refused_as_described(described, path):
    assert_kept(described["mirror"][path]["POST"], GenerationMode.NEGATIVE)
