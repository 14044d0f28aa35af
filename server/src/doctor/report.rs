//! What was found, for people and for programs.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It works, but not well, or not for everybody.
    Warning,
    /// It does not work.
    Fault,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at: `addresses`, `ports`, ...
    pub(crate) check: &'static str,
    /// How bad it is.
    pub(crate) level: Level,
    /// What was seen.
    pub(crate) found: String,
    /// What to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, Level::Ok, found, None);
    }

    pub(crate) fn note(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, Level::Note, found, None);
    }

    pub(crate) fn warning(&mut self, check: &'static str, found: impl Into<String>, change: impl Into<String>) {
        self.add(check, Level::Warning, found, Some(change.into()));
    }

    pub(crate) fn fault(&mut self, check: &'static str, found: impl Into<String>, change: impl Into<String>) {
        self.add(check, Level::Fault, found, Some(change.into()));
    }

    fn add(&mut self, check: &'static str, level: Level, found: impl Into<String>, change: Option<String>) {
        let found = found.into();
        self.findings.push(Finding {
            check,
            level,
            found,
            change,
        });
    }

    /// The worst of it.
    pub(crate) fn worst(&self) -> Level {
        self.findings.iter().map(|f| f.level).max().unwrap_or(Level::Ok)
    }

    /// For people: a line each, what to change below it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let mark = match finding.level {
                Level::Ok => "ok     ",
                Level::Note => "note   ",
                Level::Warning => "WARNING",
                Level::Fault => "FAULT  ",
            };
            text += &format!("{mark} {:<13} {}\n", finding.check, finding.found);
            for line in finding.change.iter().flat_map(|change| change.lines()) {
                text += &format!("{:22}-> {line}\n", "");
            }
        }
        let count = |level| self.findings.iter().filter(|f| f.level == level).count();
        let (faults, warnings) = (count(Level::Fault), count(Level::Warning));
        text += &match (faults, warnings) {
            (0, 0) => "\nNothing is wrong.\n".to_owned(),
            _ => format!("\nFaults: {faults}. Warnings: {warnings}.\n"),
        };
        text
    }

    /// For programs: `{"version", "ok", "findings": [{"check", "level", "found", "change"}]}`.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ok": self.worst() < Level::Fault,
            "findings": self.findings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_how_bad_it_is_and_what_to_change() {
        let mut report = Report::default();
        assert_eq!(report.worst(), Level::Ok);
        report.ok("clock", "right");
        assert!(report.text().contains("Nothing is wrong"));
        report.warning("buffers", "small", "make them larger");
        assert_eq!(report.json()["ok"], true);
        report.fault("ports", "taken", "free it\nor take another");
        assert_eq!(report.worst(), Level::Fault);
        let text = report.text();
        assert!(
            text.contains("-> free it\n") && text.contains("-> or take another\n"),
            "{text}"
        );
        assert!(text.contains("Faults: 1. Warnings: 1."), "{text}");
        let json = report.json();
        assert_eq!(json["ok"], false);
        assert_eq!(json["findings"][2]["level"], "fault");
        assert_eq!(json["findings"][0].get("change"), None);
    }
}
