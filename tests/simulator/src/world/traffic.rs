//! Datagrams between clients and shards, over their links.

use std::time::Duration;

use super::{Client, What, World};
use crate::plan::Broken;
use crate::shards;
use crate::viewer::asked;
use crate::wire::AROUND;

impl World<'_> {
    /// A client's turn: what it sends now, and when it sends again.
    pub(super) fn send(
        &mut self,
        at: usize,
        again: Duration,
        what: What,
        make: impl FnOnce(&mut Client, &mut Vec<Vec<u8>>),
    ) {
        if !self.clients[at].connected {
            return;
        }
        let middle = self.plan.length / 2;
        let hole =
            self.plan.broken == Some(Broken::Hole) && (middle..middle + Duration::from_secs(2)).contains(&self.now);
        let mut out = Vec::new();
        make(&mut self.clients[at], &mut out);
        if hole && matches!(what, What::Frame(_)) {
            out.clear();
        }
        self.after(again, what);
        self.transmit(at, out);
    }

    pub(super) fn transmit(&mut self, at: usize, datagrams: Vec<Vec<u8>>) {
        for datagram in datagrams {
            let client = &mut self.clients[at];
            let passage = client.up.send(self.now, datagram.len() + AROUND);
            let place = client.place;
            if let Some(double) = passage.double {
                self.at(double, What::Up(at, place, datagram.clone()));
            }
            if let Some(arrival) = passage.arrival {
                self.at(arrival, What::Up(at, place, datagram));
            }
        }
    }

    pub(super) fn arrive(&mut self, at: usize, place: u8, datagram: Vec<u8>) {
        let shard = self.plan.people[at].shard;
        if let Some(end) = self.stalled(shard) {
            return self.at(end, What::Up(at, place, datagram));
        }
        let len = datagram.len().min(self.buffer.bytes.len());
        self.buffer.bytes[..len].copy_from_slice(&datagram[..len]);
        self.buffer.len = len;
        let now = self.instant();
        let path = shards::path(shard, at, place);
        self.shards[usize::from(shard)].handle_datagram(now, path, &mut self.buffer);
        self.serve(shard);
    }

    pub(super) fn descend(&mut self, at: usize, place: u8, datagram: Vec<u8>) {
        let client = &mut self.clients[at];
        let passage = self.downs[client.down].send(self.now, datagram.len() + AROUND);
        client.witness.waits.push((self.now, passage.queued, passage.overflow));
        if place != client.place {
            return; // nobody is there any more
        }
        if let Some(double) = passage.double {
            self.at(double, What::Down(at, datagram.clone()));
        }
        if let Some(arrival) = passage.arrival {
            self.at(arrival, What::Down(at, datagram));
        }
    }

    pub(super) fn receive(&mut self, at: usize, datagram: &[u8]) {
        if !self.clients[at].connected {
            return;
        }
        self.delivered += 1;
        let slot = (self.now.as_millis() / 100) as usize;
        let now = self.instant();
        let client = &mut self.clients[at];
        if client.viewer.bytes.len() <= slot {
            client.viewer.bytes.resize(slot + 1, 0);
        }
        client.viewer.bytes[slot] += (datagram.len() + AROUND) as u64;
        if datagram.get(1).is_some_and(|kind| (192..224).contains(kind)) {
            let (lost, keys) = asked(datagram);
            let mut out = Vec::new();
            for (ssrc, number) in lost {
                client.publisher.again(ssrc, number, &mut out);
            }
            for ssrc in keys {
                client.publisher.key_frame(ssrc);
            }
            self.transmit(at, out);
        } else {
            client.viewer.receive(now, self.now, datagram);
        }
    }
}
