//! str0m's estimator in its own surroundings: one client sends sound and a video that follows the estimate, over the modelled
//! link, to another one that reports what came.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use link_model::{Link, Seeded};
use str0m::bwe::{Bitrate, BweKind};
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::closed_loop::{MS, Outcome, Sample, Scenario};

/// Grain of the simulation.
const TICK: Duration = Duration::from_micros(500);
/// With header, extensions, seal, UDP and IP these are the sizes of our own loop: 120 and 1,200 bytes.
const AUDIO_PAYLOAD: usize = 50;
const VIDEO_PAYLOAD: usize = 1_130;
const UDP_AND_IP: usize = 28;

struct Peer {
    rtc: Rtc,
    address: SocketAddr,
    connected: bool,
    due: Instant,
    estimate: f64,
}

impl Peer {
    fn new(last: u8, start: Instant) -> Self {
        let address = SocketAddr::from(([10, 0, 0, last], 5_000));
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_rtp_mode(true)
            .enable_bwe(Some(Bitrate::bps(crate::START)))
            .build(start);
        rtc.add_local_candidate(Candidate::host(address, Protocol::Udp).unwrap());
        Self {
            rtc,
            address,
            connected: false,
            due: start,
            estimate: crate::START as f64,
        }
    }

    /// What it wants to send now.
    fn poll(&mut self, out: &mut Vec<Vec<u8>>) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => {
                    self.due = at;
                    return;
                }
                Output::Transmit(transmit) => out.push(transmit.contents.to_vec()),
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. })) => {
                    self.estimate = estimate.as_f64();
                }
                Output::Event(_) => {}
            }
        }
    }

    /// Only when something is due or has come: its estimator steps each time that it is called.
    fn handle_due(&mut self, now: Instant) -> bool {
        let due = self.due <= now;
        if due {
            self.rtc.handle_input(Input::Timeout(now)).unwrap();
        }
        due
    }

    fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let receive = Receive::new(Protocol::Udp, from, self.address, datagram).unwrap();
        self.rtc.handle_input(Input::Receive(now, receive)).unwrap();
    }

    fn pt(&self, codec: Codec) -> Pt {
        let of = |p: &&str0m::format::PayloadParams| p.spec().codec == codec;
        self.rtc.codec_config().params().iter().find(of).unwrap().pt()
    }

    fn write(&mut self, now: Instant, stream: &mut Stream, payload: usize, marker: bool) {
        let write = RtpWrite::new(stream.pt, stream.next.into(), stream.time, now, vec![0x10; payload])
            .marker(marker)
            .nackable(stream.video);
        stream.next += 1;
        let mut api = self.rtc.direct_api();
        api.stream_tx_by_mid(stream.mid, None).unwrap().write_rtp(write);
        self.due = now;
    }
}

struct Stream {
    mid: Mid,
    pt: Pt,
    video: bool,
    next: u64,
    time: u32,
}

/// Two connected clients, and the sender's streams: sound, video.
fn connect(start: Instant) -> (Peer, Peer, Stream, Stream, Instant) {
    let (mut sender, mut receiver) = (Peer::new(1, start), Peer::new(2, start));
    let mut api = sender.rtc.sdp_api();
    let [audio, video] =
        [MediaKind::Audio, MediaKind::Video].map(|kind| api.add_media(kind, Direction::SendOnly, None, None, None));
    let (offer, pending) = api.apply().unwrap();
    let answer = receiver.rtc.sdp_api().accept_offer(offer).unwrap();
    sender.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    let most = Bitrate::mbps(50);
    sender.rtc.bwe().set_bitrate(Bitrate::ZERO, most);
    let mut now = start;
    while !(sender.connected && receiver.connected) {
        assert!(
            now < start + Duration::from_secs(20),
            "two str0m clients do not connect"
        );
        now += MS;
        sender.handle_due(now);
        receiver.handle_due(now);
        let (mut there, mut back) = (Vec::new(), Vec::new());
        sender.poll(&mut there);
        receiver.poll(&mut back);
        there
            .iter()
            .for_each(|datagram| receiver.receive(now, sender.address, datagram));
        back.iter()
            .for_each(|datagram| sender.receive(now, receiver.address, datagram));
    }
    let stream = |mid, codec, video| Stream {
        mid,
        pt: sender.pt(codec),
        video,
        next: 1,
        time: 0,
    };
    let (audio, video) = (stream(audio, Codec::Opus, false), stream(video, Codec::Vp8, true));
    (sender, receiver, audio, video, now)
}

/// Runs it.
pub(crate) fn run(scenario: &Scenario) -> Outcome {
    let (mut sender, mut receiver, mut audio, mut video, start) = connect(Instant::now());
    let mut link = Link::new(scenario.link.clone(), scenario.seed);
    let mut random = Seeded::new(scenario.seed ^ 0xfeed);
    let mut out = Outcome::default();
    let mut in_air: BTreeMap<(Duration, u64), Vec<u8>> = BTreeMap::new();
    let mut going_back: VecDeque<(Duration, Vec<u8>)> = VecDeque::new();
    let (mut audio_at, mut frame_at, mut sample_at) = (Duration::ZERO, 5 * MS, Duration::ZERO);
    let mut count = 0;
    let mut datagrams = Vec::new();
    let mut now = Duration::ZERO;
    while now < scenario.lasts {
        let instant = start + now;
        if audio_at <= now {
            audio_at += 20 * MS;
            audio.time += 960;
            sender.write(instant, &mut audio, AUDIO_PAYLOAD, false);
        }
        if frame_at <= now {
            frame_at += 33 * MS;
            video.time += 2_970;
            let rate = (sender.estimate - 48_000.0).max(0.0);
            let mut left = (rate * 0.033 / 8.0 * (0.8 + 0.4 * random.unit())) as usize;
            while left > 0 {
                let payload = left.min(VIDEO_PAYLOAD);
                left -= payload;
                sender.write(instant, &mut video, payload.max(20), left == 0);
            }
        }
        while in_air.first_key_value().is_some_and(|((at, _), _)| *at <= now) {
            let (_, datagram) = in_air.pop_first().unwrap();
            receiver.receive(instant, sender.address, &datagram);
            receiver.due = instant;
        }
        while going_back.front().is_some_and(|(at, _)| *at <= now) {
            let (_, datagram) = going_back.pop_front().unwrap();
            sender.receive(instant, receiver.address, &datagram);
            sender.due = instant;
        }
        if sender.handle_due(instant) {
            sender.poll(&mut datagrams);
        }
        for datagram in datagrams.drain(..) {
            let size = datagram.len() + UDP_AND_IP;
            let passage = link.send(now, size);
            out.packets.push((now, size, false, passage.arrival.is_some()));
            for arrival in [passage.arrival, passage.double].into_iter().flatten() {
                in_air.insert((arrival, count), datagram.clone());
                count += 1;
            }
        }
        if receiver.handle_due(instant) {
            receiver.poll(&mut datagrams);
            going_back.extend(
                datagrams
                    .drain(..)
                    .map(|datagram| (now + scenario.link.delay, datagram)),
            );
        }
        if sample_at <= now {
            sample_at += 20 * MS;
            out.samples.push(Sample {
                at: now,
                estimate: sender.estimate,
                capacity: link.rate(now) as f64,
                queue: link.queue(now),
            });
        }
        now += TICK;
    }
    out
}
