"""WHIP and WHEP clients on aiortc, a WebRTC implementation that shares no code with the server or with a browser."""

import asyncio
import fractions
import math

import av
import numpy
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack

SAMPLE_RATE = 48_000
FRAME = 960  # 20 ms


class Tone(MediaStreamTrack):
    """440 Hz at a third of full scale."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.sent = 0
        self.began = None

    async def recv(self):
        now = asyncio.get_running_loop().time()
        if self.began is None:
            self.began = now
        await asyncio.sleep(max(0, self.began + self.sent / SAMPLE_RATE - now))
        at = numpy.arange(self.sent, self.sent + FRAME) / SAMPLE_RATE
        wave = (numpy.sin(at * 2 * math.pi * 440) * 10_000).astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, self.sent, fractions.Fraction(1, SAMPLE_RATE)
        self.sent += FRAME
        return frame


class MovingPicture(VideoStreamTrack):
    """A bar that moves over a grey field, 320x240 at the rate that aiortc paces."""

    def __init__(self):
        super().__init__()
        self.count = 0

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        picture = numpy.full((240, 320, 3), 90, dtype=numpy.uint8)
        at = (self.count * 4) % 300
        picture[:, at : at + 20] = (250, 180, 40)
        self.count += 1
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Session:
    """One WHIP or WHEP session; `await start()`, then `await end()`."""

    def __init__(self, server, path, token):
        self.server, self.path, self.token = server, path, token
        self.peer = RTCPeerConnection()
        self.location = None

    async def start(self):
        await self.peer.setLocalDescription(await self.peer.createOffer())
        status, headers, body = await asyncio.to_thread(
            self.server.request, "POST", self.path, self.peer.localDescription.sdp, self.token, "application/sdp"
        )
        assert status == 201, (status, body)
        assert headers["Content-Type"].startswith("application/sdp"), headers["Content-Type"]
        self.location = headers["Location"]
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp=body, type="answer"))
        return self

    async def end(self):
        """Ends the session as RFC 9725 says, and returns the status of that."""
        status = None
        if self.location:
            path = self.location.removeprefix(self.server.url)
            status, _, _ = await asyncio.to_thread(self.server.request, "DELETE", path, None, self.token)
        await self.peer.close()
        return status


class Publisher(Session):
    def __init__(self, server, identity, room="demo"):
        super().__init__(server, f"/whip/{room}", server.token(identity, "--publish", room=room))
        self.peer.addTrack(Tone())
        self.peer.addTrack(MovingPicture())


class Player(Session):
    """Counts what it decodes."""

    def __init__(self, server, identity, room="demo", query=""):
        super().__init__(server, f"/whep/{room}{query}", server.token(identity, "--subscribe", room=room))
        self.frames = 0
        self.colours = set()
        self.energy = 0.0
        self.tasks = []
        self.peer.addTransceiver("audio", direction="recvonly")
        self.peer.addTransceiver("video", direction="recvonly")
        self.peer.on("track", lambda track: self.tasks.append(asyncio.ensure_future(self._watch(track))))

    async def _watch(self, track):
        while True:
            frame = await track.recv()
            if track.kind == "video":
                self.frames += 1
                self.size = (frame.width, frame.height)
            else:
                samples = frame.to_ndarray().astype(float) / 32768
                self.energy += float((samples**2).mean()) * samples.shape[-1] / frame.sample_rate

    async def decodes(self, frames, energy=0.0, seconds=40):
        """Waits until so many more frames were decoded and so much more sound energy was heard."""
        want = (self.frames + frames, self.energy + energy)
        deadline = asyncio.get_running_loop().time() + seconds
        while self.frames < want[0] or self.energy < want[1]:
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"{self.frames} frames and energy {self.energy:.4f} after {seconds} s, wanted {want}")
            await asyncio.sleep(0.1)

    async def end(self):
        for task in self.tasks:
            task.cancel()
        return await super().end()
