//! What only the network, or a second host in it, can tell.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::BINARY;
use crate::place::{Place, of_level};

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
    with_second_host_at(&server_in_two_networks(), broken)
}

fn with_second_host_at(place: &Place, broken: &str) -> (Value, bool) {
    let script = format!("{broken}\n{}", SECOND_HOST.replace("$RINGHALL", BINARY));
    in_two_networks(place, &script)
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
fn every_address_of_several_interfaces_and_both_families_is_told_and_reached_from_outside() {
    let mut place = Place::new();
    place.set("RINGHALL_HTTP_LISTEN", "[::]:8443");
    place.set("RINGHALL_MEDIA_LISTEN", "[::]:7882");
    let further = "ip link add near2 type veth peer name far2 netns $far
        ip addr add 10.67.0.1/24 dev near2; ip link set near2 up
        there ip addr add 10.67.0.2/24 dev far2; there ip link set far2 up
        ip addr add fd66::1/64 dev near nodad; there ip addr add fd66::2/64 dev far nodad";
    let (report, success) = with_second_host_at(&place, further);
    assert!(success, "{report}");
    let seen = of_level(&report, "ok").concat();
    for address in ["10.66.0.1", "10.67.0.1", "[fd66::1]"] {
        for port in [7882, 8443] {
            let reached = format!("{address}:{port} is reached from the second host");
            assert!(seen.contains(&reached), "{reached}: {report}");
        }
    }
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
