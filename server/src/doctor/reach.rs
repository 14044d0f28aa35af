//! Whether datagrams and connections arrive: from this machine itself, and from a second one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::addresses::Told;
use super::ports::Held;
use super::report::Report;
use super::second::{self, Seen};
use super::{machine, stun};
use crate::cli::Failure;
use crate::config::Config;

const UDP: &str = "udp";
const TCP: &str = "tcp";
const SECOND: &str = "second host";

/// Answers on the media ports while it lives.
struct Answering {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Answering {
    fn begin(held: &Held) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = held.media.iter().map(|socket| {
            let (socket, stop) = (socket.clone(), stop.clone());
            std::thread::spawn(move || stun::answer(&socket, &stop))
        });
        let threads = threads.collect();
        Self { stop, threads }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

pub(super) async fn check(report: &mut Report, config: &Config, told: &Told, held: &Held, second: Option<&str>) {
    if held.media.is_empty() && (!held.running || !config.turn.enabled) {
        report.note(
            UDP,
            "not tried: nobody here answers (the port could not be had, or the server runs with turn.enabled = false)",
        );
        return;
    }
    let answering = Answering::begin(held);
    own_loop(report, told).await;
    match second {
        Some(place) => from_second(report, told, place).await,
        None if config.http.listen.ip().is_loopback() && told.udp.iter().all(|a| a.ip().is_loopback()) => {}
        None => report.note(
            SECOND,
            "whether others get through only another machine can tell: run `ringhall second-host` there, and \
             `ringhall doctor --second-host ...` here, as it says",
        ),
    }
    drop(answering);
}

/// Asks each address from here, as a neighbour would.
async fn own_loop(report: &mut Report, told: &Told) {
    let ours = sfu::interface_addresses();
    for address in told.udp.iter().copied() {
        let asked = tokio::task::spawn_blocking(move || stun::ask(address)).await;
        let here = ours.contains(&address.ip());
        match asked {
            Ok(Ok(Some(_))) => report.ok(UDP, format!("{address} is reached from this machine")),
            Ok(Ok(None)) if here => dropped(report, address, "something drops UDP to it"),
            Ok(Err(error)) if here => dropped(report, address, &error.to_string()),
            Ok(Ok(None)) => report.note(
                UDP,
                format!("{address} is not reached from here, which many NATs never do; a second host tells more"),
            ),
            Ok(Err(error)) => report.warning(
                UDP,
                format!("{address}: {error}"),
                "look whether this machine has a route of that family (ip route, ip -6 route); without one leave the address out",
            ),
            Err(_) => {}
        }
    }
}

fn dropped(report: &mut Report, address: SocketAddr, why: &str) {
    report.fault(
        UDP,
        format!("{address} is not reached even from this machine: {why}"),
        format!(
            "look at the firewall and the rules of routing (nft list ruleset, ip rule), and let UDP {} in",
            address.port()
        ),
    );
}

async fn from_second(report: &mut Report, told: &Told, place: &str) {
    let answer = match second::ask(place, told).await {
        Ok(answer) => answer,
        Err(error) => {
            let change =
                "run `ringhall second-host` on the other machine, and give what it prints; its port has to be open";
            report.fault(SECOND, no_answer(place, &error), change);
            return;
        }
    };
    for (kind, seen) in [(UDP, &answer.udp), (TCP, &answer.tcp)] {
        for Seen { address, ok, why } in seen {
            one(report, kind, *address, *ok, why.as_deref());
        }
    }
    machine::compare_clocks(report, "the second host's", answer.ahead_ms);
}

fn no_answer(place: &str, error: &Failure) -> String {
    let place = place.split('#').next().unwrap_or(place);
    format!("{place} was of no help: {error}")
}

fn one(report: &mut Report, kind: &'static str, address: SocketAddr, ok: bool, why: Option<&str>) {
    if ok {
        report.ok(kind, format!("{address} is reached from the second host"));
        return;
    }
    let found = format!(
        "{address} is not reached from the second host ({})",
        why.unwrap_or("no answer")
    );
    let port = address.port();
    if address.ip().is_loopback() {
        report.note(kind, found);
    } else if kind == UDP {
        report.fault(
            kind,
            found,
            format!(
                "let UDP {port} through the firewalls here and at the provider, and a NAT lead it here; an address that nobody \
                 outside can reach should not be told: name the others in media.advertise"
            ),
        );
    } else {
        report.fault(
            kind,
            found,
            format!("let TCP {port} through the firewalls here and at the provider, and a NAT lead it here"),
        );
    }
}
