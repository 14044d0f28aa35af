//! What /proc says of a process, of this one, and of the whole machine.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::time::{Duration, Instant};

use crate::report::model::{Machine, ProcessFigures};

/// Ticks per second of /proc's times; Linux has had 100 on every architecture that we run on.
const TICKS: u32 = 100;

/// A process at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// User time so far.
    pub user: Duration,
    /// System time so far.
    pub system: Duration,
    /// Resident set, bytes.
    pub rss: u64,
    /// Voluntary context switches of the threads that live now.
    pub voluntary: u64,
    /// Involuntary ones.
    pub involuntary: u64,
    /// Threads.
    pub threads: u64,
    /// CPU time by thread name; numbers at the end of a name are left out.
    pub by_thread: BTreeMap<String, Duration>,
}

/// Reads a process; `None` when it is gone.
pub fn process(pid: u32) -> Option<Sample> {
    let (_, user, system) = stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut sample = Sample {
        at: Instant::now(),
        user,
        system,
        rss: field(&status, "VmRSS:").unwrap_or(0) * 1_024,
        voluntary: 0,
        involuntary: 0,
        threads: field(&status, "Threads:").unwrap_or(0),
        by_thread: BTreeMap::new(),
    };
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        if let Ok(text) = fs::read_to_string(task.path().join("status")) {
            sample.voluntary += field(&text, "voluntary_ctxt_switches:").unwrap_or(0);
            sample.involuntary += field(&text, "nonvoluntary_ctxt_switches:").unwrap_or(0);
        }
        if let Ok(text) = fs::read_to_string(task.path().join("stat"))
            && let Some((name, user, system)) = stat(&text)
        {
            let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
            *sample.by_thread.entry(name.to_owned()).or_default() += user + system;
        }
    }
    Some(sample)
}

/// User and system time of this process so far.
pub fn own_time() -> Duration {
    fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|text| stat(&text).map(|(_, user, system)| user + system))
        .unwrap_or_default()
}

/// CPU time so far of all processes of this name (a database has many).
pub fn time_of(name: &str) -> Duration {
    let mut sum = Duration::ZERO;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Ok(text) = fs::read_to_string(entry.path().join("stat"))
            && let Some((found, user, system)) = stat(&text)
            && found == name
        {
            sum += user + system;
        }
    }
    sum
}

/// Datagrams that the kernel dropped so far at UDP sockets with these inodes, because they were full.
pub fn udp_drops(inodes: &HashSet<u64>) -> u64 {
    ["/proc/self/net/udp", "/proc/self/net/udp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .map(|text| drops(&text, inodes))
        .sum()
}

/// proc(5): one socket a line, the inode in the tenth column and the drops in the last.
fn drops(text: &str, inodes: &HashSet<u64>) -> u64 {
    let drops = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let inode = fields.nth(9)?.parse().ok()?;
        inodes.contains(&inode).then(|| fields.last()?.parse::<u64>().ok())?
    };
    text.lines().skip(1).filter_map(drops).sum()
}

/// Busy time of all processors so far, what a hypervisor took included.
pub fn machine_busy() -> Duration {
    fs::read_to_string("/proc/stat").map_or(Duration::ZERO, |text| busy(&text))
}

/// proc(5): user nice system idle iowait irq softirq steal; guest time is in user already.
fn busy(stat: &str) -> Duration {
    let ticks: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(1)
        .take(8)
        .map(|n| n.parse().unwrap_or(0))
        .collect();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    let all: u64 = ticks.iter().sum();
    duration(all - idle)
}

fn duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1_000 / u64::from(TICKS))
}

