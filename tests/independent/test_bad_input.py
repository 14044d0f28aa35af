"""Rubbish sent to a server that carries a call. Each kind gets the answer that the protocol names, or none, and the people in
the call notice nothing: before, during and after it, their frames and their sound keep coming."""

import asyncio
import json
import os
import random
import socket
import struct
import time
import unittest

import websockets
from clients import Player, Publisher
from server import Server

# What all the rubbish of one test may add to the memory of the server, KiB.
MEMORY_ALLOWANCE = 64 * 1024


class BadInput(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # it costs half of the machine
        self.server = self.enterContext(Server())
        self.publisher = Publisher(self.server, "camera-1")
        self.player = Player(self.server, "viewer-1")
        for session in (self.publisher, self.player):
            self.addAsyncCleanup(session.end)
            await session.start()
        await self.player.decodes(frames=30, energy=0.02)
        self.memory = self.server.resident_kib()

    async def asyncTearDown(self):
        """The call is as well as before, and the server as small."""
        await self.player.decodes(frames=60, energy=0.05)
        self.assertIsNone(self.server.process.poll(), "the server still runs")
        self.assertLess(self.server.resident_kib() - self.memory, MEMORY_ALLOWANCE)
        log = self.server.log_text()
        self.assertNotIn("panicked", log)

    def datagrams(self, packets, sockets=8):
        """Sends from several ports, not faster than a real flood would be noticed in the send buffer."""
        senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(sockets)]
        for number, packet in enumerate(packets):
            senders[number % sockets].sendto(packet, ("10.77.0.1", self.server.media_port))
        for sender in senders:
            sender.close()

    async def connected(self, token=None):
        """A WebSocket that has said hello."""
        socket = await self.socket()
        await socket.send(json.dumps({"t": "hello", "token": token or self.server.sign_in("ivan"), "device": device()}))
        welcome = json.loads(await socket.recv())
        self.assertEqual(welcome["t"], "welcome", welcome)
        return socket

    async def socket(self):
        url = self.server.url.replace("http", "ws") + "/v1/ws"
        socket = await websockets.connect(url, subprotocols=["ringhall.v1"], max_size=None)
        self.addAsyncCleanup(socket.close)
        return socket

    async def ask(self, socket, op, fields):
        """The `res` of one command."""
        await socket.send(json.dumps({"t": "req", "id": device(), "op": op, "d": fields}))
        async with asyncio.timeout(10):
            while True:
                frame = json.loads(await socket.recv())
                if frame["t"] == "res":
                    return frame

    async def closed_with(self, socket, seconds=10):
        """The code that the server closes the socket with."""
        async with asyncio.timeout(seconds):
            try:
                while True:
                    await socket.recv()
            except websockets.ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else None

    # The media port.

    async def test_garbage_at_the_media_port(self):
        dice = random.Random(1)
        await asyncio.to_thread(self.datagrams, (dice.randbytes(dice.randrange(1, 1400)) for _ in range(20_000)))

    async def test_every_first_byte_and_every_short_length(self):
        dice = random.Random(2)
        packets = [bytes([first]) + dice.randbytes(length) for first in range(256) for length in range(40)]
        await asyncio.to_thread(self.datagrams, packets)

    async def test_truncated_and_lying_stun(self):
        whole = binding_request(b"0123:4567")
        packets = [whole[:cut] for cut in range(len(whole))]
        for at in range(len(whole)):
            packets += [whole[:at] + bytes([value]) + whole[at + 1 :] for value in (0x00, 0x7F, 0xFF)]
        await asyncio.to_thread(self.datagrams, packets * 5)

    async def test_dtls_from_nobody_in_one_byte_fragments(self):
        await asyncio.to_thread(self.datagrams, (dtls_fragment(n) for n in range(30_000)))

    async def test_srtp_that_nobody_sealed(self):
        dice = random.Random(3)
        forged = (
            struct.pack("!BBHII", 0x80, dice.choice((96, 97, 111, 120)), n & 0xFFFF, n * 960, dice.randrange(2**32)) + dice.randbytes(200)
            for n in range(20_000)
        )
        await asyncio.to_thread(self.datagrams, forged)

    # The WebSocket.

    async def test_an_unknown_op_is_refused_and_the_connection_stays(self):
        socket = await self.connected()
        refused = await self.ask(socket, "make_coffee", {"strength": 9})
        self.assertEqual((refused["ok"], refused["err"]["code"]), (False, "BAD_REQUEST"))
        refused = await self.ask(socket, "start_call", {"chatId": 7, "type": ["video"]})
        self.assertEqual(refused["err"]["code"], "BAD_REQUEST")
        refused = await self.ask(socket, "accept_call", {"callId": "no-such-call"})
        self.assertEqual(refused["err"]["code"], "NOT_FOUND")

    async def test_an_oversized_frame_closes_its_socket(self):
        socket = await self.connected()
        await socket.send(json.dumps({"t": "req", "id": device(), "op": "send_message", "d": {"chatId": "x", "content": "x" * 70_000}}))
        self.assertEqual(await self.closed_with(socket), 4400)
        socket = await self.connected()
        await socket.send(json.dumps({"t": "req", "id": device(), "op": "media_offer", "d": {"callId": "x", "offerId": "1", "sdp": "x" * 540_000}}))
        self.assertEqual(await self.closed_with(socket), 4400)

    async def test_frames_that_are_not_of_the_protocol_close_the_socket(self):
        for first in ("", "{", "[]", "null", '{"t":"req"}', '{"t":"hello"}', '{"t":"bye"}', "[" * 10_000):
            socket = await self.socket()
            await socket.send(first)
            self.assertEqual(await self.closed_with(socket), 4400, first[:40])
        socket = await self.connected()
        await socket.send(b"\x00\x01binary")
        self.assertEqual(await self.closed_with(socket), 4400)

    async def test_tokens_that_are_expired_or_foreign_are_refused(self):
        good = self.server.mint(sub="host-user-1", name="Guest")
        await self.connected(good)
        body, signature = good.rsplit(".", 1)
        wrong = {
            "expired": self.server.mint(sub="host-user-1", exp=int(time.time()) - 3600),
            "another issuer": self.server.mint(sub="host-user-1", iss="somebody"),
            "another signature": f"{body}.{signature[::-1]}",
            "no signature": f"{body}.",
            "not a token": "token",
            "empty": "",
        }
        for name, token in wrong.items():
            with self.subTest(name):
                socket = await self.socket()
                await socket.send(json.dumps({"t": "hello", "token": token, "device": device()}))
                self.assertEqual(await self.closed_with(socket), 4401)

    async def test_a_flood_of_commands_is_braked(self):
        socket = await self.connected()
        for number in range(2_000):
            await socket.send(json.dumps({"t": "req", "id": f"flood-{number}", "op": "make_coffee", "d": {}}))
        limited = 0
        try:
            async with asyncio.timeout(10):
                while limited == 0:
                    frame = json.loads(await socket.recv())
                    limited += frame.get("err", {}).get("code") == "RATE_LIMITED"
        except websockets.ConnectionClosed as closed:
            self.assertEqual(closed.rcvd.code, 4429)

    # SDP.

    async def test_an_offer_that_cannot_be_answered_is_refused(self):
        publish = self.server.token("camera-2", "--publish")
        offer = self.publisher.peer.localDescription.sdp
        refused = {
            "no usable codec": unusable(offer),
            "no DTLS fingerprint": "\r\n".join(l for l in offer.split("\r\n") if not l.startswith("a=fingerprint")),
            "not SDP": "hello",
            "empty": "",
            "cut in the middle": offer[: len(offer) // 2].rsplit("a=", 1)[0] + "a=rtpmap:",
        }
        for name, sdp in refused.items():
            with self.subTest(name):
                status, headers, body = self.server.request("POST", "/whip/demo", sdp, publish, "application/sdp")
                self.assertIn(status, (400, 406, 415, 422), body)
                problem = json.loads(body)
                self.assertEqual(headers["Content-Type"], "application/problem+json")
                self.assertEqual(problem["code"], "SDP_REJECTED" if sdp else problem["code"], problem)

    async def test_an_offer_above_512_kib_is_refused_unread(self):
        publish = self.server.token("camera-2", "--publish")
        huge = self.publisher.peer.localDescription.sdp + "a=x:" + "y" * (512 * 1024) + "\r\n"
        status, _, _ = self.server.request("POST", "/whip/demo", huge, publish, "application/sdp")
        self.assertEqual(status, 413)

    async def test_whip_without_the_right_is_refused(self):
        offer = self.publisher.peer.localDescription.sdp
        for name, token, status in (
            ("no token", None, 401),
            ("expired", self.server.mint(sub="x", room="demo", exp=int(time.time()) - 3600), 401),
            ("a viewer's token", self.server.token("viewer-2", "--subscribe"), 403),
            ("another room's token", self.server.token("camera-2", "--publish", room="other"), 403),
        ):
            with self.subTest(name):
                self.assertEqual(self.server.request("POST", "/whip/demo", offer, token, "application/sdp")[0], status)


def device():
    """A random id."""
    return os.urandom(16).hex()


def binding_request(username):
    """A STUN binding request (RFC 8489) with USERNAME, PRIORITY, a wrong MESSAGE-INTEGRITY and FINGERPRINT."""

    def attribute(kind, value):
        return struct.pack("!HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)

    attributes = attribute(0x0006, username) + attribute(0x0024, b"\x6e\x00\x01\xff") + attribute(0x0025, b"")
    attributes += attribute(0x0008, b"\x5a" * 20) + attribute(0x8028, b"\x01\x02\x03\x04")
    return struct.pack("!HHI", 0x0001, len(attributes), 0x2112A442) + b"ringhalltest" + attributes


def dtls_fragment(number):
    """A DTLS record (RFC 6347) with one byte of a ClientHello that claims to be 255 bytes long."""
    record = struct.pack("!BHHIHH", 22, 0xFEFD, 0, 0, number & 0xFFFF, 13)
    return record + bytes([1, 0, 0, 255, 0, 0, 0, 0, number & 0xFF, 0, 0, 1, 0])


def unusable(offer):
    """The offer with every codec renamed to one that nobody has."""
    lines = []
    for line in offer.split("\r\n"):
        if line.startswith("a=rtpmap:"):
            line = line.split(" ")[0] + " NOSUCHCODEC/90000"
        if line.startswith("a=fmtp:") or line.startswith("a=rtcp-fb:"):
            continue
        lines.append(line)
    return "\r\n".join(lines)


if __name__ == "__main__":
    unittest.main()
