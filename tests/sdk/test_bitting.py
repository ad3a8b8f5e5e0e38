"""The Python library: the rules of the feed, what breaking them does, and the real Worker."""

import asyncio
import base64
import importlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from server import ROOT, server

LIBRARY = ROOT / "clients/python"
VECTORS = json.loads((ROOT / "tests/vectors/feed.json").read_text())
TEXTS = json.loads((ROOT / "tests/vectors/key_text.json").read_text())
KEY = TEXTS["texts"][0]["text"]


def load(folder):
    """The library in this folder, apart from any that was loaded before."""
    for name in [name for name in sys.modules if name.split(".")[0] == "bitting"]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("bitting"), importlib.import_module("bitting.copies")
    finally:
        sys.path.remove(str(folder))


def encoded(part):
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


SIGNING_KEY = Ed25519PrivateKey.generate()
JWK = {"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": encoded(SIGNING_KEY.public_key().public_bytes_raw())}
AUDIENCE = "https://orders.example.com"


def signed(claims=None, header=None, key=SIGNING_KEY):
    """A token with these claims beside good ones."""
    good = {
        "iss": "https://bitting.example", "aud": AUDIENCE, "exp": 1_300, "scope": "orders:read users:*", "sub": "key",
        "kind": "pat", "organization_id": "o", "seq": 7, "subjects": ["a"],
    }  # fmt: skip
    header = {"alg": "EdDSA", "kid": "one", "typ": "JWT", **(header or {})}
    text = f"{encoded(header)}.{encoded({**good, **(claims or {})})}"
    return f"{text}.{encoded(key.sign(text.encode()))}"


class Scene:
    """Bitting, with these answers to verifications; by itself it knows no changes. A call takes `delay_ms`."""

    def __init__(self, library, answer=None, **options):
        self.now, self.head, self.changes, self.asked = 1_000.0, 7, [], []
        self.answer, self.delay_ms, self.down, self.reach = answer or {}, 0, False, 0
        client = httpx.Client(transport=httpx.MockTransport(self.respond))
        self.verifier = library.Verifier(
            "https://bitting.example/", "own", client=client, clock=lambda: self.now, wall_clock=lambda: 1_000_000 + self.now, **options
        )
        self.verifier._spawn = lambda work: work()

    def respond(self, request):
        self.asked.append(request.url.path)
        if self.down:
            raise httpx.ConnectError("down")
        if request.url.path.endswith("jwks.json"):
            return httpx.Response(200, json={"keys": [JWK]})
        assert request.headers["authorization"] == "Bearer own"
        if request.method == "POST":
            body = {
                "valid": True, "code": "valid", "scopes": ["orders:read", "users:*"], "seq": self.head,
                "subjects": ["a"], "age_ms": 0, "fresh_for_ms": 5_000, "ends_in_ms": None, **self.answer,
            }  # fmt: skip
        else:
            after = int(request.url.params.get("after", self.head))
            is_whole = after >= self.reach
            changes = [change for change in self.changes if is_whole and change[0] > after]
            body = {"base": min(after, self.head) if is_whole else self.head, "head": self.head, "age_ms": 0, "max_staleness_ms": 5_000, "changes": changes}
        self.now += self.delay_ms
        return httpx.Response(200, json={name: value for name, value in body.items() if value != "absent"})

    def code(self, *scopes, key=KEY):
        return self.verifier.verify(key, scopes).code


def play(copies_module, events):
    copies = copies_module.Copies(10, float("inf"))
    for event in events:
        if "feed" in event:
            copies.hear(event["feed"], event["after"], event["sent_at"])
        elif "verified" in event:
            copies.keep("key", event["verified"], event["sent_at"])
        else:
            answer = copies.judge("key", event["at"])
            verdict = answer["code"] if answer else "ask"
            if verdict != event["verdict"]:
                return [f"{verdict} at {event['at']}, not {event['verdict']}"]
    return []


