//! The transport and the answers against str0m: another ICE, DTLS, SRTP and SDP than ours, in memory and in made-up time.

// The core takes time as a parameter; a test has to begin somewhere.
#![allow(clippy::disallowed_methods)]
// Clippy's leave for tests does not reach the helpers of an integration test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sfu_core::sdp::{
    AnswerParams, CodecPolicy, FurtherLines, Negotiated, OfferRules, Role, SlotSsrcs, answer, parse_offer,
};
use sfu_core::transport::{
    IceCredentials, Identity, Incoming, MAX_SEAL_OVERHEAD, Transport, TransportConfig, TransportEvent,
};
use sfu_core::types::Path;
use str0m::change::SdpAnswer;
use str0m::config::DtlsVersion;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite, SeqNo};
use str0m::{Candidate, Event, Input, Output, Rtc};

fn server_address() -> SocketAddr {
    ([10, 77, 0, 1], 4000).into()
}

fn client_address() -> SocketAddr {
    ([10, 77, 0, 2], 5000).into()
}

fn path() -> Path {
    Path::Udp {
        local: server_address(),
        remote: client_address(),
    }
}

struct Call {
    now: Instant,
    client: Rtc,
    server: Transport,
    negotiated: Negotiated,
    audio: Mid,
    sequence: u64,
    heard: Vec<RtpPacket>,
    events: Vec<TransportEvent>,
    /// Plaintext RTP that the server opened, with its index.
    opened: Vec<(Vec<u8>, u64)>,
    reports: usize,
}

impl Call {
    fn connect() -> Self {
        let now = Instant::now();
        let mut client = Rtc::builder()
            .set_rtp_mode(true)
            .set_dtls_version(DtlsVersion::Dtls12)
            .build(now);
        client.add_local_candidate(Candidate::host(client_address(), "udp").unwrap());
        let mut changes = client.sdp_api();
        let audio = changes.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
        changes.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        changes.add_channel("reliable".to_owned());
        let (offer, pending) = changes.apply().unwrap();

        let mids = BTreeMap::new();
        let rules = OfferRules {
            mids: &mids,
            further_lines: FurtherLines::Screen,
            publish: true,
            subscribe: true,
        };
        let offer = parse_offer(&offer.to_sdp_string(), &rules).unwrap();
        let identity = Identity::generate().unwrap();
        let ice = IceCredentials {
            ufrag: "server".into(),
            pwd: "a long password of the server".into(),
        };
        let slots: BTreeMap<_, _> = offer
            .media
            .iter()
            .filter(|media| matches!(media.role, Role::Slot(_)))
            .map(|media| {
                (
                    media.mid.clone(),
                    SlotSsrcs {
                        ssrc: 4_000,
                        rtx: 4_001,
                    },
                )
            })
            .collect();
        let params = AnswerParams {
            ice: &ice,
            fingerprint: identity.fingerprint(),
            candidates: &[server_address()],
            tcp_candidates: &[],
            slots: &slots,
            cname: "ringhall",
            codecs: &CodecPolicy::default(),
            session: (1, 1),
        };
        let (text, negotiated) = answer(&offer, &params).unwrap();
        client
            .sdp_api()
            .accept_answer(pending, SdpAnswer::from_sdp_string(&text).unwrap())
            .unwrap();
        let config = TransportConfig {
            local: ice,
            remote: offer.ice.clone(),
            remote_fingerprint: offer.fingerprint,
        };
        let mut call = Self {
            now,
            client,
            server: Transport::new(config, &identity, now),
            negotiated,
            audio,
            sequence: 47_000,
            heard: Vec::new(),
            events: Vec::new(),
            opened: Vec::new(),
            reports: 0,
        };
        for _ in 0..500 {
            call.step();
            if call.events.contains(&TransportEvent::Connected) {
                return call;
            }
        }
        panic!("not connected: {:?}", call.events);
    }

    /// 10 ms of both ends.
    fn step(&mut self) {
        self.now += Duration::from_millis(10);
        self.client.handle_input(Input::Timeout(self.now)).unwrap();
        if self.server.next_deadline().is_some_and(|due| due <= self.now) {
            self.server.handle_timeout(self.now);
        }
        for _ in 0..10 {
            self.take_client_output();
            let mut quiet = true;
            while let Some((to, datagram)) = self.server.poll_transmit() {
                assert_eq!(to, path());
                self.give_client(&datagram);
                quiet = false;
            }
            if quiet {
                break;
            }
        }
        self.events.extend(std::iter::from_fn(|| self.server.poll_event()));
    }

