"""An independent client publishes by WHIP and another plays by WHEP."""

import asyncio
import json
import unittest

from clients import Player, Publisher
from server import Server


class WhipAndWhep(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # it costs half of the machine
        self.server = self.enterContext(Server())

    async def session(self, session):
        self.addAsyncCleanup(session.end)
        return await session.start()

    async def test_what_one_publishes_another_decodes_and_hears(self):
        await self.session(Publisher(self.server, "camera-1"))
        player = await self.session(Player(self.server, "viewer-1"))
        await player.decodes(frames=60, energy=0.05)
        self.assertEqual(player.size, (320, 240))

    async def test_where_nobody_publishes_there_is_nothing_to_watch(self):
        player = Player(self.server, "viewer-1")
        self.addAsyncCleanup(player.end)
        await player.peer.setLocalDescription(await player.peer.createOffer())
        offer = player.peer.localDescription.sdp
        status, _, body = self.server.request("POST", "/whep/demo", offer, player.token, "application/sdp")
        self.assertEqual((status, json.loads(body)["code"]), (404, "NOT_FOUND"))

    async def test_a_slot_goes_to_the_next_publisher_when_the_first_one_leaves(self):
        first = Publisher(self.server, "camera-1")
        await first.start()
        player = await self.session(Player(self.server, "viewer-1"))
        await player.decodes(frames=10, energy=0.01)
        await self.session(Publisher(self.server, "camera-2"))
        await first.end()
        await player.decodes(frames=60, energy=0.03)

    async def test_a_viewer_who_names_publishers_gets_the_named_one(self):
        await self.session(Publisher(self.server, "camera-1"))
        await self.session(Publisher(self.server, "camera-2"))
        player = await self.session(Player(self.server, "viewer-1", query="?publishers=camera-2"))
        await player.decodes(frames=30, energy=0.02)

    async def test_delete_ends_a_session_and_the_room_goes_on(self):
        await self.session(Publisher(self.server, "camera-1"))
        first = Player(self.server, "viewer-1")
        await first.start()
        second = await self.session(Player(self.server, "viewer-2"))
        await first.decodes(frames=10)
        self.assertEqual(await first.end(), 200)
        gone, _, _ = self.server.request("DELETE", first.location.removeprefix(self.server.url), None, first.token)
        self.assertEqual(gone, 404)
        await second.decodes(frames=30, energy=0.02)


if __name__ == "__main__":
    unittest.main()
