//! The path of one packet through the forwarder.

use super::*;

impl Forwarder {
    pub(super) fn forward(&mut self, now: Instant, source: usize, packet: &mut [u8], index: u64) {
        let Ok(header) = Header::parse(packet) else { return };
        let Some(session) = self.sessions[source].as_mut().filter(|session| session.publishes) else {
            return;
        };
        let number = match session.by_ssrc.get(&header.ssrc) {
            Some(stream) => *stream,
            None => {
                let Some((video, layer)) = identify(session, &header, packet) else {
                    return;
                };
                let key = StreamKey {
                    room: session.room.clone(),
                    publisher: session.name.clone(),
                    video,
                    layer,
                };
                let found = stream(&mut self.by_key, &mut self.streams, key);
                session.by_ssrc.insert(header.ssrc, found);
                self.streams[found].source = Some((source, header.ssrc));
                self.ask_key_frame(now, found);
                found
            }
        };
        let Some(session) = self.sessions[source].as_ref() else {
            return;
        };
        let elements = Elements::take(session, &header, packet);
        if self.faults.wrong_room > 0.0 {
            let room = session.room.clone();
            let payload = header.payload(packet).to_vec();
            let foreign = self.last.iter().find(|(other, _)| **other != room);
            if let Some((_, foreign)) = foreign
                && self.random.0.random::<f64>() < self.faults.wrong_room
            {
                let mut wrong = packet[..usize::from(header.payload_start)].to_vec();
                wrong.extend_from_slice(foreign);
                wrong[0] &= !0x20; // it has no padding
                self.deliver(number, &wrong, &elements, index);
            } else {
                self.deliver(number, packet, &elements, index);
            }
            self.last.insert(room, payload);
            return;
        }
        self.deliver(number, packet, &elements, index);
    }

    fn deliver(&mut self, number: usize, packet: &[u8], elements: &Elements, index: u64) {
        for leg in &mut self.streams[number].legs {
            let Some(session) = self.sessions[leg.session].as_mut() else {
                continue;
            };
            let Some(path) = session.transport.path().filter(|_| session.transport.is_connected()) else {
                continue;
            };
            let base = *leg.base.get_or_insert(index & !0xffff);
            let Some(index) = index.checked_sub(base) else { continue };
            if self.faults.drop > 0.0 && self.random.0.random::<f64>() < self.faults.drop {
                continue;
            }
            if self.faults.leak > 0 {
                std::hint::black_box(Box::leak(vec![1_u8; self.faults.leak].into_boxed_slice()));
            }
            let Some(out) = self.outgoing.reserve(packet.len() + MAX_SEAL_OVERHEAD) else {
                return;
            };
            out[..packet.len()].copy_from_slice(packet);
            out[1] = out[1] & 0x80 | leg.payload_type;
            out[8..12].copy_from_slice(&leg.ssrc.to_be_bytes());
            elements.write(out, &leg.extensions, &mut session.transport_sequence);
            if let Ok(length) = session.transport.seal_rtp(out, packet.len(), index) {
                self.outgoing.commit(&mut session.route, path, length);
                self.forwarded += 1;
            }
        }
    }
}

/// Which of its streams a publisher's new SSRC is: by declaration, else by RID. Retransmissions are none.
fn identify(session: &Session, header: &Header, packet: &[u8]) -> Option<(bool, usize)> {
    for media in &session.media {
        if !media.codecs.iter().any(|codec| codec.pt == header.payload_type) {
            continue;
        }
        let video = media.kind == sfu_core::sdp::MediaKind::Video;
        if let Some(layer) = media.ssrcs.streams.iter().position(|(ssrc, _)| *ssrc == header.ssrc) {
            return Some((video, layer));
        }
        if media.rids.is_empty() {
            return media.ssrcs.streams.is_empty().then_some((video, 0));
        }
        let id = media.extensions.id(Extension::Rid)?;
        let (_, rid) = header.extensions(packet).find(|(found, _)| *found == id)?;
        let layer = media.rids.iter().position(|known| known.as_bytes() == rid)?;
        return Some((video, layer));
    }
    None
}

/// Header extension elements that viewers may know under other ids: (place of the id byte, length, what).
#[derive(Default)]
struct Elements(smallvec::SmallVec<[(usize, usize, Extension); 6]>);

impl Elements {
    /// Finds them, and blanks what belongs to the publisher's connection alone.
    fn take(session: &Session, header: &Header, packet: &mut [u8]) -> Self {
        let mut found = Self::default();
        let ids = session
            .media
            .iter()
            .find(|media| media.codecs.iter().any(|codec| codec.pt == header.payload_type))
            .map(|media| media.extensions)
            .unwrap_or_default();
        if header.profile != 0xbede {
            return found;
        }
        let (mut at, end) = (usize::from(header.extension_start), usize::from(header.extension_end));
        while at < end {
            let first = packet[at];
            if first == 0 {
                at += 1;
                continue;
            }
            let (id, length) = (first >> 4, usize::from(first & 0x0f) + 1);
            if id == 15 || at + 1 + length > end {
                break;
            }
            match ids.extension(id) {
                Some(Extension::Mid | Extension::Rid | Extension::RepairedRid) | None => {
                    packet[at..=at + length].fill(0);
                }
                Some(extension) => found.0.push((at, length, extension)),
            }
            at += 1 + length;
        }
        found
    }

    fn write(&self, packet: &mut [u8], ids: &ExtensionIds, transport_sequence: &mut u16) {
        for (at, length, extension) in &self.0 {
            let Some(id) = ids.id(*extension).filter(|id| *id < 15) else {
                packet[*at..=at + length].fill(0);
                continue;
            };
            packet[*at] = id << 4 | (*length as u8 - 1);
            if *extension == Extension::TransportCc && *length == 2 {
                packet[at + 1..at + 3].copy_from_slice(&transport_sequence.to_be_bytes());
                *transport_sequence = transport_sequence.wrapping_add(1);
            }
        }
    }
}
