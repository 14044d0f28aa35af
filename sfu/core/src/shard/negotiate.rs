//! Offers, ICE restarts, intents.

use std::collections::BTreeMap;
use std::time::Instant;

use super::data::Data;
use super::member::{Member, Peer};
use super::{MAX_ROOM, Shard};
use crate::room::{Intent, SlotPolicy};
use crate::sdp::{FurtherLines, Offer, OfferRules, SdpError, parse_offer};
use crate::transport::ufrag::Ufrag;
use crate::transport::{IceCredentials, Transport, TransportConfig};
use crate::types::{ParticipantId, RoomId, Source};

/// A participant's offer.
#[derive(Clone, Debug)]
pub struct OfferRequest {
    /// Where.
    pub room: RoomId,
    /// Who; also the CSRC of their packets.
    pub participant: ParticipantId,
    /// Their name in front of their data messages, at most [`crate::data::MAX_NAME`] bytes of it.
    pub name: String,
    /// Session description.
    pub sdp: String,
    /// What each mid is for; may be empty.
    pub mids: BTreeMap<String, Source>,
    /// May send.
    pub publish: bool,
    /// May receive.
    pub subscribe: bool,
    /// How their slots are filled.
    pub slots: SlotPolicy,
}

/// Why an offer was not answered.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// The offer itself.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// The room is full.
    #[error("the room has {0} participants already")]
    RoomFull(usize),
}

impl Shard {
    /// Answers an offer. The first one makes the participant; one with the same certificate grows their slots, and restarts
    /// ICE when it brings new credentials; one with another certificate replaces their transport.
    ///
    /// # Errors
    /// [`OfferError`]; nothing has changed then.
    pub fn offer(&mut self, now: Instant, request: OfferRequest) -> Result<String, OfferError> {
        self.working_on = Some(request.room);
        let result = self.try_offer(now, request);
        self.working_on = None;
        result
    }

    fn try_offer(&mut self, now: Instant, request: OfferRequest) -> Result<String, OfferError> {
        let rules = OfferRules {
            mids: &request.mids,
            further_lines: match request.slots {
                SlotPolicy::Intents => FurtherLines::Screen,
                SlotPolicy::Fill | SlotPolicy::Publishers(_) => FurtherLines::People,
            },
            publish: request.publish,
            subscribe: request.subscribe,
        };
        let offer = parse_offer(&request.sdp, &rules)?;
        let former = self.by_id.get(&request.participant).copied();
        let grown = former.filter(|key| {
            let member = self.members.get(*key as usize);
            let peer = member
                .filter(|member| member.room == request.room)
                .and_then(|member| member.peer.as_ref());
            peer.is_some_and(|peer| peer.fingerprint == offer.fingerprint)
        });
        let sdp = match grown {
            Some(key) => self.grow(now, key, &offer, request)?,
            None => self.admit(now, former, &offer, request)?,
        };
        self.settle(now);
        Ok(sdp)
    }

    fn admit(
        &mut self,
        now: Instant,
        former: Option<u32>,
        offer: &Offer,
        request: OfferRequest,
    ) -> Result<String, OfferError> {
        let crowd = self.crowd(request.room);
        if crowd >= MAX_ROOM && former.is_none() {
            return Err(OfferError::RoomFull(crowd));
        }
        // A place that is given back is the next one to be taken.
        let key = former.map_or_else(|| self.members.vacant_key(), |key| key as usize);
        if self.epochs.len() <= key {
            self.epochs.resize(key + 1, 0);
        }
        let epoch = self.epochs[key].wrapping_add(1);
        let local_ice = self.credentials(key as u32, epoch);
        self.session += 1;
        let session = (self.session, 1);
        let (sdp, negotiated) = self.answer(offer, &local_ice, session, None, request.room)?;
        let transport = Transport::new(
            TransportConfig {
                local: local_ice.clone(),
                remote: offer.ice.clone(),
                remote_fingerprint: offer.fingerprint,
            },
            &self.identity,
            now,
        );
        // Only now can nothing fail any more: the former transport goes, its wishes stay.
        let intents = former.map(|key| self.remove(now, key)).unwrap_or_default();
        let ssrc = self.random.u32();
        let key = self.members.insert(Member {
            epoch,
            home: self.config.shard,
            peer: Some(Peer {
                transport,
                fingerprint: offer.fingerprint,
                local_ice,
                remote_ice: offer.ice.clone(),
                session,
            }),
            ssrc,
            data: Data::of(offer, &request),
            policy: request.slots,
            intents,
            ..Member::new(request.participant, request.room)
        });
        let key = key as u32;
        self.epochs[key as usize] = epoch;
        self.by_id.insert(request.participant, key);
        self.apply(now, key, negotiated);
        self.enter_room(now, key, request.room);
        self.tell_person(key);
        self.reschedule(key);
        Ok(sdp)
    }

