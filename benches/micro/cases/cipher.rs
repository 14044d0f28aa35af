//! SRTP of a transport whose keys came out of a real DTLS handshake (AES-128-GCM), 1,100 bytes a packet.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sfu_core::sdp::{AnswerParams, CodecPolicy, FurtherLines, OfferRules, answer, parse_offer};
use sfu_core::transport::{IceCredentials, Identity, Incoming, MAX_SEAL_OVERHEAD, Transport, TransportConfig};
use sfu_core::types::Path;
use str0m::change::SdpAnswer;
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::support::{Seeded, server};
use super::{Watch, Work};

const PAYLOAD: usize = 1_100;
/// Packets under one reading of the clock.
const BATCH: u64 = 32;

/// A transport and the client at its other end.
struct Pair {
    client: Rtc,
    address: SocketAddr,
    transport: Transport,
    now: Instant,
    mid: Mid,
    pt: Pt,
    /// Media datagrams of the client.
    media: Vec<Vec<u8>>,
}

impl Pair {
    fn connected() -> Self {
        let now = Instant::now();
        let address = SocketAddr::from(([10, 0, 1, 1], 6_000));
        let mut client = Rtc::builder()
            .clear_codecs()
            .enable_vp8(true)
            .set_rtp_mode(true)
            .build(now);
        client.add_local_candidate(Candidate::host(address, Protocol::Udp).unwrap());
        let mut api = client.sdp_api();
        let mid = api.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        let rules = OfferRules {
            mids: &BTreeMap::new(),
            further_lines: FurtherLines::People,
            publish: true,
            subscribe: false,
        };
        let offer = parse_offer(&offer.to_sdp_string(), &rules).unwrap();
        let identity = Identity::generate().unwrap();
        let local = IceCredentials::with_random_pwd("benchmark".into(), &mut Seeded(7));
        let params = AnswerParams {
            ice: &local,
            fingerprint: identity.fingerprint(),
            candidates: &[server()],
            tcp_candidates: &[],
            slots: &BTreeMap::new(),
            cname: "benchmark",
            codecs: &CodecPolicy::default(),
            session: (1, 1),
        };
        let (sdp, _) = answer(&offer, &params).unwrap();
        let accepted = SdpAnswer::from_sdp_string(&sdp).unwrap();
        client.sdp_api().accept_answer(pending, accepted).unwrap();
        let config = TransportConfig {
            local,
            remote: offer.ice.clone(),
            remote_fingerprint: offer.fingerprint,
        };
        let is_vp8 = |p: &&str0m::format::PayloadParams| p.spec().codec == Codec::Vp8;
        let pt = client.codec_config().params().iter().find(is_vp8).unwrap().pt();
        let mut pair = Self {
            client,
            address,
            transport: Transport::new(config, &identity, now),
            now,
            mid,
            pt,
            media: Vec::new(),
        };
        let mut connected = false;
        for _ in 0..2_000 {
            connected |= pair.step();
            if connected && pair.transport.is_connected() {
                return pair;
            }
        }
        panic!("no DTLS within 10 s of simulated time");
    }

    fn path(&self) -> Path {
        Path::Udp {
            local: server(),
            remote: self.address,
        }
    }

    /// 5 ms; whether the client says that it is connected.
    fn step(&mut self) -> bool {
        self.now += Duration::from_millis(5);
        self.client.handle_input(Input::Timeout(self.now)).unwrap();
        let path = self.path();
        let mut connected = false;
        loop {
            match self.client.poll_output().unwrap() {
                Output::Timeout(_) => break,
                Output::Transmit(transmit) => {
                    let mut datagram = transmit.contents.to_vec();
                    if datagram.len() > PAYLOAD && datagram[0] >> 6 == 2 {
                        self.media.push(datagram);
                    } else {
                        self.transport.handle(self.now, path, &mut datagram);
                    }
                }
                Output::Event(event) => connected |= matches!(event, Event::Connected),
            }
        }
        while let Some((_, datagram)) = self.transport.poll_transmit() {
            let receive = Receive::new(Protocol::Udp, server(), self.address, &datagram).unwrap();
            self.client.handle_input(Input::Receive(self.now, receive)).unwrap();
        }
        connected
    }
}

/// Opens what the client has sealed.
pub(crate) struct Open {
    pair: Pair,
    next: u64,
}

impl Open {
    pub(crate) fn new() -> Self {
        let pair = Pair::connected();
        Self { pair, next: 1 }
    }
}

impl Work for Open {
    fn run(&mut self, count: u64) -> Duration {
        let mut watch = Watch::default();
        let mut left = count;
        while left > 0 {
            while (self.pair.media.len() as u64) < left.min(BATCH) {
                let (pair, time) = (&mut self.pair, self.next as u32 * 3_000);
                let write = RtpWrite::new(pair.pt, self.next.into(), time, pair.now, vec![7; PAYLOAD]);
                self.next += 1;
                let mut api = pair.client.direct_api();
                api.stream_tx_by_mid(pair.mid, None).unwrap().write_rtp(write);
                pair.step();
            }
            let (path, now) = (self.pair.path(), self.pair.now);
            let mut media = std::mem::take(&mut self.pair.media);
            let transport = &mut self.pair.transport;
            let opened = watch.time(|| {
                let open = |datagram: &mut Vec<u8>| transport.handle(now, path, datagram);
                media
                    .iter_mut()
                    .map(open)
                    .filter(|o| matches!(o, Incoming::Rtp { .. }))
                    .count()
            });
            assert_eq!(opened, media.len(), "every packet is authentic and new");
            left -= (opened as u64).min(left);
        }
        watch.total()
    }
}

/// Seals packets of one stream.
pub(crate) struct Seal {
    pair: Pair,
    packet: Vec<u8>,
    index: u64,
}

impl Seal {
    pub(crate) fn new() -> Self {
        let mut packet = vec![7; 12 + PAYLOAD + MAX_SEAL_OVERHEAD];
        packet[..12].copy_from_slice(&[0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        Self {
            pair: Pair::connected(),
            packet,
            index: 0,
        }
    }
}

impl Work for Seal {
    fn run(&mut self, count: u64) -> Duration {
        let Self { pair, packet, index } = self;
        Watch::default().repeat(count, BATCH, || {
            *index += 1;
            packet[2..4].copy_from_slice(&(*index as u16).to_be_bytes());
            let sealed = pair.transport.seal_rtp(packet, 12 + PAYLOAD, *index);
            assert!(sealed.is_ok_and(|length| length > 12 + PAYLOAD));
        })
    }
}
