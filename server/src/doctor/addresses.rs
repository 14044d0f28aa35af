//! Which addresses clients are told, and whether people are led here at all.

use std::net::{IpAddr, SocketAddr};

use super::report::Report;
use crate::config::{Config, TlsMode};
use crate::serve;

const CHECK: &str = "addresses";
const NAME: &str = "name";

/// The UDP and TCP addresses that a client would be told, all shards together, the best first.
pub(super) struct Told {
    pub(super) udp: Vec<SocketAddr>,
    pub(super) tcp: Vec<SocketAddr>,
}

/// What a client would be told with this configuration.
pub(super) fn told(config: &Config) -> Told {
    let bound: Vec<SocketAddr> = (0..config.media.shards)
        .map(|shard| super::shard_address(config, shard))
        .collect();
    let udp: Vec<SocketAddr> = { &bound }
        .iter()
        .flat_map(|bound| sfu::candidates_of(std::slice::from_ref(bound), &config.media.advertise))
        .collect();
    let for_media = config.media.tcp_address().ok().flatten();
    let tcp = serve::tcp_listen(config, for_media, config.http.listen);
    let tcp = tcp.map_or_else(Vec::new, |tcp| tcp.addresses(&udp, !config.media.advertise.is_empty()));
    Told { udp, tcp }
}

/// Whether everybody may reach it, as far as its range tells (RFC 6890 and its like).
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || shared)
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_multicast())
        }
    }
}

pub(super) fn check(report: &mut Report, config: &Config, told: &Told) {
    let media = &config.media;
    let list = |addresses: &[SocketAddr]| {
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        texts.join(", ")
    };
    let any_v6 = media.listen.ip().is_unspecified() && media.listen.is_ipv6();
    for ip in &media.advertise {
        if ip.is_unspecified() || ip.is_multicast() {
            report.fault(
                CHECK,
                format!("media.advertise names {ip}, which is nobody's address"),
                "name the address by which browsers reach this machine",
            );
        } else if ip.is_ipv4() != media.listen.is_ipv4() && !any_v6 {
            report.fault(
                CHECK,
                format!(
                    "media.advertise names {ip}, but media.listen {} does not speak its family",
                    media.listen
                ),
                format!("media.listen = \"[::]:{}\" speaks both", media.listen.port()),
            );
        }
    }
    let ours = sfu::interface_addresses();
    if told.udp.is_empty() {
        report.fault(
            CHECK,
            "clients would be told no address at all",
            "name one in media.advertise, of a family that media.listen speaks",
        );
        return;
    }
    report.ok(CHECK, format!("clients are told UDP {}", list(&told.udp)));
    match (media.tcp || !media.tcp_listen.is_empty(), told.tcp.is_empty()) {
        (_, false) => report.ok(CHECK, format!("clients are told TCP {}", list(&told.tcp))),
        (false, true) => report.warning(
            CHECK,
            "media by TCP is off: nobody gets through where UDP is blocked",
            "media.tcp = true",
        ),
        (true, true) => report.warning(
            CHECK,
            format!(
                "http.listen {} is at none of these addresses, so that nobody gets through where UDP is blocked",
                config.http.listen
            ),
            "media.tcp_listen = \"0.0.0.0:7881\" is a port for media beside a reverse proxy",
        ),
    }
    let loopback_only = told.udp.iter().all(|address| address.ip().is_loopback());
    let for_others = config.http.public_host().is_some_and(|host| !is_here(host));
    if loopback_only && (for_others || !config.http.listen.ip().is_loopback()) {
        report.fault(
            CHECK,
            "clients are told loopback addresses only: no other machine gets sound or picture",
            "media.listen = \"0.0.0.0:7882\", and media.advertise with the address that browsers reach",
        );
    } else if loopback_only {
        report.note(CHECK, "only browsers on this machine can take part");
    }
    let foreign: Vec<String> = { &media.advertise }
        .iter()
        .filter(|ip| !ours.contains(ip))
        .map(ToString::to_string)
        .collect();
    if !foreign.is_empty() {
        report.note(
            CHECK,
            format!(
                "{} is of no interface here: a NAT has to lead its UDP port {} to this machine",
                foreign.join(", "),
                media.listen.port()
            ),
        );
    }
}

