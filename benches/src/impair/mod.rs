//! A bad network between clients and a server, in user space: rate, buffer, delay, jitter, random and bursty loss,
//! reordering, duplication, blackouts, a change of address, and changes of all these over time.
//!
//! ```text
//!  client ─ socket ─ Shaper ┬ Flow ┬ up:   queue (rate, buffer) ─ loss ─ delay, jitter ─> server
//!                           │      └ down: queue ─ loss ─ delay, jitter ─> client
//!                           └ Flow ...                      one flow per client address
//! ```
//!
//! [`Link`] and [`Shaper`] are values: the clock comes in as a parameter and randomness from the seed, so that a minute of
//! a bad network is tested in a millisecond. [`proxy`] is the socket loop around them. Browsers can use it: the server
//! listens on one address and advertises the proxy's (docs/benchmarks.md).

pub mod command;
pub mod config;
pub mod link;
pub mod proxy;
pub mod sdp;
pub mod shaper;

pub use config::{Burst, Change, ConfigError, Impairment, LinkConfig};
pub use link::{Link, LinkStats};
pub use proxy::{Proxy, ProxyReport};
pub use shaper::{FlowId, Output, Shaper};
