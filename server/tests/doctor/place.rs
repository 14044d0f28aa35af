//! Where the doctor is called to: a folder, free ports, options.

use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

use crate::BINARY;

/// A server's place in the world, sound until a test breaks it.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) options: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let free_tcp = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let free_udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut place = Self {
            folder: tempfile::tempdir().unwrap(),
            options: Vec::new(),
        };
        let data = place.folder.path().to_str().unwrap().to_owned();
        place.set("RINGHALL_DATA_DIR", &data);
        place.set("RINGHALL_HTTP_LISTEN", &free_tcp.to_string());
        place.set("RINGHALL_MEDIA_LISTEN", &free_udp.to_string());
        place
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.options.push((name.to_owned(), value.to_owned()));
    }

    /// Runs `program` with the place's options; the report, and whether it says that all is well.
    pub(crate) fn report_of(&self, program: &str, arguments: &[&str]) -> (Value, bool) {
        let inherited = std::env::vars().filter(|(name, _)| !name.starts_with("RINGHALL_"));
        let done = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(inherited)
            .envs(self.options.iter().cloned())
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&done.stdout);
        let line = text.lines().last().unwrap_or_default();
        let error = String::from_utf8_lossy(&done.stderr);
        let report = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {text}{error}"));
        (report, done.status.success())
    }

    /// The doctor's faults as `check: found -> change`.
    pub(crate) fn faults(&self) -> Vec<String> {
        let (report, success) = self.report_of(BINARY, &["doctor", "--json"]);
        let faults = of_level(&report, "fault");
        assert_eq!(success, faults.is_empty(), "{report}");
        faults
    }

    /// One fault is found, and it is this one.
    pub(crate) fn is_told(&self, words: &[&str]) {
        let faults = self.faults();
        let [fault] = faults.as_slice() else {
            panic!("not one fault: {faults:?}")
        };
        for word in words {
            assert!(fault.contains(word), "{word:?} is not in {fault:?}");
        }
    }

    /// A certificate in files, for these names, good between these days from now.
    pub(crate) fn certificate(&mut self, names: &[&str], from_days: i64, to_days: i64) -> (PathBuf, PathBuf) {
        let day = |days: i64| {
            let now = std::time::SystemTime::now();
            let by = std::time::Duration::from_secs(days.unsigned_abs() * 86_400);
            if days < 0 { now - by } else { now + by }
        };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) = (day(from_days).into(), day(to_days).into());
        let key = KeyPair::generate().unwrap();
        let files = (self.folder.path().join("chain.pem"), self.folder.path().join("key.pem"));
        std::fs::write(&files.0, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        self.set("RINGHALL_TLS_MODE", "files");
        self.set("RINGHALL_TLS_CERTIFICATE", files.0.to_str().unwrap());
        self.set("RINGHALL_TLS_KEY", files.1.to_str().unwrap());
        self.set("RINGHALL_HTTP_PUBLIC_URL", "https://localhost");
        files
    }
}

pub(crate) fn of_level(report: &Value, level: &str) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["level"] == level)
        .map(|f| format!("{}: {} -> {}", f["check"], f["found"], f["change"]))
        .collect()
}
