//! The SCTP association: the only file that drives the SCTP library, so that another can take its place.
//!
//! The peer always begins (as every browser does once DTLS is up); we only answer. Whatever the peer does to its association,
//! the call goes on: an association that ends is forgotten, and the peer may begin another.

#![allow(clippy::disallowed_types)] // the library takes its configuration as `Arc`s, when an association begins

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sctp::{
    Association, AssociationHandle, DatagramEvent, Endpoint, EndpointConfig, Event, Payload, PayloadProtocolIdentifier,
    ReliabilityType, ServerConfig, StreamEvent, TimerConfig, TransportConfig,
};
use shared::TransportProtocol;

use super::guard::{Guard, Init, STREAMS, Seen, WINDOW};
use super::outbox::Outbox;
use super::{Channel, MAX_MESSAGE, MAX_NAME, Message, Pushed, Refused};

/// The peer, as the library knows it: it outlives every path.
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5_000);
/// What the library may hold for the peer; the rest waits in the outbox, where our rules for slow viewers are. At 100 ms of
/// round trip this is 2.6 Mbit/s, more than data should take.
const MAX_HELD: usize = 32 * 1_024;

struct Running {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    /// The peer's tag in its INIT.
    tag: u32,
    /// What was answered to it, for when the answer is lost: the library refuses an INIT that comes again.
    answer: Vec<Bytes>,
    established: bool,
}

/// One participant's data channels.
#[derive(Default)]
pub struct DataLink {
    running: Option<Box<Running>>,
    guard: Guard,
    outbox: Outbox,
    received: VecDeque<Message>,
    packets: VecDeque<Bytes>,
    /// A message was larger than anybody may send; it is gone.
    oversized: u32,
    ended: bool,
    panicked: bool,
}

impl DataLink {
    /// Takes one SCTP packet. Afterwards: [`Self::poll_received`], and what [`Self::send`] wants.
    ///
    /// # Errors
    /// [`Refused`]: the packet did nothing, or was the last one.
    pub fn handle(&mut self, now: Instant, packet: Bytes) -> Result<(), Refused> {
        if self.ended {
            return Err(Refused::Ended);
        }
        let outcome = self.take(now, packet);
        if outcome == Err(Refused::Excess) {
            self.end();
        }
        outcome
    }

    fn take(&mut self, now: Instant, packet: Bytes) -> Result<(), Refused> {
        match self.guard.admit(&packet)? {
            Seen::Init(init) if !self.begin(init)? => return Ok(()),
            Seen::Packet | Seen::Init(_) => {}
            Seen::Abort => {
                self.running = None;
                return Ok(());
            }
            Seen::Complaint => return Ok(()),
        }
        self.with(|running, link| {
            match running.endpoint.handle(now, PEER, None, packet) {
                Some((handle, DatagramEvent::NewAssociation(association))) if running.association.is_none() => {
                    running.association = Some((handle, association));
                }
                Some((handle, DatagramEvent::AssociationEvent(event))) => {
                    if let Some((ours, association)) = &mut running.association
                        && *ours == handle
                    {
                        association.handle_event(event);
                    }
                }
                _ => {}
            }
            link.collect(now, running);
        });
        Ok(())
    }

    /// An INIT: `false` when nothing is to be done with it.
    fn begin(&mut self, init: Init) -> Result<bool, Refused> {
        if let Some(running) = &self.running {
            if running.established {
                return Ok(false); // a late copy
            }
            if running.tag == init.tag {
                self.packets.extend(running.answer.iter().cloned());
                return Ok(false);
            }
        }
        self.guard.begin(init)?;
        self.outbox = Outbox::default();
        self.running = Some(Box::new(Running {
            endpoint: endpoint(),
            association: None,
            tag: init.tag,
            answer: Vec::new(),
            established: false,
        }));
        Ok(true)
    }

