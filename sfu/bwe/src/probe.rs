//! Probe clusters: a few packets sent faster than the estimate, to see whether they come out as fast.

use std::time::Duration;

use crate::Bitrate;
use crate::history::Arrived;

/// How long a cluster takes. At 250 us of clock this is measured to 2 %; on a full link at twice its rate it leaves 20 ms of
/// queue.
const LASTS: Duration = Duration::from_millis(20);
/// Packets of a cluster at the least, and how many of them must come back.
const PACKETS: u32 = 6;
const NEEDED: u32 = 4;
/// Sizes of padding packets.
const SMALLEST: u64 = 200;
const LARGEST: u64 = 1_200;
/// The sender got so long to send it, and the receiver to report, us.
const SEND_BY: i64 = 400_000;
const REPORT_BY: i64 = 1_500_000;
/// Pause between probes while there is use for more, us. Four doublings from 0.3 to 2.5 Mbit/s take under a second, and
/// the worst start is a pause: under 5 s. 6 kB each are 2 % of 1 Mbit/s.
const PAUSE: i64 = 2_500_000;
/// And where less than half of what is wanted passes: the pause is what somebody waits for whose link has become wide.
const EAGER_PAUSE: i64 = 1_500_000;
/// How far above the estimate the first probe goes, those that follow one that passed whole, and the others. From 1 Mbit/s
/// to 25 are three steps; a step that is too far leaves 40 ms of queue.
const FIRST: f64 = 3.0;
const ON: f64 = 3.0;
const LATER: f64 = 2.0;
/// On a jittery path, where a cluster also takes three times as long: a step that was wrong costs
/// less, and two thirds of the cluster are media.
const JITTERY: f64 = 1.5;
/// A probe that came out at so much of its rate is followed by the next one at once.
const GO_ON: f64 = 0.7;
/// And at so much, the next one goes further.
const WHOLE: f64 = 0.9;
/// Came out faster than it went in: jitter, which proves nothing.
const SQUEEZED: f64 = 1.25;
/// Came out slower than this part of its rate: it filled the link, and this part of what came out is taken.
const SATURATED: f64 = 0.9;
const OF_SATURATED: f64 = 0.95;

/// Packets to send now, at a rate of their own. Media sent meanwhile counts too; padding fills the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// How fast.
    pub rate: Bitrate,
    /// Size of a padding packet, bytes.
    pub packet: usize,
    /// Bytes still to be sent.
    pub left: u64,
}

#[derive(Clone, Copy, Debug)]
struct Cluster {
    id: u16,
    rate: Bitrate,
    bytes: u64,
    begun: i64,
    ended: Option<i64>,
    sent: (u64, u32),
    // What came back.
    arrived: u32,
    arrived_bytes: u64,
    missing: u32,
    first_sent: i64,
    last_sent: (i64, u32),
    first_arrival: (i64, u32),
    last_arrival: i64,
}

/// What the decision to probe is based on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub estimate: Bitrate,
    /// What there would be use for.
    pub demand: Bitrate,
    /// Nothing speaks against more: no growing queue, no loss of ours, feedback comes.
    pub calm: bool,
    /// Feedback has come at least once.
    pub known: bool,
    /// Packets come so unevenly that a short cluster proves little.
    pub jittery: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Probing {
    cluster: Option<Cluster>,
    ids: u16,
    next_at: i64,
    /// The first one was sent.
    began: bool,
    /// The last one passed whole.
    passed: bool,
    /// Until the next one, us.
    pause: i64,
}

impl Probing {
    /// The cluster that is being sent, 0 for none: packets that leave now carry its number.
    pub(crate) fn current(&self) -> u16 {
        self.cluster.filter(|c| c.ended.is_none()).map_or(0, |c| c.id)
    }

    /// What is still to be sent.
    pub(crate) fn due(&self) -> Option<Probe> {
        let cluster = self.cluster.filter(|c| c.ended.is_none())?;
        let left = cluster.bytes.saturating_sub(cluster.sent.0);
        let packets = u64::from(PACKETS.saturating_sub(cluster.sent.1).max(1));
        Some(Probe {
            rate: cluster.rate,
            packet: (cluster.bytes / u64::from(PACKETS)).clamp(SMALLEST, LARGEST) as usize,
            left: left.max(packets * SMALLEST),
        })
    }