def broken(folder):
    """The rules that the library in this folder breaks. Empty if it keeps all of them."""
    library, copies_module = load(folder)
    failures = [f"{vector['name']}: {failure}" for vector in VECTORS for failure in play(copies_module, vector["events"])]
    # What was asked about for three seconds is three seconds old.
    scene = Scene(library)
    scene.delay_ms = 3_000
    began = scene.now
    scene.code()
    scene.delay_ms, scene.down = 0, True
    # Nothing vouches any more when the bound has passed since the last question, which was about the feed.
    scene.now = began + 3_000 + 5_001
    if scene.code() != "unavailable":
        failures.append("the feed is younger than its question")
    scene = Scene(library, {"seq": 9})
    scene.delay_ms = 3_000
    scene.code()
    scene.now, scene.down = began + 5_001, True
    if scene.code() != "unavailable":
        failures.append("an answer is younger than its question")
    # A change ends what is kept.
    scene = Scene(library)
    scene.code()
    scene.head, scene.changes, scene.answer = 8, [[8, "a"]], {"valid": False, "code": "key_revoked"}
    scene.now += 2_501
    scene.code()
    if scene.code() != "key_revoked":
        failures.append("a change is not heard")
    return failures


# Each takes one rule out of a copy of the library.
MUTATIONS = {
    "a later change of a subject is not looked at": ("copies", "newest = max(self._base, *newer)", "newest = self._base"),
    "an answer from before the base is believed": ("copies", "max(self._base, *newer)", "max(0, *newer)"),
    "the age of the feed counts from the answer": ("verifier", 'asked.get("after"), sent_at)', 'asked.get("after"), self._now())'),
    "the age of an answer counts from the answer": ("verifier", "keep(name, answer, sent_at)", "keep(name, answer, self._now())"),
    "the age that Bitting tells is not added": ("copies", 'sent_at - answer["age_ms"]', "sent_at"),
    "gaps are ignored": ("copies", "if self._base is None or after is None or not is_whole:", "if self._base is None or after is None:"),
    "an answer that was overtaken is applied": ("copies", 'if answer["head"] < self.head:', "if False:"),
    "the feed vouches however old it is": ("copies", " and self.feed_age_ms(now) <= self.bound_ms", ""),
    "the feed vouches for answers from beyond its head": ("copies", ' and answer.get("seq", float("inf")) <= self.head', ""),
    "an answer is fresh for ever": ("copies", 'elapsed_ms < answer.get("fresh_for_ms", float("inf")) and elapsed_ms + age_ms < self.bound_ms', "True"),
    "the older of two answers stays": ("copies", 'if held and held.answer.get("seq", 0) >', 'if held and held.answer.get("seq", 0) <'),
    "an end is not looked at": ("copies", "elapsed_ms >= ends_in_ms", "False"),
    "a bound of 0 is not looked at": ("copies", "self.bound_ms > 0 and ", ""),
}