    /// Lets the library work. A panic in it ends the channels; what it was working on is not touched again.
    fn with(&mut self, work: impl FnOnce(&mut Running, &mut Self)) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        let done = catch_unwind(AssertUnwindSafe(|| {
            work(&mut running, self);
            running
        }));
        match done {
            Ok(running) if self.ended => drop(running),
            Ok(running) => {
                let over = running
                    .association
                    .as_ref()
                    .is_some_and(|(_, association)| association.is_closed());
                // Before the peer has shown its cookie the library calls an association closed, too.
                if !(over && running.established) {
                    self.running = Some(running);
                }
            }
            Err(_) => {
                self.panicked = true;
                self.end();
            }
        }
    }

    /// Takes events and messages out of the library.
    fn collect(&mut self, now: Instant, running: &mut Running) {
        let Some((handle, association)) = &mut running.association else {
            return;
        };
        while let Some(event) = association.poll() {
            match event {
                Event::Connected => {
                    running.established = true;
                    running.answer = Vec::new();
                    for channel in Channel::ALL {
                        let _ = association.open_stream(channel.id(), PayloadProtocolIdentifier::Binary);
                    }
                }
                Event::AssociationLost { id, .. } => {
                    if let Some(channel) = Channel::of(id) {
                        self.outbox.close(channel);
                    }
                }
                Event::Stream(StreamEvent::Opened { id }) if Channel::of(id).is_none() => {
                    // Nobody here would answer: its owner hears that it is closed.
                    if let Ok(mut stream) = association.stream(id) {
                        let _ = stream.close(now);
                    }
                }
                _ => {}
            }
        }
        for channel in Channel::ALL {
            let Ok(mut stream) = association.stream(channel.id()) else {
                continue;
            };
            // The library needs to know it on the receiving side, too, to forget what the peer has given up.
            let (unordered, reliability) = match channel {
                Channel::Reliable => (false, ReliabilityType::Reliable),
                Channel::Lossy => (true, ReliabilityType::Rexmit),
            };
            let _ = stream.set_reliability_params(unordered, reliability, 0);
            while let Ok(Some(chunks)) = stream.read() {
                let (text, empty) = match chunks.ppi {
                    PayloadProtocolIdentifier::String => (true, false),
                    PayloadProtocolIdentifier::Binary => (false, false),
                    PayloadProtocolIdentifier::StringEmpty => (true, true),
                    PayloadProtocolIdentifier::BinaryEmpty => (false, true),
                    _ => continue,
                };
                match chunks.to_payload(MAX_MESSAGE) {
                    Ok(_) if empty => self.received.push_back(Message {
                        channel,
                        text,
                        bytes: Bytes::new(),
                    }),
                    Ok(bytes) => self.received.push_back(Message {
                        channel,
                        text,
                        bytes: bytes.freeze(),
                    }),
                    Err(_) => self.oversized += 1,
                }
            }
        }
        while let Some(event) = association.poll_endpoint_event() {
            running.endpoint.handle_event(*handle, event);
        }
    }

    /// The next message of the peer.
    pub fn poll_received(&mut self) -> Option<Message> {
        self.received.pop_front()
    }

    /// How many messages were too large since the last call.
    pub fn take_oversized(&mut self) -> u32 {
        std::mem::take(&mut self.oversized)
    }

    /// Puts a message for the peer into its queue.
    pub fn push(&mut self, message: Message) -> Pushed {
        if self.ended {
            return Pushed::Closed;
        }
        self.outbox.push(message)
    }

    /// Closes the reliable channel: the peer sees that it is closed.
    pub fn close_reliable(&mut self, now: Instant) {
        self.outbox.close(Channel::Reliable);
        self.with(|running, _| {
            if let Some((_, association)) = &mut running.association
                && let Ok(mut stream) = association.stream(Channel::Reliable.id())
            {
                let _ = stream.close(now);
            }
        });
    }

    /// Gives the library one more message, when it has room: `true`. [`Self::poll_transmit`] then has packets.
    pub fn advance(&mut self, now: Instant) -> bool {
        let mut advanced = false;
        self.with(|running, link| {
            let Some((_, association)) = running.association.as_mut().filter(|_| running.established) else {
                return;
            };
            let held = Channel::ALL.map(|channel| association.stream(channel.id()).and_then(|s| s.buffered_amount()));
            if held.into_iter().flatten().sum::<usize>() >= MAX_HELD {
                return;
            }
            let Some(message) = link.outbox.pop() else { return };
            let (ppi, bytes) = match (message.text, message.bytes.is_empty()) {
                (true, false) => (PayloadProtocolIdentifier::String, message.bytes),
                (false, false) => (PayloadProtocolIdentifier::Binary, message.bytes),
                // SCTP carries no empty message (RFC 8831 section 6.6).
                (true, true) => (PayloadProtocolIdentifier::StringEmpty, Bytes::from_static(&[0])),
                (false, true) => (PayloadProtocolIdentifier::BinaryEmpty, Bytes::from_static(&[0])),
            };
            match association.stream(message.channel.id()) {
                Ok(mut stream) => {
                    let _ = stream.write_chunk_with_ppi(now, &bytes, ppi);
                }
                // The peer has closed it.
                Err(_) => link.outbox.close(message.channel),
            }
            advanced = true;
        });
        advanced
    }

    /// Whether messages wait that [`Self::advance`] may send, now or when the peer has acknowledged some.
    pub fn waits(&self) -> bool {
        !self.outbox.is_empty() && self.running.as_ref().is_some_and(|running| running.established)
    }

    /// The next SCTP packet to send.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        if self.packets.is_empty() {
            self.with(|running, link| link.gather(now, running));
        }
        self.packets.pop_front()
    }

    fn gather(&mut self, now: Instant, running: &mut Running) {
        let Some((_, association)) = &mut running.association else {
            return;
        };
        let Some(transmit) = association.poll_transmit(now) else {
            return;
        };
        let Payload::RawEncode(packets) = transmit.message else {
            return;
        };
        for packet in packets {
            if self.guard.note_sent(&packet).is_err() {
                return self.end();
            }
            if !running.established && running.answer.len() < 2 {
                running.answer.push(packet.clone());
            }
            self.packets.push_back(packet);
        }
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        let (_, association) = self.running.as_ref()?.association.as_ref()?;
        association.poll_timeout()
    }

    /// Sends again and acknowledges what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_deadline().is_some_and(|at| at <= now) {
            self.expire(now);
        }
    }

    fn expire(&mut self, at: Instant) {
        self.with(|running, link| {
            if let Some((_, association)) = &mut running.association {
                association.handle_timeout(at);
            }
            link.collect(at, running);
        });
    }

    /// The peer is back after having been away: what waits for an answer is sent again now, not when the timer that has been
    /// doubled meanwhile expires.
    pub fn wake(&mut self) {
        if let Some(at) = self.next_deadline() {
            self.expire(at);
        }
    }

    /// Whether the peer's association is up.
    pub fn is_established(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.established)
    }

    /// Whether the channels have ended for good.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether a defect of the library has ended them.
    pub fn has_panicked(&self) -> bool {
        self.panicked
    }

    fn end(&mut self) {
        self.ended = true;
        self.running = None;
        self.received.clear();
        self.packets.clear();
        for channel in Channel::ALL {
            self.outbox.close(channel);
        }
    }
}

fn endpoint() -> Endpoint {
    let transport = TransportConfig::default()
        .with_max_receive_buffer_size(WINDOW)
        .with_max_message_size((MAX_MESSAGE + 1 + MAX_NAME) as u32)
        .with_max_num_inbound_streams(STREAMS)
        .with_max_num_outbound_streams(STREAMS)
        // ICE says when somebody is gone; giving up after some minutes would leave a channel that is open and dumb.
        .with_timer_config(TimerConfig {
            max_t3_rtx_retrans: usize::MAX,
            ..TimerConfig::default()
        });
    let server = ServerConfig::new(transport);
    Endpoint::new(
        PEER,
        TransportProtocol::UDP,
        Arc::new(EndpointConfig::new()),
        Some(Arc::new(server)),
    )
}
