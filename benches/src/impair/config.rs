//! The `[link]` part of a scenario file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What happens to packets between clients and server. Every client address gets links of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Impairment {
    /// Seed of every random decision; each flow draws from its own sequence.
    pub seed: u64,
    /// From clients to the server.
    pub up: LinkConfig,
    /// From the server to clients.
    pub down: LinkConfig,
    /// Changes over time, in any order.
    #[serde(rename = "change", skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// One direction. The default is a perfect link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkConfig {
    /// Rate of the bottleneck in kbit/s, IP and UDP headers (28 bytes a packet) included; absent: unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_kbps: Option<u32>,
    /// Buffer before the bottleneck as the time it takes to drain, drop tail; 200 when neither buffer is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer_ms: Option<u32>,
    /// The same in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer_bytes: Option<u64>,
    /// One-way delay.
    pub delay_ms: u32,
    /// Further delay, drawn evenly from 0 to this for each packet; the order is kept.
    pub jitter_ms: u32,
    /// Chance that a packet is lost behind the bottleneck, each by itself.
    pub loss_percent: f64,
    /// Loss in bursts, beside the former.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
    /// Chance that a packet is held back by `reorder_ms`, so that later ones overtake it.
    pub reorder_percent: f64,
    /// How long it is held back.
    pub reorder_ms: u32,
    /// Chance that a packet arrives twice.
    pub duplicate_percent: f64,
}

/// The Gilbert-Elliott model: two states, and a chance per packet to change between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// Chance per packet that a burst begins.
    pub enter_percent: f64,
    /// Chance per packet that it ends: 25 makes bursts of four packets on average.
    pub leave_percent: f64,
    /// Loss inside a burst.
    #[serde(default = "all")]
    pub loss_percent: f64,
}

fn all() -> f64 {
    100.0
}

/// What changes at a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// When, counted from the start of the proxy's schedule.
    pub at_seconds: f64,
    /// A whole new upward link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<LinkConfig>,
    /// A whole new downward link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<LinkConfig>,
    /// Nothing passes in either direction for this long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blackout_ms: Option<u32>,
    /// Every client appears from a new address, as after a NAT rebinding.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub new_address: bool,
}

