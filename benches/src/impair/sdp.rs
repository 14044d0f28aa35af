//! Points the candidates of an answer at a proxy, for clients that hand their SDP through us. Browsers that talk to the
//! server themselves need the server to advertise the proxy's address instead.

use std::net::SocketAddr;

/// Replaces the address and port of every UDP candidate; candidates over TCP, which the proxy does not carry, are left out.
pub fn redirect(answer: &str, proxy: SocketAddr) -> String {
    let mut out = String::with_capacity(answer.len() + 16);
    for line in answer.split_inclusive('\n') {
        let Some(candidate) = line.trim_end().strip_prefix("a=candidate:") else {
            out.push_str(line);
            continue;
        };
        // RFC 8839 section 5.1: foundation, component, transport, priority, address, port, and the rest.
        let mut fields: Vec<&str> = candidate.split(' ').collect();
        if fields.len() < 8 || !fields[2].eq_ignore_ascii_case("udp") {
            continue;
        }
        let (address, port) = (proxy.ip().to_string(), proxy.port().to_string());
        (fields[4], fields[5]) = (&address, &port);
        out.push_str("a=candidate:");
        out.push_str(&fields.join(" "));
        out.push_str("\r\n");
    }
    out
}

/// The first UDP candidate: where a proxy must send to.
pub fn first_candidate(answer: &str) -> Option<SocketAddr> {
    answer.lines().find_map(|line| {
        let fields: Vec<&str> = line.trim().strip_prefix("a=candidate:")?.split(' ').collect();
        let (address, port) = (fields.get(4)?.parse().ok()?, fields.get(5)?.parse().ok()?);
        fields
            .get(2)?
            .eq_ignore_ascii_case("udp")
            .then_some(SocketAddr::new(address, port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\na=candidate:1 1 UDP 21 10.0.0.1 7882 typ host\r\n\
        a=candidate:2 1 tcp 20 10.0.0.1 7882 typ host tcptype passive\r\na=end-of-candidates\r\n";

    #[test]
    fn udp_candidates_point_at_the_proxy_and_tcp_ones_are_gone() {
        let proxy: SocketAddr = "127.0.0.2:9".parse().unwrap();
        let redirected = redirect(ANSWER, proxy);
        assert!(redirected.contains("a=candidate:1 1 UDP 21 127.0.0.2 9 typ host\r\n"));
        assert!(!redirected.contains("tcptype"));
        assert!(redirected.starts_with("v=0\r\n") && redirected.ends_with("a=end-of-candidates\r\n"));
        assert_eq!(first_candidate(ANSWER), Some("10.0.0.1:7882".parse().unwrap()));
        assert_eq!(first_candidate(&redirected), Some(proxy));
    }
}
