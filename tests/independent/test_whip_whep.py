"""An independent client publishes by WHIP and another plays by WHEP."""

import unittest

from clients import Player, Publisher
from server import Server


class WhipAndWhep(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.server = self.enterContext(Server())

    async def session(self, session):
        self.addAsyncCleanup(session.end)
        return await session.start()

    async def test_what_one_publishes_another_decodes_and_hears(self):
        await self.session(Publisher(self.server, "camera-1"))
        player = await self.session(Player(self.server, "viewer-1"))
        await player.decodes(frames=60, energy=0.05)
        self.assertEqual(player.size, (320, 240))

    async def test_a_viewer_who_was_first_sees_a_publisher_who_comes_later(self):
        player = await self.session(Player(self.server, "viewer-1"))
        await self.session(Publisher(self.server, "camera-1"))
        await player.decodes(frames=30, energy=0.02)

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
