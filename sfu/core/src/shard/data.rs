//! Data channels in a room: what a participant sends goes to all others of it, within limits for each sender, for the room,
//! and for what waits for each viewer.
//!
//! The server reads nothing of a message. It puts the sender's name in front, one byte of length and then the name, so that a
//! viewer knows who it is from without a roster. Binary messages are people's; text is the server's own, and says why
//! something was refused.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use sfu_bwe::Bitrate;

use super::pacing::DATAGRAM;
use super::relay::Word;
use super::{Drop, OfferRequest, Shard};
use crate::budget::Budget;
use crate::data::{Channel, DataLink, MAX_NAME, Message, Pushed, Refused};
use crate::sdp::{MediaKind, Offer};
use crate::types::RoomId;

/// Messages of one participant: 50 a second, which is a pointer's movement in full, and 100 at once.
const MESSAGES: Budget = Budget::new(Duration::from_millis(20), 100);
/// KiB of one participant: 64 a second, 256 at once.
const KIBS: Budget = Budget::new(Duration::from_micros(15_625), 256);
/// SCTP packets of one participant, acknowledgements among them; beyond them they are dropped unread.
const PACKETS: Budget = Budget::new(Duration::from_millis(1), 1_000);
/// Messages of all participants of a room in one shard: each goes to everybody, and four who send as fast as they may are
/// enough for any room.
const ROOM_MESSAGES: Budget = Budget::new(Duration::from_millis(5), 400);
/// Refusals that one participant is told of.
const NOTICES: Budget = Budget::new(Duration::from_secs(1), 3);
/// DTLS, UDP and IP around an SCTP packet.
const AROUND: usize = DATAGRAM + 37;
/// Rates are taken over this long.
const MEASURE: Duration = Duration::from_millis(500);

/// A participant's data channels, and what they may do with them.
pub(super) struct Data {
    pub link: DataLink,
    may_send: bool,
    may_receive: bool,
    /// What stands before their messages.
    prefix: Bytes,
    messages: Budget,
    kibs: Budget,
    packets: Budget,
    notices: Budget,
    /// When the pacer is asked again, while messages wait for it.
    paced: Option<Instant>,
}

/// What a room may send as data.
pub(super) struct RoomData(Budget);

impl Default for RoomData {
    fn default() -> Self {
        Self(ROOM_MESSAGES)
    }
}

impl Data {
    /// Those of an offer that has an m-line for them.
    pub(super) fn of(offer: &Offer, request: &OfferRequest) -> Option<Box<Self>> {
        let mut lines = offer.media.iter().filter(|media| media.kind == MediaKind::Application);
        if !lines.any(|media| !media.rejected && media.sctp_port.is_some()) {
            return None;
        }
        let name = request.name.as_bytes();
        let name = name.get(..MAX_NAME).unwrap_or(name);
        let mut prefix = BytesMut::with_capacity(1 + name.len());
        prefix.put_u8(name.len() as u8);
        prefix.put_slice(name);
        Some(Box::new(Self {
            link: DataLink::default(),
            may_send: request.publish,
            may_receive: request.subscribe,
            prefix: prefix.freeze(),
            messages: MESSAGES,
            kibs: KIBS,
            packets: PACKETS,
            notices: NOTICES,
            paced: None,
        }))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.link.next_deadline(), self.paced].into_iter().flatten().min()
    }

    /// Whether a message may be sent now, else why not.
    fn admit(&mut self, now: Instant, message: &Message, room: &mut RoomData) -> Result<(), (Drop, &'static str)> {
        let kib = message.bytes.len().div_ceil(1_024).max(1);
        if message.text {
            Err((Drop::DataRefused, UNSUPPORTED))
        } else if !self.may_send {
            Err((Drop::DataRefused, FORBIDDEN))
        } else if !self.messages.take(now) || !(0..kib).all(|_| self.kibs.take(now)) || !room.0.take(now) {
            Err((Drop::DataFlood, TOO_MUCH))
        } else {
            Ok(())
        }
    }
}

