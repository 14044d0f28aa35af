//! All flows of a proxy and the schedule over them, sans-IO.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::config::{Change, Impairment};
use super::link::{Link, LinkStats};

/// Client addresses that are known at once. A browser uses one per interface and connection; more than this is no test.
const MAX_FLOWS: usize = 8_192;

/// A flow without a packet for this long is forgotten.
const IDLE: Duration = Duration::from_secs(90);

/// One client address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u64);

/// What the proxy's sockets are to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send to the server, from the flow's own socket.
    ToServer(FlowId, Vec<u8>),
    /// Send to the client at this address, from the listening socket.
    ToClient(SocketAddr, Vec<u8>),
    /// The flow's next packets to the server come from a new socket; what comes to the old one is lost, as behind a NAT.
    NewSocket(FlowId),
    /// The flow is over: its socket can be closed.
    Closed(FlowId),
}

struct Flow {
    client: SocketAddr,
    up: Link,
    down: Link,
    heard: Instant,
}

/// The whole proxy without its sockets.
pub struct Shaper {
    config: Impairment,
    began: Instant,
    /// Changes that have been made.
    applied: usize,
    flows: HashMap<FlowId, Flow>,
    by_client: HashMap<SocketAddr, FlowId>,
    next: u64,
    pending: Vec<Output>,
    /// Of flows that are over.
    past: (LinkStats, LinkStats),
    dark_until: Option<Instant>,
    sweep_at: Instant,
}

impl Shaper {
    /// A proxy whose schedule begins now. `config` has been checked ([`Impairment::check`]).
    pub fn new(mut config: Impairment, now: Instant) -> Self {
        config.changes.sort_by_key(Change::at);
        Self {
            config,
            began: now,
            applied: 0,
            flows: HashMap::new(),
            by_client: HashMap::new(),
            next: 0,
            pending: Vec::new(),
            past: Default::default(),
            dark_until: None,
            sweep_at: now + IDLE,
        }
    }

    /// Lets the schedule begin anew at `now`; changes that were made stay made until then.
    pub fn restart_schedule(&mut self, now: Instant) {
        (self.began, self.applied) = (now, 0);
    }

    /// Other links from `now` on, also for clients that come later. The schedule of the file goes on.
    pub fn change(&mut self, now: Instant, change: Change) {
        self.advance(now);
        self.apply(now, &change);
        self.config.up = change.up.unwrap_or(std::mem::take(&mut self.config.up));
        self.config.down = change.down.unwrap_or(std::mem::take(&mut self.config.down));
    }

    /// A datagram from a client. `None` when there are too many flows: it is dropped.
    pub fn from_client(&mut self, now: Instant, client: SocketAddr, packet: Vec<u8>) -> Option<FlowId> {
        self.advance(now);
        let id = match self.by_client.get(&client) {
            Some(id) => *id,
            None => self.open(now, client)?,
        };
        let flow = self.flows.get_mut(&id)?;
        flow.heard = now;
        flow.up.push(now, packet);
        Some(id)
    }

