//! Runs one target: corpus first, then mutations of it, until a limit or a failure.

use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::mutate::Mutator;
use crate::targets::Target;

/// Inputs that are mutated further; more of a new kind are run, but not kept.
const MAX_POOL: usize = 2_048;
/// Bytes of an input.
pub(crate) const MAX_INPUT: usize = 4_096;
/// One execution that takes longer has found a way to make us work: a failure. On a machine that is busy with other things
/// an honest one takes a few milliseconds.
const MAX_EXECUTION: Duration = Duration::from_secs(2);
/// What is written into the corpus is at most so long.
const MAX_COMMITTED: usize = 1_024;

/// How long to go on.
pub(crate) struct Limits {
    pub(crate) executions: u64,
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) grow: bool,
}

/// How it went.
pub(crate) struct Report {
    name: &'static str,
    executions: u64,
    kinds: usize,
    took: Duration,
    failure: Option<(String, PathBuf)>,
}

impl Report {
    pub(crate) fn failed(&self) -> bool {
        self.failure.is_some()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            executions,
            kinds,
            took,
            failure,
        } = self;
        let seconds = took.as_secs_f32();
        write!(
            f,
            "fuzz {name:<12} {executions:>8} executions in {seconds:>5.1} s, {kinds} kinds of behaviour: "
        )?;
        match failure {
            None => f.write_str("ok"),
            Some((why, file)) => write!(
                f,
                "FAILED: {why}\n  again: fuzz --only {name} --replay {}",
                file.display()
            ),
        }
    }
}

/// Runs one target.
pub(crate) fn run(target: &Target, limits: &Limits, failures: &Path) -> Report {
    let started = Instant::now();
    let folder = corpus(target.name);
    let mut pool = read_corpus(&folder);
    if pool.is_empty() {
        pool.push(Vec::new());
    }
    let mut report = Report {
        name: target.name,
        executions: 0,
        kinds: 0,
        took: Duration::ZERO,
        failure: None,
    };
    let mut mutator = Mutator::new(limits.seed, target.name);
    let mut seen = HashSet::new();
    let mut execute = (target.start)();
    let given = pool.len();
    for number in 0.. {
        // Asking the clock each time would cost more than the smallest parsers.
        if number >= limits.executions || (number % 64 == 0 && started.elapsed() > limits.time) {
            break;
        }
        let input = match pool.get(number as usize) {
            Some(input) if (number as usize) < given => input.clone(),
            _ => mutator.next(&pool),
        };
        report.executions += 1;
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| execute(&input)));
        let took = began.elapsed();
        let failure = match outcome {
            Err(panic) => Some(message(&*panic)),
            Ok(_) if took > MAX_EXECUTION => Some(format!("it took {took:?}")),
            Ok(kind) => {
                let fresh = seen.insert(kind);
                if fresh && number as usize >= given && pool.len() < MAX_POOL {
                    if limits.grow && input.len() <= MAX_COMMITTED {
                        save(&folder, &input);
                    }
                    pool.push(input.clone());
                }
                None
            }
        };
        if let Some(why) = failure {
            let file = save(&failures.join(target.name), &input);
            report.failure = Some((why, file));
            break;
        }
    }
    report.kinds = seen.len();
    report.took = started.elapsed();
    report
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// The folder of a target's corpus.
fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name)
}

fn read_corpus(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
    files.sort(); // the order of a directory is anybody's; a run repeats
    files.iter().filter_map(|file| std::fs::read(file).ok()).collect()
}

/// Writes an input under a name made of its bytes.
fn save(folder: &Path, input: &[u8]) -> PathBuf {
    let file = folder.join(format!("{:016x}", crate::mutate::hash(input)));
    if let Err(error) = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, input)) {
        eprintln!("{}: {error}", file.display());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> crate::targets::Execute {
        Box::new(|input| {
            // Three bytes deep: found only by somebody who keeps what gets one step further.
            let depth = input.iter().zip(b"FUZ").take_while(|(a, b)| a == b).count();
            assert!(depth < 3, "found");
            depth as u64
        })
    }

    #[test]
    fn a_defect_behind_three_bytes_is_found_and_its_input_kept() {
        let target = Target {
            name: "itself",
            cost: 1,
            start,
        };
        let limits = Limits {
            executions: 1_000_000,
            time: Duration::from_secs(60),
            seed: 1,
            grow: false,
        };
        let failures = std::env::temp_dir().join(format!("ringhall-fuzz-{}", std::process::id()));
        let report = run(&target, &limits, &failures);
        let (why, file) = report.failure.unwrap();
        assert_eq!(why, "found");
        assert!(std::fs::read(&file).unwrap().starts_with(b"FUZ"));
        std::fs::remove_dir_all(&failures).unwrap();
    }
}
