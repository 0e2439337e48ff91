"""The same bodies for MLflow's scoring server and for ours: the same statuses and predictions.

Each difference is deliberate, and stands in ``DIFFERENCES`` with its reason. An undeclared one
fails, and so does a declared one that is none any more.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import mlflow
import pytest
import uvicorn
from mlflow.pyfunc import scoring_server

from tests.services import free_port
from tests.serving.bodies import DOUBLE, LONG, ROW, STRING, records, row, spelled, split, text
from tests.serving.conftest import KEY
from utils.serving import models, tracking
from utils.serving.app import create_app, running
from utils.serving.endpoint import Endpoint
from utils.store import open_store

ROOT = Path(__file__).parents[2]
FLIGHT = {"departure_delay_min": 12.5, "distance_miles": 733.0, "hour": 17.0, "carrier": "UA"}
FLIGHTS = {name: [value, value] for name, value in FLIGHT.items()}

STRICT = "a cast would hide a type error, which whoever monitors the data must see"
LOST = "the cast changes the value, and says nothing"
NAMED = "what is not known by name may be misspelt, so it is refused rather than dropped"
OPEN = "what cannot be stored, or said again in JSON, is refused"
CRASH = "MLflow fails with 500 where the request is at fault"
MORE = "MLflow cannot read this though its signature allows it"

DIFFERENCES = {
    "a column too many": NAMED,
    "a key too many": NAMED,
    "an unknown parameter": NAMED,
    "a parameter, where none is declared": NAMED,
    "tensor: signature_name": NAMED,
    "split: an index of another length": "the rows and their index contradict each other",
    "split: no row": "there is nothing to predict, and so nothing to answer",
    "split: a ragged row": "MLflow fills the gap with a missing value: values may be misplaced",
    "records: a column missing in one row": "alone, the row is refused by MLflow too",
    "inputs: rows with every type": MORE,
    "inputs: one row with every type": MORE,
    "instances: rows with every type": MORE,
    "a number as text": STRICT,
    "a number as boolean": STRICT,
    "an integer as text": STRICT,
    "an integer as boolean": STRICT,
    "a boolean as number": STRICT,
    "a boolean as text": LOST,
    "a missing boolean": LOST,
    "a text as number": STRICT,
    "a text as boolean": STRICT,
    "a text as list": STRICT,
    "an integer with a fraction": LOST,
    "a 32-bit integer with a fraction": LOST,
    "an integer of 65 bits": LOST,
    "a 32-bit integer of 33 bits": LOST,
    "a 32-bit float too large": LOST,
    "bytes that are not base64": LOST,
    "a time as number": STRICT,
    "a time as in America": "07/04 is another day elsewhere",
    "a list of integers for doubles": MORE,
    "a map with 1.0 for an integer": MORE,
    "NaN": "it is not JSON; a missing number is null",
    "Infinity": OPEN,
    "a number that overflows": OPEN,
    "NUL in a text": OPEN,
    "a key twice": "which of the two is meant, the model and the store could read differently",
    "nested 100 deep": "lists within lists without end are an attack",
    "nested 100,000 deep": CRASH,
    "an integer of 5,000 digits": CRASH,
    "no content type": CRASH,
    "tensor: a number as text": STRICT,
    "tensor: a number as boolean": STRICT,
    "tensor: CSV": MORE,
    "CSV: a column too many": NAMED,
    "CSV: a time": MORE,
    "Parquet": "a reader of a binary format is no place for strangers' bytes; 415 says so",
}

JSON, CSV = "application/json", "text/csv"


def changed(**values):
    return "mirror", text(records(row(**values))), JSON


def mirror(body):
    return "mirror", body if isinstance(body, bytes) else text(body), JSON


def tensor(body):
    return "tensor", body if isinstance(body, bytes) else text(body), JSON


def delay(body):
    return "delay", text(body), JSON


def csv(table, model="delay"):
    return model, table.encode(), CSV


BODIES = {
    # Good, in every form
    "records": mirror(records()),
    "several records": mirror(records(row(), row(a_double=3, a_string="ção"))),
    "split": mirror(split(row(), row(a_double=-1e300))),
    "split: with index": mirror(split(row(), index=["a"])),
    "optional columns left out": changed(maybe_double=..., maybe_string=..., anything=...),
    "optional columns null": changed(maybe_double=None, maybe_string=None, anything=None),
    "columns in another order": mirror(records(dict(reversed(ROW.items())))),
    "with a parameter": mirror(records(params={"greeting": "olá"})),
    "with no parameters": mirror(records(params={})),
    "delay: records": delay(records(FLIGHT, FLIGHT)),
    "delay: instances": delay({"instances": [FLIGHT, FLIGHT]}),
    "delay: inputs by column": delay({"inputs": FLIGHTS}),
    "delay: inputs by row": delay({"inputs": [FLIGHT]}),
    "delay: one row of inputs": delay({"inputs": FLIGHT}),
    "delay: instances by column": delay({"instances": FLIGHTS}),
    "delay: integers for doubles": delay(records({**FLIGHT, "hour": 17, "distance_miles": 733})),
    "delay: SQL in a text": delay(records({**FLIGHT, "carrier": "'; DROP TABLE flights; --"})),
    "tensor: instances": tensor({"instances": [[1, 2, 3], [4.5, 5, 6]]}),
    "tensor: inputs": tensor({"inputs": [[1, 2, 3]]}),
    "tensor: split": tensor({"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}}),
    "tensor: split without names": tensor({"dataframe_split": {"data": [[1, 2, 3]]}}),
    "tensor: records": tensor(records({"a": 1, "b": 2, "c": 3})),
    "CSV": csv("departure_delay_min,distance_miles,hour,carrier\n12.5,733,17,UA\n-3,200,5,B6\n"),
    "CSV: quoted": csv('hour,departure_delay_min,distance_miles,carrier\n5,1,2,"U,A"\n'),
    "charset=UTF-8": ("mirror", text(records()), "application/json; charset=UTF-8"),
    "byte order mark": mirror(b"\xef\xbb\xbf" + text(records())),
    # Not the protocol
    "no form": mirror({}),
    "two forms": mirror({**records(), **split(row())}),
    "a list": mirror([1]),
    "null": mirror(b"null"),
    "nothing": mirror(b""),
    "not JSON": mirror(b"{oops"),
    "not UTF-8": mirror(b'\xff{"inputs": 1}'),
    "a key too many": mirror(records(foo=1)),
    "a key twice": mirror(spelled(LONG, f"{LONG}, {LONG}")),
    "records: an object": mirror({"dataframe_records": {}}),
    "records: none": mirror({"dataframe_records": []}),
    "records: a column missing in one row": mirror(records(row(), row(a_double=...))),
    "split: a list": mirror({"dataframe_split": []}),
    "split: no data": mirror({"dataframe_split": {"columns": list(ROW)}}),
    "split: no row": mirror(split()),
    "split: a ragged row": mirror(
        {"dataframe_split": {"columns": list(ROW), "data": [[*ROW.values()], [*ROW.values()][:-1]]}}
    ),
    "split: an index of another length": mirror(split(row(), index=[1, 2])),
    "inputs: rows with every type": mirror({"inputs": [row()]}),
    "inputs: one row with every type": mirror({"inputs": row()}),
    "instances: rows with every type": mirror({"instances": [row()]}),
    "delay: inputs of other lengths": delay({"inputs": {**FLIGHTS, "hour": [1]}}),
    "delay: inputs without names": delay({"inputs": [[1, 2, 3, "UA"]]}),
    "an unknown parameter": mirror(records(params={"x": 1})),
    "a parameter, where none is declared": tensor({"inputs": [[1, 2, 3]], "params": {"a": 1}}),
    "a parameter of another type": mirror(records(params={"greeting": 1})),
    "parameters as list": mirror(records(params=[1])),
    "nested 100 deep": mirror(spelled('"deep": [1, "a"]', '"deep": ' + "[" * 100 + "]" * 100)),
    "nested 100,000 deep": tensor(b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "an integer of 5,000 digits": tensor(b'{"inputs": [[' + b"1" * 5_000 + b", 2, 3]]}"),
    "text/plain": ("mirror", text(records()), "text/plain"),
    "no content type": ("mirror", text(records()), None),
    "charset=latin-1": ("mirror", text(records()), "application/json; charset=latin-1"),
    "a setting of the content type": ("mirror", text(records()), "application/json; a=b"),
    "Parquet": ("mirror", b"PAR1", "application/vnd.apache.parquet"),
    # Not the signature
    "a column missing": changed(a_long=...),
    "a column too many": changed(another=1),
    "a number as text": changed(a_double="1.5"),
    "a number as word": changed(a_double="much"),
    "a number as boolean": changed(a_double=True),
    "a number as list": changed(a_double=[1]),
    "a missing number": changed(a_double=None),
    "a number with 30 digits": changed(a_double=10**29),
    "a number with 400 digits": changed(a_double=10**399),
    "a number that overflows": mirror(spelled(DOUBLE, '"a_double": 1e999')),
    "NaN": mirror(spelled(DOUBLE, '"a_double": NaN')),
    "Infinity": mirror(spelled(DOUBLE, '"a_double": Infinity')),
    "a 32-bit float too large": changed(a_float=1e39),
    "a missing 32-bit float": changed(a_float=None),
    "an integer as 3.0": changed(a_long=3.0),
    "an integer with a fraction": changed(a_long=1.5),
    "an integer as text": changed(a_long="7"),
    "an integer as boolean": changed(a_long=True),
    "an integer of 65 bits": changed(a_long=2**63),
    "a missing integer": changed(a_long=None),
    "a 32-bit integer of 33 bits": changed(a_integer=2**31),
    "a 32-bit integer with a fraction": changed(a_integer=3.7),
    "a boolean as number": changed(a_boolean=1),
    "a boolean as text": changed(a_boolean="false"),
    "a missing boolean": changed(a_boolean=None),
    "a text as number": changed(a_string=5),
    "a text as boolean": changed(a_string=True),
    "a text as list": changed(a_string=["x"]),
    "a missing text": changed(a_string=None),
    "SQL in a text": changed(a_string="'; DROP TABLE vigia_prediction_1; --"),
    "NUL in a text": changed(a_string="a\0b"),
    "half a surrogate pair": mirror(spelled(STRING, '"a_string": "\\ud800"')),
    "bytes that are not base64": changed(a_binary="!!"),
    "bytes as number": changed(a_binary=5),
    "missing bytes": changed(a_binary=None),
    "a day": changed(a_datetime="2013-07-04"),
    "a time with its offset": changed(a_datetime="2013-07-04T12:00:00Z"),
    "a time as in America": changed(a_datetime="07/04/2013"),
    "a time as number": changed(a_datetime=5),
    "a time as word": changed(a_datetime="soon"),
    "a time in the year 9999": changed(a_datetime="9999-01-01"),
    "a missing time": changed(a_datetime=None),
    "an empty list": changed(a_list=[]),
    "a list with null": changed(a_list=[None, 1.5]),
    "a list of integers for doubles": changed(a_list=[1, 2]),
    "a list of texts for doubles": changed(a_list=["x"]),
    "a list as number": changed(a_list=1.5),
    "a missing list": changed(a_list=None),
    "an object without what is optional": changed(an_object={"code": "c"}),
    "an object without what is needed": changed(an_object={"size": 1}),
    "an object with more": changed(an_object={"code": "c", "more": 1}),
    "an object of other types": changed(an_object={"code": 5}),
    "a missing object": changed(an_object=None),
    "an empty map": changed(a_map={}),
    "a map of other types": changed(a_map={"k": "x"}),
    "a map with 1.0 for an integer": changed(a_map={"k": 1.0}),
    "a missing map": changed(a_map=None),
    "tensor: one axis": tensor({"inputs": [1, 2, 3]}),
    "tensor: three axes": tensor({"inputs": [[[1, 2, 3]]]}),
    "tensor: too short": tensor({"inputs": [[1, 2]]}),
    "tensor: ragged": tensor({"inputs": [[1, 2, 3], [1, 2]]}),
    "tensor: none": tensor({"inputs": []}),
    "tensor: a number": tensor({"inputs": 5}),
    "tensor: names": tensor({"inputs": {"a": [1]}}),
    "tensor: a number as text": tensor({"inputs": [["1", 2, 3]]}),
    "tensor: a number as word": tensor({"inputs": [["x", 2, 3]]}),
    "tensor: a number as boolean": tensor({"inputs": [[True, 2, 3]]}),
    "tensor: a missing number, which the model cannot score": tensor({"inputs": [[None, 2, 3]]}),
    "tensor: signature_name": tensor({"signature_name": "x", "inputs": [[1, 2, 3]]}),
    "tensor: CSV": csv("a,b,c\n1,2,3\n", "tensor"),
    "CSV: a column missing": csv("hour,distance_miles,carrier\n1,2,UA\n"),
    "CSV: a column too many": csv(
        ",departure_delay_min,distance_miles,hour,carrier\n0,12.5,733,17,UA\n"
    ),
    "CSV: a word for a number": csv(
        "departure_delay_min,distance_miles,hour,carrier\nmuch,733,17,UA\n"
    ),
    "CSV: no row": csv("departure_delay_min,distance_miles,hour,carrier\n"),
    "CSV: nothing": csv(""),
    "CSV: not UTF-8": ("delay", b"\xff,b\n1,2\n", CSV),
    "CSV: a time": csv("at\n2013-07-04T12:00\n", "timed"),
}


@pytest.fixture(scope="module")
def theirs(logged):
    """Serve with MLflow: one model by its command, in a process; the others by its own app."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", logged.uri("mirror")]
        + ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)],
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": logged.tracking_uri,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    urls = {"mirror": f"http://127.0.0.1:{port}"}
    with ExitStack() as stack, tracking.quiet(), pytest.MonkeyPatch.context() as patched:
        patched.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")  # init leaves it set
        stack.callback(process.wait)
        stack.callback(os.killpg, process.pid, signal.SIGTERM)
        for name in ("delay", "tensor", "timed"):
            with tracking.tracking(logged.tracking_uri):
                app = scoring_server.init(mlflow.pyfunc.load_model(logged.uri(name)))
            urls[name] = stack.enter_context(served(app))
        wait_for(f"{urls['mirror']}/ping")
        yield urls


