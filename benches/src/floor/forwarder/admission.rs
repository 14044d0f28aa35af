//! Sessions that come and go.

use super::*;

impl Forwarder {
    pub(super) fn admit(
        &mut self,
        now: Instant,
        room: &str,
        name: &str,
        offer: &str,
        wants: Option<&[Want]>,
    ) -> Result<String, FloorError> {
        let publishes = wants.is_none();
        let rules = OfferRules {
            mids: &BTreeMap::new(),
            further_lines: FurtherLines::People,
            publish: publishes,
            subscribe: !publishes,
        };
        let offer = parse_offer(offer, &rules)?;
        let slots: Vec<&str> = offer
            .media
            .iter()
            .filter(|media| matches!(media.role, Role::Slot(_)))
            .map(|media| media.mid.as_str())
            .collect();
        let wants = wants.unwrap_or_default();
        if slots.len() != wants.len() {
            return Err(FloorError::Lines {
                lines: slots.len(),
                wants: wants.len(),
            });
        }
        let ssrcs: BTreeMap<String, SlotSsrcs> = slots
            .iter()
            .map(|mid| {
                let (ssrc, rtx) = (self.random.u32(), self.random.u32());
                ((*mid).to_owned(), SlotSsrcs { ssrc, rtx })
            })
            .collect();
        let former = self.sessions.iter().position(|session| {
            session
                .as_ref()
                .is_some_and(|s| s.room == room && s.name == name && s.publishes == publishes)
        });
        if let Some(former) = former {
            self.remove(now, former);
        }
        let free = self.sessions.iter().position(Option::is_none);
        let index = free.unwrap_or(self.sessions.len());
        self.epoch = self.epoch.wrapping_add(1);
        let place = Ufrag {
            node: 0,
            shard: 0,
            slot: index as u32,
            epoch: self.epoch,
        };
        let ufrag = place.encode(&mut self.random);
        let local = IceCredentials::with_random_pwd(ufrag, &mut self.random);
        let (sdp, negotiated) = answer(
            &offer,
            &AnswerParams {
                ice: &local,
                fingerprint: self.identity.fingerprint(),
                candidates: &[self.address],
                tcp_candidates: &[],
                slots: &ssrcs,
                cname: "floor",
                codecs: &CodecPolicy {
                    audio: vec![CodecKind::Opus],
                    video: vec![CodecKind::Vp8, CodecKind::H264, CodecKind::Vp9, CodecKind::Av1],
                },
                session: (u64::from(self.epoch), 1),
            },
        )?;
        let config = TransportConfig {
            local,
            remote: offer.ice.clone(),
            remote_fingerprint: offer.fingerprint,
        };
        let mut session = Session {
            room: room.to_owned(),
            name: name.to_owned(),
            publishes,
            epoch: self.epoch,
            transport: Transport::new(config, &self.identity, now),
            media: negotiated.media,
            by_ssrc: HashMap::new(),
            transport_sequence: 0,
            route: Route::default(),
        };
        for (mid, want) in slots.iter().zip(wants) {
            let Some(media) = session.media.iter().find(|media| media.mid == *mid) else {
                continue;
            };
            let (Some(slot), Some(codec)) = (media.slot, media.codecs.first()) else {
                continue;
            };
            let key = StreamKey {
                room: room.to_owned(),
                publisher: want.publisher.clone(),
                video: want.video,
                layer: want.layer,
            };
            let leg = Leg {
                session: index,
                ssrc: slot.ssrc,
                payload_type: codec.pt,
                extensions: media.extensions,
                base: None,
            };
            let stream = stream(&mut self.by_key, &mut self.streams, key);
            self.streams[stream].legs.push(leg);
            session.by_ssrc.insert(slot.ssrc, stream);
        }
        match self.sessions.get_mut(index) {
            Some(place) => *place = Some(session),
            None => self.sessions.push(Some(session)),
        }
        Ok(sdp)
    }

    pub(super) fn remove(&mut self, now: Instant, index: usize) {
        let Some(mut session) = self.sessions.get_mut(index).and_then(Option::take) else {
            return;
        };
        session.transport.close(now);
        while let Some((path, datagram)) = session.transport.poll_transmit() {
            self.outgoing.push(path, &datagram);
        }
        self.by_path.retain(|_, owner| *owner != index);
        for stream in &mut self.streams {
            stream.legs.retain(|leg| leg.session != index);
            stream.source = stream.source.filter(|(source, _)| *source != index);
        }
    }
}