/// proc(5): the name stands in parentheses and may hold anything; utime and stime are the 12th and 13th field after it.
fn stat(text: &str) -> Option<(&str, Duration, Duration)> {
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let mut fields = text.get(close + 1..)?.split_ascii_whitespace().skip(11);
    let user = fields.next()?.parse().ok()?;
    let system = fields.next()?.parse().ok()?;
    Some((text.get(open + 1..close)?, duration(user), duration(system)))
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// What a process did between two samples. `memory` are (seconds, resident set) in the window; `packets` what viewers got.
pub fn figures(before: &Sample, after: &Sample, memory: &[(f64, u64)], peak: u64, packets: u64) -> ProcessFigures {
    let took = (after.at - before.at).as_secs_f64().max(0.001);
    let user = after.user.saturating_sub(before.user).as_secs_f64();
    let system = after.system.saturating_sub(before.system).as_secs_f64();
    let rate = |a: u64, b: u64| a.saturating_sub(b) as f64 / took;
    let mut by_thread: Vec<(String, f64)> = after
        .by_thread
        .iter()
        .map(|(name, time)| {
            let earlier = before.by_thread.get(name).copied().unwrap_or_default();
            (name.clone(), 100.0 * time.saturating_sub(earlier).as_secs_f64() / took)
        })
        .filter(|(_, percent)| *percent >= 0.05)
        .collect();
    by_thread.sort_by(|a, b| b.1.total_cmp(&a.1));
    ProcessFigures {
        user_seconds: user,
        system_seconds: system,
        cpu_percent: 100.0 * (user + system) / took,
        us_per_packet: (packets > 0).then(|| 1e6 * (user + system) / packets as f64),
        rss_begin_bytes: before.rss,
        rss_end_bytes: after.rss,
        rss_peak_bytes: peak.max(after.rss),
        rss_slope: slope(memory),
        voluntary_switches: rate(after.voluntary, before.voluntary),
        involuntary_switches: rate(after.involuntary, before.involuntary),
        threads: after.threads,
        by_thread,
    }
}

/// Least squares slope, per second; 0 for fewer than two points.
pub fn slope(points: &[(f64, u64)]) -> f64 {
    let n = points.len() as f64;
    let mean_t = points.iter().map(|p| p.0).sum::<f64>() / n.max(1.0);
    let mean_v = points.iter().map(|p| p.1 as f64).sum::<f64>() / n.max(1.0);
    let (mut above, mut below) = (0.0, 0.0);
    for (t, v) in points {
        above += (t - mean_t) * (*v as f64 - mean_v);
        below += (t - mean_t).powi(2);
    }
    if below > 0.0 { above / below } else { 0.0 }
}

/// The machine we are on.
pub fn machine() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let line = |text: &str, name: &str, separator: char| {
        text.lines()
            .find(|l| l.starts_with(name))
            .and_then(|l| l.split_once(separator))
            .map(|(_, value)| value.trim().trim_matches('"').to_owned())
            .unwrap_or_default()
    };
    let number = |path: &str| read(path).trim().parse().unwrap_or(0);
    Machine {
        cpu: line(&read("/proc/cpuinfo"), "model name", ':'),
        cores: cores(),
        memory_bytes: field(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0) * 1_024,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        os: line(&read("/etc/os-release"), "PRETTY_NAME", '='),
        socket_buffers: (
            number("/proc/sys/net/core/rmem_max"),
            number("/proc/sys/net/core/wmem_max"),
        ),
    }
}

/// Processors that we may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let line = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        let (name, user, system) = stat(line).unwrap();
        assert_eq!((name, user), ("a) b (c)", Duration::from_millis(1_500)));
        assert_eq!(system, Duration::from_millis(500));
    }

    #[test]
    fn drops_are_those_of_our_own_sockets() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            1: 0100007F:1ECA 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 4711 2 0000000000000000 12\n\
            2: 0100007F:1ECB 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 4712 2 0000000000000000 5\n";
        assert_eq!(drops(text, &[4_711].into()), 12);
        assert_eq!(drops(text, &[4_711, 4_712, 1].into()), 17);
    }

    #[test]
    fn busy_is_all_but_idle_and_waiting_for_disks() {
        let text = "cpu  100 10 50 1000 500 5 15 20 7 7\ncpu0 1 1 1 1";
        assert_eq!(busy(text), Duration::from_secs(2));
    }

    #[test]
    fn this_process_can_be_read_and_costs_time() {
        let before = process(std::process::id()).unwrap();
        let mut sum = 0_u64;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(60) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let after = process(std::process::id()).unwrap();
        let f = figures(&before, &after, &[(0.0, 100), (1.0, 300)], 0, 1_000);
        assert!(f.user_seconds + f.system_seconds > 0.0 && f.rss_end_bytes > 0 && f.threads > 0);
        assert_eq!(f.rss_slope, 200.0);
        assert!(machine().cores > 0 && machine().memory_bytes > 0);
    }
}
