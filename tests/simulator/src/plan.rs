//! What is to happen, as a value.

use std::time::Duration;

use link_model::{LinkConfig, Schedule};

/// A simulation.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it is called on the scoreboard.
    pub name: &'static str,
    /// Of all randomness in it.
    pub seed: u64,
    /// How long it goes on before everybody leaves.
    pub length: Duration,
    /// Media shards.
    pub shards: u8,
    /// Who comes.
    pub people: Vec<Person>,
    /// Downlinks that several people share, by number.
    pub shared: Vec<LinkConfig>,
    /// A shard does nothing between these times; what comes for it waits in its socket.
    pub stalls: Vec<(u8, Duration, Duration)>,
    /// Signaling is away between these times.
    pub away: Option<(Duration, Duration)>,
    /// For the tests of the oracles: what is broken on purpose.
    pub broken: Option<Broken>,
}

/// A defect put in on purpose: an oracle that does not see it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The first participant's packets carry another room's name.
    WrongRoom,
    /// The first participant is never connected.
    NeverConnected,
    /// Nobody sends video.
    NoVideo,
    /// Video of everybody stops for two seconds in the middle.
    Hole,
    /// The first participant never leaves.
    StaysBehind,
}

/// A participant. Everybody sends sound or nothing, and a camera of three layers (120, 400 and 1,200 kbit/s).
#[derive(Clone, Debug)]
pub struct Person {
    /// Their room.
    pub room: u32,
    /// Where their transport is.
    pub shard: u8,
    /// When they open the link.
    pub joins: Duration,
    /// When they go; else at the end.
    pub leaves: Option<Duration>,
    /// Has a camera.
    pub films: bool,
    /// Says something.
    pub speaks: bool,
    /// How many times a key frame is as large as another frame.
    pub key_size: usize,
    /// Heights of the tiles in which they see the others of their room, the next ones in the plan's order.
    pub tiles: Vec<u32>,
    /// To the server.
    pub up: LinkConfig,
    /// From the server.
    pub down: LinkConfig,
    /// Or one of [`Plan::shared`].
    pub shared: Option<usize>,
    /// When they get another address.
    pub moves: Option<Duration>,
    /// On a link of which nothing good is expected: oracles about gaps leave them out.
    pub excused: bool,
}

impl Person {
    /// On a wide link, from the beginning to the end.
    pub fn on_lan(room: u32) -> Self {
        Self {
            room,
            shard: 0,
            joins: Duration::ZERO,
            leaves: None,
            films: true,
            speaks: true,
            key_size: 6,
            tiles: Vec::new(),
            up: LinkConfig::clean(Schedule::constant(50_000_000), Duration::from_millis(300)),
            down: LinkConfig::clean(Schedule::constant(50_000_000), Duration::from_millis(300)),
            shared: None,
            moves: None,
            excused: false,
        }
    }

    /// A viewer without camera and voice behind this link.
    pub fn viewer(room: u32, tiles: &[u32], down: LinkConfig) -> Self {
        Self {
            films: false,
            speaks: false,
            tiles: tiles.to_vec(),
            down,
            ..Self::on_lan(room)
        }
    }
}

impl Plan {
    /// Nothing special happens to these people.
    pub fn quiet(name: &'static str, seed: u64, seconds: u64, people: Vec<Person>) -> Self {
        Self {
            name,
            seed,
            length: Duration::from_secs(seconds),
            shards: 1,
            people,
            shared: Vec::new(),
            stalls: Vec::new(),
            away: None,
            broken: None,
        }
    }
}
