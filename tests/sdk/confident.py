"""What the tests of Confident AI's two libraries share: the Worker, and one way to call a method and its twin."""

import asyncio
import contextlib
import datetime
import uuid

import httpx

from server import server

HEADER = "CONFIDENT_API_KEY"


@contextlib.contextmanager
def bootstrapped():
    """The Worker, with the first key of its organization as `app["key"]`."""
    with server() as app:
        body = {"organization": "Acme", "email": "owner@acme.example", "key_name": "first"}
        headers = {"Authorization": f"Bearer {app['operator_secret']}"}
        answer = httpx.post(app["url"] + "/v1/bootstrap", headers=headers, json=body).raise_for_status()
        yield {**app, "key": answer.json()["key"]}


class Case:
    """A test against `app`, which its module sets, below `prefix`."""

    app = None
    prefix = "/confident"
    # How the name of a method starts that is called: `a_` for the asynchronous twin.
    twin = ""

    async def asyncSetUp(self):
        # Or asyncio would complain of the synchronous methods, which do not give way to others.
        asyncio.get_running_loop().slow_callback_duration = 60
        self.name = f"{self.id()} {uuid.uuid4()}"
        self.url = self.app["url"] + self.prefix
        self.client = self.connect(self.app["key"])

    def connect(self, key):
        return self.Client(api_key=key, base_url=self.url)

    async def call(self, target, method, *args, **kwargs):
        answer = getattr(target, self.twin + method)(*args, **kwargs)
        # The asynchronous methods try again for ever when the connection is lost.
        return await asyncio.wait_for(answer, 30) if self.twin else answer

    async def assert_refused(self, message, target, method, *args, **kwargs):
        with self.assertRaises(self.Error) as raised:
            await self.call(target, method, *args, **kwargs)
        self.assertIn(message, str(raised.exception))

    async def assert_works(self, key):
        await self.call(self.connect(key), "whoami")

    async def assert_dead(self, message, key):
        await self.assert_refused(message, self.connect(key), "whoami")

    def assert_key(self, text, kind):
        self.assertRegex(text, rf"^bit_{kind}_[0-9A-Za-z]{{49}}$")

    def raw(self, method, path, key=None, header=HEADER, **body):
        """A request as no library sends it."""
        headers = {header: key} if key else {}
        return httpx.request(method, self.url + path, headers=headers, json=None if method in ("GET", "DELETE") else body)

    def limited(self, *scopes):
        """A client with a key that Bitting's own API made, since Confident AI's knows no scopes."""
        body = {"name": self.name, "kind": "org", "scopes": scopes}
        answer = httpx.post(self.app["url"] + "/v1/keys", headers={HEADER: self.app["key"]}, json=body).raise_for_status()
        return self.connect(answer.json()["key"])

    def advance(self, **time):
        """Sets the Worker's clock forward."""
        ms = int(datetime.timedelta(**time).total_seconds() * 1000)
        httpx.post(self.app["url"] + "/__test", json={"advance": ms}).raise_for_status()

    def now(self):
        now = httpx.post(self.app["url"] + "/__test", json={}).raise_for_status().json()["now"]
        return datetime.datetime.fromtimestamp(now / 1000, datetime.timezone.utc)

    def assert_in(self, text, **time):
        """An instant must be this far from now, give or take what a test takes."""
        away = abs(instant(text) - self.now() - datetime.timedelta(**time))
        self.assertLess(away, datetime.timedelta(minutes=1), text)


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def masked(text):
    return "*" * 16 + text[-4:]