    fn take_client_output(&mut self) {
        loop {
            match self.client.poll_output().unwrap() {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => {
                    let mut datagram = transmit.contents.to_vec();
                    match self.server.handle(self.now, path(), &mut datagram) {
                        Incoming::Rtp { len, index } => self.opened.push((datagram[..len].to_vec(), index)),
                        Incoming::Rtcp { .. } => self.reports += 1,
                        Incoming::Nothing | Incoming::Data(_) => {}
                        Incoming::Dropped(reason) => panic!("{reason:?}"),
                    }
                }
                Output::Event(Event::RtpPacket(packet)) => self.heard.push(packet),
                Output::Event(_) => {}
            }
        }
    }

    fn give_client(&mut self, datagram: &[u8]) {
        let receive = Receive {
            proto: Protocol::Udp,
            source: server_address(),
            destination: client_address(),
            contents: datagram.try_into().unwrap(),
        };
        self.client.handle_input(Input::Receive(self.now, receive)).unwrap();
    }

    /// The client publishes one packet.
    fn publish(&mut self, payload: &[u8]) {
        self.sequence += 1;
        let pt = self.negotiated.media[0].codecs[0].pt;
        let write = RtpWrite::new(
            pt.into(),
            SeqNo::from(self.sequence),
            (self.sequence * 960) as u32,
            self.now,
            payload.to_vec(),
        );
        let mid = self.audio;
        self.client
            .direct_api()
            .stream_tx_by_mid(mid, None)
            .unwrap()
            .write_rtp(write);
    }

    /// An RTP packet for the client's slot, with room behind it.
    fn slot_packet(&self, sequence: u16, payload: &[u8]) -> (Vec<u8>, usize) {
        let media = &self.negotiated.media[1];
        let mut packet = vec![0x80, media.codecs[0].pt];
        packet.extend(sequence.to_be_bytes());
        packet.extend((u32::from(sequence) * 960).to_be_bytes());
        packet.extend(media.slot.unwrap().ssrc.to_be_bytes());
        packet.extend(payload);
        let len = packet.len();
        packet.resize(len + MAX_SEAL_OVERHEAD, 0);
        (packet, len)
    }
}

#[test]
fn media_and_reports_travel_between_the_transport_and_another_implementation() {
    let mut call = Call::connect();
    for i in 0..300u16 {
        call.publish(&i.to_be_bytes());
        let (mut packet, len) = call.slot_packet(i, &i.to_be_bytes());
        let len = call.server.seal_rtp(&mut packet, len, u64::from(i)).unwrap();
        call.give_client(&packet[..len]);
        if i % 25 == 0 {
            // A sender report for the slot, so that SRTCP is read by the other side.
            let ssrc = call.negotiated.media[1].slot.unwrap().ssrc;
            let mut report = vec![0x80, 200, 0, 6];
            report.extend(ssrc.to_be_bytes());
            report.extend([
                0xE0 + (i / 25) as u8,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                i as u8,
                0,
                0,
                0,
                1,
                0,
                0,
                0,
                2,
            ]);
            let len = report.len();
            report.resize(len + MAX_SEAL_OVERHEAD, 0);
            let len = call.server.seal_rtcp(&mut report, len).unwrap();
            call.give_client(&report[..len]);
        }
        call.step();
    }
    for _ in 0..600 {
        call.step(); // its audio reports are 5 s apart
    }
    let payloads: Vec<u16> = call
        .opened
        .iter()
        .map(|(packet, _)| u16::from_be_bytes(packet[packet.len() - 2..].try_into().unwrap()))
        .collect();
    assert_eq!(payloads, (0..300).collect::<Vec<_>>());
    assert!(
        call.opened
            .iter()
            .enumerate()
            .all(|(i, (_, index))| *index == 47_001 + i as u64)
    );
    assert!(call.reports > 0);
    let heard: Vec<u64> = call.heard.iter().map(|packet| *packet.seq_no).collect();
    assert_eq!(heard, (0..300).collect::<Vec<_>>());
    assert!(
        call.heard.last().unwrap().last_sender_info.is_some(),
        "the sender report was read"
    );
}