/// A configuration that cannot be meant.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A chance outside 0 to 100.
    #[error("{field} must be between 0 and 100, not {value}")]
    Percent {
        /// Which option.
        field: String,
        /// What it said.
        value: f64,
    },
    /// A rate of nothing.
    #[error("{0}.rate_kbps must be at least 1; for a dead link use a change with blackout_ms")]
    NoRate(&'static str),
    /// A buffer without a bottleneck, or two buffers.
    #[error("{0}: give rate_kbps with either buffer_ms or buffer_bytes, not both, and no buffer without a rate")]
    Buffer(&'static str),
    /// Reordering by no time.
    #[error("{0}: reorder_percent needs reorder_ms, the time by which a packet is held back")]
    Reorder(&'static str),
    /// A time before the start, or none at all.
    #[error("change.at_seconds must be a time from 0 on, not {0}")]
    Time(f64),
}

impl Impairment {
    /// Checks every value.
    ///
    /// # Errors
    /// [`ConfigError`] names the option.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.up.check("up")?;
        self.down.check("down")?;
        for change in &self.changes {
            if !(change.at_seconds.is_finite() && (0.0..=1e6).contains(&change.at_seconds)) {
                return Err(ConfigError::Time(change.at_seconds));
            }
            for (name, link) in [("change.up", &change.up), ("change.down", &change.down)] {
                if let Some(link) = link {
                    link.check(name)?;
                }
            }
        }
        Ok(())
    }

    /// Whether nothing at all is impaired.
    pub fn is_perfect(&self) -> bool {
        self.up == LinkConfig::default() && self.down == LinkConfig::default() && self.changes.is_empty()
    }

    /// The rate of the downward link at a time of the schedule, kbit/s: what an estimate is compared with.
    pub fn down_rate_kbps(&self, at: Duration) -> Option<u32> {
        let past = self.changes.iter().filter(|change| change.at() <= at);
        let last = past
            .filter(|change| change.down.is_some())
            .max_by_key(|change| change.at());
        last.and_then(|change| change.down.as_ref())
            .unwrap_or(&self.down)
            .rate_kbps
    }
}

impl Change {
    /// When it happens.
    pub fn at(&self) -> Duration {
        Duration::try_from_secs_f64(self.at_seconds).unwrap_or_default()
    }
}

impl LinkConfig {
    fn check(&self, name: &'static str) -> Result<(), ConfigError> {
        let mut chances = vec![
            ("loss_percent", self.loss_percent),
            ("reorder_percent", self.reorder_percent),
            ("duplicate_percent", self.duplicate_percent),
        ];
        if let Some(burst) = &self.burst {
            chances.extend([
                ("burst.enter_percent", burst.enter_percent),
                ("burst.leave_percent", burst.leave_percent),
                ("burst.loss_percent", burst.loss_percent),
            ]);
        }
        for (field, value) in chances {
            if !(0.0..=100.0).contains(&value) {
                let field = format!("{name}.{field}");
                return Err(ConfigError::Percent { field, value });
            }
        }
        if self.rate_kbps == Some(0) {
            return Err(ConfigError::NoRate(name));
        }
        let buffers = usize::from(self.buffer_ms.is_some()) + usize::from(self.buffer_bytes.is_some());
        if buffers > usize::from(self.rate_kbps.is_some()) {
            return Err(ConfigError::Buffer(name));
        }
        if self.reorder_percent > 0.0 && self.reorder_ms == 0 {
            return Err(ConfigError::Reorder(name));
        }
        Ok(())
    }

    /// Bytes that may wait before the bottleneck; `None` without one.
    pub fn buffer(&self) -> Option<u64> {
        let rate = u64::from(self.rate_kbps?);
        Some(
            self.buffer_bytes
                .unwrap_or_else(|| rate * u64::from(self.buffer_ms.unwrap_or(200)) / 8),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_it_in_words() {
        let text = r#"
            seed = 7
            [up]
            delay_ms = 25
            [down]
            rate_kbps = 1000
            buffer_ms = 300
            burst = { enter_percent = 1, leave_percent = 25 }
            [[change]]
            at_seconds = 20
            new_address = true
            [[change]]
            at_seconds = 10
            down = { rate_kbps = 2000 }
        "#;
        let read: Impairment = toml::from_str(text).unwrap();
        read.check().unwrap();
        let checked = read;
        assert_eq!(checked.changes[1].at(), Duration::from_secs(10));
        assert_eq!(checked.down.burst.as_ref().unwrap().loss_percent, 100.0);
        assert_eq!(checked.down_rate_kbps(Duration::from_secs(9)), Some(1_000));
        assert_eq!(checked.down_rate_kbps(Duration::from_secs(25)), Some(2_000));
        assert_eq!(checked.down.buffer(), Some(37_500));
        let again: Impairment = toml::from_str(&toml::to_string(&checked).unwrap()).unwrap();
        assert_eq!(again, checked);
    }

    #[test]
    fn nonsense_is_refused_with_the_name_of_the_option() {
        let refused = |text: &str| {
            let read: Impairment = toml::from_str(text).unwrap();
            read.check().unwrap_err().to_string()
        };
        assert!(refused("[up]\nloss_percent = 101").contains("up.loss_percent"));
        assert!(refused("[up]\nloss_percent = nan").contains("up.loss_percent"));
        assert!(refused("[down]\nrate_kbps = 0").contains("blackout_ms"));
        assert!(refused("[down]\nbuffer_ms = 5").contains("rate_kbps"));
        assert!(refused("[down]\nreorder_percent = 5").contains("reorder_ms"));
        assert!(refused("[[change]]\nat_seconds = -1").contains("at_seconds"));
        assert!(toml::from_str::<Impairment>("[up]\nlos_percent = 1").is_err());
    }
}
