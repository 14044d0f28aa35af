//! The link against the library's own client: both sides in made-up time, over a line that loses what a test wants lost.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test begins somewhere, and the library wants Arcs"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ReliabilityType, TransportConfig,
};
use shared::TransportProtocol;

use super::*;

fn server() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5_000))
}

/// Says of each packet whether it is lost; up: to the link.
type Lossy = Box<dyn FnMut(bool, &[u8]) -> bool>;

struct Line {
    now: Instant,
    link: DataLink,
    endpoint: Endpoint,
    handle: AssociationHandle,
    client: Association,
    lossy: Lossy,
    outcomes: Vec<Result<(), Refused>>,
    connected: bool,
    /// Streams that the client has lost.
    lost: Vec<u16>,
}

impl Line {
    fn new() -> Self {
        let now = Instant::now();
        let config = Arc::new(EndpointConfig::new());
        let mut endpoint = Endpoint::new(server(), TransportProtocol::UDP, config, None);
        let transport = TransportConfig::default().with_max_message_size(10 << 20);
        let config = ClientConfig {
            transport: Arc::new(transport),
        };
        let (handle, client) = endpoint.connect(now, config, server()).unwrap();
        Self {
            now,
            link: DataLink::default(),
            endpoint,
            handle,
            client,
            lossy: Box::new(|_, _| false),
            outcomes: Vec::new(),
            connected: false,
            lost: Vec::new(),
        }
    }

    fn connected() -> Self {
        let mut line = Self::new();
        line.run(20);
        assert!(line.connected && line.link.is_established());
        line
    }

    /// Lets so many times 10 ms pass.
    fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            self.now += Duration::from_millis(10);
            self.client.handle_timeout(self.now);
            self.link.handle_timeout(self.now);
            for _ in 0..4 {
                self.exchange();
            }
        }
    }

    fn exchange(&mut self) {
        while let Some(transmit) = self.client.poll_transmit(self.now) {
            let Payload::RawEncode(packets) = transmit.message else {
                continue;
            };
            for packet in packets {
                if !(self.lossy)(true, &packet) {
                    self.outcomes.push(self.link.handle(self.now, packet));
                }
            }
        }
        loop {
            while let Some(packet) = self.link.poll_transmit(self.now) {
                if !(self.lossy)(false, &packet)
                    && let Some((_, DatagramEvent::AssociationEvent(event))) =
                        self.endpoint.handle(self.now, server(), None, packet)
                {
                    self.client.handle_event(event);
                }
            }
            if !self.link.advance(self.now) {
                break;
            }
        }
        while let Some(event) = self.client.poll() {
            match event {
                Event::Connected => {
                    self.connected = true;
                    for channel in Channel::ALL {
                        let mut stream = self
                            .client
                            .open_stream(channel.id(), PayloadProtocolIdentifier::Binary)
                            .unwrap();
                        if channel == Channel::Lossy {
                            stream.set_reliability_params(true, ReliabilityType::Rexmit, 0).unwrap();
                        }
                    }
                }
                Event::AssociationLost { id, .. } => self.lost.push(id),
                _ => {}
            }
        }
        while let Some(event) = self.client.poll_endpoint_event() {
            self.endpoint.handle_event(self.handle, event);
        }
    }

    fn send(&mut self, id: u16, bytes: &[u8]) {
        let now = self.now;
        let mut stream = match self.client.stream(id) {
            Ok(stream) => stream,
            Err(_) => self.client.open_stream(id, PayloadProtocolIdentifier::Binary).unwrap(),
        };
        stream
            .write_with_ppi(now, bytes, PayloadProtocolIdentifier::Binary)
            .unwrap();
    }

    fn received(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.link.poll_received()).collect()
    }

    fn heard(&mut self, channel: Channel) -> Vec<Vec<u8>> {
        let mut stream = self.client.stream(channel.id()).unwrap();
        let mut all = Vec::new();
        while let Ok(Some(chunks)) = stream.read() {
            all.push(chunks.to_payload(1 << 20).unwrap().to_vec());
        }
        all
    }
}

fn message(channel: Channel, bytes: &[u8]) -> Message {
    Message {
        channel,
        text: false,
        bytes: Bytes::copy_from_slice(bytes),
    }
}

#[test]
fn messages_go_both_ways_on_both_channels_and_large_ones_in_one_piece() {
    let mut line = Line::connected();
    let large = vec![7; MAX_MESSAGE];
    line.send(0, b"one");
    line.send(0, &large);
    line.send(1, b"two");
    line.run(20);
    let mut received = line.received();
    received.sort_by_key(|message| message.channel.id());
    assert_eq!(
        received,
        [
            message(Channel::Reliable, b"one"),
            message(Channel::Reliable, &large),
            message(Channel::Lossy, b"two")
        ]
    );
    for channel in Channel::ALL {
        line.link.push(message(channel, &large));
    }
    line.run(20);
    assert_eq!(line.heard(Channel::Reliable), std::slice::from_ref(&large));
    assert_eq!(line.heard(Channel::Lossy), [large]);
}

