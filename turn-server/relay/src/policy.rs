//! Which peers a client may reach. A relay stands inside a network, and must not lead strangers into it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Networks that nobody reaches from the internet, or that are nobody's (RFC 6890 and its registry).
const INNER_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const INNER_V6: [(Ipv6Addr, u8); 2] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
];
/// IPv6 prefixes with an IPv4 address inside: 6to4 at bit 16, NAT64 in the last 32.
const SIX_TO_FOUR: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);
const NAT64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Who may be reached: everybody on the internet, and those who are allowed by name; the denied ones never.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Inner networks that may be reached after all.
    pub allow: Vec<IpNet>,
    /// Networks that may not.
    pub deny: Vec<IpNet>,
}

impl Policy {
    /// Whether a client may reach this address. An IPv4 address written as an IPv6 one is the IPv4 address.
    pub fn permits(&self, peer: IpAddr) -> bool {
        let peer = inner(peer.to_canonical());
        if self.deny.iter().any(|network| network.contains(&peer)) {
            return false;
        }
        self.allow.iter().any(|network| network.contains(&peer)) || is_global(peer)
    }
}

fn in_v4(ip: Ipv4Addr, (network, length): (Ipv4Addr, u8)) -> bool {
    (u32::from(ip) ^ u32::from(network)) >> (32 - u32::from(length)) == 0
}

fn in_v6(ip: Ipv6Addr, (network, length): (Ipv6Addr, u8)) -> bool {
    (u128::from(ip) ^ u128::from(network)) >> (128 - u32::from(length)) == 0
}

/// The IPv4 address that an IPv6 one leads to.
fn inner(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let bits = u128::from(v6);
    if in_v6(v6, SIX_TO_FOUR) {
        Ipv4Addr::from((bits >> 80) as u32).into()
    } else if in_v6(v6, NAT64) {
        Ipv4Addr::from(bits as u32).into()
    } else {
        ip
    }
}

fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !INNER_V4.iter().any(|network| in_v4(v4, *network)),
        IpAddr::V6(v6) => in_v6(v6, GLOBAL_V6) && !INNER_V6.iter().any(|network| in_v6(v6, *network)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(policy: &Policy, ip: &str) -> bool {
        policy.permits(ip.parse().unwrap())
    }

    #[test]
    fn the_internet_may_be_reached_and_nothing_inside_however_it_is_written() {
        let policy = Policy::default();
        for outer in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(permits(&policy, outer), "{outer}");
        }
        for inside in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!permits(&policy, inside), "{inside}");
        }
    }

    #[test]
    fn what_is_allowed_by_name_may_be_reached_and_what_is_denied_never() {
        let policy = Policy {
            allow: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            deny: vec!["10.9.0.0/16".parse().unwrap(), "8.8.8.0/24".parse().unwrap()],
        };
        assert!(permits(&policy, "10.1.2.3") && permits(&policy, "::ffff:10.1.2.3") && permits(&policy, "::1"));
        assert!(!permits(&policy, "10.9.0.1") && !permits(&policy, "8.8.8.8") && !permits(&policy, "127.0.0.1"));
    }
}
