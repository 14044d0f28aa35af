//! The brake on guessing passwords: sign-in attempts per login and per address.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// One address may stand for an office behind a NAT, so it gets this many times what one login gets.
const ADDRESS_FACTOR: u32 = 3;

/// Keys kept before the idle ones are forgotten, so that made-up logins cannot fill the memory.
const MAX_KEYS: usize = 10_000;

/// Too many attempts; wait this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many sign-in attempts")]
pub struct TooMany {
    /// Until the next attempt may succeed.
    pub retry_after: Duration,
}

/// Counts sign-in attempts.
pub struct Attempts {
    by_login: DefaultKeyedRateLimiter<String>,
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl Attempts {
    /// Allows `per_minute` attempts for one login, and three times that from one address, in bursts of as many.
    pub fn new(per_minute: NonZeroU32) -> Self {
        Self {
            by_login: RateLimiter::keyed(Quota::per_minute(per_minute)),
            by_address: RateLimiter::keyed(Quota::per_minute(per_minute.saturating_mul(FACTOR))),
            clock: DefaultClock::default(),
        }
    }

    /// Counts one attempt.
    ///
    /// # Errors
    /// [`TooMany`] when it is one too many; the password must then not be looked at.
    pub fn count(&self, login: &str, address: IpAddr) -> Result<(), TooMany> {
        if self.by_login.len() + self.by_address.len() > MAX_KEYS {
            self.by_login.retain_recent();
            self.by_address.retain_recent();
        }
        let login = login.chars().take(64).flat_map(char::to_lowercase).collect::<String>();
        let refused = self
            .by_address
            .check_key(&address)
            .err()
            .or_else(|| self.by_login.check_key(&login).err());
        match refused {
            None => Ok(()),
            Some(until) => Err(TooMany {
                retry_after: until.wait_time_from(self.clock.now()),
            }),
        }
    }
}

const FACTOR: NonZeroU32 = match NonZeroU32::new(ADDRESS_FACTOR) {
    Some(n) => n,
    None => NonZeroU32::MIN,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_login_is_braked_and_another_is_not() {
        let attempts = Attempts::new(NonZeroU32::new(3).unwrap());
        let home = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..3 {
            assert_eq!(attempts.count("ivan", home), Ok(()));
        }
        let refused = attempts.count("IVAN", home).unwrap_err();
        assert!(refused.retry_after > Duration::ZERO && refused.retry_after <= Duration::from_secs(60));
        assert_eq!(attempts.count("maria", home), Ok(()));
    }

    #[test]
    fn one_address_cannot_try_login_after_login() {
        let attempts = Attempts::new(NonZeroU32::new(2).unwrap());
        let home = IpAddr::from([192, 0, 2, 1]);
        let allowed = (0..20)
            .filter(|i| attempts.count(&format!("user{i}"), home).is_ok())
            .count();
        assert_eq!(allowed, 6);
        assert_eq!(attempts.count("user0", IpAddr::from([192, 0, 2, 2])), Ok(()));
    }
}
