//! `ringhall doctor` in set-ups that are broken on purpose: it names the fault, and what to change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod networks;
mod place;

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use place::{Place, of_level};
use rcgen::KeyPair;

const BINARY: &str = env!("CARGO_BIN_EXE_ringhall");

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
