//! The forwarder with str0m publishers and viewers.

use std::time::{Duration, Instant};

use sfu_core::forward::{Arena, PacketBuffer};
use sfu_core::types::Path;

use super::{Faults, Forwarder};
use crate::lab::{Core, Lab, server};
use crate::peers::Want;

impl Core for Forwarder {
    fn take(&mut self, now: Instant, path: Path, buffer: &mut PacketBuffer) {
        if let Path::Udp { remote, .. } = path {
            self.handle(now, remote, buffer.datagram());
        }
    }

    fn outgoing(&mut self) -> &mut Arena {
        &mut self.outgoing
    }

    fn tick(&mut self, now: Instant) {
        Self::tick(self, now);
    }
}

fn lab(faults: Faults) -> Lab<Forwarder> {
    let now = Instant::now();
    Lab::new(Forwarder::new(server(), faults).unwrap(), now)
}

fn publisher(lab: &mut Lab<Forwarder>, room: &str, name: &str) -> usize {
    let (number, offer) = lab.offer(None).unwrap();
    let answer = lab.server.publish(lab.now, room, name, &offer).unwrap();
    lab.answer(number, &answer).unwrap();
    number
}

/// A viewer of these publishers, audio and video.
fn viewer(lab: &mut Lab<Forwarder>, room: &str, name: &str, publishers: &[&str]) -> usize {
    let (number, offer) = lab.offer(Some((publishers.len(), publishers.len()))).unwrap();
    let want = |video| {
        publishers.iter().map(move |publisher| Want {
            publisher: (*publisher).to_owned(),
            video,
            layer: 0,
        })
    };
    let wants: Vec<Want> = want(false).chain(want(true)).collect();
    let answer = lab.server.view(lab.now, room, name, &wants, &offer).unwrap();
    lab.answer(number, &answer).unwrap();
    number
}

/// Sends `count` packets of audio and of video from a publisher.
fn publish(lab: &mut Lab<Forwarder>, client: usize, count: usize) {
    for _ in 0..count {
        for video in [None, Some(1_000)] {
            for packet in lab.packets(client, video, 1).unwrap() {
                lab.deliver(client, &packet);
            }
        }
        lab.serve().unwrap();
        lab.step(Duration::from_millis(20)).unwrap();
    }
}

fn payloads(lab: &Lab<Forwarder>, client: usize, length: usize) -> usize {
    let received = &lab.clients[client].received;
    received.iter().filter(|packet| packet.payload.len() == length).count()
}

#[test]
fn every_viewer_gets_every_packet_of_whom_it_wants_and_of_nobody_else() {
    let mut lab = lab(Faults::default());
    let (ann, bob) = (publisher(&mut lab, "r", "ann"), publisher(&mut lab, "r", "bob"));
    let both = viewer(&mut lab, "r", "x", &["ann", "bob"]);
    let only = viewer(&mut lab, "r", "y", &["bob"]);
    let other = viewer(&mut lab, "s", "z", &["ann"]);
    lab.connect().unwrap();
    publish(&mut lab, ann, 50);
    publish(&mut lab, bob, 50);
    for (client, packets) in [(both, 100), (only, 50), (other, 0)] {
        assert_eq!(payloads(&lab, client, 80), packets, "audio of client {client}");
        assert_eq!(payloads(&lab, client, 1_000), packets, "video of client {client}");
    }
    assert_eq!(lab.server.forwarded(), 300);
    lab.server.clear(lab.now, "r");
    publish(&mut lab, ann, 1);
    assert_eq!(lab.server.forwarded(), 300);
}

#[test]
fn a_viewer_that_comes_late_begins_where_the_others_are() {
    let mut lab = lab(Faults::default());
    let ann = publisher(&mut lab, "r", "ann");
    lab.connect().unwrap();
    // Past the first roll-over of the sequence number, which a new viewer has not seen.
    for packet in lab.packets(ann, None, 66_000).unwrap() {
        lab.deliver(ann, &packet);
    }
    let late = viewer(&mut lab, "r", "late", &["ann"]);
    lab.connect().unwrap();
    publish(&mut lab, ann, 20);
    assert_eq!(payloads(&lab, late, 80), 20);
}

#[test]
fn it_breaks_as_it_is_told() {
    let broken = |faults: Faults| {
        let mut lab = lab(faults);
        let ann = publisher(&mut lab, "r", "ann");
        let viewer = viewer(&mut lab, "r", "x", &["ann"]);
        let eve = publisher(&mut lab, "s", "eve");
        lab.connect().unwrap();
        for _ in 0..200 {
            publish(&mut lab, ann, 1);
            publish(&mut lab, eve, 1);
        }
        (
            payloads(&lab, viewer, 80),
            payloads(&lab, viewer, 1_000),
            lab.clients[viewer].received.len(),
        )
    };
    assert_eq!(broken(Faults::default()), (200, 200, 400));
    let dropping = Faults {
        drop: 0.2,
        ..Default::default()
    };
    let (_, _, all) = broken(dropping);
    assert!((280..360).contains(&all), "{all}");
    let mixing = Faults {
        wrong_room: 0.5,
        ..Default::default()
    };
    // Eve's last packet before Ann's audio is video: that is what arrives in its place.
    let (audio, video, all) = broken(mixing);
    assert_eq!(all, 400);
    assert!(audio < 180 && video > 220, "{audio} {video}");
}

#[test]
fn an_offer_whose_lines_do_not_match_is_refused() {
    let mut lab = lab(Faults::default());
    let (_, offer) = lab.offer(Some((1, 1))).unwrap();
    let error = lab.server.view(lab.now, "r", "x", &[], &offer).unwrap_err().to_string();
    assert!(error.contains("2 m-lines") && error.contains("0 streams"), "{error}");
}
