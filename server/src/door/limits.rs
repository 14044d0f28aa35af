//! How many connections there may be: in all, from one address, and of those that have not said what they want.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The limits. Whatever is above them is closed as soon as it is accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// All connections.
    pub(crate) total: usize,
    /// Of one address (IPv6: one /64 network). Loopback has no limit of its own: a reverse proxy comes from there.
    pub(crate) per_address: usize,
    /// Connections in a handshake or before their first bytes.
    pub(crate) unsorted: usize,
    /// Of these, of one address.
    pub(crate) unsorted_per_address: usize,
}

#[derive(Clone, Copy, Default)]
struct Count {
    all: usize,
    unsorted: usize,
}

#[derive(Default)]
struct Counts {
    sum: Count,
    by_address: HashMap<IpAddr, Count>,
}

/// The connections that there are.
#[derive(Clone)]
pub(crate) struct Gate {
    limits: Limits,
    counts: Arc<Mutex<Counts>>,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            counts: Arc::default(),
        }
    }

    /// Lets a connection in, as one that has not said what it wants. `None`: there are too many.
    pub(crate) fn enter(&self, ip: IpAddr) -> Option<Entered> {
        let address = network(ip);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = counts.by_address.get(&address).copied().unwrap_or_default();
        let own = &self.limits;
        if counts.sum.all >= own.total || counts.sum.unsorted >= own.unsorted {
            return None;
        }
        if !address.is_loopback()
            && (of_address.all >= own.per_address || of_address.unsorted >= own.unsorted_per_address)
        {
            return None;
        }
        counts.sum.all += 1;
        counts.sum.unsorted += 1;
        let entry = counts.by_address.entry(address).or_default();
        entry.all += 1;
        entry.unsorted += 1;
        Some(Entered {
            gate: self.clone(),
            address,
            sorted: false,
        })
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let counts = self.counts.lock().unwrap();
        counts.sum.all == 0 && counts.sum.unsorted == 0 && counts.by_address.is_empty()
    }
}

/// A connection's place; dropping it gives the place back.
pub(crate) struct Entered {
    gate: Gate,
    address: IpAddr,
    sorted: bool,
}

impl Entered {
    /// It has said what it wants.
    pub(crate) fn sorted(&mut self) {
        if !std::mem::replace(&mut self.sorted, true) {
            self.give_back(0, 1);
        }
    }

    fn give_back(&self, all: usize, unsorted: usize) {
        let mut counts = self.gate.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.sum.all -= all;
        counts.sum.unsorted -= unsorted;
        if let Some(entry) = counts.by_address.get_mut(&self.address) {
            entry.all -= all;
            entry.unsorted -= unsorted;
            if entry.all == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.give_back(1, usize::from(!self.sorted));
    }
}

/// The address itself, or the /64 network that one IPv6 subscriber has to choose from.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_nothing_takes_few_places_and_gives_them_back() {
        let gate = Gate::new(Limits {
            total: 8,
            per_address: 4,
            unsorted: 5,
            unsorted_per_address: 2,
        });
        let (here, there): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let mut first = vec![gate.enter(here).unwrap(), gate.enter(here).unwrap()];
        assert!(gate.enter(here).is_none(), "two of this address are silent");
        first[0].sorted();
        first[0].sorted();
        let third = gate.enter(here).unwrap();
        let same = "2001:db8::ffff".parse().unwrap();
        let _v6 = [gate.enter(there).unwrap(), gate.enter(same).unwrap()];
        assert!(gate.enter(there).is_none(), "one /64 network is one subscriber");
        let loopback = "127.0.0.1".parse().unwrap();
        let mut proxied: Vec<Entered> = Vec::new();
        for _ in 0..3 {
            let mut one = gate.enter(loopback).unwrap();
            one.sorted();
            proxied.push(one);
        }
        assert!(gate.enter(loopback).is_none(), "all places are taken");
        drop((first, third, _v6, proxied));
        assert!(gate.is_empty());
    }
}