    /// A packet left as part of the current cluster.
    pub(crate) fn sent(&mut self, now: i64, size: u32) {
        if let Some(cluster) = &mut self.cluster
            && cluster.ended.is_none()
        {
            cluster.sent.0 += u64::from(size);
            cluster.sent.1 += 1;
            if cluster.sent.0 >= cluster.bytes && cluster.sent.1 >= PACKETS {
                cluster.ended = Some(now);
            }
        }
    }

    pub(crate) fn missing(&mut self, id: u16) {
        if let Some(cluster) = self.cluster.as_mut().filter(|c| c.id == id && id != 0) {
            cluster.missing += 1;
        }
    }

    pub(crate) fn arrived(&mut self, packet: &Arrived) {
        let Some(cluster) = self.cluster.as_mut().filter(|c| c.id == packet.probe) else {
            return;
        };
        if cluster.arrived == 0 {
            cluster.first_sent = packet.sent;
            cluster.last_sent = (packet.sent, packet.size);
            cluster.first_arrival = (packet.arrival, packet.size);
            cluster.last_arrival = packet.arrival;
        }
        cluster.arrived += 1;
        cluster.arrived_bytes += u64::from(packet.size);
        cluster.first_sent = cluster.first_sent.min(packet.sent);
        if packet.sent >= cluster.last_sent.0 {
            cluster.last_sent = (packet.sent, packet.size);
        }
        if packet.arrival < cluster.first_arrival.0 {
            cluster.first_arrival = (packet.arrival, packet.size);
        }
        cluster.last_arrival = cluster.last_arrival.max(packet.arrival);
    }

    /// The outcome of the cluster, once all of it was reported on; `None` also when it proved nothing. Plans the next one.
    pub(crate) fn outcome(&mut self, now: i64) -> Option<Bitrate> {
        let cluster = self.cluster?;
        cluster.ended?;
        if cluster.arrived + cluster.missing < cluster.sent.1 {
            return None;
        }
        self.cluster = None;
        self.next_at = now + PAUSE / 4;
        let rate = cluster.outcome()?;
        self.next_at = now + self.pause;
        if rate >= cluster.rate.scaled(GO_ON) {
            self.next_at = now;
        }
        self.passed = rate >= cluster.rate.scaled(WHOLE);
        Some(rate)
    }

    /// Begins a probe when there is use for one; drops one that was not sent or not reported on.
    pub(crate) fn step(&mut self, now: i64, wish: &Wish) {
        let much = wish.demand.scaled(0.5) > wish.estimate;
        self.pause = if much { EAGER_PAUSE } else { PAUSE };
        if let Some(cluster) = self.cluster {
            let late = match cluster.ended {
                None => now - cluster.begun > SEND_BY,
                Some(ended) => now - ended > REPORT_BY,
            };
            if !late {
                return;
            }
            self.cluster = None;
            self.next_at = now + self.pause;
        }
        if now < self.next_at || !wish.calm || wish.demand.scaled(0.95) < wish.estimate {
            return;
        }
        let factor = match (self.began, wish.jittery) {
            (false, _) => FIRST,
            (true, true) => JITTERY,
            (true, false) if std::mem::take(&mut self.passed) => ON,
            (true, false) => LATER,
        };
        let lasts = if wish.jittery { LASTS * 3 } else { LASTS };
        if self.began && !wish.known {
            return;
        }
        self.began = true;
        // A little more than there is use for: entering a layer asks for a reserve.
        let rate = wish.estimate.scaled(factor).min(wish.demand.scaled(1.2));
        self.ids = self.ids.wrapping_add(1).max(1);
        self.cluster = Some(Cluster {
            id: self.ids,
            rate,
            bytes: rate.bytes_in(lasts).max(SMALLEST * u64::from(PACKETS)),
            begun: now,
            ended: None,
            sent: (0, 0),
            arrived: 0,
            arrived_bytes: 0,
            missing: 0,
            first_sent: 0,
            last_sent: (0, 0),
            first_arrival: (0, 0),
            last_arrival: 0,
        });
        self.next_at = now + self.pause;
    }

