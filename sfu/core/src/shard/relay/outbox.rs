//! What waits to be posted to the other shards.

use std::collections::VecDeque;
use std::time::Instant;

use smallvec::SmallVec;

use super::super::member::Stream;
use super::super::{Drop, Shard};
use super::{PacketHead, Post, Word};
use crate::forward::PacketKey;
use crate::types::ParticipantId;

/// Packets and words between two postings. The thread posts after every batch; what does not fit is lost like what finds a
/// full queue.
const MAX_ITEMS: usize = 1 << 16;
/// Words kept for a shard whose queue is full. More mean that it has stood still for long: all are dropped, and once it takes
/// words again it is told everything anew ([`Word::Anew`]).
const MAX_HELD: usize = 4_096;

/// A packet that waits, by its place in the slab: nothing is copied before it is posted.
#[derive(Clone, Copy)]
pub(in crate::shard) struct Crossing {
    pub participant: ParticipantId,
    pub member: u32,
    pub track: u8,
    pub layer: u8,
    pub packet: PacketKey,
    /// One bit for each shard that it goes to.
    pub to: u64,
    pub at: Instant,
    /// See [`PacketHead::behind`].
    pub behind: u32,
}

enum Item {
    Packet(Crossing),
    Word(u8, Word),
}

/// Words that a full queue has not taken.
struct Held {
    shard: u8,
    words: VecDeque<Word>,
    /// Some were dropped.
    lost: bool,
}

/// See the module.
#[derive(Default)]
pub(in crate::shard) struct Outbox {
    items: VecDeque<Item>,
    held: SmallVec<[Held; 2]>,
}

impl Outbox {
    /// Puts a packet in; `false`: there is no room.
    pub(in crate::shard) fn packet(&mut self, crossing: Crossing) -> bool {
        let fits = self.items.len() < MAX_ITEMS;
        if fits {
            self.items.push_back(Item::Packet(crossing));
        }
        fits
    }

    pub(in crate::shard) fn word(&mut self, to: u8, word: Word) {
        if self.items.len() < MAX_ITEMS {
            self.items.push_back(Item::Word(to, word));
        } else if !word.is_passing() {
            self.hold(to, word);
        }
    }

    fn held(&mut self, shard: u8) -> &mut Held {
        let at = self.held.iter().position(|held| held.shard == shard);
        let at = at.unwrap_or_else(|| {
            self.held.push(Held {
                shard,
                words: VecDeque::new(),
                lost: false,
            });
            self.held.len() - 1
        });
        &mut self.held[at]
    }

    fn hold(&mut self, to: u8, word: Word) {
        let held = self.held(to);
        if held.words.len() == MAX_HELD {
            held.lost = true;
        }
        if held.lost {
            held.words.clear();
        } else {
            held.words.push_back(word);
        }
    }

    fn is_held(&self, shard: u8) -> bool {
        self.held.iter().any(|held| held.shard == shard)
    }
}

impl Shard {
    /// Posts what other shards should get. To be called after every input, or batch of them.
    pub fn post_relays(&mut self, now: Instant, post: &mut impl Post) {
        self.post_held(post);
        while let Some(item) = self.outbox.items.pop_front() {
            match item {
                Item::Word(to, word) => self.post_word(to, word, post),
                Item::Packet(crossing) => self.post_packet(now, crossing, post),
            }
        }
        self.working_on = None;
    }

    /// Whether [`Self::post_relays`] has something to do.
    pub fn has_relays(&self) -> bool {
        !(self.outbox.items.is_empty() && self.outbox.held.is_empty())
    }

    fn post_held(&mut self, post: &mut impl Post) {
        let mut at = 0;
        while let Some(held) = self.outbox.held.get_mut(at) {
            let shard = held.shard;
            let mut refused = false;
            while let Some(word) = held.words.pop_front() {
                if let Err(word) = post.word(shard, word) {
                    held.words.push_front(word);
                    refused = true;
                    break;
                }
            }
            if refused || (held.lost && post.word(shard, Word::Anew).is_err()) {
                at += 1;
                continue;
            }
            let lost = held.lost;
            self.outbox.held.remove(at);
            if lost {
                self.introduce_all(shard);
            }
        }
    }

    fn post_word(&mut self, to: u8, word: Word, post: &mut impl Post) {
        let word = if self.outbox.is_held(to) {
            Err(word)
        } else {
            post.word(to, word)
        };
        if let Err(word) = word
            && !word.is_passing()
        {
            self.outbox.hold(to, word);
        }
    }

    fn post_packet(&mut self, now: Instant, crossing: Crossing, post: &mut impl Post) {
        let Crossing {
            participant,
            member: key,
            track,
            layer,
            packet,
            at,
            behind,
            ..
        } = crossing;
        let Self {
            members,
            packets,
            counters,
            outbox,
            ..
        } = self;
        let Some((bytes, meta)) = packets.get(packet) else {
            return;
        };
        let Some(member) = members.get_mut(key as usize).filter(|member| member.id == participant) else {
            return;
        };
        self.working_on = Some(member.room);
        // Not the packet's own: it may have come as a retransmission, which is a stream by itself.
        let is = |stream: &&Stream| (stream.track, stream.layer, stream.rtx) == (track, layer, false);
        let ssrc = member.streams.iter().find(is).map(|stream| stream.ssrc);
        let Some(of) = member.tracks.get_mut(usize::from(track)) else {
            return;
        };
        let video = !of.source.is_audio();
        let Some(state) = of.layers.get_mut(usize::from(layer)) else {
            return;
        };
        let head = PacketHead {
            participant,
            track,
            layer,
            ssrc: ssrc.unwrap_or(meta.header.ssrc),
            at,
            behind,
            meta: *meta,
        };
        let mut heal = false;
        let mut to = crossing.to;
        while to != 0 {
            let shard = to.trailing_zeros() as u8;
            let bit = 1_u64 << shard;
            to &= !bit;
            if !outbox.is_held(shard) && post.packet(shard, &head, bytes) {
                counters.relayed += 1;
                heal |= state.missed & bit != 0 && !meta.starts_key_frame();
                state.missed &= !bit;
            } else {
                counters.drop(Drop::RelayFull);
                if video {
                    state.missed |= bit;
                }
            }
        }
        // What was missed over there is made good by a key frame, once it can get there.
        if heal {
            self.want_key_frame(now, key, usize::from(track), usize::from(layer));
        }
    }
}
