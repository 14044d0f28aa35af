//! How media got through from each network lately, so that the next page there need not find it out again.
//!
//! Noted is only what somebody in a call has: nothing that a stranger sends makes an entry.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::protocol::MediaWay;

/// How long what was seen is believed. Firewalls change seldom, and people move between networks of one prefix.
const BELIEVED: Duration = Duration::from_secs(3_600);
/// Networks that are remembered, 64 bytes each. Above it the one that was heard of longest ago is forgotten.
const MOST: usize = 4_096;
/// The order where nothing is known.
const PREFERENCE: [MediaWay; 3] = [MediaWay::Udp, MediaWay::Tcp, MediaWay::Relay];

/// A public network: a /24 of IPv4, a /48 of IPv6. The people in it are taken to be behind the same firewall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << 8)).into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80)).into(),
        })
    }
}

/// When each way, in the order of [`PREFERENCE`], was last seen to work.
#[derive(Clone, Copy, Debug, Default)]
struct Worked([Option<Instant>; 3]);

impl Worked {
    fn lately(&self, at: usize, now: Instant) -> bool {
        let when = self.0.get(at).copied().flatten();
        when.is_some_and(|when| now.saturating_duration_since(when) < BELIEVED)
    }

    fn newest(&self) -> Option<Instant> {
        self.0.iter().flatten().max().copied()
    }
}

/// What is remembered of networks.
#[derive(Default)]
pub(crate) struct Networks(Mutex<HashMap<Network, Worked>>);

impl Networks {
    /// The ways of media for a page in this network, the best first. A way that did not come about while a worse one did has
    /// failed, unless it worked for somebody else there within the hour; what has failed stands last.
    pub(crate) fn ways(&self, network: Network, now: Instant) -> [MediaWay; 3] {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(worked) = known.get(&network) else {
            return PREFERENCE;
        };
        let [udp, tcp, relay] = [0, 1, 2].map(|at| worked.lately(at, now));
        match (udp, tcp, relay) {
            (false, true, _) => [MediaWay::Tcp, MediaWay::Relay, MediaWay::Udp],
            (false, false, true) => [MediaWay::Relay, MediaWay::Udp, MediaWay::Tcp],
            _ => PREFERENCE,
        }
    }

    /// Somebody's media takes this way. `told`: what their page was told; one that tried the better ways last says nothing
    /// new of them, or a firewall that was opened would never be noticed.
    pub(crate) fn note(&self, network: Network, told: &[MediaWay; 3], way: MediaWay, now: Instant) {
        let [first, ..] = told;
        if *first == way && *first != MediaWay::Udp {
            return;
        }
        let at = PREFERENCE.iter().position(|one| *one == way).unwrap_or_default();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&network) {
            known.retain(|_, worked| (0..3).any(|at| worked.lately(at, now)));
            let oldest = known.iter().min_by_key(|(_, worked)| worked.newest()).map(|(n, _)| *n);
            if let Some(oldest) = oldest.filter(|_| known.len() >= MOST) {
                known.remove(&oldest);
            }
        }
        if let Some(when) = known.entry(network).or_default().0.get_mut(at) {
            *when = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn neighbours_are_one_network_and_strangers_are_not() {
        assert_eq!(network("203.0.113.7"), network("203.0.113.250"));
        assert_eq!(network("203.0.113.7"), network("::ffff:203.0.113.9"));
        assert_ne!(network("203.0.113.7"), network("203.0.114.7"));
        assert_eq!(network("2001:db8:7:1::1"), network("2001:db8:7:ffff::2"));
        assert_ne!(network("2001:db8:7::1"), network("2001:db8:8::1"));
    }

    #[test]
    fn a_way_that_failed_stands_last_for_an_hour_or_until_it_works_for_anybody() {
        use MediaWay::{Relay, Tcp, Udp};
        let (networks, hotel, start) = (Networks::default(), network("203.0.113.7"), Instant::now());
        assert_eq!(networks.ways(hotel, start), [Udp, Tcp, Relay]);
        networks.note(hotel, &PREFERENCE, Tcp, start);
        assert_eq!(networks.ways(hotel, start), [Tcp, Relay, Udp]);
        assert_eq!(networks.ways(network("203.0.114.7"), start), PREFERENCE);
        // Whoever was told to begin with TCP does not make it last longer.
        let later = start + BELIEVED / 2;
        networks.note(hotel, &[Tcp, Relay, Udp], Tcp, later);
        assert_eq!(networks.ways(hotel, start + BELIEVED), PREFERENCE);
        networks.note(hotel, &PREFERENCE, Relay, later);
        assert_eq!(networks.ways(hotel, start + BELIEVED), [Relay, Udp, Tcp]);
        // One person's strict firewall is not everybody's.
        networks.note(hotel, &[Tcp, Relay, Udp], Udp, later);
        networks.note(hotel, &PREFERENCE, Tcp, later);
        assert_eq!(networks.ways(hotel, later), PREFERENCE);
    }

    #[test]
    fn no_more_than_so_many_networks_are_remembered_and_the_oldest_goes() {
        let (networks, start) = (Networks::default(), Instant::now());
        let of = |n: u32| Network::from(IpAddr::from(Ipv4Addr::from_bits(n << 8)));
        for n in 0..=MOST as u32 {
            let now = start + Duration::from_millis(n.into());
            networks.note(of(n), &PREFERENCE, MediaWay::Tcp, now);
        }
        let now = start + Duration::from_secs(10);
        assert_eq!(networks.0.lock().unwrap().len(), MOST);
        assert_eq!(networks.ways(of(0), now), PREFERENCE, "forgotten");
        assert_eq!(networks.ways(of(1), now)[0], MediaWay::Tcp);
    }
}
