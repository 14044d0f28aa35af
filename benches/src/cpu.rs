//! CPU time of a process or of one of its threads, from /proc.

use std::path::PathBuf;
use std::time::Duration;

/// What to measure.
#[derive(Clone, Debug)]
pub enum Target {
    /// A whole process.
    Process(u32),
    /// Threads of this process whose names begin so.
    OwnThreads(&'static str),
}

/// Ticks per second of /proc's times; Linux has had 100 on every architecture that we run on.
const TICKS: u32 = 100;

/// User and system time so far, in steps of 10 ms; `None` when it cannot be read.
pub fn time(target: &Target) -> Option<Duration> {
    match target {
        Target::Process(pid) => stat(&PathBuf::from(format!("/proc/{pid}/stat"))).map(|(_, time)| time),
        Target::OwnThreads(prefix) => {
            let mut sum = Duration::ZERO;
            for entry in std::fs::read_dir("/proc/self/task").ok()? {
                if let Some((name, time)) = stat(&entry.ok()?.path().join("stat"))
                    && name.starts_with(prefix)
                {
                    sum += time;
                }
            }
            Some(sum)
        }
    }
}

fn stat(path: &PathBuf) -> Option<(String, Duration)> {
    parse(&std::fs::read_to_string(path).ok()?)
}

/// proc(5): the name stands in parentheses and may hold anything; utime and stime are the 12th and 13th field after it.
fn parse(stat: &str) -> Option<(String, Duration)> {
    let (open, close) = (stat.find('(')?, stat.rfind(')')?);
    let mut fields = stat.get(close + 1..)?.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((
        stat.get(open + 1..close)?.to_owned(),
        Duration::from_secs(1) * (user + system) / TICKS,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let line = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(parse(line), Some(("a) b (c)".to_owned(), Duration::from_secs(2))));
    }

    #[test]
    fn our_own_time_can_be_read() {
        assert!(time(&Target::Process(std::process::id())).is_some());
    }
}
