//! The data of a report, as it is written to JSON. Everything else (the page, the comparison, the terminal) is drawn from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;

/// Version of this format; a reader refuses a newer one.
pub const FORMAT: u32 = 1;

/// One invocation of the harness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// Who measured, when, how.
    pub run: Run,
    /// On what.
    pub machine: Machine,
    /// One entry per scenario, in the order of measuring.
    pub scenarios: Vec<ScenarioReport>,
}

/// Who measured, when, how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// RFC 3339.
    pub started: String,
    /// The whole run, seconds.
    pub took_seconds: f64,
    /// Version of the harness.
    pub version: String,
    /// Git commit, with `+` when the tree had changes; empty when unknown.
    pub commit: String,
    /// `release` or `debug`, of the harness (the servers' own builds are in their descriptions).
    pub profile: String,
    /// The command line that repeats it.
    pub command: String,
    /// Seed of everything random.
    pub seed: u64,
}

/// On what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Processor, as /proc/cpuinfo names it.
    pub cpu: String,
    /// Logical processors online.
    pub cores: usize,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// `uname -r`.
    pub kernel: String,
    /// Distribution.
    pub os: String,
    /// `net.core.rmem_max` and `wmem_max`, bytes.
    pub socket_buffers: (u64, u64),
}

/// One scenario, at every target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioReport {
    /// The scenario as it was run, flags applied.
    pub scenario: Scenario,
    /// One entry per target, in the order given on the command line.
    pub targets: Vec<TargetReport>,
}

/// One scenario at one target: all rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetReport {
    /// Short name: `ringhall`, `janus`, `floor`, a URL.
    pub target: String,
    /// Version and settings in a line, for a reader.
    pub description: String,
    /// Rounds in the order of measuring; with several targets they were interleaved.
    pub rounds: Vec<Round>,
}

/// One round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// When it began, RFC 3339.
    pub started: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The figures hold.
    Measured {
        /// They.
        figures: Box<Figures>,
    },
    /// It ran, but costs and delays must not be believed (other load on the machine, generator at its limit).
    NotMeasured {
        /// Why.
        reason: String,
        /// What was seen nevertheless: counts are right, times and costs are not.
        figures: Box<Figures>,
    },
    /// The target lacks an ability that the scenario needs.
    Skipped {
        /// Which.
        reason: String,
    },
    /// It could not be run to its end.
    Failed {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// The figures, believed or not.
    pub fn figures(&self) -> Option<&Figures> {
        match self {
            Self::Measured { figures } | Self::NotMeasured { figures, .. } => Some(figures),
            Self::Skipped { .. } | Self::Failed { .. } => None,
        }
    }
}

/// The figures of one round. The measuring window begins when everybody is in and has settled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Length of the measuring window, seconds.
    pub window_seconds: f64,
    /// Packets and people, in the window.
    pub counts: Counts,
    /// How long things took, by name: see [`timing`].
    pub timings: BTreeMap<String, Distribution>,
    /// From the publisher's `sendto` to the kernel's receive stamp at the viewer, microseconds.
    pub delay: Option<Distribution>,
    /// Per stream, RFC 3550 section 6.4.1 interarrival jitter at the end, microseconds.
    pub jitter: Option<Distribution>,
    /// Lengths of the gaps over 200 ms in streams that should flow, milliseconds.
    pub freezes: Option<Distribution>,
    /// Bandwidth estimates of the viewers (what the server or the client says) over the link's real rate, percent.
    pub estimate_percent: Option<Distribution>,
    /// The server's process.
    pub server: Option<ProcessFigures>,
    /// This generator itself.
    pub generator: GeneratorFigures,
    /// What others used of the machine in the window, percent of all its cores.
    pub other_load_percent: f64,
    /// Figures of one scenario only (commands/s, bytes per socket, ...), by name with their unit: `rss_per_socket_bytes`.
    pub extra: BTreeMap<String, f64>,
    /// One point a second, from the first join to the end.
    pub series: Vec<Point>,
    /// What the report makes of it.
    pub findings: Vec<Finding>,
    /// Remarks for the reader: what was left out, what failed and how often.
    pub notes: Vec<String>,
}

/// Names used in [`Figures::timings`].
pub mod timing {
    /// Offer handed over to answer received, milliseconds.
    pub const SETUP: &str = "setup_ms";
    /// Decision to join (before the first request) to DTLS connected, milliseconds.
    pub const JOIN: &str = "join_ms";
    /// Decision to join to the first whole video key frame, milliseconds.
    pub const FIRST_FRAME: &str = "first_frame_ms";
    /// Decision to join to the first audio packet, milliseconds.
    pub const FIRST_AUDIO: &str = "first_audio_ms";
    /// `start_call` sent to `incoming_call` received, milliseconds.
    pub const RING: &str = "ring_ms";
    /// `accept_call` sent to `call_accepted` received by the caller, milliseconds.
    pub const ACCEPT: &str = "accept_ms";
    /// A command sent to its `res`, milliseconds.
    pub const COMMAND: &str = "command_ms";
    /// WebSocket opened to `welcome`, milliseconds.
    pub const HELLO: &str = "hello_ms";
    /// Connection lost to media flowing again, milliseconds.
    pub const RECONNECT: &str = "reconnect_ms";
    /// `hello` with `resume` sent to the last missed event received, milliseconds.
    pub const RESUME: &str = "resume_ms";
    /// A change of intents sent to the first packet of the new layer, milliseconds.
    pub const LAYER_SWITCH: &str = "layer_switch_ms";
}