@pytest.fixture(scope="module")
def ours(logged):
    with ExitStack() as stack:
        store = stack.enter_context(open_store("sqlite://"))
        urls = {}
        for name in ("mirror", "delay", "tensor", "timed"):
            scorer = models.load(logged.uri(name), tracking_uri=logged.tracking_uri)
            endpoint = Endpoint(scorer, store, models.deploy_scorer(store, scorer, name=name))
            app = create_app(endpoint, access_keys={KEY: "tests"})
            urls[name] = stack.enter_context(running(app))
        yield urls


@contextmanager
def served(app):
    """Serve an ASGI application as it is, from a thread."""
    server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.config.port}"
        wait_for(f"{url}/ping")
        yield url
    finally:
        server.should_exit = True
        thread.join()


def wait_for(url, seconds=120):
    until = time.monotonic() + seconds
    while True:
        try:
            return httpx.get(url)
        except httpx.TransportError:
            assert time.monotonic() < until, f"{url} did not come up within {seconds} s"
            time.sleep(0.05)


def ask(url, body, media_type):
    """Return the status and, of a good answer, the predictions; of a bad one, what is said."""
    headers = {"Authorization": f"Bearer {KEY}"}
    if media_type:
        headers["Content-Type"] = media_type
    response = httpx.post(f"{url}/invocations", content=body, headers=headers, timeout=60)
    good = response.status_code == 200
    return response.status_code, response.json()["predictions"] if good else response.text


def alike(expected, answered):
    if (expected[0], answered[0]) != (200, 200):
        return expected[0] == answered[0]
    return [type(each) for each in expected[1]] == [type(each) for each in answered[1]] and all(
        one == other if isinstance(one, str) else one == pytest.approx(other, rel=1e-12)
        for one, other in zip(expected[1], answered[1], strict=True)
    )


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_answered_as_mlflow_answers_it(name, theirs, ours):
    model, body, media_type = BODIES[name]
    expected = ask(theirs[model], body, media_type)
    answered = ask(ours[model], body, media_type)
    said = f"MLflow: {expected}\nours: {answered}"
    if name in DIFFERENCES:
        assert not alike(expected, answered), f"declared as a difference, and is none: {said}"
    else:
        assert alike(expected, answered), said


def test_every_declared_difference_is_tried():
    assert DIFFERENCES.keys() <= BODIES.keys()


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_what_is_read_is_answered_as_mlflow_answers_it(path, theirs, ours):
    expected, answered = httpx.get(theirs["mirror"] + path), httpx.get(ours["mirror"] + path)
    assert (answered.status_code, answered.text) == (expected.status_code, expected.text)
    assert answered.headers["content-type"] == expected.headers["content-type"]
