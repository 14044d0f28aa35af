//! Running connections of the `webrtc` crate: a task each that sends what is due, and one for each track that is read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use webrtc::media_stream::track_local::{TrackLocal, TrackLocalEvent};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{PeerConnection, RTCPeerConnectionState};

use crate::engine::ClientEvent;
use crate::media::flow::{Arrival, Viewer};
use crate::media::schedule::{Packet, Schedule};
use crate::media::stamp::now_ns;
use crate::media::tally::Tally;

use super::requests::wanted;
use super::{Happening, Peer, Sending};

/// All connections of this kind, and what they have counted.
#[derive(Default)]
pub(in crate::engine) struct Crowd {
    tallies: Arc<Mutex<Tallies>>,
    clients: Mutex<HashMap<u64, Running>>,
}

#[derive(Default)]
struct Tallies {
    second: Tally,
    /// Came before the window opened, in the current second.
    before: Tally,
    window: Option<Tally>,
}

struct Running {
    connection: Arc<dyn PeerConnection>,
    orders: mpsc::UnboundedSender<Order>,
    viewer: Arc<Mutex<Viewer>>,
    up: Arc<AtomicBool>,
    task: AbortHandle,
}

enum Order {
    Talk(bool),
    Layers(Vec<bool>),
    KeyFrame(usize),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crowd {
    /// Whether there are any.
    pub(in crate::engine) fn is_empty(&self) -> bool {
        lock(&self.clients).is_empty()
    }

    pub(in crate::engine) fn add(
        &self,
        id: u64,
        peer: Peer,
        schedule: Option<Schedule>,
        viewer: Viewer,
        events: mpsc::UnboundedSender<ClientEvent>,
    ) {
        let (orders, ordered) = mpsc::unbounded_channel();
        let (viewer, up) = (Arc::new(Mutex::new(viewer)), Arc::new(AtomicBool::new(false)));
        let connection = peer.connection.clone();
        let client = Client {
            tallies: self.tallies.clone(),
            viewer: viewer.clone(),
            up: up.clone(),
            events,
            schedule,
            orders: orders.clone(),
            failed: false,
        };
        let task = tokio::spawn(client.run(peer, ordered)).abort_handle();
        let running = Running {
            connection,
            orders,
            viewer,
            up,
            task,
        };
        lock(&self.clients).insert(id, running);
    }

    /// Ends a connection. Its sockets are closed by a task; the library may say goodbye to the server.
    pub(in crate::engine) fn remove(&self, id: u64) {
        if let Some(client) = lock(&self.clients).remove(&id) {
            client.task.abort();
            tokio::spawn(async move {
                // It is gone for us, however that ends.
                let _ = client.connection.close().await;
            });
        }
    }

    pub(in crate::engine) fn talk(&self, id: u64, on: bool) {
        self.order(id, Order::Talk(on));
    }

    pub(in crate::engine) fn layers(&self, id: u64, active: Vec<bool>) {
        self.order(id, Order::Layers(active));
    }

    fn order(&self, id: u64, order: Order) {
        if let Some(client) = lock(&self.clients).get(&id) {
            // A client that has ended takes no orders.
            let _ = client.orders.send(order);
        }
    }

    pub(in crate::engine) fn open(&self) {
        let mut tallies = lock(&self.tallies);
        tallies.before = tallies.second.take();
        tallies.window = Some(Tally::new());
    }

    pub(in crate::engine) fn close(&self) -> Tally {
        let mut sum = {
            let mut tallies = lock(&self.tallies);
            let mut sum = tallies.window.take().unwrap_or_default();
            sum.add(&tallies.second);
            sum
        };
        for client in lock(&self.clients).values() {
            for jitter in lock(&client.viewer).jitter() {
                sum.jitter.saturating_record((jitter / 1_000.0) as u64);
            }
        }
        sum
    }

    pub(in crate::engine) fn second(&self) -> (Tally, u64) {
        let second = {
            let mut tallies = lock(&self.tallies);
            let mut second = tallies.second.take();
            if let Some(window) = &mut tallies.window {
                window.add(&second);
            }
            second.add(&tallies.before.take());
            second
        };
        let up = lock(&self.clients)
            .values()
            .filter(|c| c.up.load(Ordering::Relaxed))
            .count();
        (second, up as u64)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for client in lock(&self.clients).values() {
            client.task.abort();
        }
    }
}

struct Client {
    tallies: Arc<Mutex<Tallies>>,
    viewer: Arc<Mutex<Viewer>>,
    up: Arc<AtomicBool>,
    events: mpsc::UnboundedSender<ClientEvent>,
    schedule: Option<Schedule>,
    orders: mpsc::UnboundedSender<Order>,
    failed: bool,
}

impl Client {
    async fn run(mut self, mut peer: Peer, mut ordered: mpsc::UnboundedReceiver<Order>) {
        for sending in [&peer.audio, &peer.video].into_iter().flatten() {
            self.listen(sending);
        }
        loop {
            let next = self.schedule.as_ref().filter(|_| self.is_up()).and_then(Schedule::next);
            let next = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
            tokio::select! {
                happening = peer.inbox.recv() => match happening {
                    Some(Happening::State(state)) => self.state(state),
                    Some(Happening::Track(track)) => self.read(track),
                    Some(Happening::Gathered) => {}
                    None => return,
                },
                order = ordered.recv() => match order {
                    Some(order) => self.order(order),
                    None => return,
                },
                () = tokio::time::sleep_until(next.into()) => self.send(&peer).await,
            }
        }
    }

    fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    fn state(&mut self, state: RTCPeerConnectionState) {
        match state {
            RTCPeerConnectionState::Connected if !self.is_up() && !self.failed => {
                self.up.store(true, Ordering::Relaxed);
                let _ = self.events.send(ClientEvent::Connected);
            }
            RTCPeerConnectionState::Disconnected | RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed
                if !std::mem::replace(&mut self.failed, true) =>
            {
                self.up.store(false, Ordering::Relaxed);
                lock(&self.tallies).second.counts.failed += 1;
                let _ = self.events.send(ClientEvent::Failed);
            }
            _ => {}
        }
    }

    fn order(&mut self, order: Order) {
        let Some(schedule) = &mut self.schedule else { return };
        match order {
            Order::Talk(on) => schedule.talk(on),
            Order::KeyFrame(layer) => schedule.key_frame(layer),
            Order::Layers(active) => {
                let now = Instant::now();
                for (layer, active) in active.into_iter().enumerate() {
                    schedule.set_active(layer, active, now);
                }
            }
        }
    }

    async fn send(&mut self, peer: &Peer) {
        let Some(schedule) = &mut self.schedule else { return };
        let mut late = Vec::new();
        let mut packets = Vec::new();
        schedule.due(
            Instant::now(),
            |behind| late.push(behind),
            |packet| {
                let sending = match packet.layer {
                    None => &peer.audio,
                    Some(_) => &peer.video,
                };
                packets.extend(sending.as_ref().and_then(|s| Some((s, s.packet(&packet)?))));
            },
        );
        let (mut sent, mut bytes, mut failures) = (0, 0, 0);
        for (sending, packet) in packets {
            let length = packet.payload.len() as u64;
            match sending.track.write_rtp(packet).await {
                Ok(()) => {
                    sent += 1;
                    bytes += length;
                }
                Err(_) => failures += 1,
            }
        }
        let mut tallies = lock(&self.tallies);
        let tally = &mut tallies.second;
        tally.counts.sent += sent;
        tally.counts.sent_bytes += bytes;
        tally.counts.send_failures += failures;
        for behind in late {
            tally.lateness.saturating_record(behind.as_micros() as u64);
        }
    }

    /// Hears requests for key frames.
    fn listen(&self, sending: &Sending) {
        let (track, ssrcs, orders) = (sending.track.clone(), sending.ssrcs.clone(), self.orders.clone());
        let tallies = self.tallies.clone();
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                let TrackLocalEvent::OnRtcpPacket(packets) = event else {
                    continue;
                };
                for ssrc in packets.iter().filter_map(|packet| wanted(packet.as_ref())) {
                    let layer = ssrcs.iter().position(|own| *own == ssrc).unwrap_or(0);
                    lock(&tallies).second.counts.key_frame_requests += 1;
                    if orders.send(Order::KeyFrame(layer)).is_err() {
                        return;
                    }
                }
            }
        });
    }

    /// Reads a track until its connection ends.
    fn read(&self, track: Arc<dyn TrackRemote>) {
        let (viewer, tallies, events) = (self.viewer.clone(), self.tallies.clone(), self.events.clone());
        tokio::spawn(async move {
            let mut newest: HashMap<u32, u64> = HashMap::new();
            while let Some(event) = track.poll().await {
                let TrackRemoteEvent::OnRtpPacket(packet) = event else {
                    continue;
                };
                if packet.payload.is_empty() {
                    // Padding, as a probe sends it.
                    continue;
                }
                let newest = newest.entry(packet.header.ssrc).or_default();
                *newest = extend(*newest, packet.header.sequence_number);
                let arrival = Arrival {
                    ssrc: packet.header.ssrc,
                    sequence: *newest,
                    payload: &packet.payload,
                    at_ns: now_ns(),
                };
                lock(&viewer).note(arrival, &mut lock(&tallies).second, |news| {
                    let _ = events.send(ClientEvent::News(news, arrival.at_ns));
                });
            }
        });
    }
}

impl Sending {
    /// The packet as the library sends it; `None` for a layer that was not offered.
    fn packet(&self, packet: &Packet<'_>) -> Option<rtp::Packet> {
        let layer = packet.layer.unwrap_or(0);
        let mut header = rtp::Header {
            version: 2,
            marker: packet.marker,
            payload_type: self.payload_type,
            sequence_number: packet.sequence as u16,
            timestamp: packet.timestamp,
            ssrc: *self.ssrcs.get(layer)?,
            ..rtp::Header::default()
        };
        let mut set = |number: Option<u8>, value: Bytes| number.map_or(Ok(()), |n| header.set_extension(n, value));
        if let Some((level, voice)) = packet.level {
            let value = level & 0x7f | if voice { 0x80 } else { 0 };
            set(self.level, Bytes::copy_from_slice(&[value])).ok()?;
        }
        if let Some(rid) = self.rids.get(layer) {
            set(self.mid_extension, Bytes::copy_from_slice(self.mid.as_bytes())).ok()?;
            set(self.rid_extension, Bytes::copy_from_slice(rid.as_bytes())).ok()?;
        }
        Some(rtp::Packet {
            header,
            payload: Bytes::copy_from_slice(packet.payload),
        })
    }
}

/// RFC 3711 section 3.3.1: the sequence number that is nearest to the newest one.
fn extend(newest: u64, sequence: u16) -> u64 {
    if newest == 0 {
        return u64::from(sequence) + (1 << 16);
    }
    let ahead = sequence.wrapping_sub(newest as u16);
    if ahead < 0x8000 {
        newest + u64::from(ahead)
    } else {
        newest - u64::from(ahead.wrapping_neg())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_go_on_over_their_end_and_back() {
        let first = extend(0, 65_534);
        let over = extend(first, 1);
        assert_eq!(over, first + 3);
        assert_eq!(extend(over, 65_535), first + 1);
    }
}
