//! How many allocations there may be: in all, for one user, from one address.

use std::collections::HashMap;
use std::net::IpAddr;

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Allocations in all; beyond: 508.
    pub total: usize,
    /// Allocations of one user; beyond: 486. A browser makes one for each server URL and network interface.
    pub per_user: u32,
    /// Allocations from one address (IPv6: one /64 network); beyond: 486. A company may sit behind one address.
    pub per_address: u32,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            total: 10_000,
            per_user: 24,
            per_address: 2_000,
        }
    }
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Total,
    Own,
}

/// What is in use. Holds nothing for users and addresses without an allocation.
#[derive(Default)]
pub(crate) struct Usage {
    total: usize,
    users: HashMap<Box<str>, u32>,
    addresses: HashMap<IpAddr, u32>,
}

impl Usage {
    pub(crate) fn take(&mut self, quota: &Quota, user: &str, address: IpAddr) -> Result<(), Exceeded> {
        let address = network(address);
        if self.total >= quota.total {
            return Err(Exceeded::Total);
        }
        let of_user = self.users.get(user).copied().unwrap_or(0);
        let of_address = self.addresses.get(&address).copied().unwrap_or(0);
        if of_user >= quota.per_user || of_address >= quota.per_address {
            return Err(Exceeded::Own);
        }
        self.total += 1;
        self.users.insert(user.into(), of_user + 1);
        self.addresses.insert(address, of_address + 1);
        Ok(())
    }

    pub(crate) fn give_back(&mut self, user: &str, address: IpAddr) {
        self.total = self.total.saturating_sub(1);
        if let Some(count) = self.users.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                self.users.remove(user);
            }
        }
        let address = network(address);
        if let Some(count) = self.addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
    }
}

/// The address itself, or the /64 network that one IPv6 subscriber has to choose from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_and_what_is_given_back_can_be_taken_again() {
        let quota = Quota {
            total: 4,
            per_user: 2,
            per_address: 3,
        };
        let mut usage = Usage::default();
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(usage.take(&quota, "a", here), Ok(()));
        assert_eq!(usage.take(&quota, "a", here), Ok(()));
        assert_eq!(usage.take(&quota, "a", here), Err(Exceeded::Own), "the user's");
        assert_eq!(usage.take(&quota, "b", here), Ok(()));
        assert_eq!(usage.take(&quota, "c", here), Err(Exceeded::Own), "the address's");
        let elsewhere: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(usage.take(&quota, "c", elsewhere), Ok(()));
        assert_eq!(
            usage.take(&quota, "d", "2001:db8::ffff".parse().unwrap()),
            Err(Exceeded::Total)
        );
        for (user, address) in [("a", here), ("a", here), ("b", here), ("c", elsewhere)] {
            usage.give_back(user, address);
        }
        assert!(usage.users.is_empty() && usage.addresses.is_empty() && usage.total == 0);
    }

    #[test]
    fn a_64_network_is_one_subscriber() {
        let one = network("2001:db8:0:1::5".parse().unwrap());
        assert_eq!(one, network("2001:db8:0:1:ffff::7".parse().unwrap()));
        assert_ne!(one, network("2001:db8:0:2::5".parse().unwrap()));
        assert_eq!(
            network("::ffff:192.0.2.1".parse().unwrap()),
            "192.0.2.1".parse::<IpAddr>().unwrap()
        );
    }
}