const UNSUPPORTED: &str = r#"{"t":"refused","code":"BAD_REQUEST","message":"Data messages are binary; text is the server's own. Send an ArrayBuffer.","retryAfterMs":0}"#;
const FORBIDDEN: &str =
    r#"{"t":"refused","code":"FORBIDDEN","message":"This token does not let you send here.","retryAfterMs":0}"#;
const TOO_MUCH: &str = r#"{"t":"refused","code":"RATE_LIMITED","message":"Too much data: at most 50 messages and 64 KiB a second. What was too much is lost.","retryAfterMs":1000}"#;
const TOO_LARGE: &str = r#"{"t":"refused","code":"BAD_REQUEST","message":"A data message may have 16384 bytes. Send it in parts, or as a file.","retryAfterMs":0}"#;
const CLOSED: &str = r#"{"t":"closed","code":"GONE","message":"The reliable channel is closed: more than 512 KiB waited for this connection. A new connection opens it again.","retryAfterMs":0}"#;

/// What data channels take of a link.
#[derive(Default)]
pub(super) struct Meter {
    bytes: u64,
    since: Option<Instant>,
    last: Bitrate,
}

impl Meter {
    fn note(&mut self, now: Instant, bytes: usize) {
        self.rate(now);
        self.since.get_or_insert(now);
        self.bytes += bytes as u64;
    }

    pub(super) fn rate(&mut self, now: Instant) -> Bitrate {
        if let Some(since) = self.since {
            let passed = now.saturating_duration_since(since);
            if passed >= MEASURE {
                self.last = Bitrate::of(self.bytes, passed);
                let idle = self.bytes == 0;
                (self.bytes, self.since) = (0, (!idle).then_some(now));
            }
        }
        self.last
    }
}

impl Shard {
    /// SCTP packets of a participant.
    pub(super) fn handle_data(&mut self, now: Instant, key: u32, packets: Vec<Vec<u8>>) {
        for packet in packets {
            let Some(data) = self
                .members
                .get_mut(key as usize)
                .and_then(|member| member.data.as_mut())
            else {
                self.counters.drop(Drop::DataMalformed);
                continue;
            };
            if !data.packets.take(now) {
                self.counters.drop(Drop::DataFlood);
                continue;
            }
            match data.link.handle(now, packet.into()) {
                Ok(()) => {}
                Err(Refused::Excess) => self.counters.drop(Drop::DataEnded),
                Err(Refused::Malformed | Refused::Ended) => self.counters.drop(Drop::DataMalformed),
            }
            self.take_messages(now, key);
        }
        self.drive_data(now, key);
    }

    /// What has come from a participant goes to the others.
    fn take_messages(&mut self, now: Instant, key: u32) {
        loop {
            let Self { members, rooms, .. } = self;
            let Some(member) = members.get_mut(key as usize) else {
                return;
            };
            let (room, Some(data)) = (member.room, &mut member.data) else {
                return;
            };
            for _ in 0..data.link.take_oversized() {
                self.counters.drop(Drop::DataTooLarge);
                notify(&mut self.counters, now, data, TOO_LARGE);
            }
            let Some(message) = data.link.poll_received() else {
                return;
            };
            let Some(state) = rooms.get_mut(&room) else { return };
            if let Err((reason, notice)) = data.admit(now, &message, &mut state.data) {
                self.counters.drop(reason);
                notify(&mut self.counters, now, data, notice);
                continue;
            }
            self.counters.data_taken += 1;
            let mut bytes = BytesMut::with_capacity(data.prefix.len() + message.bytes.len());
            bytes.extend_from_slice(&data.prefix);
            bytes.extend_from_slice(&message.bytes);
            let message = Message {
                bytes: bytes.freeze(),
                ..message
            };
            for peer in self.peers(room) {
                self.outbox.word(peer, Word::Data(room, message.clone()));
            }
            self.spread_data(now, room, Some(key), &message);
        }
    }

