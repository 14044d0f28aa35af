//! RTCP out: reports, NACKs and key-frame requests.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::{Drop, Shard};
use crate::rtcp::{Compound, ReportBlock};
use crate::transport::MAX_SEAL_OVERHEAD;

/// A compound goes to everybody this often. Clients take 750 ms without a packet for a dead path, and we promise 250.
const REPORT_INTERVAL: Duration = Duration::from_millis(200);
/// Every slot's sender report is in each n-th compound; rebound ones are in the next.
const SLOT_TURNS: u32 = 5;
/// The rest of an Ethernet frame after IPv6, UDP and our own tag.
const MAX_COMPOUND: usize = 1_200;
/// Retransmission bytes for one viewer between two reports: 2.5 Mbit/s. More loss than that is congestion, and a
/// retransmission makes it worse.
const RETRANSMISSION_BYTES: usize = 64 * 1_024;
/// What a publisher may send when it estimates by REMB alone; the real estimate comes with congestion control.
const REMB_BITRATE: u64 = 6_000_000;

impl Shard {
    /// Sends what is due: the periodic compound, NACKs, key-frame requests that were held back.
    pub(super) fn send_due_feedback(&mut self, now: Instant, key: u32) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        if member.is_here() && !member.connected {
            return;
        }
        if member.report_at.is_some_and(|at| at <= now) {
            member.report_at = Some(now + REPORT_INTERVAL);
            member.retransmission_budget = RETRANSMISSION_BYTES;
            self.report(now, key);
        }
        self.send_arrivals(now, key);
        self.send_nacks(now, key);
        let layers = self.members.get(key as usize).map_or(0, |m| m.tracks.len());
        for track in 0..layers {
            let count = self
                .members
                .get(key as usize)
                .map_or(0, |m| m.tracks[track].layers.len());
            for layer in 0..count {
                let due = self.members.get(key as usize).is_some_and(|m| {
                    let receiver = &m.tracks[track].layers[layer].receiver;
                    receiver.key_frame_deadline().is_some_and(|at| at <= now)
                });
                if due {
                    self.ask_for_key_frame(now, key, track, layer);
                }
            }
        }
    }

    /// Lets the next compound go at once: a slot was rebound and its clock moved.
    pub(super) fn report_soon(&mut self, now: Instant, key: u32) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        if let Some(at) = &mut member.report_at {
            // Not in this very instant: several slots are often rebound together.
            *at = (*at).min(now + Duration::from_millis(5));
            let at = *at;
            self.schedule(key, at);
        }
    }

    fn report(&mut self, now: Instant, key: u32) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let mut blocks: SmallVec<[ReportBlock; 31]> = SmallVec::new();
        let mut remb: SmallVec<[u32; 16]> = SmallVec::new();
        for stream in &member.streams {
            if stream.rtx || blocks.len() == 31 {
                continue;
            }
            let track = &mut member.tracks[usize::from(stream.track)];
            let layer = &mut track.layers[usize::from(stream.layer)];
            blocks.extend(layer.receiver.report(stream.ssrc, now));
            if track.codecs.first().is_some_and(|codec| codec.remb) && layer.receiver.started() {
                remb.push(stream.ssrc);
            }
        }
        let ssrc = member.ssrc;
        let turn = member.report_turn;
        member.report_turn = turn.wrapping_add(1);
        let mut reports: SmallVec<[(u32, u32, u32, u32); 32]> = SmallVec::new();
        let mut at = 0;
        while let Some(slot) = self.members.get(key as usize).and_then(|m| m.slots.get(at)) {
            at += 1;
            if reports.len() == 32 || !(slot.out.report_due || (at as u32 + turn).is_multiple_of(SLOT_TURNS)) {
                continue;
            }
            let Some(bound) = slot.bound else { continue };
            let Some(layer) = bound.current else { continue };
            let Some(publisher) = self.members.get(bound.member as usize) else {
                continue;
            };
            let receiver = &publisher.tracks[usize::from(bound.track)].layers[usize::from(layer)].receiver;
            let offset = publisher.clock_offset(&self.clock);
            let source = receiver.clock.at(now, receiver.clock_rate, offset, &self.clock);
            if let Some(timestamp) = source.and_then(|source| slot.out.timestamp(source)) {
                let (packets, octets) = slot.out.sent();
                reports.push((slot.out.config.ssrc, timestamp, packets, octets));
            }
            if let Some(slot) = self.members.get_mut(key as usize).and_then(|m| m.slots.get_mut(at - 1)) {
                slot.out.report_due = false;
            }
        }
        let ntp = self.clock.ntp(now);
        self.send_compound(key, |compound| {
            compound.receiver_report(ssrc, &blocks);
            if !remb.is_empty() {
                compound.remb(ssrc, REMB_BITRATE, &remb);
            }
            for (ssrc, timestamp, packets, octets) in &reports {
                compound.sender_report(*ssrc, ntp, *timestamp, *packets, *octets);
            }
        });
    }

    fn send_arrivals(&mut self, now: Instant, key: u32) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        if member.arrivals_at.is_none_or(|at| at > now) {
            return;
        }
        member.arrivals_at = None;
        let Some(mut arrivals) = member.arrivals.take() else {
            return;
        };
        let media = member.streams.iter().find(|s| !s.rtx).map_or(0, |s| s.ssrc);
        let ssrc = member.ssrc;
        self.send_compound(key, |compound| {
            compound.receiver_report(ssrc, &[]);
            arrivals.write(compound, ssrc, media);
        });
        if let Some(member) = self.members.get_mut(key as usize) {
            member.arrivals = Some(arrivals);
        }
    }

    fn send_nacks(&mut self, now: Instant, key: u32) {
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        let round_trip = member.round_trip;
        for at in 0..member.streams.len() {
            let Some(member) = self.members.get_mut(key as usize) else {
                return;
            };
            let Some(stream) = member.streams.get(at).copied().filter(|s| !s.rtx) else {
                continue;
            };
            let layer = &mut member.tracks[usize::from(stream.track)].layers[usize::from(stream.layer)];
            if layer.receiver.gaps.next_deadline().is_none_or(|due| due > now) {
                continue;
            }
            let (lost, given_up) = layer.receiver.gaps.due(now, round_trip);
            let ssrc = member.ssrc;
            if !lost.is_empty() {
                self.counters.nacked += lost.len() as u64;
                self.send_compound(key, |compound| {
                    compound.receiver_report(ssrc, &[]);
                    compound.nack(ssrc, stream.ssrc, &lost);
                });
            }
            if given_up {
                self.want_key_frame(now, key, usize::from(stream.track), usize::from(stream.layer));
            }
        }
    }

    /// Somebody cannot decode this layer.
    pub(super) fn want_key_frame(&mut self, now: Instant, key: u32, track: usize, layer: usize) {
        let found = self.members.get_mut(key as usize).and_then(|m| m.tracks.get_mut(track));
        let Some(track_state) = found.filter(|track| !track.source.is_audio()) else {
            return;
        };
        if let Some(state) = track_state.layers.get_mut(layer) {
            state.receiver.want_key_frame();
            self.ask_for_key_frame(now, key, track, layer);
        }
    }

    /// Sends a PLI for a layer whose key frame is wanted, unless one went out a moment ago; then later.
    pub(super) fn ask_for_key_frame(&mut self, now: Instant, key: u32, track: usize, layer: usize) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        if !member.is_here() {
            return self.pass_key_frame_request(now, key, track, layer);
        }
        let is = |s: &&super::member::Stream| usize::from(s.track) == track && usize::from(s.layer) == layer && !s.rtx;
        let Some(media) = member.streams.iter().find(is).map(|s| s.ssrc) else {
            return;
        };
        let ssrc = member.ssrc;
        let receiver = &mut member.tracks[track].layers[layer].receiver;
        // A layer that is not sent has no key frame to give; it gets its request when packets come.
        if !receiver.live(now) {
            receiver.drop_key_frame_request();
            return;
        }
        let ask = receiver.ask_for_key_frame(now);
        let later = receiver.key_frame_deadline();
        if ask {
            self.counters.key_frames_asked += 1;
            self.send_compound(key, |compound| {
                compound.receiver_report(ssrc, &[]);
                compound.picture_loss(ssrc, media);
            });
        }
        if let Some(later) = later {
            self.schedule(key, later);
        }
    }

    fn send_compound(&mut self, key: u32, write: impl FnOnce(&mut Compound<'_>)) {
        let Self {
            members,
            arena,
            counters,
            ..
        } = self;
        let Some(member) = members.get_mut(key as usize) else {
            return;
        };
        let Some(path) = member.path() else { return };
        let Some(peer) = &mut member.peer else { return };
        let Some(out) = arena.reserve(MAX_COMPOUND + MAX_SEAL_OVERHEAD) else {
            counters.drop(Drop::ArenaFull);
            return;
        };
        let mut compound = Compound::new(&mut out[..MAX_COMPOUND]);
        write(&mut compound);
        let len = compound.len();
        match peer.transport.seal_rtcp(out, len) {
            Ok(sealed) => arena.commit(&mut member.route, path, sealed),
            Err(_) => counters.drop(Drop::Seal),
        }
    }
}
