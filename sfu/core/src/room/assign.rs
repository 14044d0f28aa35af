//! Which source goes into which slot of one viewer.

use std::collections::BTreeMap;

use crate::types::{ParticipantId, Source};

/// Pixels for "as large as there is".
const FULL: u32 = u32::MAX;

/// What one slot should show, as the viewer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The slot.
    pub mid: String,
    /// Whose media.
    pub participant: ParticipantId,
    /// Which of theirs.
    pub source: Source,
    /// Height of the tile in device pixels; 0: nothing for now.
    pub height: u32,
    /// Frames a second wanted; 0: as sent.
    pub fps: u32,
    /// Higher goes first when there is not room for all.
    pub priority: u32,
}

/// How a viewer's slots are filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotPolicy {
    /// By the viewer's intents; audio by loudness.
    Intents,
    /// With the room's publishers as they come; audio by loudness.
    Fill,
    /// One audio and one video slot for each of these, in this order.
    Publishers(Vec<ParticipantId>),
}

/// A published source, seen by the room; in the order in which publishers came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Whose.
    pub participant: ParticipantId,
    /// Which.
    pub source: Source,
    /// For a microphone: among the loudest that are forwarded.
    pub chosen: bool,
    /// Packets have come.
    pub started: bool,
}

/// One slot of the viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotView<'a> {
    /// Its m-line.
    pub mid: &'a str,
    /// What it is for.
    pub kind: Source,
    /// What it carries now.
    pub now: Option<(ParticipantId, Source)>,
}

/// What a slot shall carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Whose.
    pub participant: ParticipantId,
    /// Which of theirs.
    pub source: Source,
    /// Wanted height in pixels; 0: bound, but nothing is sent.
    pub height: u32,
    /// Frames a second wanted; 0: as sent.
    pub fps: u32,
    /// Higher goes first when there is not room for all.
    pub priority: u32,
}

impl Assigned {
    /// As large and fast as there is.
    fn full(participant: ParticipantId, source: Source) -> Self {
        Self {
            participant,
            source,
            height: FULL,
            fps: 0,
            priority: 0,
        }
    }
}