#[test]
fn an_answer_that_is_lost_is_given_again() {
    let mut line = Line::new();
    let mut lost = 0;
    line.lossy = Box::new(move |up, _| {
        lost += u32::from(!up);
        !up && lost <= 2
    });
    line.run(600);
    assert!(line.connected && line.link.is_established());
    assert!(line.outcomes.iter().all(Result::is_ok));
}

#[test]
fn the_reliable_channel_loses_nothing_and_keeps_the_order_the_lossy_one_does_not_wait() {
    let mut line = Line::connected();
    let mut seed = 1_u32;
    line.lossy = Box::new(move |_, _| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16).is_multiple_of(5)
    });
    for n in 0..100_u32 {
        line.send(0, &n.to_be_bytes());
        line.link.push(message(Channel::Reliable, &n.to_be_bytes()));
        line.link.push(message(Channel::Lossy, &n.to_be_bytes()));
        line.run(2);
    }
    line.run(3_000);
    let all: Vec<Vec<u8>> = (0..100_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    assert_eq!(line.heard(Channel::Reliable), all);
    let up: Vec<Vec<u8>> = line.received().iter().map(|message| message.bytes.to_vec()).collect();
    assert_eq!(up, all);
    let lossy = line.heard(Channel::Lossy).len();
    assert!((50..100).contains(&lossy), "{lossy}: some were lost, and stay lost");
}

#[test]
fn a_message_that_is_too_large_is_not_taken_and_the_next_one_is() {
    let mut line = Line::connected();
    line.send(0, &vec![1; MAX_MESSAGE + 1]);
    line.send(0, b"next");
    line.run(40);
    assert_eq!(line.link.take_oversized(), 1);
    assert_eq!(line.received(), [message(Channel::Reliable, b"next")]);
}

#[test]
fn a_message_without_end_ends_the_channels_before_it_costs_much() {
    let mut line = Line::connected();
    line.send(0, &vec![1; 8 << 20]);
    line.run(400);
    assert!(line.link.is_ended() && !line.link.has_panicked());
    let taken = line.outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(taken < 400, "{taken} packets");
    assert!(line.outcomes.contains(&Err(Refused::Ended)));
}

#[test]
fn a_gap_that_is_never_filled_ends_nothing_but_is_not_waited_for_without_end() {
    let mut line = Line::connected();
    // The first packet with data is lost each time it comes.
    let mut hole = None;
    line.lossy = Box::new(move |up, packet| {
        let data = up && packet[12] == 0;
        let tsn = || packet[16..20].to_vec();
        data && *hole.get_or_insert_with(tsn) == tsn()
    });
    for _ in 0..2_000 {
        line.send(1, &[1; 600]);
        line.run(1);
    }
    // The client gives up what is lossy and says so; only its own window has held it back.
    assert!(!line.link.is_ended());
    assert!(line.received().len() > 1_000);
}

#[test]
fn a_channel_that_nobody_has_agreed_on_is_closed_and_the_two_go_on() {
    let mut line = Line::connected();
    line.send(6, b"hello?");
    line.run(40);
    assert_eq!(line.received(), []);
    line.send(0, b"still here");
    line.run(40);
    assert_eq!(line.received().len(), 1);
}

#[test]
fn who_is_too_slow_loses_the_reliable_channel_and_sees_it() {
    let mut line = Line::connected();
    line.lossy = Box::new(|up, _| up); // nothing is acknowledged
    let mut outcome = Pushed::Taken(0);
    for _ in 0..60 {
        outcome = line.link.push(message(Channel::Reliable, &[1; 16_000]));
        if outcome == Pushed::Overflowed {
            let now = line.now;
            line.link.close_reliable(now);
            break;
        }
        line.run(1);
    }
    assert_eq!(outcome, Pushed::Overflowed);
    line.lossy = Box::new(|_, _| false);
    line.link.wake();
    for _ in 0..100 {
        line.run(20);
        // The library resets a stream once all of it has been read.
        if !line.lost.contains(&0) {
            line.heard(Channel::Reliable);
        }
    }
    assert!(
        line.lost.contains(&0),
        "the client sees the channel close: {:?}",
        line.lost
    );
    line.link.push(message(Channel::Lossy, b"the other one"));
    line.run(20);
    assert_eq!(line.heard(Channel::Lossy), [b"the other one".to_vec()]);
}

#[test]
fn a_peer_that_aborts_may_begin_again_but_not_for_ever() {
    let mut line = Line::connected();
    for begun in 2..=9 {
        line.client.abort().unwrap();
        line.run(5);
        assert!(!line.link.is_established());
        let Line { now, link, .. } = line;
        line = Line {
            now,
            link,
            ..Line::new()
        };
        line.run(20);
        assert_eq!(line.link.is_established(), begun <= 8, "{begun}");
    }
    assert!(line.link.is_ended());
}
