//! A media thread: many connections, one poll, one heap of deadlines.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;
use str0m::RtcError;
use tokio::sync::{mpsc as channel, oneshot};

use crate::media::flow::Viewer;
use crate::media::schedule::Schedule;
use crate::media::tally::Tally;
use crate::proc;

use super::ClientEvent;
use super::client::Client;
use super::connection::Connection;
use super::socket::{BATCH, Batch};

/// Batches taken from one socket before others get their turn; the rest is taken in the next round.
const TURN: usize = 4;
/// Longest wait without a look at the deadlines.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// The waker's place among the tokens.
const WAKE: Token = Token(usize::MAX);

/// A connection to run.
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) connection: Connection,
    pub(super) schedule: Option<Schedule>,
    pub(super) viewer: Viewer,
    pub(super) events: channel::UnboundedSender<ClientEvent>,
}

/// What a thread is told.
pub(super) enum Order {
    Add(Box<Job>),
    Remove(u64),
    Talk(u64, bool),
    Layers(u64, Vec<bool>),
    /// The measuring window begins, or ends and is handed back.
    Open,
    Close(oneshot::Sender<Tally>),
    /// Hands back what came since the last time, and how many connections are up.
    Second(oneshot::Sender<(Tally, u64)>),
    Stop,
}

pub(super) struct Worker {
    poll: Poll,
    orders: mpsc::Receiver<Order>,
    clients: Slab<Client>,
    keys: std::collections::HashMap<u64, usize>,
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    unread: Vec<usize>,
    second: Tally,
    /// Came before the window opened, in the current second.
    before: Tally,
    window: Option<Tally>,
    /// What our sockets had dropped when the window opened.
    drops: u64,
}

