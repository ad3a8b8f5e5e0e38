"""TruLayer's own Python library, unmodified, against the Worker on real workerd."""

import contextlib
import os
import time
import unittest
import uuid
import warnings
from unittest import mock

import httpx
import trulayer.batch
from trulayer import TruLayerClient, TruLayerFlushError
from trulayer.errors import ForbiddenError, InvalidAPIKeyError

from server import server


def setUpModule():
    global app, first
    stack = contextlib.ExitStack()
    unittest.addModuleCleanup(stack.close)
    app = stack.enter_context(server())
    body = {"organization": "Acme", "email": "owner@acme.example", "key_name": "first"}
    first = call("POST", "/v1/bootstrap", app["operator_secret"], body).json()["key"]


def call(method, path, key, body=None):
    """A request without the library, which manages no keys and reads nothing back."""
    return httpx.request(method, app["url"] + path, headers={"Authorization": f"Bearer {key}"}, json=body)


def made(**body):
    """A new key, as its maker is told of it."""
    response = call("POST", "/trulayer/v1/apikeys", first, {"name": "sdk", **body})
    assert response.status_code == 201, response.text
    return response.json()


class Library(unittest.TestCase):
    prefix = "/trulayer"

    def setUp(self):
        self.requests = []
        post = httpx.AsyncClient.post

        async def counted(client, *args, **options):
            self.requests.append(args)
            return await post(client, *args, **options)

        self.enterContext(mock.patch.object(trulayer.batch.httpx.AsyncClient, "post", counted))
        # A flush that fails raises, or nobody would hear of it.
        self.enterContext(mock.patch.dict(os.environ, {"TRULAYER_FAIL_MODE": "block"}))
        self.enterContext(mock.patch.object(trulayer.batch, "_RETRY_BASE_DELAY", 0.01))

    def connect(self, key):
        client = TruLayerClient(api_key=key, project_name="demo", endpoint=app["url"] + self.prefix, flush_interval=600)
        self.ready(client)
        self.addCleanup(client.shutdown)
        return client

    def ready(self, client):
        """Waits until its thread runs: a flush before that sends nothing."""
        while client._batch._loop is None or not client._batch._loop.is_running():
            time.sleep(0.001)

    def record(self, client, name="answer"):
        """Records a trace and sends it; gives its id."""
        with client.trace(name, session_id="s-1", tags=["a", "b"], metadata={"n": [1, {"x": None}]}) as trace:
            trace.set_input("hello")
            with trace.span("call", span_type="llm") as span:
                span.set_output("wörld 🔑")
                span.set_tokens(prompt=3, completion=4)
            trace.set_output("world")
            trace.set_cost(0.1)
        client.flush()
        self.ready(client)
        return trace._data.id

    def read(self, key, **params):
        response = httpx.get(
            f"{app['url']}{self.prefix}/v1/traces", headers={"Authorization": f"Bearer {key}"}, params=params
        )
        self.assertEqual(response.status_code, 200, response.text)
        return response.json()

    def test_a_trace_is_read_back_with_its_spans_feedback_and_evals(self):
        client = self.connect(made()["key"])
        id = self.record(client)
        self.assertEqual(len(self.requests), 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            client.feedback(id, "good", score=0.5, comment="très bien", metadata={"by": "me"})
            eval_id = client.eval(id, "llm", "tone")
        self.assertEqual(str(uuid.UUID(eval_id)), eval_id)
        reader = made(scopes=["query"])["key"]
        trace = next(trace for trace in self.read(reader)["traces"] if trace["id"] == id)
        self.assertEqual((trace["name"], trace["input"], trace["output"]), ("answer", "hello", "world"))
        self.assertEqual((trace["project_id"], trace["session_id"], trace["cost"]), ("demo", "s-1", 0.1))
        self.assertEqual((trace["tags"], trace["metadata"]["n"]), (["a", "b"], [1, {"x": None}]))
        [span] = trace["spans"]
        self.assertEqual((span["type"], span["output"], span["prompt_tokens"]), ("llm", "wörld 🔑", 3))
        [feedback] = trace["feedback"]
        self.assertEqual((feedback["label"], feedback["score"], feedback["comment"]), ("good", 0.5, "très bien"))
        self.assertEqual([(asked["eval_id"], asked["status"]) for asked in trace["evals"]], [(eval_id, "pending")])

    def test_pages_tell_every_trace_once_the_newest_first(self):
        client = self.connect(made()["key"])
        sent = [self.record(client, f"trace {number}") for number in range(5)]
        seen, page = [], {"next_cursor": ""}
        while "next_cursor" in page:
            page = self.read(first, limit=2, cursor=page["next_cursor"])
            seen += [trace["id"] for trace in page["traces"]]
        self.assertEqual([id for id in seen if id in sent], sent[::-1])
        self.assertEqual(len(set(seen)), len(seen))

    def test_a_batch_of_many_long_traces_is_stored_whole(self):
        client = self.connect(made()["key"])
        client._batch._batch_size = 1000
        name = str(uuid.uuid4())
        for _ in range(30):
            with client.trace(name) as trace:
                trace.set_input("é" * 60_000)
        client.flush()
        self.assertEqual(len(self.requests), 1)
        seen, page = 0, {"next_cursor": ""}
        while "next_cursor" in page:
            page = self.read(first, limit=100, cursor=page["next_cursor"])
            seen += sum(trace["name"] == name and len(trace["input"]) == 60_000 for trace in page["traces"])
        self.assertEqual(seen, 30)

    def test_a_batch_that_is_too_large_is_refused(self):
        client = self.connect(made()["key"])
        with client.trace("long") as trace:
            trace.set_input("x" * 5_000_000)
        with self.assertRaises(TruLayerFlushError) as raised:
            client.flush()
        self.assertEqual(raised.exception.__cause__.response.status_code, 413)

    def test_a_wrong_key_ends_the_client_after_one_request(self):
        client = self.connect("tl_0123456789")
        with self.assertWarnsRegex(UserWarning, "invalid_api_key"):
            self.record(client)
        self.assertIsInstance(client._batch.fatal_error, InvalidAPIKeyError)
        self.record(client)
        self.assertEqual(len(self.requests), 1)

    def test_a_query_only_key_cannot_send_and_ends_the_client_after_one_request(self):
        client = self.connect(made(scope="query_only")["key"])
        with self.assertLogs("trulayer", "ERROR"), self.assertWarnsRegex(UserWarning, "403"):
            id = self.record(client)
        self.assertIsInstance(client._batch.fatal_error, ForbiddenError)
        self.assertEqual(len(self.requests), 1)
        with self.assertWarnsRegex(UserWarning, "403"):
            client.feedback(id, "good")
        with self.assertWarnsRegex(UserWarning, "403"):
            self.assertIsNone(client.eval(id, "llm", "tone"))
        self.assertNotIn(id, [trace["id"] for trace in self.read(first, limit=100)["traces"]])

    def test_a_revoked_key_is_refused_at_once_and_stays_listed(self):
        key = made()
        client = self.connect(key["key"])
        self.record(client)
        deleted = call("DELETE", f"{self.prefix}/v1/apikeys/{key['id']}", first)
        self.assertEqual((deleted.status_code, deleted.content), (204, b""))
        self.requests.clear()
        with self.assertRaises(TruLayerFlushError) as raised:
            self.record(client)
        answer = raised.exception.__cause__.response
        self.assertEqual((answer.status_code, answer.json()["error"]["code"]), (401, "key_revoked"))
        # The library takes no 401 of this shape for final.
        self.assertEqual(len(self.requests), 3)
        listed = {row["id"]: row["status"] for row in call("GET", f"{self.prefix}/v1/apikeys", first).json()}
        self.assertEqual(listed[key["id"]], "revoked")

    def test_a_rotated_key_works_with_its_new_secret_alone(self):
        key = made()
        rotated = call("POST", f"{self.prefix}/v1/apikeys/{key['id']}/rotate", first)
        self.assertEqual((rotated.status_code, rotated.json()["id"]), (200, key["id"]))
        self.record(self.connect(rotated.json()["secret"]))
        with self.assertWarnsRegex(UserWarning, "invalid_api_key"):
            self.record(self.connect(key["key"]))


class LibraryAtTheRoot(Library):
    prefix = ""


if __name__ == "__main__":
    unittest.main()
