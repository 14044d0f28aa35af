//! The live rooms: for each call its seats, their tabs and what they send.

use std::collections::{BTreeMap, HashMap};

use dashmap::DashMap;

use crate::ids::{CallId, DeviceId, UserId};
use crate::protocol::{MediaSource, RosterEntry, Sources};
use crate::ws::Realtime;

/// A seat as this process knows it.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) device: DeviceId,
    pub(super) sources: Sources,
    /// The last `bindings` for this seat, for a tab that reconnects.
    pub(super) bindings: Option<Realtime>,
    /// The last `layers` by source, likewise.
    pub(super) layers: BTreeMap<MediaSource, Realtime>,
}

/// A live call.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) seats: HashMap<UserId, Seat>,
    /// The last known roster entry of everybody seated, with all sources: what an own mute is shown with.
    pub(super) entries: HashMap<UserId, RosterEntry>,
    /// WHIP publishers: not seats, but seen and heard.
    pub(super) publishers: HashMap<UserId, RosterEntry>,
}

/// All live calls of this process. No lock of it is held across an await.
#[derive(Default)]
pub(crate) struct Live {
    pub(super) rooms: DashMap<CallId, Room>,
    /// Which call a user sits in: one seat per user.
    calls: DashMap<UserId, CallId>,
}

impl Live {
    /// The tab that holds the user's seat in the call.
    pub(crate) fn device(&self, call: &CallId, user: &UserId) -> Option<DeviceId> {
        self.rooms.get(call)?.seats.get(user).map(|seat| seat.device.clone())
    }

    /// The call that the user sits in.
    pub(crate) fn call_of(&self, user: &UserId) -> Option<CallId> {
        self.calls.get(user).map(|c| c.clone())
    }

    /// Everybody seated, with their tabs.
    pub(super) fn seats(&self, call: &CallId) -> Vec<(UserId, DeviceId)> {
        let Some(room) = self.rooms.get(call) else {
            return Vec::new();
        };
        room.seats
            .iter()
            .map(|(user, seat)| (user.clone(), seat.device.clone()))
            .collect()
    }

    /// Seats a tab. The same tab again keeps its sources; another tab begins with none.
    pub(super) fn seat(&self, call: &CallId, user: &UserId, device: &DeviceId) {
        let before = self.calls.insert(user.clone(), call.clone());
        if let Some(before) = before.filter(|b| b != call) {
            self.unseat(&before, user, None);
            self.calls.insert(user.clone(), call.clone());
        }
        let mut room = self.rooms.entry(call.clone()).or_default();
        if room.seats.get(user).is_some_and(|seat| seat.device == *device) {
            return;
        }
        let seat = Seat {
            device: device.clone(),
            sources: Sources::default(),
            bindings: None,
            layers: BTreeMap::new(),
        };
        room.seats.insert(user.clone(), seat);
    }

    /// Frees a seat, if it is still this tab's (`None`: whoever's). Returns whether it was.
    pub(super) fn unseat(&self, call: &CallId, user: &UserId, device: Option<&DeviceId>) -> bool {
        let Some(mut room) = self.rooms.get_mut(call) else {
            return false;
        };
        let held = room
            .seats
            .get(user)
            .is_some_and(|seat| device.is_none_or(|d| seat.device == *d));
        if held {
            room.seats.remove(user);
            room.entries.remove(user);
        }
        drop(room);
        self.rooms
            .remove_if(call, |_, room| room.seats.is_empty() && room.publishers.is_empty());
        if held {
            self.calls.remove_if(user, |_, at| at == call);
        }
        held
    }

    /// Forgets a call; returns who sat in it.
    pub(super) fn close(&self, call: &CallId) -> Vec<(UserId, DeviceId)> {
        let Some((_, room)) = self.rooms.remove(call) else {
            return Vec::new();
        };
        for user in room.seats.keys() {
            self.calls.remove_if(user, |_, at| at == call);
        }
        room.seats.into_iter().map(|(user, seat)| (user, seat.device)).collect()
    }

    /// Completes an entry that came from the store with what the participant sends, and remembers it.
    pub(super) fn complete(&self, call: &CallId, entry: &mut RosterEntry) {
        let Some(mut room) = self.rooms.get_mut(call) else {
            return;
        };
        let Some(seat) = room.seats.get(&entry.user.id) else {
            return;
        };
        entry.sources = Sources {
            muted_by: entry.sources.muted_by.clone(),
            blocked_by: entry.sources.blocked_by.clone(),
            ..seat.sources.clone()
        };
        for source in entry.sources.blocked_by.clone().into_keys() {
            set(&mut entry.sources, source, false);
        }
        room.entries.insert(entry.user.id.clone(), entry.clone());
    }