    /// A datagram from the server to a flow's socket.
    pub fn from_server(&mut self, now: Instant, id: FlowId, packet: Vec<u8>) {
        self.advance(now);
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.heard = now;
            flow.down.push(now, packet);
        }
    }

    /// Everything that is due at `now`, in the order of each flow.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.advance(now);
        out.append(&mut self.pending);
        for (id, flow) in &mut self.flows {
            while let Some(packet) = flow.up.pull(now) {
                out.push(Output::ToServer(*id, packet));
            }
            while let Some(packet) = flow.down.pull(now) {
                out.push(Output::ToClient(flow.client, packet));
            }
        }
    }

    /// When [`Self::poll`] wants to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        let links = self.flows.values().flat_map(|flow| [&flow.up, &flow.down]);
        let change = self
            .config
            .changes
            .get(self.applied)
            .map(|change| self.began + change.at());
        links.filter_map(Link::next_deadline).chain(change).min()
    }

    /// Both directions of all flows so far: (up, down).
    pub fn stats(&self) -> (LinkStats, LinkStats) {
        let (mut up, mut down) = self.past.clone();
        for flow in self.flows.values() {
            up.add(flow.up.stats());
            down.add(flow.down.stats());
        }
        (up, down)
    }

    /// Client addresses known now.
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    fn open(&mut self, now: Instant, client: SocketAddr) -> Option<FlowId> {
        if self.flows.len() >= MAX_FLOWS {
            return None;
        }
        let id = FlowId(self.next);
        self.next += 1;
        // What the schedule has made of the links by now.
        let (mut up, mut down) = (&self.config.up, &self.config.down);
        for change in self.config.changes.iter().take(self.applied) {
            up = change.up.as_ref().unwrap_or(up);
            down = change.down.as_ref().unwrap_or(down);
        }
        let seed = self.config.seed ^ id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (mut up, mut down) = (Link::new(up.clone(), seed), Link::new(down.clone(), !seed));
        if let Some(until) = self.dark_until.filter(|until| *until > now) {
            up.black_out(now, until);
            down.black_out(now, until);
        }
        self.flows.insert(
            id,
            Flow {
                client,
                up,
                down,
                heard: now,
            },
        );
        self.by_client.insert(client, id);
        Some(id)
    }

    fn advance(&mut self, now: Instant) {
        while let Some(change) = self.config.changes.get(self.applied) {
            let at = self.began + change.at();
            if at > now {
                break;
            }
            let change = change.clone();
            self.applied += 1;
            self.apply(at, &change);
        }
        if now >= self.sweep_at {
            self.sweep_at = now + IDLE / 2;
            let idle = |flow: &Flow| now.saturating_duration_since(flow.heard) >= IDLE;
            let gone: Vec<FlowId> = self.flows.iter().filter(|(_, f)| idle(f)).map(|(id, _)| *id).collect();
            for id in gone {
                if let Some(flow) = self.flows.remove(&id) {
                    self.past.0.add(flow.up.stats());
                    self.past.1.add(flow.down.stats());
                    self.by_client.remove(&flow.client);
                    self.pending.push(Output::Closed(id));
                }
            }
        }
    }

    fn apply(&mut self, at: Instant, change: &Change) {
        if let Some(time) = change.blackout_ms {
            self.dark_until = Some(at + Duration::from_millis(u64::from(time)));
        }
        for (id, flow) in &mut self.flows {
            if let Some(up) = &change.up {
                flow.up.set(at, up.clone());
            }
            if let Some(down) = &change.down {
                flow.down.set(at, down.clone());
            }
            if let (Some(_), Some(until)) = (change.blackout_ms, self.dark_until) {
                flow.up.black_out(at, until);
                flow.down.black_out(at, until);
            }
            if change.new_address {
                self.pending.push(Output::NewSocket(*id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::impair::config::LinkConfig;

    fn client(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn change(at_seconds: f64) -> Change {
        Change {
            at_seconds,
            ..Default::default()
        }
    }

    fn due(shaper: &mut Shaper, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        shaper.poll(now, &mut out);
        out
    }

    #[test]
    fn each_client_has_a_link_of_its_own_and_gets_its_own_answers() {
        let config = Impairment {
            down: LinkConfig {
                rate_kbps: Some(100),
                ..Default::default()
            },
            ..Default::default()
        };
        let now = Instant::now();
        let mut shaper = Shaper::new(config, now);
        let ids: Vec<FlowId> = (1..=2)
            .map(|port| shaper.from_client(now, client(port), vec![port as u8]).unwrap())
            .collect();
        assert_eq!(due(&mut shaper, now).len(), 2);
        for (id, port) in ids.iter().zip(1_u8..) {
            shaper.from_server(now, *id, vec![port; 972]);
        }
        // 1,000 bytes at 100 kbit/s are 80 ms, for both at once: they do not share the bottleneck.
        assert!(due(&mut shaper, now + Duration::from_millis(79)).is_empty());
        let mut answers = due(&mut shaper, now + Duration::from_millis(80));
        answers.sort_by_key(|output| format!("{output:?}"));
        assert_eq!(
            answers,
            [
                Output::ToClient(client(1), vec![1; 972]),
                Output::ToClient(client(2), vec![2; 972])
            ]
        );
    }

    #[test]
    fn the_schedule_changes_the_link_the_address_and_the_light() {
        let mut config = Impairment {
            changes: vec![change(1.0), change(2.0), change(3.0)],
            ..Default::default()
        };
        config.changes[0].down = Some(LinkConfig {
            delay_ms: 100,
            ..Default::default()
        });
        config.changes[1].new_address = true;
        config.changes[2].blackout_ms = Some(500);
        let start = Instant::now();
        let mut shaper = Shaper::new(config, start);
        let id = shaper.from_client(start, client(1), vec![1]).unwrap();
        due(&mut shaper, start);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(shaper.next_deadline(), Some(at(1_000)));
        shaper.from_server(at(1_000), id, vec![2]);
        assert!(due(&mut shaper, at(1_099)).is_empty());
        assert_eq!(due(&mut shaper, at(1_100)), [Output::ToClient(client(1), vec![2])]);
        assert_eq!(due(&mut shaper, at(2_000)), [Output::NewSocket(id)]);
        // A flow that opens in the dark is dark too, and one that opens later has the changed link.
        let late = shaper.from_client(at(3_400), client(2), vec![3]).unwrap();
        shaper.from_client(at(3_400), client(1), vec![3]);
        assert!(due(&mut shaper, at(3_499)).is_empty());
        shaper.from_server(at(3_500), late, vec![4]);
        assert!(due(&mut shaper, at(3_599)).is_empty());
        assert_eq!(due(&mut shaper, at(3_600)), [Output::ToClient(client(2), vec![4])]);
        assert_eq!(shaper.stats().0.blacked_out, 2);
    }

    #[test]
    fn links_can_be_changed_from_outside_for_those_that_are_there_and_those_that_come() {
        let start = Instant::now();
        let mut shaper = Shaper::new(Impairment::default(), start);
        shaper.from_client(start, client(1), vec![1]).unwrap();
        assert_eq!(due(&mut shaper, start).len(), 1);
        let mut slow = change(0.0);
        slow.up = Some(LinkConfig {
            delay_ms: 100,
            ..Default::default()
        });
        shaper.change(start, slow);
        for port in 1..=2 {
            shaper.from_client(start, client(port), vec![2]);
        }
        assert!(due(&mut shaper, start + Duration::from_millis(99)).is_empty());
        assert_eq!(due(&mut shaper, start + Duration::from_millis(100)).len(), 2);
    }

    #[test]
    fn silent_flows_are_forgotten_and_their_counts_are_not() {
        let now = Instant::now();
        let mut shaper = Shaper::new(Impairment::default(), now);
        let id = shaper.from_client(now, client(1), vec![1]).unwrap();
        due(&mut shaper, now);
        let later = now + IDLE * 2;
        assert_eq!(due(&mut shaper, later), [Output::Closed(id)]);
        assert_eq!(shaper.flows(), 0);
        assert_eq!(shaper.stats().0.delivered, 1);
    }
}