    fn grow(&mut self, now: Instant, key: u32, offer: &Offer, request: OfferRequest) -> Result<String, OfferError> {
        let found = self.members.get(key as usize);
        let Some((member, peer)) = found.and_then(|member| Some((member, member.peer.as_ref()?))) else {
            return Err(OfferError::RoomFull(0));
        };
        let restart = peer.remote_ice != offer.ice;
        let session = (peer.session.0, peer.session.1 + 1);
        let (epoch, room) = (member.epoch, member.room);
        let local = if restart {
            self.credentials(key, epoch)
        } else {
            peer.local_ice.clone()
        };
        let (sdp, negotiated) = self.answer(offer, &local, session, Some(key), room)?;
        if let Some(member) = self.members.get_mut(key as usize) {
            if member.data.is_none() {
                member.data = Data::of(offer, &request);
            }
            member.policy = request.slots;
            if let Some(peer) = &mut member.peer {
                peer.session = session;
                if restart {
                    peer.restart_ice(local, offer.ice.clone());
                }
            }
            let room = member.room;
            self.apply(now, key, negotiated);
            self.tell_person(key);
            self.mark_room(room);
            if restart {
                self.refresh_after_restart(now, key);
            }
        }
        Ok(sdp)
    }

    /// New ICE credentials for both sides; DTLS and SRTP stay. `None`: no such participant.
    pub fn restart_ice(
        &mut self,
        now: Instant,
        participant: ParticipantId,
        remote: IceCredentials,
    ) -> Option<IceCredentials> {
        let key = *self.by_id.get(&participant)?;
        let epoch = self.members.get(key as usize).filter(|member| member.is_here())?.epoch;
        let local = self.credentials(key, epoch);
        let member = self.members.get_mut(key as usize)?;
        self.working_on = Some(member.room);
        if let Some(peer) = &mut member.peer {
            peer.restart_ice(local.clone(), remote);
        }
        self.refresh_after_restart(now, key);
        self.reschedule(key);
        self.settle(now);
        self.working_on = None;
        Some(local)
    }

    fn credentials(&mut self, slot: u32, epoch: u16) -> IceCredentials {
        let place = Ufrag {
            node: self.config.node,
            shard: self.config.shard,
            slot,
            epoch,
        };
        let ufrag = place.encode(&mut *self.random);
        IceCredentials::with_random_pwd(ufrag, &mut *self.random)
    }

    /// Replaces what the participant wants to see. `false`: no such participant.
    pub fn intents(&mut self, now: Instant, participant: ParticipantId, intents: Vec<Intent>) -> bool {
        let Some(key) = self.by_id.get(&participant).copied() else {
            return false;
        };
        let Some(member) = self.members.get_mut(key as usize).filter(|member| member.is_here()) else {
            return false;
        };
        let room = member.room;
        self.working_on = Some(room);
        let known = intents
            .into_iter()
            .filter(|intent| member.slots.iter().any(|slot| slot.mid == intent.mid));
        member.intents = known.map(|intent| (intent.mid.clone(), intent)).collect();
        // Only this viewer's slots change; a layer that nobody watched before is asked for at once.
        self.assign_viewer(now, key);
        self.tell_layers(now, room);
        self.settle(now);
        self.working_on = None;
        true
    }
}