    /// Switches an own source and returns the entry to show; `None` when nothing is known of the seat yet.
    pub(super) fn switch(&self, call: &CallId, user: &UserId, source: MediaSource, on: bool) -> Switched {
        let Some(mut room) = self.rooms.get_mut(call) else {
            return Switched::NotSeated;
        };
        let Room { seats, entries, .. } = &mut *room;
        let Some(seat) = seats.get_mut(user) else {
            return Switched::NotSeated;
        };
        let entry = entries.get_mut(user);
        let blocked = entry
            .as_ref()
            .is_some_and(|e| e.sources.blocked_by.contains_key(&source));
        if blocked && on {
            return Switched::Forbidden;
        }
        for sources in std::iter::once(&mut seat.sources).chain(entry.map(|e| &mut e.sources)) {
            set(sources, source, on);
        }
        match entries.get(user) {
            Some(entry) => Switched::Show(Box::new(entry.clone())),
            None => Switched::Unknown,
        }
    }
}

fn set(sources: &mut Sources, source: MediaSource, on: bool) {
    match source {
        MediaSource::Mic => sources.mic = on,
        MediaSource::Camera => sources.camera = on,
        MediaSource::Screen => sources.screen = on,
        MediaSource::ScreenAudio => sources.screen_audio = on,
    }
}

/// What became of an own mute or unmute.
pub(super) enum Switched {
    /// The user holds no seat in the call.
    NotSeated,
    /// A moderator's mute stands.
    Forbidden,
    /// Done; others will see it with the next roster.
    Unknown,
    /// Done; this is to be shown to others.
    Show(Box<RosterEntry>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ParticipantStatus, User};

    fn entry(user: &str, muted_by: Option<&str>) -> RosterEntry {
        RosterEntry {
            user: User {
                id: user.into(),
                name: user.into(),
                avatar: None,
            },
            status: ParticipantStatus::Joined,
            moderator: false,
            sources: Sources {
                muted_by: muted_by.map(Into::into),
                blocked_by: muted_by.map(|by| (MediaSource::Mic, by.into())).into_iter().collect(),
                ..Sources::default()
            },
            hand: None,
        }
    }

    #[test]
    fn a_seat_that_moved_is_not_freed_by_its_old_tab() {
        let live = Live::default();
        let (call, user) = (CallId::from("c"), UserId::from("u"));
        live.seat(&call, &user, &"a".into());
        live.seat(&call, &user, &"b".into());
        assert!(!live.unseat(&call, &user, Some(&"a".into())));
        assert_eq!(live.device(&call, &user), Some("b".into()));
        assert!(live.unseat(&call, &user, Some(&"b".into())));
        assert_eq!(live.call_of(&user), None);
        assert!(live.rooms.is_empty(), "an empty room is forgotten");
    }

    #[test]
    fn a_user_sits_in_one_call_only() {
        let live = Live::default();
        let user = UserId::from("u");
        live.seat(&"one".into(), &user, &"a".into());
        live.seat(&"two".into(), &user, &"a".into());
        assert_eq!(live.call_of(&user), Some("two".into()));
        assert_eq!(live.device(&"one".into(), &user), None);
    }

    #[test]
    fn own_sources_are_kept_over_a_roster_and_a_moderators_mute_wins() {
        let live = Live::default();
        let (call, user) = (CallId::from("c"), UserId::from("u"));
        assert!(matches!(
            live.switch(&call, &user, MediaSource::Mic, true),
            Switched::NotSeated
        ));
        live.seat(&call, &user, &"a".into());
        assert!(matches!(
            live.switch(&call, &user, MediaSource::Camera, true),
            Switched::Unknown
        ));
        let mut fresh = entry("u", None);
        live.complete(&call, &mut fresh);
        assert!(fresh.sources.camera);
        let Switched::Show(shown) = live.switch(&call, &user, MediaSource::Mic, true) else {
            panic!("not shown")
        };
        assert!(shown.sources.mic && shown.sources.camera);
        let mut muted = entry("u", Some("boss"));
        live.complete(&call, &mut muted);
        assert!(!muted.sources.mic);
        assert!(matches!(
            live.switch(&call, &user, MediaSource::Mic, true),
            Switched::Forbidden
        ));
        assert!(matches!(
            live.switch(&call, &user, MediaSource::Camera, false),
            Switched::Show(_)
        ));
    }
}