    /// Gives a message to everybody in a room but its sender.
    pub(super) fn spread_data(&mut self, now: Instant, room: RoomId, sender: Option<u32>, message: &Message) {
        let mut at = 0;
        while let Some(key) = self.rooms.get(&room).and_then(|room| room.members.get(at)).copied() {
            at += 1;
            let Some(member) = self.members.get_mut(key as usize) else {
                continue;
            };
            let Some(data) = member.data.as_mut().filter(|data| data.may_receive) else {
                continue;
            };
            if Some(key) == sender || !data.link.is_established() {
                continue;
            }
            match data.link.push(message.clone()) {
                Pushed::Taken(dropped) => {
                    self.counters.data_given += 1;
                    (0..dropped).for_each(|_| self.counters.drop(Drop::DataSlow));
                }
                Pushed::Overflowed => {
                    self.counters.drop(Drop::DataClosed);
                    data.link.close_reliable(now);
                    notify(&mut self.counters, now, data, CLOSED);
                }
                Pushed::Closed => {}
            }
            self.drive_data(now, key);
            self.reschedule(key);
        }
    }

    /// Sends what of a participant's data is due, in its share of the link.
    pub(super) fn drive_data(&mut self, now: Instant, key: u32) {
        let Self {
            members,
            arena,
            counters,
            ..
        } = self;
        let Some(member) = members
            .get_mut(key as usize)
            .filter(|member| member.connected && !member.lost)
        else {
            return;
        };
        let (Some(data), Some(peer)) = (&mut member.data, &mut member.peer) else {
            return;
        };
        let ended = data.link.is_ended();
        data.link.handle_timeout(now);
        data.paced = None;
        loop {
            let mut bytes = 0;
            while let Some(packet) = data.link.poll_transmit(now) {
                if peer.transport.send_data(now, &packet).is_ok() {
                    bytes += packet.len() + AROUND;
                }
                // At once: the transport keeps only so many.
                while let Some((path, datagram)) = peer.transport.poll_transmit() {
                    if !arena.push(path, &datagram) {
                        counters.drop(Drop::ArenaFull);
                    }
                }
            }
            if let Some(downlink) = member.downlink.as_mut().filter(|_| bytes > 0) {
                downlink.pacer.data_left(now, bytes);
                downlink.data.note(now, bytes);
            }
            if !data.link.waits() {
                break;
            }
            if let Some(downlink) = &mut member.downlink
                && !downlink.pacer.lets_data(now)
            {
                data.paced = Some(downlink.pacer.data_deadline());
                break;
            }
            if !data.link.advance(now) {
                break;
            }
        }
        if let Some(downlink) = &mut member.downlink {
            downlink.data_waits = data.paced.is_some();
        }
        if data.link.is_ended() && !ended {
            counters.drop(Drop::DataEnded);
        }
    }
}

/// Tells a participant of a refusal, by the channel whose queue makes room for it.
fn notify(counters: &mut super::Counters, now: Instant, data: &mut Data, text: &'static str) {
    if data.notices.take(now) {
        let notice = Message {
            channel: Channel::Lossy,
            text: true,
            bytes: Bytes::from_static(text.as_bytes()),
        };
        if let Pushed::Taken(dropped) = data.link.push(notice) {
            (0..dropped).for_each(|_| counters.drop(Drop::DataSlow));
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use super::*;

    #[test]
    fn what_the_notices_say_is_what_the_limits_are() {
        assert!(TOO_LARGE.contains(&crate::data::MAX_MESSAGE.to_string()));
        let now = Instant::now();
        let second = |mut budget: Budget| {
            while budget.take(now) {}
            (0..1_000)
                .filter(|ms| budget.take(now + Duration::from_millis(*ms)))
                .count()
        };
        assert_eq!((second(MESSAGES), second(KIBS)), (49, 63));
        assert!(TOO_MUCH.contains("50 messages and 64 KiB"));
        assert!(CLOSED.contains(&format!("{} KiB", crate::data::MAX_RELIABLE_BYTES / 1_024)));
    }

    #[test]
    fn a_meter_tells_the_last_half_second_and_forgets() {
        let start = Instant::now();
        let mut meter = Meter::default();
        for ms in 0..1_000 {
            meter.note(start + Duration::from_millis(ms), 100);
        }
        let rate = meter.rate(start + Duration::from_millis(1_000)).as_bps();
        assert!((700_000..=900_000).contains(&rate), "{rate}");
        assert_eq!(meter.rate(start + Duration::from_millis(2_000)).as_bps(), 0);
    }
}
