"""The Python library as tests/clients/drivers.mjs says: `driver.py FOLDER`, with the folder of the library."""

import asyncio
import json
import sys

import httpx

sys.path.insert(0, sys.argv[1])
import bitting.verifier  # noqa: E402
from bitting.copies import Copies  # noqa: E402

# Signatures are not what the histories are about.
bitting.verifier.is_signed_by = lambda key, token: True


class Driver:
    def __init__(self):
        self.now, self.events, self.asked = 0.0, [], []
        self.copies = Copies(max_keys=10, max_staleness_ms=float("inf"))
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.respond))
        self.verifier = bitting.AsyncVerifier(
            "https://bitting.example", "own", client=client, clock=lambda: self.now, wall_clock=lambda: self.now
        )
        self.tasks = set()

    async def respond(self, request):
        event = {"ask": len(self.asked), "path": request.url.raw_path.decode()}
        if request.content:
            event["body"] = json.loads(request.content)
        self.events.append(event)
        self.asked.append(asyncio.get_running_loop().create_future())
        text = await self.asked[event["ask"]]
        if text is None:
            raise httpx.ConnectError("lost")
        return httpx.Response(200, text=text)

    async def decide(self, number, verification):
        verdict = await verification
        self.events.append({"verdict": number, "valid": verdict.valid})

    async def obey(self, said):
        self.now = said.get("at", self.now)
        action = said["do"]
        if action == "hear":
            self.copies.hear(said["answer"], said["after"], said["sent_at"])
        elif action == "keep":
            self.copies.keep("key", said["answer"], said["sent_at"])
        elif action == "judge":
            answer = self.copies.judge("key", said["at"])
            self.events.append({"code": answer["code"] if answer else "ask"})
        elif action == "answer":
            self.asked[said["id"]].set_result(said["body"])
        elif action in ("verify", "token"):
            verify = self.verifier.verify(said["key"]) if action == "verify" else self.verifier.verify_token(said["token"], "us")
            task = asyncio.ensure_future(self.decide(said["id"], verify))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        # The loop has nothing left to do if everybody waits for an answer.
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        while loop._ready:
            await asyncio.sleep(0)
        events, self.events = self.events, []
        return events


async def main():
    driver = Driver()
    for line in sys.stdin:
        said = json.loads(line)
        if said["do"] in ("copies", "verifier"):
            driver = Driver()
        print(json.dumps(await driver.obey(said)), flush=True)


asyncio.run(main())