/// Where the names lead. `resolve`: all addresses of a name.
pub(super) async fn names(report: &mut Report, config: &Config, told: &Told) {
    let url = &config.http.public_url;
    let listen = config.http.listen;
    if url.is_empty() && config.tls.domains.is_empty() {
        if !listen.ip().is_loopback() {
            report.warning(
                NAME,
                "http.public_url is not set: printed links and TURN by TLS have no name to go by",
                "http.public_url = \"https://calls.example.org\"",
            );
        }
        return;
    }
    if url.starts_with("http://") && !config.http.public_host().is_some_and(is_here) {
        report.fault(
            NAME,
            format!("{url}: browsers give camera and microphone to https: only"),
            "take a certificate (tls.mode) and write https:// in http.public_url",
        );
    }
    let mut hosts: Vec<String> = config.http.public_host().map(str::to_owned).into_iter().collect();
    if config.tls.mode == TlsMode::Acme {
        hosts.extend(config.tls.domains.iter().cloned());
    }
    hosts.sort();
    hosts.dedup();
    for host in hosts {
        one_name(report, config, told, &host).await;
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

async fn one_name(report: &mut Report, config: &Config, told: &Told, host: &str) {
    let found = tokio::time::timeout(super::PATIENCE, tokio::net::lookup_host((host, 0))).await;
    let found: Vec<IpAddr> = match found {
        Ok(Ok(found)) => found.map(|address| address.ip().to_canonical()).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    if found.is_empty() {
        report.fault(
            NAME,
            format!("{host} leads nowhere: the DNS has no address for it"),
            "make an A record (and AAAA for IPv6) with the address of this machine, and wait until it is known",
        );
        return;
    }
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    let texts = texts.join(", ");
    let ours = sfu::interface_addresses();
    let told_ips: Vec<IpAddr> = told.udp.iter().map(SocketAddr::ip).collect();
    if found.iter().any(|ip| ours.contains(ip) || told_ips.contains(ip)) {
        report.ok(NAME, format!("{host} leads here ({texts})"));
        return;
    }
    let outside = found.iter().any(|ip| is_public(*ip));
    if outside && !told_ips.iter().any(|ip| is_public(*ip)) {
        report.fault(
            CHECK,
            format!(
                "{host} is {texts}, but clients are told inner addresses only: from outside nobody has sound or picture"
            ),
            format!(
                "media.advertise = [\"{}\"], if that is the address of the NAT before this machine",
                found[0]
            ),
        );
    } else if config.tls.is_on() {
        report.fault(
            NAME,
            format!("{host} leads to {texts}, which is neither of this machine nor in media.advertise"),
            "let its A and AAAA records lead here, or name that address in media.advertise",
        );
    } else {
        report.note(NAME, format!("{host} leads to {texts}: the reverse proxy, it seems"));
    }
}

/// What belongs together when another server stands before this one.
pub(super) fn proxy(report: &mut Report, config: &Config) {
    let behind = config.http.public_url.starts_with("https://") && !config.tls.is_on();
    if !behind {
        return;
    }
    if config.http.trusted_proxies.is_empty() {
        report.warning(
            "proxy",
            "http.public_url is https: and tls.mode \"off\": behind a reverse proxy, all people share its address, and the \
             limits for one address",
            "http.trusted_proxies = [\"127.0.0.1\"], the address from which the proxy comes",
        );
    } else {
        report.ok("proxy", "X-Forwarded-For of the reverse proxy is believed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Level;

    fn checked(change: impl FnOnce(&mut Config)) -> Report {
        let mut config = Config::default();
        change(&mut config);
        let mut report = Report::default();
        let told = told(&config);
        check(&mut report, &config, &told);
        report
    }

    fn worst(report: &Report) -> &str {
        let worst = report.worst();
        &report.findings.iter().find(|f| f.level == worst).unwrap().found
    }

    #[test]
    fn addresses_that_lead_nowhere_are_faults() {
        let family = checked(|c| c.media.advertise = vec!["2001:db8::1".parse().unwrap()]);
        assert_eq!(family.worst(), Level::Fault);
        assert!(worst(&family).contains("2001:db8::1"), "{family:?}");
        let nobody = checked(|c| c.media.advertise = vec!["0.0.0.0".parse().unwrap()]);
        assert_eq!(nobody.worst(), Level::Fault);
        let loopback = checked(|c| {
            c.media.listen = "127.0.0.1:7882".parse().unwrap();
            c.http.listen = "0.0.0.0:443".parse().unwrap();
        });
        assert!(worst(&loopback).contains("loopback"), "{loopback:?}");
        let own = checked(|c| {
            c.media.listen = "127.0.0.1:7882".parse().unwrap();
            c.http.listen = "127.0.0.1:8080".parse().unwrap();
        });
        assert_eq!(own.worst(), Level::Note, "{own:?}");
    }

    #[test]
    fn media_that_cannot_come_by_tcp_is_told() {
        let off = checked(|c| {
            c.media.tcp = false;
            c.media.advertise = vec!["192.0.2.1".parse().unwrap()];
        });
        assert!(
            off.findings
                .iter()
                .any(|f| f.level == Level::Warning && f.found.contains("TCP is off"))
        );
        let behind = checked(|c| c.media.advertise = vec!["192.0.2.1".parse().unwrap()]);
        assert!(
            behind
                .findings
                .iter()
                .any(|f| f.level == Level::Warning && f.found.contains("http.listen"))
        );
    }

    #[test]
    fn a_range_tells_who_can_reach_an_address() {
        for inner in [
            "10.0.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "127.0.0.1",
            "fd00::1",
            "::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(inner.parse().unwrap()), "{inner}");
        }
        for outer in ["203.0.113.7", "100.128.0.1", "2001:db8::1"] {
            assert!(is_public(outer.parse().unwrap()), "{outer}");
        }
    }
}
