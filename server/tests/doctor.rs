//! `ringhall doctor` in set-ups that are broken on purpose: it names the fault, and what to change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_ringhall");

/// A server's place in the world, sound until a test breaks it.
struct Place {
    folder: tempfile::TempDir,
    options: Vec<(String, String)>,
}

impl Place {
    fn new() -> Self {
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

    fn set(&mut self, name: &str, value: &str) {
        self.options.push((name.to_owned(), value.to_owned()));
    }

    /// Runs `program` with the place's options; the report, and whether it says that all is well.
    fn report_of(&self, program: &str, arguments: &[&str]) -> (Value, bool) {
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
    fn faults(&self) -> Vec<String> {
        let (report, success) = self.report_of(BINARY, &["doctor", "--json"]);
        let faults = of_level(&report, "fault");
        assert_eq!(success, faults.is_empty(), "{report}");
        faults
    }

    /// One fault is found, and it is this one.
    fn is_told(&self, words: &[&str]) {
        let faults = self.faults();
        let [fault] = faults.as_slice() else {
            panic!("not one fault: {faults:?}")
        };
        for word in words {
            assert!(fault.contains(word), "{word:?} is not in {fault:?}");
        }
    }

    /// A certificate in files, for these names, good between these days from now.
    fn certificate(&mut self, names: &[&str], from_days: i64, to_days: i64) -> (PathBuf, PathBuf) {
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

fn of_level(report: &Value, level: &str) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["level"] == level)
        .map(|f| format!("{}: {} -> {}", f["check"], f["found"], f["change"]))
        .collect()
}

#[test]
fn a_sound_place_has_no_fault_and_is_left_as_it_was() {
    let mut place = Place::new();
    place.certificate(&["localhost"], -1, 90);
    let files = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    let before = files(place.folder.path());
    assert_eq!(place.faults(), Vec::<String>::new());
    assert_eq!(files(place.folder.path()), before);
}

#[test]
fn a_key_that_does_not_exist_in_the_configuration_is_named() {
    let mut place = Place::new();
    place.set("RINGHALL_MEDIA_LISSTEN", "0.0.0.0:1");
    place.is_told(&["configuration", "RINGHALL_MEDIA_LISTEN"]);
}

#[test]
fn a_taken_tcp_port_is_named() {
    let mut place = Place::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    place.set("RINGHALL_HTTP_LISTEN", &other.local_addr().unwrap().to_string());
    // It answers nothing, and the doctor does not wait for it for long.
    place.is_told(&[
        "ports",
        "http.listen",
        "taken by another program",
        "RINGHALL_HTTP_LISTEN",
    ]);
}

#[test]
fn a_taken_media_port_is_named() {
    let mut place = Place::new();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    place.set("RINGHALL_MEDIA_LISTEN", &other.local_addr().unwrap().to_string());
    place.is_told(&["ports", "media.listen", "taken", "ss -lnp"]);
}

#[test]
fn an_address_that_this_machine_does_not_have_is_named() {
    let mut place = Place::new();
    place.set("RINGHALL_HTTP_LISTEN", "192.0.2.1:8080");
    let faults = place.faults();
    assert!(
        faults
            .iter()
            .any(|f| f.contains("192.0.2.1:8080") && f.contains("no such address")),
        "{faults:?}"
    );
}

#[test]
fn an_expired_certificate_is_named() {
    let mut place = Place::new();
    place.certificate(&["localhost"], -90, -1);
    place.is_told(&["certificate", "has expired", "renew"]);
}

#[test]
fn a_certificate_for_another_name_is_named() {
    let mut place = Place::new();
    place.certificate(&["other.example"], -1, 90);
    place.is_told(&["certificate", "is not for localhost"]);
}

#[test]
fn a_key_of_another_certificate_is_named() {
    let mut place = Place::new();
    let (_, key) = place.certificate(&["localhost"], -1, 90);
    std::fs::write(key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    place.is_told(&["certificate", "do not belong together", "tls.key"]);
}

#[test]
fn a_postgres_that_is_not_there_is_named_without_its_password() {
    let mut place = Place::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.set(
        "RINGHALL_DATABASE_URL",
        &format!("postgres://ringhall:secret@{nobody}/ringhall"),
    );
    place.is_told(&["database", &nobody.to_string(), "start Postgres"]);
    assert!(!place.faults().concat().contains("secret"));
}

#[test]
fn a_damaged_sqlite_file_is_named() {
    let place = Place::new();
    std::fs::write(place.folder.path().join("ringhall.db"), vec![7; 8_192]).unwrap();
    place.is_told(&["database", "ringhall.db", "restore"]);
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let mut place = Place::new();
    std::fs::write(place.folder.path().join("file"), "").unwrap();
    let below = place.folder.path().join("file/data");
    place.set("RINGHALL_DATA_DIR", below.to_str().unwrap());
    let faults = place.faults();
    assert!(faults.iter().any(|fault| fault.contains("data folder")), "{faults:?}");
}

#[test]
fn a_spoilt_secret_is_named() {
    let place = Place::new();
    std::fs::write(place.folder.path().join("turn-secret"), "short").unwrap();
    place.is_told(&["data folder", "turn-secret"]);
}

#[test]
fn an_address_of_a_family_that_is_not_listened_to_is_named() {
    let mut place = Place::new();
    place.set("RINGHALL_MEDIA_ADVERTISE", "2001:db8::1,127.0.0.1");
    place.is_told(&["addresses", "2001:db8::1", "[::]"]);
}

#[test]
fn a_public_name_with_media_on_loopback_is_named() {
    let mut place = Place::new();
    let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap();
    place.set("RINGHALL_HTTP_LISTEN", &port.to_string());
    place.is_told(&["addresses", "loopback addresses only", "media.advertise"]);
}

#[test]
fn a_name_that_leads_nowhere_is_named() {
    let mut place = Place::new();
    place.certificate(&["nowhere.invalid"], -1, 90);
    place.set("RINGHALL_HTTP_PUBLIC_URL", "https://nowhere.invalid");
    let faults = place.faults();
    assert!(
        faults
            .iter()
            .any(|f| f.contains("leads nowhere") && f.contains("A record")),
        "{faults:?}"
    );
}

#[test]
fn too_few_open_files_are_named() {
    let place = Place::new();
    let command = format!("ulimit -n 128; exec {BINARY} doctor --json");
    let (report, success) = place.report_of("sh", &["-c", &command]);
    let faults = of_level(&report, "fault");
    assert!(
        !success && faults.len() == 1 && faults[0].contains("LimitNOFILE"),
        "{faults:?}"
    );
}

/// Runs a script of the shell in a network of its own, in which `10.66.0.1` is the server, and a second machine, `$far`, has
/// `10.66.0.2`.
fn in_two_networks(place: &Place, script: &str) -> (Value, bool) {
    let whole = format!(
        r#"set -eu
        ip link set lo up
        unshare -n sleep 300 & far=$!
        trap 'kill $far' EXIT
        until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
        ip link add near type veth peer name far netns $far
        ip addr add 10.66.0.1/24 dev near; ip link set near up
        there() {{ nsenter -t $far -n "$@"; }}
        there ip link set lo up; there ip addr add 10.66.0.2/24 dev far; there ip link set far up
        {script}"#
    );
    let arguments: &[&str] = if nix::unistd::geteuid().is_root() {
        &["-n", "sh", "-c", &whole]
    } else {
        &["-r", "-n", "sh", "-c", &whole]
    };
    place.report_of("unshare", arguments)
}

fn server_in_two_networks() -> Place {
    let mut place = Place::new();
    place.set("RINGHALL_HTTP_LISTEN", "10.66.0.1:8443");
    place.set("RINGHALL_MEDIA_LISTEN", "10.66.0.1:7882");
    place
}

const SECOND_HOST: &str = r#"
        nsenter -t $far -n "$RINGHALL" second-host --listen 10.66.0.2:7999 >second & helper=$!
        trap 'kill $far $helper' EXIT
        until grep -q '#' second; do sleep 0.02; done
        "$RINGHALL" doctor --json --second-host "10.66.0.2:7999#$(sed -n 's/.*#//p' second)" || failed=$?
        exit ${failed:-0}"#;

fn with_second_host(broken: &str) -> (Value, bool) {
    let place = server_in_two_networks();
    let script = format!("{broken}\n{}", SECOND_HOST.replace("$RINGHALL", BINARY));
    in_two_networks(&place, &script)
}

#[test]
fn a_second_host_that_gets_through_finds_no_fault() {
    let (report, success) = with_second_host("");
    assert!(success, "{report}");
    let seen = of_level(&report, "ok").concat();
    assert!(
        seen.contains("10.66.0.1:7882 is reached from the second host"),
        "{report}"
    );
    assert!(
        seen.contains("10.66.0.1:8443 is reached from the second host"),
        "{report}"
    );
}

#[test]
fn udp_that_is_blocked_on_the_way_is_named_by_the_second_host() {
    let (report, success) = with_second_host("there ip rule add pref 1 ipproto udp to 10.66.0.1 blackhole");
    let faults = of_level(&report, "fault");
    assert!(!success && faults.len() == 1, "{faults:?}");
    assert!(
        faults[0].contains("10.66.0.1:7882") && faults[0].contains("let UDP 7882 through"),
        "{faults:?}"
    );
}

#[test]
fn tcp_that_is_blocked_on_the_way_is_named_by_the_second_host() {
    let (report, success) = with_second_host("there ip rule add pref 1 ipproto tcp to 10.66.0.1 dport 8443 blackhole");
    let faults = of_level(&report, "fault");
    assert!(!success && faults.len() == 1, "{faults:?}");
    assert!(faults[0].contains("let TCP 8443 through"), "{faults:?}");
}

#[test]
fn udp_that_this_machine_drops_itself_is_named() {
    let place = server_in_two_networks();
    let script = format!(
        "ip rule add pref 2 lookup local; ip rule add pref 1 ipproto udp to 10.66.0.1 blackhole; ip rule del pref 0\n\
         {BINARY} doctor --json"
    );
    let (report, success) = in_two_networks(&place, &script);
    let faults = of_level(&report, "fault");
    assert!(!success && faults.len() == 1, "{faults:?}");
    assert!(
        faults[0].contains("10.66.0.1:7882") && faults[0].contains("firewall"),
        "{faults:?}"
    );
}

#[test]
fn a_clock_that_differs_is_named() {
    // A second host whose clock is ten minutes ahead, and that says that everything is reached.
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at: SocketAddr = listener.local_addr().unwrap();
    let helper = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(&stream), &mut question).unwrap();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let answer = serde_json::json!({ "udp": [], "tcp": [], "now_ms": now.as_millis() as u64 + 600_000 });
        writeln!(stream, "{answer}").unwrap();
    });
    let (report, success) = place.report_of(BINARY, &["doctor", "--json", "--second-host", &format!("{at}#code")]);
    helper.join().unwrap();
    let faults = of_level(&report, "fault");
    assert!(!success && faults.len() == 1, "{faults:?}");
    assert!(
        faults[0].contains("600 s ahead") && faults[0].contains("timedatectl"),
        "{faults:?}"
    );
}

#[test]
fn a_second_host_with_another_code_is_named() {
    let mut child = Command::new(BINARY)
        .args(["second-host", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let line = lines
        .find_map(|line| line.ok().filter(|line| line.contains('#')))
        .unwrap();
    let port = line.split("THIS-HOST:").nth(1).unwrap().split('#').next().unwrap();
    let place = Place::new();
    let (report, _) = place.report_of(
        BINARY,
        &["doctor", "--json", "--second-host", &format!("127.0.0.1:{port}#wrong")],
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        of_level(&report, "fault").concat().contains("is the code right"),
        "{report}"
    );
}

#[test]
fn a_server_that_runs_is_known_and_found_well() {
    let place = Place::new();
    let mut child = Command::new(BINARY)
        .args(["serve", "--demo"])
        .envs(place.options.iter().cloned())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    assert!(lines.any(|line| line.is_ok_and(|line| line.contains("Ringhall serves"))));
    let (report, success) = place.report_of(BINARY, &["doctor", "--json"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(success, "{report}");
    let seen = of_level(&report, "ok").concat();
    assert!(
        seen.contains("Ringhall runs at") && seen.contains("is reached from this machine"),
        "{report}"
    );
}
