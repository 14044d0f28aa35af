//! The crowd: media threads that run WebRTC connections (str0m in RTP mode, one UDP socket each), tasks that run those of the
//! `webrtc` crate ([`fidelity`]), and the handle to both.
//!
//! ```text
//!  tokio: signaling of every client ── offer/answer ──► Connection
//!         Engine ── orders ──► media thread: poll ─ recvmsg ─ str0m ─ Viewer ─ Tally
//!                ◄── events, tallies ──        heap ─ Schedule ─ str0m ─ sendto
//! ```

mod client;
pub mod connection;
pub mod fidelity;
pub mod kinds;
pub mod socket;
mod worker;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use mio::Waker;
use tokio::sync::{mpsc, oneshot};

use crate::media::flow::{News, Viewer};
use crate::media::schedule::Schedule;
use crate::media::tally::Tally;

use kinds::Negotiated;
use worker::{Job, Order, Worker};

/// What a connection says of itself.
#[derive(Clone, Copy, Debug)]
pub enum ClientEvent {
    /// DTLS is up.
    Connected,
    /// Something new is shown or heard; nanoseconds since 1970.
    News(News, u64),
    /// It broke, or could not be made.
    Failed,
}

/// Bit of the ids of those clients that tasks run.
const FIDELITY: u64 = 1 << 63;

/// The media threads.
pub struct Engine {
    threads: Vec<Thread>,
    fidelity: fidelity::Crowd,
    next: AtomicU64,
}

struct Thread {
    orders: Sender<Order>,
    waker: Waker,
    handle: Option<JoinHandle<()>>,
}

/// A running connection; dropping it does not end it.
#[derive(Debug)]
pub struct Client {
    id: u64,
    /// What it says of itself.
    pub events: mpsc::UnboundedReceiver<ClientEvent>,
}

impl Client {
    /// For orders about it while its events are elsewhere.
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl Engine {
    /// Starts `threads` of them.
    ///
    /// # Errors
    /// When the system refuses a thread or a poll.
    pub fn start(threads: usize) -> io::Result<Self> {
        let make = |number: usize| {
            let (orders, receiver) = channel();
            let (worker, waker) = Worker::new(receiver)?;
            let handle = std::thread::Builder::new()
                .name(format!("crowd-{number}"))
                .spawn(move || worker.run())?;
            Ok(Thread {
                orders,
                waker,
                handle: Some(handle),
            })
        };
        Ok(Self {
            threads: (0..threads.max(1)).map(make).collect::<io::Result<_>>()?,
            fidelity: fidelity::Crowd::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Number of threads that carry media: our own, and those of the runtime where it does.
    pub fn threads(&self) -> usize {
        let tasks = match self.fidelity.is_empty() {
            true => 0,
            false => tokio::runtime::Handle::current().metrics().num_workers(),
        };
        self.threads.len() + tasks
    }

    /// Runs a connection from now on.
    pub fn add(&self, connection: Negotiated, schedule: Option<Schedule>, viewer: Viewer) -> Client {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, events) = mpsc::unbounded_channel();
        let connection = match connection {
            Negotiated::Volume(connection) => *connection,
            Negotiated::Fidelity(peer) => {
                let id = id | FIDELITY;
                self.fidelity.add(id, *peer, schedule, viewer, sender);
                return Client { id, events };
            }
        };
        self.order(
            id,
            Order::Add(Box::new(Job {
                id,
                connection,
                schedule,
                viewer,
                events: sender,
            })),
        );
        Client { id, events }
    }

    /// Ends a connection without a word, as a machine that is switched off.
    pub fn remove(&self, id: u64) {
        if id & FIDELITY != 0 {
            return self.fidelity.remove(id);
        }
        self.order(id, Order::Remove(id));
    }

    /// Makes a publisher loud or silent.
    pub fn talk(&self, id: u64, on: bool) {
        if id & FIDELITY != 0 {
            return self.fidelity.talk(id, on);
        }
        self.order(id, Order::Talk(id, on));
    }

    /// Tells a publisher which layers to encode.
    pub fn layers(&self, id: u64, active: Vec<bool>) {
        if id & FIDELITY != 0 {
            return self.fidelity.layers(id, active);
        }
        self.order(id, Order::Layers(id, active));
    }

    /// The measuring window begins.
    pub fn open(&self) {
        self.fidelity.open();
        for thread in &self.threads {
            thread.order(Order::Open);
        }
    }

    /// The measuring window ends: what came in it.
    pub async fn close(&self) -> Tally {
        let mut sum = self.fidelity.close();
        for thread in &self.threads {
            let (reply, answer) = oneshot::channel();
            thread.order(Order::Close(reply));
            if let Ok(tally) = answer.await {
                sum.add(&tally);
            }
        }
        sum
    }

    /// What came since the last time this was asked, and how many connections are up.
    pub async fn second(&self) -> (Tally, u64) {
        let (mut sum, mut up) = self.fidelity.second();
        for thread in &self.threads {
            let (reply, answer) = oneshot::channel();
            thread.order(Order::Second(reply));
            if let Ok((tally, connected)) = answer.await {
                sum.add(&tally);
                up += connected;
            }
        }
        (sum, up)
    }

    fn order(&self, id: u64, order: Order) {
        if let Some(thread) = self.threads.get(id as usize % self.threads.len().max(1)) {
            thread.order(order);
        }
    }
}

impl Thread {
    fn order(&self, order: Order) {
        // A thread that has ended has said why.
        if self.orders.send(order).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for thread in &mut self.threads {
            thread.order(Order::Stop);
            if let Some(handle) = thread.handle.take() {
                let _ = handle.join();
            }
        }
    }
}
