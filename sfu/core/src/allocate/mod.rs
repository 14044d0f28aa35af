//! What to send to a viewer when there is not room for everything: a pure function from what is known to what is decided.

mod budget;
#[cfg(test)]
mod tests;

use sfu_bwe::Bitrate;
use smallvec::SmallVec;

pub use budget::{Budget, Recent};

/// One quality in which a stream can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Layer of the source's list.
    pub layer: u8,
    /// The highest temporal layer that is sent of it.
    pub temporal: u8,
    /// What it takes, whole (not on top of the rung below).
    pub bitrate: Bitrate,
}

/// A video stream that the viewer sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamView {
    /// The slot, as the caller numbers them.
    pub slot: u16,
    /// The viewer pinned it, or it is a shared screen.
    pub pinned: bool,
    /// Height of its tile in device pixels.
    pub height: u32,
    /// How long ago its participant spoke: 0 speaks now or was the last.
    pub recency: u32,
    /// Qualities that come and that the tile can use, the cheapest first. Where the codec can shed frame rate, the rung with
    /// fewer frames stands before the one with more, and both before the next resolution: that order is what is shed.
    pub rungs: SmallVec<[Rung; 4]>,
    /// The layer that suits the tile, whether it comes or not.
    pub ideal: u8,
    /// The rung that is sent now, counted in `rungs`; `None`: nothing is.
    pub now: Option<usize>,
}

/// What is known when a decision is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Video streams with a visible tile.
    pub streams: Vec<StreamView>,
    /// What goes out before any video: sound, retransmissions, data.
    pub first: Bitrate,
}

/// What a stream gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its slot.
    pub slot: u16,
    /// Which of its rungs; `None`: paused because there is no room for the cheapest.
    pub rung: Option<usize>,
}

/// The decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    /// One for each stream that has a rung, in the order of importance.
    pub streams: Vec<Decision>,
    /// What they take, with what goes first.
    pub used: Bitrate,
    /// What all of it would take in the best quality: what to probe for.
    pub wanted: Bitrate,
}

/// What must be free on top before a stream gets more, as a part of its new sum.
const RESERVE: f64 = 1.1;
/// What a stream that flows may take above the budget of this moment.
const TOLERATED: f64 = 1.33;

/// Decides for one viewer.
///
/// A floor for every tile first, the speaker's before the others'; then everybody climbs rung by rung, the pinned, the
/// large and the recent ones first, so that a grid degrades evenly. More is entered when the new sum and a tenth fit the
/// lowest budget of 2.5 s; what flows stays while the sum fits 1.33 times the budget of this moment and the highest budget
/// of the last moments. What does not even get its floor is paused, and comes back by the rule of entering: the budget has
/// to be there first, and while little is sent only a probe can show that.
///
/// Tried and dropped: staying up to 1.33 times the budget without regard to time. On a full link the estimate is 0.9 of what
/// passes, so 1.2 times the capacity was sent for ever, with the buffer full. Staying only up to the budget itself: the
/// saw-tooth of the estimate (0.85 to 1.0 of the capacity) took a layer away every 10 s and gave it back.
pub fn allocate(snapshot: &Snapshot, budget: Budget) -> Decisions {
    let mut order: Vec<&StreamView> = snapshot.streams.iter().filter(|s| !s.rungs.is_empty()).collect();
    let floor_order = |s: &&StreamView| (s.recency != 0, !s.pinned, u32::MAX - s.height, s.recency, s.slot);
    let climb_order = |s: &&StreamView| (!s.pinned, u32::MAX - s.height, s.recency, s.slot);
    let mut chosen: Vec<(u16, Option<usize>)> = Vec::with_capacity(order.len());
    let mut used = snapshot.first;

    // What flows is measured by what the path carries, not by what is left while a queue is drained: the key frame of a picture
    // that has just been entered is a queue, and to leave it for that costs another key frame. (On 1 Mbit/s the middle layer was
    // entered and left every 5 s for ever.) A floor is tolerated above it as well; more than a floor has to fit.
    let tolerated = |rate: Bitrate| rate.scaled(TOLERATED).min(budget.highest);
    let stay = [
        tolerated(budget.carries),
        tolerated(budget.now).max(budget.carries.min(budget.highest)),
    ];
    let fits = |stream: &StreamView, rung: usize, sum: Bitrate| {
        let flows = stream.now.is_some_and(|now| rung <= now);
        sum <= stay[rung.min(1)] && flows || sum.scaled(RESERVE) <= budget.lowest
    };
    order.sort_by_key(floor_order);
    for stream in &order {
        let sum = used.plus(stream.rungs[0].bitrate);
        let flows = fits(stream, 0, sum);
        if flows {
            used = sum;
        }
        chosen.push((stream.slot, flows.then_some(0)));
    }
    order.sort_by_key(climb_order);
    let highest = if budget.guessed {
        0
    } else {
        order.iter().map(|s| s.rungs.len()).max().unwrap_or(0)
    };
    for rung in 1..highest {
        for stream in &order {
            let Some(choice) = chosen.iter_mut().find(|(slot, _)| *slot == stream.slot) else {
                continue;
            };
            let (Some(next), Some(at)) = (stream.rungs.get(rung), choice.1) else {
                continue;
            };
            // One rung too dear does not bar a stream from the one above, when that is what flows already.
            let sum = used.minus(stream.rungs[at].bitrate).plus(next.bitrate);
            if fits(stream, rung, sum) {
                choice.1 = Some(rung);
                used = sum;
            }
        }
    }
    let best = |s: &&StreamView| s.rungs.last().map_or(Bitrate::ZERO, |rung| rung.bitrate);
    let wanted = order.iter().map(best).fold(snapshot.first, Bitrate::plus);
    let of = |s: &&StreamView| {
        let rung = chosen
            .iter()
            .find(|(slot, _)| *slot == s.slot)
            .and_then(|(_, rung)| *rung);
        Decision { slot: s.slot, rung }
    };
    Decisions {
        streams: order.iter().map(of).collect(),
        used,
        wanted: wanted.scaled(RESERVE),
    }
}
