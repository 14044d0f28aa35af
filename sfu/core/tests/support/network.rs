//! Datagrams between clients and shards: at once, or over links.

use std::time::Instant;

use sfu_core::shard::Event;
use sfu_core::types::Path;
use str0m::net::{Protocol, Receive};
use str0m::{Input, Output};

use super::{World, server, server_at};

impl World {
    pub(super) fn poll(&mut self, at: usize) {
        loop {
            let client = &mut self.clients[at];
            match client.rtc.poll_output().unwrap() {
                Output::Timeout(_) => break,
                Output::Transmit(transmit) => {
                    let datagram: Vec<u8> = transmit.contents.to_vec();
                    if !(self.lose_up)(at, &datagram) {
                        let path = Path::Udp {
                            local: server_at(client.shard),
                            remote: client.address,
                        };
                        if self.delay_up.is_zero() {
                            self.deliver(path, &datagram);
                        } else {
                            let arrival = (self.now + self.delay_up, self.sent);
                            self.rising.insert(arrival, (path, datagram));
                            self.sent += 1;
                        }
                    }
                }
                Output::Event(event) => match event {
                    str0m::Event::Connected => client.connected = true,
                    str0m::Event::ChannelData(data) => {
                        let channel = client.channels.iter().position(|id| *id == data.id);
                        client
                            .data
                            .push((channel.unwrap_or(usize::MAX), !data.binary, data.data));
                    }
                    str0m::Event::ChannelClose(id) => {
                        client
                            .closed
                            .extend(client.channels.iter().position(|ours| *ours == id));
                    }
                    str0m::Event::RtpPacket(packet) => client.received.push(packet),
                    str0m::Event::KeyframeRequest(asked) => client.key_frame_asked(asked.rid),
                    _ => {}
                },
            }
        }
    }

    /// A datagram from anywhere to the shard.
    pub fn deliver(&mut self, path: Path, datagram: &[u8]) {
        let length = datagram.len().min(self.buffer.bytes.len());
        self.buffer.bytes[..length].copy_from_slice(&datagram[..length]);
        self.buffer.len = length;
        let media = length > 12 && datagram[0] >> 6 == 2 && !(192..224).contains(&datagram[1]);
        let Path::Udp { local, .. } = path else { return };
        let number = usize::from(local.port() - server().port());
        if self.relays.stalled.contains(&(number as u8)) {
            return;
        }
        let now = self.now;
        let before = (self.probe)();
        let shard = match number.checked_sub(1) {
            None => &mut self.shard,
            Some(other) => &mut self.others[other],
        };
        shard.handle_datagram(now, path, &mut self.buffer);
        if !self.others.is_empty() {
            match self.others.as_mut_slice() {
                [other] => self.relays.exchange(now, &mut [&mut self.shard, other]),
                _ => self.exchange(),
            }
        }
        if media {
            self.costs.push((self.probe)() - before);
        }
    }

    pub(super) fn serve(&mut self) {
        while let Some(entry) = self.rising.first_entry()
            && entry.key().0 <= self.now
        {
            let (path, datagram) = entry.remove();
            self.deliver(path, &datagram);
        }
        let now = self.now;
        for number in 0..=self.others.len() {
            if self.relays.stalled.contains(&(number as u8)) {
                continue;
            }
            let shard = self.at(number);
            if shard.next_deadline().is_some_and(|at| at <= now) {
                shard.handle_timeout(now);
            }
        }
        self.exchange();
        let Self {
            shard,
            others,
            events,
            clients,
            down,
            obedient,
            told,
            ..
        } = self;
        for shard in std::iter::once(shard).chain(others) {
            while let Some(event) = shard.poll_event() {
                if let (
                    Some(delay),
                    Event::Layers {
                        participant, active, ..
                    },
                ) = (*obedient, &event)
                {
                    told.push_back((now + delay, *participant, active.clone()));
                }
                events.push(event);
            }
            let arena = shard.outgoing();
            for (path, datagram) in arena.iter() {
                let Path::Udp { remote, .. } = path else { continue };
                if let Some(at) = clients.iter().position(|client| client.address == remote) {
                    down.push((at, datagram.to_vec()));
                }
            }
            arena.clear();
        }
        while self.told.front().is_some_and(|(at, ..)| *at <= now)
            && let Some((_, who, active)) = self.told.pop_front()
        {
            if let Some(client) = self.clients.iter_mut().find(|client| client.id == who) {
                client.obey(&active);
            }
        }
        for (at, datagram) in std::mem::take(&mut self.down) {
            if (200..=207).contains(&datagram.get(1).copied().unwrap_or_default()) && datagram[0] >> 6 == 2 {
                let now = self.now;
                self.clients[at].rtcp_datagrams.push(now);
            }
            if (self.lose_down)(at, &datagram) {
                continue;
            }
            let mut arrival = self.now;
            if let Some(stream) = self.streams.get_mut(&at) {
                arrival = stream.send(self.now, datagram.len() + 2);
            }
            if let Some(link) = self.links.get_mut(&at) {
                let passage = link.send(self.now - self.start, datagram.len() + 28);
                self.waits.push((self.now - self.start, at, passage.queued));
                let Some(through) = passage.arrival else { continue };
                arrival = self.start + through;
            }
            if let Some(reads) = self.hold_down.get(&at) {
                arrival = arrival.max(*reads);
            }
            self.in_air.insert((arrival, self.sent), (at, datagram));
            self.sent += 1;
        }
        for (at, stream) in &mut self.streams {
            let backlog = stream.backlog(self.now);
            if stream.told {
                let remote = self.clients[*at].address;
                let local = server();
                self.shard.backlog(self.now, Path::Udp { local, remote }, backlog);
            }
        }
        while let Some(entry) = self.in_air.first_entry()
            && entry.key().0 <= self.now
        {
            let (at, datagram) = entry.remove();
            let client = &mut self.clients[at];
            let receive = Receive::new(Protocol::Udp, server_at(client.shard), client.address, &datagram).unwrap();
            client.rtc.handle_input(Input::Receive(self.now, receive)).unwrap();
            self.poll(at);
        }
    }
}
