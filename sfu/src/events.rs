//! What the shards tell, with names.

use std::sync::Weak;

use sfu_core::shard::Event;
use sfu_core::types::Path;
use tokio::sync::mpsc;

use crate::doors::Shared;
use crate::lines::FIRST_LINE;
use crate::messages::{Binding, MediaEvent, StreamQuality, Told, Way};
use crate::registry::Registry;

/// The event queue of the media plane.
pub struct Events {
    receiver: mpsc::Receiver<Told>,
    /// Weak: who waits for events must not keep the media plane alive.
    shared: Weak<Shared>,
}

impl Events {
    pub(crate) fn new(receiver: mpsc::Receiver<Told>, shared: Weak<Shared>) -> Self {
        Self { receiver, shared }
    }

    /// The next event; `None` once the media plane has stopped.
    pub async fn recv(&mut self) -> Option<MediaEvent> {
        loop {
            let told = self.receiver.recv().await?;
            let shared = self.shared.upgrade()?;
            match told {
                Told::Refused(seat, place) => shared.undo(&seat, &place),
                Told::Event(Event::RoomFailed(id)) => {
                    if let Some(room) = shared.room_failed(id) {
                        return Some(MediaEvent::RoomFailed(room));
                    }
                }
                Told::Event(event) => {
                    // What is about somebody who has left meanwhile is of no use to anybody.
                    if let Some(event) = named(&shared.registry(), event) {
                        return Some(event);
                    }
                }
            }
        }
    }
}

fn named(registry: &Registry, event: Event) -> Option<MediaEvent> {
    let seat = |id| registry.seat(id).cloned();
    Some(match event {
        Event::Connected(id) => MediaEvent::Connected(seat(id)?),
        Event::Path(id, path) => MediaEvent::Way(seat(id)?, way(path)),
        Event::Lost(id) => MediaEvent::Lost(seat(id)?),
        Event::Recovered(id) => MediaEvent::Recovered(seat(id)?),
        Event::Closed(id) => MediaEvent::Closed(seat(id)?),
        Event::Bindings(id, bindings) => {
            let named = bindings.into_iter().filter_map(|binding| {
                Some(Binding {
                    mid: binding.mid,
                    participant: seat(binding.participant)?.participant,
                    source: binding.source,
                    csrc: binding.participant.0,
                    layer: binding.layer,
                    paused: binding.paused,
                })
            });
            MediaEvent::Bindings(seat(id)?, named.collect())
        }
        Event::Speakers(room, ids) => {
            let room = registry.room_name(room)?.to_owned();
            let speakers = ids.into_iter().filter_map(|id| Some(seat(id)?.participant));
            MediaEvent::Speakers(room, speakers.collect())
        }
        Event::Layers {
            participant,
            source,
            active,
            codec,
        } => MediaEvent::Layers(seat(participant)?, source, active, codec),
        Event::Quality(id, score, reason, streams) => {
            let named = streams.into_iter().filter_map(|stream| {
                Some(StreamQuality {
                    mid: stream.mid,
                    participant: seat(stream.participant)?.participant,
                    source: stream.source,
                    score: stream.score.get(),
                    reason: stream.reason,
                })
            });
            MediaEvent::Quality(seat(id)?, score.get(), reason, named.collect())
        }
        Event::RoomFailed(_) => return None,
    })
}

/// What the network lets through, as far as a path tells: what a relay by UDP reaches, UDP reaches.
fn way(path: Path) -> Way {
    match path {
        Path::Udp { .. } => Way::Udp,
        Path::Tcp { .. } => Way::Tcp,
        Path::Turn { allocation, .. } if allocation >= FIRST_LINE => Way::Relay,
        Path::Turn { .. } => Way::Udp,
    }
}
