//! One video packet of 1,100 bytes to N viewers: found, opened, read, and for each viewer paced, numbered, rewritten and sealed.

use std::time::Duration;

use sfu_core::forward::PacketBuffer;
use sfu_core::room::SlotPolicy;
use sfu_core::types::Path;
use str0m::format::Codec;
use str0m::rtp::RtpWrite;
use str0m::{Event, Input, Output};

use super::support::{World, server};
use super::{Watch, Work};

const PAYLOAD: usize = 1_100;
/// Between two packets: 440 kbit/s, less than any estimate at its start, so nothing waits.
const INTERVAL: Duration = Duration::from_millis(20);

/// A publisher, who is client 0, and viewers that report what they receive.
pub(crate) struct Forward {
    world: World,
    viewers: u64,
    path: Path,
    buffer: PacketBuffer,
}

impl Forward {
    pub(crate) fn new(viewers: u64) -> Self {
        let mut world = World::new();
        world.join(1, true, 0, SlotPolicy::Fill);
        for id in 0..viewers as u32 {
            world.join(id + 2, false, 1, SlotPolicy::Fill);
        }
        world.connect();
        world.run(Duration::from_secs(3));
        // From here on the packets are made here.
        (world.clients[0].send_audio, world.clients[0].send_video) = (false, false);
        let path = Path::Udp {
            local: server(),
            remote: world.clients[0].address,
        };
        Self {
            world,
            viewers,
            path,
            buffer: PacketBuffer::default(),
        }
    }

    /// Lets time pass for everybody and leaves the publisher's next packet in the buffer.
    fn next_packet(&mut self) {
        self.world.run(INTERVAL);
        let now = self.world.now;
        let client = &mut self.world.clients[0];
        let pt = client.pt(Codec::Vp8);
        let mid = client.video.unwrap();
        client.time += 1_800;
        client.picture = (client.picture + 1) & 0x7fff;
        // A VP8 payload descriptor with a picture number, and the header of a frame in one packet.
        let mut payload = vec![0x90, 0x80];
        payload.extend((client.picture | 0x8000).to_be_bytes());
        payload.push(if std::mem::take(&mut client.want_key) {
            0x10
        } else {
            0x11
        });
        payload.extend([0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0]);
        payload.resize(PAYLOAD, 7);
        let write = RtpWrite::new(pt, client.next_video.into(), client.time, now, payload)
            .marker(true)
            .nackable(true);
        client.next_video += 1;
        let mut api = client.rtc.direct_api();
        api.stream_tx_by_mid(mid, None).unwrap().write_rtp(write);
        client.rtc.handle_input(Input::Timeout(now)).unwrap();
        let mut others = Vec::new();
        let mut found = false;
        loop {
            match client.rtc.poll_output().unwrap() {
                Output::Timeout(_) => break,
                Output::Transmit(transmit) if transmit.contents.len() > PAYLOAD => {
                    let datagram = &transmit.contents;
                    self.buffer.bytes[..datagram.len()].copy_from_slice(datagram);
                    self.buffer.len = datagram.len();
                    found = true;
                }
                Output::Transmit(transmit) => others.push(transmit.contents.to_vec()),
                Output::Event(Event::KeyframeRequest(asked)) => client.key_frame_asked(asked.rid),
                Output::Event(_) => {}
            }
        }
        for datagram in others {
            self.world.deliver(self.path, &datagram);
        }
        assert!(found, "the publisher has sent its packet");
    }
}

impl Work for Forward {
    fn run(&mut self, count: u64) -> Duration {
        let mut watch = Watch::default();
        let before = self.world.shard.counters().forwarded;
        for _ in 0..count {
            self.next_packet();
            let (shard, now, path, buffer) = (&mut self.world.shard, self.world.now, self.path, &mut self.buffer);
            watch.time(|| shard.handle_datagram(now, path, buffer));
            // What it costs to keep what clients have heard is theirs.
            self.world.clients.iter_mut().for_each(|client| client.received.clear());
            self.world.events.clear();
            self.world.costs.clear();
        }
        let forwarded = self.world.shard.counters().forwarded - before;
        let expected = count * self.viewers;
        assert!(
            forwarded * 10 >= expected * 9 && forwarded <= expected + expected / 10 + 100,
            "{forwarded} packets were forwarded, {expected} should have been"
        );
        watch.total()
    }
}
