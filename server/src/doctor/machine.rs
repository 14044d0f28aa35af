//! The machine: data folder, clock, open files, socket buffers.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;

use super::report::Report;
use crate::config::Config;
use crate::secrets::Secrets;
use crate::turn::unix;

/// No clock that is right says less: 2026-01-01.
const THE_PAST: u64 = 1_767_225_600;
/// Clocks that differ by more are worth a word, ms: what happened is told by two clocks.
const DIFFERENT_MS: i64 = 5_000;
/// And by more than this, sign-ins and TURN credentials are refused, ms.
const WRONG_MS: i64 = 60_000;
/// Descriptors besides those of connections: the database, media, files.
const OTHER_FILES: u64 = 256;

pub(super) fn check(report: &mut Report, config: &Config) {
    data(report, &config.data.dir);
    clock(report);
    files(report, config);
    buffers(report);
}

fn data(report: &mut Report, folder: &Path) {
    const CHECK: &str = "data folder";
    let place = folder.display();
    let meta = match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => meta,
        Ok(_) => {
            report.fault(
                CHECK,
                format!("{place} is not a folder"),
                "data.dir has to name a folder",
            );
            return;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = folder.ancestors().skip(1).find(|p| p.is_dir());
            match parent.filter(|parent| try_writing(parent).is_ok()) {
                Some(_) => report.note(CHECK, format!("{place} is not there yet; the first start makes it")),
                None => report.fault(
                    CHECK,
                    format!("{place} is not there, and this user cannot make it"),
                    format!("install -d -m 700 -o ringhall {place}"),
                ),
            }
            return;
        }
        Err(error) => {
            report.fault(
                CHECK,
                format!("{place}: {error}"),
                "data.dir has to name a folder that Ringhall may write to",
            );
            return;
        }
    };
    if let Err(error) = try_writing(folder) {
        report.fault(
            CHECK,
            format!("{place} cannot be written to: {error}"),
            format!("chown -R ringhall {place}, and look whether its file system is full or read-only (df, mount)"),
        );
        return;
    }
    let me = geteuid().as_raw();
    if meta.uid() != me {
        report.warning(
            CHECK,
            format!(
                "{place} belongs to user {}, and this is user {me}: what is true for one need not be for the other",
                meta.uid()
            ),
            "run it as the service's user: sudo -u ringhall ringhall doctor",
        );
    }
    match Secrets::look(folder) {
        Ok(()) => report.ok(CHECK, format!("{place} can be written to")),
        Err(error) => report.fault(
            CHECK,
            error.to_string(),
            "give the file to the user that Ringhall runs as, or restore it from a backup",
        ),
    }
}

/// Makes a file and removes it.
fn try_writing(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".ringhall-doctor-{}", std::process::id()));
    fs::write(&path, b"a line, so that a full disk is found\n")?;
    fs::remove_file(&path)
}

fn clock(report: &mut Report) {
    const CHECK: &str = "clock";
    const CHANGE: &str = "timedatectl set-ntp true";
    if unix() < THE_PAST {
        report.fault(CHECK, "this machine's clock is years behind", CHANGE);
    } else if sfu::clock_is_kept() == Some(false) {
        report.warning(CHECK, "nothing keeps this machine's clock right", CHANGE);
    } else {
        report.ok(CHECK, "the kernel says that the clock is kept right");
    }
}

/// Another clock is so much ahead of ours.
pub(super) fn compare_clocks(report: &mut Report, whose: &str, ahead_ms: i64) {
    const CHECK: &str = "clock";
    let apart = format!(
        "{whose} clock is {} s {} this machine's",
        ahead_ms.unsigned_abs().div_ceil(1_000),
        if ahead_ms < 0 { "behind" } else { "ahead of" }
    );
    if ahead_ms.abs() > WRONG_MS {
        report.fault(
            CHECK,
            format!("{apart}: sign-ins, TURN credentials and certificates are good for a time"),
            "timedatectl set-ntp true, on both",
        );
    } else if ahead_ms.abs() > DIFFERENT_MS {
        report.warning(CHECK, apart, "timedatectl set-ntp true, on both");
    } else {
        report.ok(CHECK, format!("{whose} clock says the same"));
    }
}

fn files(report: &mut Report, config: &Config) {
    const CHECK: &str = "open files";
    let most = config.http.max_connections as u64;
    let wanted = most + OTHER_FILES;
    // The server raises its soft limit by itself.
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if hard >= wanted {
        report.ok(CHECK, format!("{hard} may be open, {wanted} are enough"));
        return;
    }
    let found = format!("{hard} may be open, and http.max_connections = {most} needs {wanted}");
    let change = format!(
        "LimitNOFILE={} in the systemd unit (the package's has 65536), or ulimit -n; or a smaller http.max_connections",
        wanted.next_power_of_two()
    );
    if hard < OTHER_FILES * 2 {
        report.fault(CHECK, found, change);
    } else {
        report.warning(CHECK, found, change);
    }
}

fn buffers(report: &mut Report) {
    const CHECK: &str = "buffers";
    let read = |name: &str| {
        fs::read_to_string(format!("/proc/sys/net/core/{name}"))
            .ok()?
            .trim()
            .parse::<usize>()
            .ok()
    };
    let mut lines = Vec::new();
    for name in ["rmem_max", "wmem_max"] {
        if read(name).is_some_and(|bytes| bytes < sfu::SOCKET_BUFFER) {
            lines.push(format!("net.core.{name} = {}", sfu::SOCKET_BUFFER));
        }
    }
    if lines.is_empty() {
        report.ok(CHECK, format!("sockets get {} bytes", sfu::SOCKET_BUFFER));
        return;
    }
    report.warning(
        CHECK,
        "the kernel gives sockets small buffers: large calls lose packets in bursts",
        format!(
            "systemctl restart systemd-sysctl, where the package brought /usr/lib/sysctl.d/50-ringhall.conf; else first, in \
             /etc/sysctl.d/ringhall.conf:\n{}",
            lines.join("\n")
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Level;

    #[test]
    fn clocks_that_differ_are_told() {
        let judged = |ahead| {
            let mut report = Report::default();
            compare_clocks(&mut report, "the other's", ahead);
            report.worst()
        };
        assert_eq!(judged(0), Level::Ok);
        assert_eq!(judged(-4_000), Level::Ok);
        assert_eq!(judged(-30_000), Level::Warning);
        assert_eq!(judged(90_000), Level::Fault);
    }

    #[test]
    fn looking_at_a_data_folder_changes_nothing_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = Report::default();
        data(&mut report, folder.path());
        assert_eq!(report.worst(), Level::Ok, "{report:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut report = Report::default();
        data(&mut report, &folder.path().join("not/there"));
        assert_eq!(report.worst(), Level::Note);
        assert!(!folder.path().join("not").exists());
    }
}
