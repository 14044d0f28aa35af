//! Whose is this datagram? What the answer "nobody's" costs, which anybody can ask for.

use std::time::Duration;

use sfu_core::forward::PacketBuffer;
use sfu_core::room::SlotPolicy;
use sfu_core::shard::Drop as Reason;
use sfu_core::types::Path;

use super::support::{World, server};
use super::{Watch, Work};

/// A Binding request with the user fragment of a place that is not taken.
pub(crate) fn check() -> Vec<u8> {
    let name = b"AAAAAAAAAAAAAAAA:peer";
    let padded = name.len().next_multiple_of(4);
    let mut datagram = vec![0, 1, 0, (4 + padded) as u8, 0x21, 0x12, 0xA4, 0x42];
    datagram.extend([7; 12]);
    datagram.extend([0, 6, 0, name.len() as u8]);
    datagram.extend(name);
    datagram.resize(20 + 4 + padded, 0);
    datagram
}

/// A media packet from an address, and with an SSRC, of which nothing is known.
pub(crate) fn media() -> Vec<u8> {
    let mut datagram = vec![0x80, 96, 0, 1, 0, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef];
    datagram.resize(1_112, 7);
    datagram
}

/// Ten people in a room, and somebody who is none of them.
pub(crate) struct Stranger {
    world: World,
    buffer: PacketBuffer,
}

impl Stranger {
    pub(crate) fn new(datagram: Vec<u8>) -> Self {
        let mut world = World::new();
        for id in 1..=10 {
            world.join(id, true, 2, SlotPolicy::Fill);
        }
        world.connect();
        let mut buffer = PacketBuffer::default();
        buffer.bytes[..datagram.len()].copy_from_slice(&datagram);
        buffer.len = datagram.len();
        Self { world, buffer }
    }
}

impl Work for Stranger {
    fn run(&mut self, count: u64) -> Duration {
        let path = Path::Udp {
            local: server(),
            remote: ([192, 0, 2, 1], 9).into(),
        };
        let before = self.world.shard.counters().dropped(Reason::Nobody);
        let (shard, now, buffer) = (&mut self.world.shard, self.world.now, &mut self.buffer);
        let taken = Watch::default().repeat(count, 256, || shard.handle_datagram(now, path, buffer));
        let refused = self.world.shard.counters().dropped(Reason::Nobody) - before;
        assert_eq!(refused, count, "nobody owns it");
        taken
    }
}