/// Packets and people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Media connections that were to come about.
    pub wanted: u64,
    /// Those that did.
    pub connected: u64,
    /// Those that failed or broke.
    pub failed: u64,
    /// RTP packets that publishers sent.
    pub sent: u64,
    /// Their bytes, RTP payload.
    pub sent_bytes: u64,
    /// RTP packets that reached viewers.
    pub received: u64,
    /// Their bytes, RTP payload.
    pub received_bytes: u64,
    /// By the stamps in the payload: packets of a flowing stream that never came.
    pub lost: u64,
    /// By RTP sequence numbers: what a browser would call lost.
    pub sequence_gaps: u64,
    /// Came twice.
    pub duplicates: u64,
    /// Came after a later one of its stream.
    pub reordered: u64,
    /// Stamped in another room, or no stamp at all: must be 0.
    pub wrong_room: u64,
    /// Gaps over 200 ms in a stream that should flow.
    pub freezes: u64,
    /// Their whole length, milliseconds.
    pub frozen_ms: u64,
    /// Stream-time in which freezes could have happened, milliseconds.
    pub flowing_ms: u64,
    /// A viewer's slot went to another layer of the same publisher.
    pub layer_switches: u64,
    /// A viewer's slot went to another publisher.
    pub rebinds: u64,
    /// Key frames asked for by the server.
    pub key_frame_requests: u64,
    /// Retransmissions asked for by viewers' transports.
    pub nacks: u64,
}

/// A distribution in one unit, with enough left to draw it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// `us`, `ms`, `bytes`, `percent`.
    pub unit: String,
    /// Samples.
    pub count: u64,
    /// Smallest.
    pub min: f64,
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th.
    pub p95: f64,
    /// 99th.
    pub p99: f64,
    /// 99.9th.
    pub p999: f64,
    /// Largest.
    pub max: f64,
    /// Histogram: (upper bound of the bucket, samples in it), only buckets that have some, bounds growing.
    pub buckets: Vec<(f64, u64)>,
}

/// A server's process in the window, from /proc; children included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessFigures {
    /// User time, seconds.
    pub user_seconds: f64,
    /// System time, seconds.
    pub system_seconds: f64,
    /// Both, percent of one core.
    pub cpu_percent: f64,
    /// Both, over the packets that viewers received, microseconds; absent where no media flowed.
    pub us_per_packet: Option<f64>,
    /// Resident set at the beginning of the window, bytes.
    pub rss_begin_bytes: u64,
    /// And at its end.
    pub rss_end_bytes: u64,
    /// Most, since the first join.
    pub rss_peak_bytes: u64,
    /// Slope of the resident set in the window by least squares, bytes a second.
    pub rss_slope: f64,
    /// Voluntary context switches a second.
    pub voluntary_switches: f64,
    /// Involuntary ones.
    pub involuntary_switches: f64,
    /// Threads at the end.
    pub threads: u64,
    /// CPU by thread name, percent of one core, largest first.
    pub by_thread: Vec<(String, f64)>,
}

/// The generator's own cost, so that its limit is not taken for the server's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorFigures {
    /// User and system time in the window, percent of one core.
    pub cpu_percent: f64,
    /// How late packets were sent, microseconds after their time.
    pub lateness: Option<Distribution>,
    /// Datagrams that the kernel dropped at our sockets (they count as lost, but are ours).
    pub socket_drops: u64,
    /// Datagrams that could not be sent because a socket's buffer was full.
    pub send_failures: u64,
    /// Threads that carry media.
    pub threads: usize,
}

/// One second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Seconds since the first join; the measuring window is where `in_window` is set.
    pub t: f64,
    /// Whether it counts.
    pub in_window: bool,
    /// Connections that are up.
    pub connected: u64,
    /// RTP packets sent in this second.
    pub sent: u64,
    /// Received.
    pub received: u64,
    /// Bytes received (RTP payload).
    pub received_bytes: u64,
    /// Lost (by stamps).
    pub lost: u64,
    /// Freezes that ended.
    pub freezes: u64,
    /// Median delay, microseconds.
    pub delay_p50_us: f64,
    /// 99th percentile.
    pub delay_p99_us: f64,
    /// Worst.
    pub delay_max_us: f64,
    /// The server's CPU, percent of one core.
    pub server_cpu_percent: f64,
    /// Its resident set, bytes.
    pub server_rss_bytes: u64,
    /// The generator's CPU, percent of one core.
    pub generator_cpu_percent: f64,
    /// Worst lateness of a send, microseconds.
    pub lateness_max_us: f64,
    /// Others, percent of all cores.
    pub other_load_percent: f64,
    /// Commands answered.
    pub commands: u64,
    /// Open WebSockets.
    pub sockets: u64,
    /// Sum of the viewers' bandwidth estimates, bit/s; 0: none known.
    pub estimate_bps: f64,
    /// How many viewers these are the estimates of.
    #[serde(default)]
    pub estimates: u64,
}

/// A verdict on one property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name: `loss`, `stall`, `leak`, `wrong_room`, `delay`, `cpu`, ...
    pub check: String,
    /// Kept, broken, or not to be said.
    pub verdict: Verdict,
    /// In words, with the figure and the bound.
    pub text: String,
}

/// How a property stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Broken.
    Bad,
    /// The measurement does not allow a statement.
    Unknown,
}
