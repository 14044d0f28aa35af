//! The writing half of a connection: queued frames, the outbox, pings, and the close frame.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message};
use futures_util::{Sink, SinkExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::hello;
use super::session::{Outgoing, Realtime, Session};
use crate::app::App;
use crate::protocol::{RealtimeBody, ServerFrame, close};

/// Events read from the outbox at once.
const BATCH: u32 = 200;

/// Missed answers to pings after which a connection is dead.
const MISSED_PINGS: u32 = 2;

/// Wait before the outbox is read again after the database did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// Writes until the connection is to end, then sends the close frame.
pub(super) async fn run(
    app: Arc<App>,
    session: Arc<Session>,
    queue: mpsc::Receiver<Outgoing>,
    mut sink: impl Sink<Message> + Unpin,
) {
    let mut writer = Writer {
        app,
        session: session.clone(),
        queue,
        realtime: 0,
        pings: 0,
        pinged: Instant::now(),
    };
    let _ = writer.write(&mut sink).await;
    // Ends the reading half too when it was the writing that failed.
    session.close((close::FLOOD, "the connection takes no frames"));
    let (code, reason) = session.closed().await;
    let last = async {
        if code == close::DRAINING {
            while let Ok(frame) = writer.queue.try_recv() {
                writer.send(&mut sink, frame).await?;
            }
        }
        sink.send(Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        })))
        .await
        .map_err(drop)
    };
    let _ = timeout(Duration::from_secs(2), last).await;
}

struct Writer {
    app: Arc<App>,
    session: Arc<Session>,
    queue: mpsc::Receiver<Outgoing>,
    /// Number of the last ephemeral event.
    realtime: u64,
    /// Number of the last ping.
    pings: u64,
    pinged: Instant,
}

impl Writer {
    async fn write(&mut self, sink: &mut (impl Sink<Message> + Unpin)) -> Result<(), ()> {
        let period = Duration::from_millis(self.app.sockets.ping_call_ms.max(50).into());
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let session = self.session.clone();
        // Welcome and the snapshot lie in the queue already and must go before anything of the outbox.
        while let Ok(frame) = self.queue.try_recv() {
            self.send(sink, frame).await?;
        }
        loop {
            tokio::select! {
                biased;
                _ = session.closed() => return Ok(()),
                () = session.outbox.notified() => self.outbox(sink).await?,
                frame = self.queue.recv() => match frame {
                    Some(frame) => self.send(sink, frame).await?,
                    None => return Ok(()),
                },
                _ = ticks.tick() => self.ping(sink).await?,
            }
        }
    }

    async fn send(&mut self, sink: &mut (impl Sink<Message> + Unpin), frame: Outgoing) -> Result<(), ()> {
        let text = match frame {
            Outgoing::Text(text) => text,
            Outgoing::Realtime(event) => {
                self.realtime += 1;
                event.frame(self.realtime)
            }
        };
        self.put(sink, text).await
    }

    /// One frame to the peer. One that takes no bytes for long is too slow to keep; so is one whose queue fills meanwhile.
    async fn put(&self, sink: &mut (impl Sink<Message> + Unpin), text: String) -> Result<(), ()> {
        let patience = Duration::from_millis(self.app.sockets.slow_reader_ms.max(1).into());
        tokio::select! {
            biased; // what leaves at once leaves, also of a connection that is to end: the farewell of a server
            sent = timeout(patience, sink.send(Message::Text(text.into()))) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(()),
            },
            _ = self.session.closed() => Err(()),
        }
    }

    /// Sends what the outbox holds beyond what was sent.
    async fn outbox(&mut self, sink: &mut (impl Sink<Message> + Unpin)) -> Result<(), ()> {
        loop {
            let sent = self.session.sent.load(Ordering::Relaxed);
            let read = self.app.service.events_after(&self.session.user, sent, BATCH);
            let events = match Box::pin(read).await {
                Ok(events) => events,
                Err(error) => {
                    tracing::warn!(%error, "an outbox cannot be read now");
                    self.again_soon();
                    return Ok(());
                }
            };
            let more = events.len() >= BATCH as usize;
            for event in events {
                let seq = event.seq;
                if seq != self.session.sent.load(Ordering::Relaxed) + 1 {
                    // Removed by age since the hello: there is a gap that only a snapshot fills.
                    self.session.close((close::DRAINING, "come back for a snapshot"));
                    return Err(());
                }
                let text = serde_json::to_string(&ServerFrame::Ev(event)).map_err(drop)?;
                self.put(sink, text).await?;
                self.session.sent.store(seq, Ordering::Relaxed);
            }
            if !more {
                return match self.session.owes_resumed.swap(false, Ordering::Relaxed) {
                    true => Box::pin(self.resumed(sink)).await,
                    false => Ok(()),
                };
            }
        }
    }

    /// Everything missed has been sent: then what no event tells of.
    async fn resumed(&mut self, sink: &mut (impl Sink<Message> + Unpin)) -> Result<(), ()> {
        match hello::resumed(&self.app, &self.session.user).await {
            Ok(state) => {
                let event = Realtime::new(&RealtimeBody::Resumed(Box::new(state)));
                self.send(sink, Outgoing::Realtime(event)).await
            }
            Err(error) => {
                tracing::warn!(?error, "what was missed cannot be read now");
                self.session.owes_resumed.store(true, Ordering::Relaxed);
                self.again_soon();
                Ok(())
            }
        }
    }

    /// Reads the outbox again in a moment.
    fn again_soon(&self) {
        let session = self.session.clone();
        tokio::spawn(async move {
            tokio::time::sleep(RETRY).await;
            session.outbox.notify_one();
        });
    }

    async fn ping(&mut self, sink: &mut (impl Sink<Message> + Unpin)) -> Result<(), ()> {
        let idle = Duration::from_millis(self.app.sockets.ping_idle_ms.into());
        if !self.session.in_call.load(Ordering::Relaxed) && self.pinged.elapsed() < idle {
            return Ok(());
        }
        if self.session.unanswered.load(Ordering::Relaxed) >= MISSED_PINGS {
            tracing::debug!(user = %self.session.user, "a connection is dead: two pings without an answer");
            return Err(());
        }
        self.session.unanswered.fetch_add(1, Ordering::Relaxed);
        self.pings += 1;
        self.pinged = Instant::now();
        let text = serde_json::to_string(&ServerFrame::Ping { n: self.pings }).map_err(drop)?;
        self.put(sink, text).await
    }
}
