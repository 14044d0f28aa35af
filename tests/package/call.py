"""Two people in a call over an upgrade of the server: the owner of a room, and a guest by link.

call.py begin URL CODE FILE   makes the first account by the one-time code, brings both into a call, says so on standard output,
                              and waits until the server tells both that it goes down and when to come back
call.py resume URL FILE       comes back with what FILE remembers, finds the same call live and both in it, and ends it
"""

import asyncio
import json
import sys
import urllib.request

import websockets

DEADLINE = 60


def ask(url, path, body, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        return json.load(answer)


class Page:
    """One person's connection."""

    def __init__(self, url, token, device):
        self.url, self.token, self.device = url.replace("http", "ws", 1), token, device
        self.requests = 0

    async def __aenter__(self):
        self.socket = await websockets.connect(self.url + "/v1/ws", subprotocols=["ringhall.v1"])
        await self.say({"t": "hello", "token": self.token, "device": self.device})
        assert (await self.next())["t"] == "welcome"
        self.snapshot = (await self.until(lambda frame: frame.get("op") == "snapshot"))["d"]
        return self

    async def __aexit__(self, *_):
        await self.socket.close()

    async def say(self, frame):
        await self.socket.send(json.dumps(frame))

    async def next(self):
        while True:
            frame = json.loads(await asyncio.wait_for(self.socket.recv(), DEADLINE))
            if frame["t"] != "ping":
                return frame
            await self.say({"t": "pong", "n": frame["n"]})

    async def until(self, holds):
        while True:
            frame = await self.next()
            if holds(frame):
                return frame

    async def command(self, op, **fields):
        self.requests += 1
        name = f"{self.device}-{op}-{self.requests}"
        await self.say({"t": "req", "id": name, "op": op, "d": fields})
        answer = await self.until(lambda frame: frame["t"] == "res" and frame["id"] == name)
        assert answer["ok"], answer
        return answer.get("d")

    def live_call(self):
        return next((chat["activeCall"] for chat in self.snapshot["chats"] if chat.get("activeCall")), None)


def pages(url, known):
    return Page(url, known["owner"], "owner-1"), Page(url, known["guest"], "guest-1")


async def begin(url, code, file):
    owner = ask(url, "/api/v1/setup", {"code": code, "login": "ivan", "name": "Ivan", "password": "a long password"})["token"]
    room = ask(url, "/api/v1/rooms", {}, owner)
    invite = ask(url, f"/api/v1/rooms/{room['name']}/invites", {}, owner)
    guest = ask(url, "/api/v1/invites/enter", {"code": invite["code"], "name": "Guest"})["token"]
    known = {"owner": owner, "guest": guest}
    first, second = pages(url, known)
    async with first, second:
        started = await first.command("start_call", chatId=room["chat"]["id"], type="audio")
        known["call"] = started["callId"]
        await second.command("join_call", callId=known["call"])
        with open(file, "w", encoding="utf-8") as out:
            json.dump(known, out)
        print(f"call {known['call']} is live", flush=True)
        for page in (first, second):
            told = await page.until(lambda frame: frame.get("op") == "server_draining")
            assert 0 < told["d"]["retryAfterMs"] <= 60_000, told
    print("both were told when to come back", flush=True)


async def resume(url, file):
    with open(file, encoding="utf-8") as kept:
        known = json.load(kept)
    first, second = pages(url, known)
    async with first, second:
        for page in (first, second):
            call = page.live_call()
            assert call and call["callId"] == known["call"] and call["mine"], call
            assert call["status"] == "ongoing" and call["count"] == 2, call
            await page.command("join_call", callId=known["call"])
        await first.command("end_call", callId=known["call"])
    print(known["call"])


def main():
    what, *rest = sys.argv[1:]
    asyncio.run({"begin": begin, "resume": resume}[what](*rest))


main()
