//! rtc's estimator behind our trait.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use interceptor::{BandwidthEstimator, PacketReport};
use rtcp::transport_feedbacks::cc_feedback_report::Ecn;
use sfu_bwe::{Bitrate, Estimate, Estimator, Probe, Received, Sent, Usage};

/// Arrivals are told as times since here, so that what came before the first one is not before zero.
const BEFORE_FIRST: Duration = Duration::from_secs(60);

pub(crate) struct Gcc {
    inner: interceptor::Gcc,
    /// Departure, size and order of what is on its way.
    history: HashMap<u16, (Instant, usize, u64)>,
    sent: u64,
    first_arrival: Option<u32>,
}

impl Gcc {
    pub(crate) fn new(start: u64) -> Self {
        Self {
            inner: interceptor::Gcc::new(start as f64, 30_000.0, 50_000_000.0),
            history: HashMap::new(),
            sent: 0,
            first_arrival: None,
        }
    }

    fn arrival(&mut self, ticks: u32) -> Duration {
        let first = *self.first_arrival.get_or_insert(ticks);
        // 250 us each, modulo 2^32.
        let since = i64::from(ticks.wrapping_sub(first) as i32) * 250;
        let micros = BEFORE_FIRST.as_micros() as i64 + since;
        Duration::from_micros(micros.max(0) as u64)
    }
}

impl Estimator for Gcc {
    fn sent(&mut self, now: Instant, packet: Sent) {
        self.history.insert(packet.number, (now, packet.size, self.sent));
        self.sent += 1;
    }

    fn feedback(&mut self, now: Instant, packets: &mut dyn Iterator<Item = Received>) {
        let mut reports = Vec::new();
        for packet in packets {
            let Some((departure, size, id)) = self.history.remove(&packet.number) else {
                continue;
            };
            reports.push(PacketReport {
                ssrc: 1,
                id,
                rtp_sequence_number: packet.number,
                is_twcc: true,
                twcc_sequence_number: packet.number,
                size,
                arrived: packet.arrival.is_some(),
                departure,
                arrival: packet.arrival.map(|ticks| self.arrival(ticks)),
                ecn: Ecn::NotEct,
            });
        }
        self.inner.on_reports(now, &reports);
    }

    fn remb(&mut self, _now: Instant, _bitrate: Bitrate) {}

    fn demand(&mut self, _wanted: Bitrate) {}

    fn next_deadline(&self) -> Option<Instant> {
        self.inner.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.inner.handle_timeout(now);
    }

    fn probe(&self) -> Option<Probe> {
        None // it has no probes
    }

    fn estimate(&self) -> Estimate {
        Estimate {
            bitrate: Bitrate::bps(self.inner.target_bitrate() as u64),
            carries: Bitrate::bps(self.inner.target_bitrate() as u64),
            round_trip: Duration::ZERO,
            loss: self.inner.stats().packet_loss.unwrap_or_default(),
            queue: Duration::ZERO,
            usage: Usage::Normal,
            limited: false,
            known: self.first_arrival.is_some(),
            proven: self.first_arrival.is_some(),
        }
    }
}