    /// The next probe may come soon: the path has changed.
    pub(crate) fn soon(&mut self, now: i64) {
        self.next_at = self.next_at.min(now);
    }
}

impl Cluster {
    /// The slower of how fast it went in and came out. The interval from the first to the last holds all packets but one:
    /// the last sent, the first arrived.
    fn outcome(&self) -> Option<Bitrate> {
        let time = |us: i64| u64::try_from(us).ok().filter(|us| (500..1_000_000).contains(us));
        let went = time(self.last_sent.0 - self.first_sent)?;
        let came = time(self.last_arrival.saturating_sub(self.first_arrival.0))?;
        if self.arrived < NEEDED || self.arrived < self.missing {
            return None;
        }
        let rate = |bytes: u64, us| Bitrate::of(bytes, Duration::from_micros(us));
        let went = rate(self.arrived_bytes - u64::from(self.last_sent.1), went);
        let came = rate(self.arrived_bytes - u64::from(self.first_arrival.1), came);
        if came > went.scaled(SQUEEZED) {
            return None;
        }
        // A sender whose timer was late did not probe at the rate it was asked for.
        let outcome = went.min(came).min(self.rate.scaled(1.1));
        Some(if came < went.scaled(SATURATED) {
            outcome.scaled(OF_SATURATED)
        } else {
            outcome
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WISH: Wish = Wish {
        estimate: Bitrate::kbps(500),
        demand: Bitrate::kbps(5_000),
        calm: true,
        known: true,
        jittery: false,
    };

    /// Sends a whole cluster through a link of this rate; returns the outcome and when it came.
    fn run(probing: &mut Probing, now: i64, link: u64) -> (Probe, Option<Bitrate>) {
        probing.step(now, &WISH);
        let probe = probing.due().unwrap();
        let (mut at, mut through) = (now, now);
        while probing.due().is_some() {
            let id = probing.current();
            probing.sent(at, probe.packet as u32);
            through = at.max(through) + probe.packet as i64 * 8_000_000 / link as i64;
            probing.arrived(&Arrived {
                sent: at,
                arrival: through + 1_000_000_000,
                size: probe.packet as u32,
                probe: id,
                was_missing: false,
            });
            at += probe.packet as i64 * 8_000_000 / probe.rate.as_bps() as i64;
        }
        (probe, probing.outcome(at + 50_000))
    }

    #[test]
    fn a_probe_that_passes_is_followed_at_once_and_one_that_does_not_after_a_pause() {
        let mut probing = Probing::default();
        let (probe, outcome) = run(&mut probing, 0, 10_000_000);
        assert_eq!(probe.rate, Bitrate::kbps(1_500), "the first one goes to three times");
        assert!(outcome.unwrap().as_bps().abs_diff(1_500_000) < 60_000, "{outcome:?}");
        let (probe, outcome) = run(&mut probing, 100_000, 600_000);
        assert_eq!(probe.rate, Bitrate::kbps(1_500));
        assert!(outcome.unwrap().as_bps().abs_diff(570_000) < 30_000, "{outcome:?}");
        probing.step(200_000, &WISH);
        assert_eq!(probing.due(), None);
        probing.step(3_000_000, &WISH);
        assert!(probing.due().is_some());
    }

    #[test]
    fn none_without_use_or_while_something_speaks_against_it() {
        let sated = Wish {
            demand: Bitrate::kbps(500),
            ..WISH
        };
        for wish in [sated, Wish { calm: false, ..WISH }] {
            let mut probing = Probing::default();
            probing.step(0, &wish);
            assert_eq!(probing.due(), None);
        }
    }

    #[test]
    fn a_cluster_that_is_never_sent_or_never_reported_ends() {
        let mut probing = Probing::default();
        probing.step(0, &WISH);
        probing.step(500_000, &WISH);
        assert_eq!(probing.current(), 0);
        probing.step(3_100_000, &WISH);
        let id = probing.current();
        (0..20).for_each(|_| probing.sent(3_100_000, 1_200));
        assert!((id, probing.current()) == (2, 0));
        assert_eq!(probing.outcome(3_200_000), None);
        probing.step(5_700_000, &WISH);
        probing.step(8_300_000, &WISH);
        assert_eq!(probing.current(), 3);
    }
}