class Rules(unittest.TestCase):
    def test_the_library_keeps_them(self):
        self.assertEqual(broken(LIBRARY), [])

    def test_each_mutation_breaks_one(self):
        for name, (module, rule, instead) in MUTATIONS.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                shutil.copytree(LIBRARY / "bitting", pathlib.Path(folder) / "bitting", ignore=shutil.ignore_patterns("__pycache__"))
                file = pathlib.Path(folder) / f"bitting/{module}.py"
                text = file.read_text()
                self.assertEqual(text.count(rule), 1, rule)
                file.write_text(text.replace(rule, instead))
                self.assertNotEqual(broken(folder), [])

    def test_it_type_checks(self):
        mypy = pathlib.Path(sys.executable).parent / "mypy"
        command = [mypy, "--strict", "--cache-dir", "/dev/null", "bitting"]
        result = subprocess.run(command, cwd=LIBRARY, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


class AVerifier(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.library, _ = load(LIBRARY)

    def test_asks_nothing_for_a_warm_key(self):
        scene = Scene(self.library)
        self.assertEqual([scene.code() for _ in range(100)], ["valid"] * 100)
        self.assertEqual(scene.asked, ["/v1/keys/verify", "/v1/feed"])
        scene.now += 2_501
        scene.code(), scene.code()
        self.assertEqual(scene.asked[2:], ["/v1/feed"])

    def test_asks_about_a_key_with_conditions_each_time(self):
        asked = []

        def respond(request):
            if request.method == "GET":
                return httpx.Response(200, json={"base": 7, "head": 7, "age_ms": 0, "max_staleness_ms": 5_000, "changes": []})
            asked.append(json.loads(request.content).get("client", {}).get("ip"))
            code = "valid" if asked[-1] == "192.0.2.7" else "conditions_not_met"
            answer = {"valid": code == "valid", "code": code, "scopes": [], "seq": 7, "subjects": ["a"], "age_ms": 0}
            return httpx.Response(200, json={**answer, "fresh_for_ms": 0, "ends_in_ms": None, "conditional": True})

        client = httpx.Client(transport=httpx.MockTransport(respond))
        verifier = self.library.Verifier("https://bitting.example", "own", client=client)
        ips = ["192.0.2.7", "198.51.100.9", "192.0.2.7", None]
        statuses = [verifier.verify(KEY, client=self.library.Caller(ip=ip) if ip else None).status for ip in ips]
        self.assertEqual((statuses, asked, len(verifier)), ([200, 403, 200, 403], ips, 0))

    def test_judges_scopes_itself(self):
        scene = Scene(self.library)
        self.assertEqual(scene.code("orders:read", "users:write", "users:*"), "valid")
        wrong = ("orders:write", "orders:*", "use:read", "users2:read")
        verdict = scene.verifier.verify(KEY, wrong)
        self.assertEqual((verdict.valid, verdict.status, verdict.missing_scopes), (False, 403, wrong))
        self.assertEqual(Scene(self.library, {"scopes": None}).code("anything:at-all"), "valid")

    def test_is_closed_when_bitting_cannot_be_asked(self):
        errors = []
        scene = Scene(self.library, on_error=errors.append)
        scene.code()
        scene.down = True
        scene.now += 4_999
        self.assertEqual(scene.code(), "valid")
        scene.now += 2
        self.assertEqual((scene.code(), scene.verifier.verify(KEY).status), ("unavailable", 503))
        self.assertIsInstance(errors[-1], httpx.ConnectError)

    def test_asks_each_time_if_nothing_may_be_kept(self):
        scene = Scene(self.library, max_staleness_ms=0)
        self.assertEqual([scene.code() for _ in range(3)], ["valid"] * 3)
        self.assertEqual(scene.asked, ["/v1/keys/verify"] * 3)

    def test_keeps_a_key_that_nobody_has_for_the_bound(self):
        absent = dict.fromkeys(["seq", "subjects", "fresh_for_ms", "age_ms", "scopes"], "absent")
        scene = Scene(self.library, {"valid": False, "code": "invalid_api_key", **absent})
        scene.code()
        scene.now += 4_999
        self.assertEqual((scene.code(), scene.asked.count("/v1/keys/verify")), ("invalid_api_key", 1))
        scene.now += 2
        self.assertEqual((scene.code(), scene.asked.count("/v1/keys/verify")), ("invalid_api_key", 2))

    def test_refuses_what_is_no_key_without_asking(self):
        scene = Scene(self.library)
        for vector in TEXTS["texts"]:
            self.assertEqual(scene.code(key=vector["text"]), "valid", vector["text"])
        scene.asked.clear()
        for text in [f"{KEY[:-1]}5", f"{KEY}0", f" {KEY}", f"{KEY}\n", "x" * 1_000_000, KEY.replace("0", "٠")]:
            self.assertEqual(scene.code(key=text), "malformed_api_key")
        self.assertEqual((scene.code(key=None), scene.code(key=""), scene.asked), ("missing_api_key",) * 2 + ([],))

    def test_keeps_no_more_keys_than_it_may(self):
        scene = Scene(self.library, max_keys=1)
        for vector in TEXTS["texts"]:
            scene.code(key=vector["text"])
        self.assertEqual(len(scene.verifier), 1)

    def test_gives_answers_that_nobody_can_change(self):
        verdict = Scene(self.library, {"metadata": {"plan": "free"}}).verifier.verify(KEY)
        with self.assertRaises(TypeError):
            verdict.key["metadata"]["plan"] = "pro"
        self.assertIsInstance(verdict.key["scopes"], tuple)

    def test_reads_the_key_of_a_header(self):
        self.assertEqual(self.library.bearer("bearer  abc"), "abc")
        for header in [None, "", "Bearer", "Basic abc", "Bearer a b"]:
            self.assertIsNone(self.library.bearer(header), header)


class AToken(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.library, _ = load(LIBRARY)

    def code(self, scene, token, *scopes):
        return scene.verifier.verify_token(token, AUDIENCE, scopes).code

    def test_is_verified_without_a_question_while_the_feed_is_young(self):
        scene = Scene(self.library)
        scene.head, scene.changes = 9, [[8, "other"], [9, "another"]]
        verdict = scene.verifier.verify_token(signed(), AUDIENCE, ["users:write"])
        self.assertEqual((verdict.code, verdict.key["key_id"], verdict.key["owner"]["organization_id"]), ("valid", "key", "o"))
        self.assertEqual(scene.asked, ["/.well-known/jwks.json", "/v1/feed"])
        for claims in [{}, {"seq": 12}, {"seq": 8}]:
            self.assertEqual(self.code(scene, signed(claims)), "valid")
        self.assertEqual(len(scene.asked), 2)
        self.assertEqual(self.code(scene, signed({"seq": 3})), "valid")
        self.assertEqual(scene.asked[2:], ["/v1/feed"])
        self.assertEqual(self.code(scene, signed(), "orders:write"), "insufficient_scope")

    def test_ends_with_a_change_and_when_nobody_can_tell(self):
        scene = Scene(self.library)
        self.assertEqual(self.code(scene, signed()), "valid")
        scene.head, scene.changes = 8, [[8, "a"]]
        scene.now += 2_600
        self.code(scene, signed())
        self.assertEqual(self.code(scene, signed()), "token_outdated")
        self.assertEqual(self.code(scene, signed({"seq": 8})), "valid")
        scene.down = True
        scene.now += 5_001
        self.assertEqual(self.code(scene, signed({"seq": 8})), "unavailable")

    def test_from_before_all_that_bitting_can_tell_costs_one_question(self):
        scene = Scene(self.library)
        scene.head, scene.reach = 20, 15
        self.assertEqual([self.code(scene, signed()) for _ in range(5)], ["token_outdated"] * 5)
        self.assertEqual(len(scene.asked), 2)
        self.assertEqual(self.code(scene, signed({"seq": 17})), "valid")

    def test_is_refused_if_anything_about_it_is_wrong(self):
        scene = Scene(self.library)
        header, claims, signature = signed().split(".")
        for token, expected in [
            (None, "missing_token"), ("", "missing_token"), ("a.b.c", "malformed_token"), (KEY, "malformed_token"),
            (f"{header}.{claims}.{signature}.", "malformed_token"), (f"{header}.{claims}.", "invalid_token"),
            (f"{header}.{claims}.{signature[:-4]}AAAA", "invalid_token"),
            (f"{encoded({'alg': 'none', 'kid': 'one'})}.{claims}.", "malformed_token"),
            (f"{encoded({'alg': 'HS256', 'kid': 'one'})}.{claims}.{signature}", "malformed_token"),
            (f"{encoded({'alg': 'EdDSA', 'kid': 'one', 'crit': ['exp']})}.{claims}.{signature}", "malformed_token"),
            (signed(key=Ed25519PrivateKey.generate()), "invalid_token"), (signed(header={"kid": "two"}), "invalid_token"),
            (signed({"aud": "https://other.example.com"}), "invalid_token"), (signed({"aud": [AUDIENCE]}), "invalid_token"),
            (signed({"iss": "https://evil.example"}), "invalid_token"), (signed({"exp": 1_001}), "token_expired"),
            (signed({"exp": "1300"}), "malformed_token"), (signed({"exp": True}), "malformed_token"),
            (signed({"subjects": "a"}), "malformed_token"), ("x" * 20_000, "malformed_token"), ("[" * 9_000 + "..", "malformed_token"),
            (f"{encoded(b'[' * 9_000)}.{claims}.{signature}", "malformed_token"),
        ]:  # fmt: skip
            self.assertEqual(self.code(scene, token), expected, token)
        # However many keys are named, they are read at most every ten seconds.
        self.assertEqual(scene.asked.count("/.well-known/jwks.json"), 1)

    def test_is_verified_by_asyncio(self):
        scene = Scene(self.library)

        async def verify():
            client = httpx.AsyncClient(transport=httpx.MockTransport(scene.respond))
            options = {"clock": lambda: scene.now, "wall_clock": lambda: 1_000_000 + scene.now}
            verifier = self.library.AsyncVerifier("https://bitting.example", "own", client=client, **options)
            return [(await verifier.verify_token(token, AUDIENCE)).code for token in (signed(), signed(), "a.b.c", signed({"aud": "b"}))]

        self.assertEqual(asyncio.run(verify()), ["valid", "valid", "malformed_token", "invalid_token"])
        self.assertEqual(scene.asked, ["/.well-known/jwks.json", "/v1/feed"])


class InFrontOfTheWorker(unittest.TestCase):
    def test_threads_and_asyncio(self):
        library, _ = load(LIBRARY)
        sys.path.insert(0, str(LIBRARY))
        self.addCleanup(sys.path.remove, str(LIBRARY))
        holds = importlib.import_module("bitting.starlette").holds
        fastapi, testclient = importlib.import_module("fastapi"), importlib.import_module("fastapi.testclient")
        with server() as app, httpx.Client(base_url=app["url"], timeout=30) as bitting:

            def call(method, path, key, body=None):
                response = bitting.request(method, path, json=body, headers={"authorization": f"Bearer {key}"})
                self.assertLess(response.status_code, 300, response.text)
                return response.json()

            first = {"organization": "Acme", "email": "owner@example.com", "key_name": "first"}
            owner = call("POST", "/v1/bootstrap", app["operator_secret"], first)["key"]

            def create(name, *scopes):
                return call("POST", "/v1/keys", owner, {"name": name, "scopes": scopes})

            service, good, other = create("service", "verifier")["key"], create("good", "datasets:*"), create("o", "results:read")
            skew = [0.0]
            options = {"clock": lambda: asyncio_time() + skew[0]}
            asked = []
            hooks = {"request": [lambda request: asked.append(request.url.path)]}

            # Threads.
            verifier = library.Verifier(app["url"], service, client=httpx.Client(timeout=30, event_hooks=hooks), **options)
            verdicts = []
            threads = [threading.Thread(target=lambda: verdicts.append(verifier.verify(good["key"]).valid)) for _ in range(20)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            self.assertEqual((verdicts, asked.count("/v1/keys/verify")), ([True] * 20, 1))

            # FastAPI.
            errors = []
            slow = httpx.AsyncClient(timeout=30)
            asynchronous = library.AsyncVerifier(app["url"], service, client=slow, on_error=errors.append, **options)
            api = fastapi.FastAPI()

            @api.get("/data")
            def data(key=fastapi.Depends(holds(asynchronous, "datasets:read"))):
                return {"name": key.key["name"]}

            def ask(key=None):
                return client.get("/data", headers={"authorization": f"Bearer {key}"} if key else {})

            with testclient.TestClient(api) as client:
                self.assertEqual(ask(good["key"]).json(), {"name": "good"}, errors)
                self.assertEqual(ask(good["key"]).json(), {"name": "good"})
                self.assertEqual((ask().status_code, ask(KEY).status_code), (401, 401))
                lacking = ask(other["key"])
                self.assertEqual(lacking.status_code, 403)
                self.assertIn('scope="datasets:read"', lacking.headers["www-authenticate"])
                # A token of the key, which ends with it.
                derived = call("POST", "/v1/tokens", good["key"], {"audience": AUDIENCE, "scopes": ["datasets:read"]})["token"]
                judged = verifier.verify_token(derived, AUDIENCE, ["datasets:read"])
                self.assertEqual((judged.code, judged.key["key_id"]), ("valid", good["id"]))
                self.assertEqual(verifier.verify_token(derived, "https://other.example.com").code, "invalid_token")
                call("DELETE", f"/v1/keys/{good['id']}", owner)
                # Older than the bound by the verifier's clock, and the Worker heard of its own change at once.
                skew[0] += 5_001
                self.assertEqual(ask(good["key"]).status_code, 401)
            self.assertEqual(verifier.verify(good["key"]).code, "key_revoked")
            self.assertEqual(verifier.verify_token(derived, AUDIENCE).code, "token_outdated")
        skew[0] += 5_001
        self.assertEqual(verifier.verify(good["key"]).code, "unavailable")


class ThePackage(unittest.TestCase):
    def test_is_built_as_a_wheel_and_installed(self):
        with tempfile.TemporaryDirectory() as folder:
            source, wheels, target = (pathlib.Path(folder, name) for name in ("source", "wheels", "target"))
            shutil.copytree(LIBRARY, source, ignore=shutil.ignore_patterns("__pycache__"))
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
            offline = ["--no-deps", "--no-index"]
            subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", wheels, source], check=True)
            [wheel] = wheels.iterdir()
            subprocess.run([*pip, "install", *offline, "--target", target, wheel], check=True)
            names = {path.relative_to(LIBRARY / "bitting") for path in (LIBRARY / "bitting").rglob("*") if path.is_file()}
            names = {name for name in names if name.suffix != ".pyc"}
            self.assertEqual([name for name in names if not (target / "bitting" / name).is_file()], [])
            program = "import bitting; print(bitting.__file__, bitting.Verifier.__name__, bitting.Client.__name__)"
            answer = subprocess.run(
                [sys.executable, "-c", program], cwd=folder, env={"PYTHONPATH": str(target)}, capture_output=True, text=True
            )
            self.assertEqual(answer.stdout.split(), [str(target / "bitting/__init__.py"), "Verifier", "Client"], answer.stderr)


class AClient(unittest.TestCase):
    def test_manages_keys(self):
        library, _ = load(LIBRARY)
        with server() as app:
            first = library.Client(app["url"], app["operator_secret"]).bootstrap.create(
                organization="Acme", email="owner@example.com", key_name="first"
            )
            client = library.Client(f"{app['url']}/", first["key"])
            self.addCleanup(client.close)
            options = {"name": "one", "scopes": ["datasets:read"], "idempotency_key": "same"}
            one, again = client.keys.create(**options), client.keys.create(**options)
            self.assertEqual(one["key"], again["key"])
            client.keys.create(name="two", scopes=[])
            names = [key["name"] for key in library.all_items(client.keys.list, limit=1, status="all")]
            self.assertEqual(names, ["two", "one", "first"])
            self.assertEqual(client.organizations.get()["name"], "Acme")
            self.assertEqual(client.keys.list(id=[one["id"]])["items"][0]["id"], one["id"])
            with self.assertRaises(library.BittingError) as refused:
                client.keys.change(key_id=one["id"], name="changed", if_match='"stale"')
            self.assertEqual((refused.exception.status, refused.exception.code), (412, "precondition_failed"))
            client.keys.revoke(key_id=one["id"], force=True)
            for wrong in ("", "..", "self/../self", "a?b", None):
                self.assertRaises(TypeError, client.keys.get, key_id=wrong)
            self.assertRaises(TypeError, client.keys.get, key_id="self", nonsense=1)

            async def asynchronous():
                client = library.AsyncClient(app["url"], first["key"])
                names = [key["name"] async for key in library.all_items_async(client.keys.list, limit=1)]
                await client.aclose()
                return names

            self.assertEqual(asyncio.run(asynchronous()), ["two", "first"])


def asyncio_time():
    import time

    return time.monotonic() * 1000