/// Fills `viewer`'s slots; the result has one entry per slot.
///
/// A source that is named (by an intent, or in a query) is bound before its first packet, so that its first key frame is
/// shown; one that fills a free place must have begun.
///
/// Audio slot k and video slot k share a media stream at the client (lip-sync), so a microphone goes to the k of its
/// camera where it can; otherwise it stays where it is, because moving it is audible.
pub fn assign(
    viewer: ParticipantId,
    slots: &[SlotView<'_>],
    policy: &SlotPolicy,
    intents: &BTreeMap<String, Intent>,
    candidates: &[Candidate],
) -> Vec<Option<Assigned>> {
    let mut out = vec![None; slots.len()];
    let of = |kind: Source| {
        slots
            .iter()
            .enumerate()
            .filter(move |(_, slot)| slot.kind == kind)
            .map(|(at, _)| at)
    };
    let has = |participant: ParticipantId, source: Source| {
        participant != viewer
            && candidates
                .iter()
                .any(|c| c.participant == participant && c.source == source)
    };
    let others = |source: Source| {
        candidates
            .iter()
            .filter(move |c| c.source == source && c.participant != viewer && c.started)
            .map(|c| c.participant)
    };
    match policy {
        SlotPolicy::Publishers(named) => {
            for source in [Source::Mic, Source::Camera] {
                for (at, participant) in of(source).zip(named) {
                    if has(*participant, source) {
                        out[at] = Some(Assigned::full(*participant, source));
                    }
                }
            }
            return out;
        }
        SlotPolicy::Intents => {
            for (at, slot) in slots.iter().enumerate() {
                if let Some(intent) = intents.get(slot.mid)
                    && intent.source.is_audio() == slot.kind.is_audio()
                    && slot.kind != Source::Mic
                    && has(intent.participant, intent.source)
                {
                    let Intent {
                        participant,
                        source,
                        height,
                        fps,
                        priority,
                        ..
                    } = *intent;
                    out[at] = Some(Assigned {
                        participant,
                        source,
                        height,
                        fps,
                        priority,
                    });
                }
            }
        }
        SlotPolicy::Fill => {
            for source in [Source::Camera, Source::Screen] {
                let places: Vec<usize> = of(source).collect();
                let people: Vec<ParticipantId> = others(source).collect();
                keep_or_fill(slots, &places, &people, source, &mut out);
            }
        }
    }
    let places: Vec<usize> = of(Source::ScreenAudio).filter(|at| out[*at].is_none()).collect();
    let people: Vec<ParticipantId> = others(Source::ScreenAudio)
        .filter(|p| {
            !out.iter()
                .flatten()
                .any(|a| a.participant == *p && a.source == Source::ScreenAudio)
        })
        .collect();
    keep_or_fill(slots, &places, &people, Source::ScreenAudio, &mut out);

    let places: Vec<usize> = of(Source::Mic).collect();
    let mut people: Vec<ParticipantId> = candidates
        .iter()
        .filter(|c| c.source == Source::Mic && c.participant != viewer && c.chosen && c.started)
        .map(|c| c.participant)
        .collect();
    people.truncate(places.len());
    // First those whose camera is in a video slot that has an audio twin, then the others.
    for (place, video) in places.iter().zip(of(Source::Camera)) {
        if let Some(shown) = out[video]
            && shown.source == Source::Camera
            && let Some(at) = people.iter().position(|p| *p == shown.participant)
        {
            people.swap_remove(at);
            out[*place] = Some(Assigned::full(shown.participant, Source::Mic));
        }
    }
    let places: Vec<usize> = places.into_iter().filter(|at| out[*at].is_none()).collect();
    people.sort_unstable();
    keep_or_fill(slots, &places, &people, Source::Mic, &mut out);
    out
}

/// People stay in the place they have; the rest take free places in order.
fn keep_or_fill(
    slots: &[SlotView<'_>],
    places: &[usize],
    people: &[ParticipantId],
    source: Source,
    out: &mut [Option<Assigned>],
) {
    let mut people: Vec<ParticipantId> = people.to_vec();
    let full = |participant| Some(Assigned::full(participant, source));
    for at in places {
        if let Some((now, kind)) = slots[*at].now
            && kind == source
            && let Some(who) = people.iter().position(|p| *p == now)
        {
            out[*at] = full(people.remove(who));
        }
    }
    let mut rest = people.into_iter();
    for at in places {
        if out[*at].is_none() {
            out[*at] = rest.next().and_then(full);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ParticipantId = ParticipantId(1);

    fn slots(now: &[(Source, Option<(u32, Source)>)]) -> Vec<SlotView<'static>> {
        const MIDS: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];
        let mut out = Vec::new();
        for (mid, (kind, now)) in MIDS.iter().zip(now) {
            out.push(SlotView {
                mid,
                kind: *kind,
                now: now.map(|(who, source)| (ParticipantId(who), source)),
            });
        }
        out
    }

    fn person(id: u32, chosen: bool) -> [Candidate; 2] {
        let participant = ParticipantId(id);
        [
            Candidate {
                participant,
                source: Source::Mic,
                chosen,
                started: true,
            },
            Candidate {
                participant,
                source: Source::Camera,
                chosen: false,
                started: true,
            },
        ]
    }

    fn who(out: &[Option<Assigned>]) -> Vec<u32> {
        out.iter().map(|a| a.map_or(0, |a| a.participant.0)).collect()
    }

    fn intent(mid: &str, id: u32) -> (String, Intent) {
        let intent = Intent {
            mid: mid.into(),
            participant: ParticipantId(id),
            source: Source::Camera,
            height: 180,
            fps: 0,
            priority: 0,
        };
        (mid.into(), intent)
    }

    #[test]
    fn a_microphone_sits_beside_its_camera() {
        use Source::{Camera, Mic};
        let slots = slots(&[(Mic, Some((2, Mic))), (Mic, None), (Camera, None), (Camera, None)]);
        let people: Vec<Candidate> = [person(1, true), person(2, true), person(3, true)].concat();
        let intents = BTreeMap::from([intent("2", 3), intent("3", 2)]);
        let out = assign(ME, &slots, &SlotPolicy::Intents, &intents, &people);
        assert_eq!(who(&out), [3, 2, 3, 2]);
    }

    #[test]
    fn without_a_camera_a_microphone_stays_where_it_is_and_nobody_hears_themself() {
        use Source::Mic;
        let slots = slots(&[(Mic, None), (Mic, Some((2, Mic))), (Mic, None)]);
        let people: Vec<Candidate> = [person(1, true), person(2, true), person(3, true), person(4, false)].concat();
        let out = assign(ME, &slots, &SlotPolicy::Intents, &BTreeMap::new(), &people);
        assert_eq!(who(&out), [3, 2, 0]);
    }

    #[test]
    fn named_publishers_keep_their_order_and_the_rest_is_filled_as_they_come() {
        use Source::{Camera, Mic};
        let slots = slots(&[(Mic, None), (Camera, None), (Mic, None), (Camera, None)]);
        let people: Vec<Candidate> = [person(5, true), person(4, true)].concat();
        let named = SlotPolicy::Publishers(vec![ParticipantId(4), ParticipantId(5)]);
        assert_eq!(
            who(&assign(ME, &slots, &named, &BTreeMap::new(), &people)),
            [4, 4, 5, 5]
        );
        let fill = assign(ME, &slots, &SlotPolicy::Fill, &BTreeMap::new(), &people);
        assert_eq!(who(&fill), [5, 5, 4, 4]);
    }

    #[test]
    fn an_intent_for_somebody_who_does_not_publish_or_for_a_wrong_slot_is_nothing() {
        use Source::{Camera, Mic};
        let slots = slots(&[(Mic, None), (Camera, None)]);
        let people = person(2, false);
        let intents = BTreeMap::from([intent("0", 2), intent("1", 9)]);
        assert_eq!(
            who(&assign(ME, &slots, &SlotPolicy::Intents, &intents, &people)),
            [0, 0]
        );
    }

    #[test]
    fn who_is_named_is_bound_before_the_first_packet_and_nobody_else_is() {
        use Source::{Camera, Mic};
        let slots = slots(&[(Mic, None), (Camera, None)]);
        let silent = person(2, true).map(|candidate| Candidate {
            started: false,
            ..candidate
        });
        let intents = BTreeMap::from([intent("1", 2)]);
        let named = assign(ME, &slots, &SlotPolicy::Intents, &intents, &silent);
        assert_eq!(who(&named), [0, 2], "a microphone is chosen by what is heard");
        let fill = assign(ME, &slots, &SlotPolicy::Fill, &intents, &silent);
        assert_eq!(who(&fill), [0, 0]);
    }
}