impl Worker {
    pub(super) fn new(orders: mpsc::Receiver<Order>) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let worker = Self {
            poll,
            orders,
            clients: Slab::new(),
            keys: std::collections::HashMap::new(),
            heap: BinaryHeap::new(),
            unread: Vec::new(),
            second: Tally::new(),
            before: Tally::new(),
            window: None,
            drops: 0,
        };
        Ok((worker, waker))
    }

    /// Runs until it is told to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        let mut batch = Batch::default();
        loop {
            let wait = self.timers();
            let wait = if self.unread.is_empty() { wait } else { Duration::ZERO };
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                eprintln!("a media thread cannot wait: {error}");
                return;
            }
            if !self.orders() {
                return;
            }
            let mut ready = std::mem::take(&mut self.unread);
            for event in &events {
                if event.token() != WAKE
                    && let Some(client) = self.clients.get_mut(event.token().0)
                    && !std::mem::replace(&mut client.unread, true)
                {
                    ready.push(event.token().0);
                }
            }
            for key in ready.drain(..) {
                self.readable(key, &mut batch);
                // Reading must not make sending late.
                if self.heap.peek().is_some_and(|Reverse((at, _))| *at <= Instant::now()) {
                    self.timers();
                }
            }
            self.unread.append(&mut ready);
        }
    }

    fn orders(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Add(job)) => self.add(*job),
                Ok(Order::Remove(id)) => {
                    if let Some(key) = self.keys.remove(&id) {
                        let mut client = self.clients.remove(key);
                        let _ = self.poll.registry().deregister(&mut client.socket);
                    }
                }
                Ok(Order::Talk(id, on)) => {
                    if let Some(schedule) = self.client(id).and_then(|c| c.schedule.as_mut()) {
                        schedule.talk(on);
                    }
                }
                Ok(Order::Layers(id, active)) => {
                    let now = Instant::now();
                    let Some(&key) = self.keys.get(&id) else { continue };
                    if let Some(schedule) = self.clients[key].schedule.as_mut() {
                        for (layer, active) in active.into_iter().enumerate() {
                            schedule.set_active(layer, active, now);
                        }
                    }
                    self.due(key, now);
                }
                Ok(Order::Open) => {
                    // What the current second holds already does not belong to the window.
                    self.before = self.second.take();
                    self.window = Some(Tally::new());
                    self.drops = self.dropped();
                }
                Ok(Order::Close(reply)) => {
                    let mut tally = self.window.take().unwrap_or_default();
                    tally.add(&self.second);
                    tally.counts.socket_drops = self.dropped().saturating_sub(self.drops);
                    for (_, client) in &self.clients {
                        for jitter in client.viewer.jitter() {
                            tally.jitter.saturating_record((jitter / 1_000.0) as u64);
                        }
                    }
                    let _ = reply.send(tally);
                }
                Ok(Order::Second(reply)) => {
                    let mut second = self.second.take();
                    if let Some(window) = &mut self.window {
                        window.add(&second);
                    }
                    second.add(&self.before.take());
                    let up = self.clients.iter().filter(|(_, c)| c.connected && !c.failed).count();
                    let _ = reply.send((second, up as u64));
                }
                Ok(Order::Stop) | Err(mpsc::TryRecvError::Disconnected) => return false,
                Err(mpsc::TryRecvError::Empty) => return true,
            }
        }
    }

    fn client(&mut self, id: u64) -> Option<&mut Client> {
        let key = *self.keys.get(&id)?;
        self.clients.get_mut(key)
    }

    /// What the kernel dropped at the sockets that are open now.
    fn dropped(&self) -> u64 {
        let inodes: HashSet<u64> = self.clients.iter().map(|(_, c)| c.inode).collect();
        proc::udp_drops(&inodes)
    }

    fn add(&mut self, mut job: Job) {
        let entry = self.clients.vacant_entry();
        let key = entry.key();
        let socket = job.connection.socket.take();
        let registered = socket.map(UdpSocket::from_std).ok_or(io::ErrorKind::NotFound.into());
        let registered = registered.and_then(|mut socket| {
            let registry = self.poll.registry();
            registry.register(&mut socket, Token(key), Interest::READABLE)?;
            Ok::<_, io::Error>(socket)
        });
        let socket = match registered {
            Ok(socket) => socket,
            Err(error) => {
                eprintln!("a socket cannot be waited for: {error}");
                let _ = job.events.send(ClientEvent::Failed);
                return;
            }
        };
        let now = Instant::now();
        self.keys.insert(job.id, key);
        entry.insert(Client::new(job, socket, now));
        self.unread.push(key);
        self.due(key, now);
    }

    /// Serves everybody whose time has come; returns how long there is until the next.
    fn timers(&mut self) -> Duration {
        loop {
            let now = Instant::now();
            let Some(Reverse((at, key))) = self.heap.peek().copied() else {
                return LONGEST_WAIT;
            };
            if at > now {
                return (at - now).min(LONGEST_WAIT);
            }
            self.heap.pop();
            let Some(client) = self.clients.get_mut(key) else {
                continue;
            };
            if client.scheduled != Some(at) {
                continue;
            }
            client.scheduled = None;
            if client.deadline <= now {
                self.due(key, now);
            } else {
                self.schedule(key);
            }
        }
    }

    fn schedule(&mut self, key: usize) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if client.scheduled.is_none_or(|at| client.deadline < at) {
            client.scheduled = Some(client.deadline);
            self.heap.push(Reverse((client.deadline, key)));
        }
    }

    /// Sends what is due and lets the transport act.
    fn due(&mut self, key: usize, now: Instant) {
        if let Some(client) = self.clients.get_mut(key) {
            let result = client.due(now, &mut self.second);
            self.done(key, result);
        }
    }

    fn readable(&mut self, key: usize, batch: &mut Batch) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let mut result = Ok(());
        client.unread = true;
        for _ in 0..TURN {
            match batch.receive(&client.socket) {
                Ok(count) => {
                    if count > 0 {
                        result = client.receive(batch, &mut self.second);
                    }
                    if count < BATCH || result.is_err() {
                        client.unread = false;
                        break;
                    }
                }
                // An ICMP error of an earlier send; the next receive works.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => {
                    client.unread = false;
                    break;
                }
            }
        }
        if client.unread {
            self.unread.push(key);
        }
        self.done(key, result);
    }

    fn done(&mut self, key: usize, result: Result<(), RtcError>) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if result.is_err() && !client.failed {
            client.fail(&mut self.second);
        }
        if client.failed {
            client.deadline = Instant::now() + Duration::from_secs(3_600);
        }
        self.schedule(key);
    }
}
