//! One line in the terminal that says how it goes; where standard error is not a terminal, a line every ten seconds.

use std::io::{IsTerminal, Write};

use crate::report::model::Point;

/// Lines between two when nobody watches.
const QUIET_EVERY: u32 = 10;

/// Shows progress on standard error.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    label: String,
    live: bool,
    count: u32,
    silent: bool,
}

impl Progress {
    /// With a label in front of each line; `silent` shows nothing.
    pub(super) fn new(label: String, silent: bool) -> Self {
        Self {
            label,
            live: std::io::stderr().is_terminal(),
            count: 0,
            silent,
        }
    }

    /// A second has passed.
    pub(super) fn show(&mut self, point: &Point) {
        self.count += 1;
        if self.silent || (!self.live && !self.count.is_multiple_of(QUIET_EVERY)) {
            return;
        }
        let line = line(&self.label, point);
        let mut out = std::io::stderr().lock();
        // A terminal that is gone does not end a measurement.
        let _ = if self.live {
            write!(out, "\r\x1b[K{line}")
        } else {
            writeln!(out, "{line}")
        };
        let _ = out.flush();
    }

    /// Leaves the line.
    pub(super) fn end(&self) {
        if self.live && !self.silent {
            eprint!("\r\x1b[K");
        }
    }
}

fn line(label: &str, p: &Point) -> String {
    let phase = if p.in_window { "measuring" } else { "warming up" };
    let mut text = format!("{label} {:4.0} s {phase}", p.t);
    if p.connected > 0 || p.received > 0 {
        text += &format!(
            " | {} up, {}/s in, {}/s out, lost {}, delay {:.1}/{:.1} ms",
            p.connected,
            p.sent,
            p.received,
            p.lost,
            p.delay_p50_us / 1e3,
            p.delay_p99_us / 1e3
        );
    }
    if p.freezes > 0 {
        text += &format!(", {} freezes", p.freezes);
    }
    if p.estimates > 0 {
        let mean = p.estimate_bps / p.estimates as f64;
        text += &format!(", estimates {:.2} Mbit/s", mean / 1e6);
    }
    if p.sockets > 0 {
        text += &format!(" | {} sockets, {} commands/s", p.sockets, p.commands);
    }
    text += &format!(
        " | server {:.0} % {:.0} MiB, we {:.0} %, others {:.0} %",
        p.server_cpu_percent,
        p.server_rss_bytes as f64 / 1_048_576.0,
        p.generator_cpu_percent,
        p.other_load_percent
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_matters_for_its_scenario() {
        let media = Point {
            connected: 4,
            received: 900,
            ..Point::default()
        };
        assert!(line("x", &media).contains("4 up") && !line("x", &media).contains("sockets"));
        let sockets = Point {
            sockets: 1_000,
            in_window: true,
            ..Point::default()
        };
        assert!(line("x", &sockets).contains("1000 sockets") && line("x", &sockets).contains("measuring"));
    }
}
