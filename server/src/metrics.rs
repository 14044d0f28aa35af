//! `/metrics` for Prometheus: what the media shards have counted. On a listener of its own, because it is for the operator.
//!
//! The shards count in plain numbers and are asked for them, at most once a second; so a packet costs nothing here, and the
//! text is written from the numbers as they are: a registry between would hold copies of them, and could not take over a
//! finished histogram.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use sfu::{DELAY_BOUNDS, Drop, QualityReason, ShardSnapshot};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::cli::Failure;
use crate::media::Plane;

/// The shards are asked at most so often, whoever scrapes.
const FRESH: Duration = Duration::from_secs(1);

struct Page {
    plane: Arc<Plane>,
    /// The last text and when it was made.
    last: Mutex<Option<(Instant, String)>>,
}

/// Listens, and serves `/metrics` until the process ends. Returns the address.
pub(crate) async fn start(listen: SocketAddr, plane: Arc<Plane>) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|e| format!("metrics.listen {listen}: {e}; choose another address with RINGHALL_METRICS_LISTEN"))?;
    let address = listener.local_addr()?;
    let page = Arc::new(Page {
        plane,
        last: Mutex::default(),
    });
    let routes = Router::new().route("/metrics", get(metrics)).with_state(page);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "the metrics listener ended");
        }
    });
    Ok(address)
}

async fn metrics(State(page): State<Arc<Page>>) -> impl IntoResponse {
    let mut last = page.last.lock().await;
    let text = match &*last {
        Some((at, text)) if at.elapsed() < FRESH => text.clone(),
        _ => {
            let fresh = text(&page.plane.snapshot().await);
            *last = Some((Instant::now(), fresh.clone()));
            fresh
        }
    };
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// A number of a shard, with the labels beside the shard's.
type Sample = (String, u64);

fn family(
    out: &mut String,
    shards: &[ShardSnapshot],
    name: &str,
    kind: &str,
    help: &str,
    of: impl Fn(&ShardSnapshot) -> Vec<Sample>,
) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "# HELP ringhall_media_{name} {help}\n# TYPE ringhall_media_{name} {kind}"
    );
    for (shard, snapshot) in shards.iter().enumerate() {
        for (labels, value) in of(snapshot) {
            let _ = writeln!(out, "ringhall_media_{name}{{shard=\"{shard}\"{labels}}} {value}");
        }
    }
}

/// The numbers of all shards in Prometheus' text format.
fn text(shards: &[ShardSnapshot]) -> String {
    let mut out = String::new();
    type Number = fn(&ShardSnapshot) -> u64;
    let numbers: [(&str, &str, &str, Number); 22] = [
        ("participants", "gauge", "Participants with a transport.", |s| {
            s.participants as u64
        }),
        (
            "stand_ins",
            "gauge",
            "Participants of other shards whose call is in this one too.",
            |s| s.stand_ins as u64,
        ),
        (
            "packets_kept",
            "gauge",
            "Received packets kept for retransmission and for those who join.",
            |s| s.kept as u64,
        ),
        (
            "downlinks_estimated",
            "gauge",
            "Viewers whose link's rate has been estimated.",
            |s| s.estimates.0 as u64,
        ),
        (
            "downlink_estimate_bits_per_second",
            "gauge",
            "Sum of the estimates of viewers' links.",
            |s| s.estimates.1,
        ),
        (
            "packets_received_total",
            "counter",
            "RTP packets received and kept.",
            |s| s.counters.received,
        ),
        (
            "packets_forwarded_total",
            "counter",
            "RTP packets sent to viewers.",
            |s| s.counters.forwarded,
        ),
        (
            "packets_relayed_total",
            "counter",
            "Copies of received packets given to other shards of a call.",
            |s| s.counters.relayed,
        ),
        (
            "relays_taken_total",
            "counter",
            "Packets that came from other shards of a call.",
            |s| s.counters.relays_taken,
        ),
        (
            "packets_retransmitted_total",
            "counter",
            "Packets sent to viewers again.",
            |s| s.counters.retransmitted,
        ),
        (
            "packets_recovered_total",
            "counter",
            "Packets that publishers sent again.",
            |s| s.counters.recovered,
        ),
        (
            "packets_nacked_total",
            "counter",
            "Packets that publishers were asked to send again.",
            |s| s.counters.nacked,
        ),
        (
            "key_frames_asked_total",
            "counter",
            "Key frames that publishers were asked for.",
            |s| s.counters.key_frames_asked,
        ),
        (
            "data_messages_total",
            "counter",
            "Messages of data channels taken from participants.",
            |s| s.counters.data_taken,
        ),
        (
            "data_deliveries_total",
            "counter",
            "Messages of data channels put into viewers' queues.",
            |s| s.counters.data_given,
        ),
        ("datagrams_received_total", "counter", "Datagrams received.", |s| {
            s.sockets.received
        }),
        ("datagrams_sent_total", "counter", "Datagrams sent.", |s| s.sockets.sent),
        (
            "datagrams_unsent_total",
            "counter",
            "Datagrams that the system did not take.",
            |s| s.sockets.send_failed,
        ),
        (
            "messages_sent_total",
            "counter",
            "Messages that the datagrams were sent in.",
            |s| s.sockets.messages,
        ),
        (
            "runs_refused_total",
            "counter",
            "Messages of several datagrams that the system refused.",
            |s| s.sockets.runs_refused,
        ),
        (
            "tcp_datagrams_sent_total",
            "counter",
            "Datagrams handed to clients that are reached by TCP.",
            |s| s.sockets.line_sent,
        ),
        (
            "tcp_datagrams_dropped_total",
            "counter",
            "Datagrams dropped because a client reached by TCP did not take them, or was gone.",
            |s| s.sockets.line_dropped,
        ),
    ];
    for (name, kind, help, number) in numbers {
        family(&mut out, shards, name, kind, help, |shard| {
            vec![(String::new(), number(shard))]
        });
    }
    let help = "Packets and events dropped, by reason.";
    family(&mut out, shards, "dropped_total", "counter", help, |shard| {
        let of = |(reason, name): &(Drop, &str)| (format!(",reason=\"{name}\""), shard.counters.dropped(*reason));
        Drop::ALL.iter().map(of).collect()
    });
    let help = "Looks at viewers' connections, one every two seconds each, by score (4 good to 1 bad) and the first reason for it.";
    family(&mut out, shards, "connection_scores_total", "counter", help, |shard| {
        let good = (4, None, "none");
        let others = (1..4).flat_map(|score| QualityReason::ALL.map(|(reason, name)| (score, Some(reason), name)));
        let of = |(score, reason, name)| {
            let labels = format!(",score=\"{score}\",reason=\"{name}\"");
            (labels, shard.counters.scored(score, reason))
        };
        std::iter::once(good).chain(others).map(of).collect()
    });
    delays(&mut out, shards);
    out
}

/// The histogram of the delays: counts are cumulative there, and bounds in seconds.
fn delays(out: &mut String, shards: &[ShardSnapshot]) {
    const NAME: &str = "ringhall_media_forward_delay_seconds";
    let _ = writeln!(
        out,
        "# HELP {NAME} From reading a batch to having sent what it caused.\n# TYPE {NAME} histogram"
    );
    for (shard, ShardSnapshot { delays, .. }) in shards.iter().enumerate() {
        let mut sum = 0;
        for (bound, count) in DELAY_BOUNDS.iter().zip(&delays.counts) {
            sum += count;
            let seconds = Duration::from_micros(*bound).as_secs_f64();
            let _ = writeln!(out, "{NAME}_bucket{{shard=\"{shard}\",le=\"{seconds}\"}} {sum}");
        }
        let (count, seconds) = (delays.count(), Duration::from_micros(delays.sum_us).as_secs_f64());
        let _ = writeln!(out, "{NAME}_bucket{{shard=\"{shard}\",le=\"+Inf\"}} {count}");
        let _ = writeln!(
            out,
            "{NAME}_sum{{shard=\"{shard}\"}} {seconds}\n{NAME}_count{{shard=\"{shard}\"}} {count}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_and_reason_has_its_line_and_the_histogram_adds_up() {
        let mut busy = ShardSnapshot {
            participants: 7,
            estimates: (3, 4_500_000),
            ..Default::default()
        };
        busy.delays.counts[0] = 5;
        busy.delays.counts[1] = 2;
        busy.delays.counts[DELAY_BOUNDS.len()] = 1;
        busy.delays.sum_us = 1_500_000;
        let text = text(&[ShardSnapshot::default(), busy]);
        let lines: Vec<&str> = text.lines().collect();
        for expected in [
            "ringhall_media_participants{shard=\"0\"} 0",
            "ringhall_media_participants{shard=\"1\"} 7",
            "ringhall_media_downlinks_estimated{shard=\"1\"} 3",
            "ringhall_media_downlink_estimate_bits_per_second{shard=\"1\"} 4500000",
            "ringhall_media_dropped_total{shard=\"1\",reason=\"flood\"} 0",
            "ringhall_media_dropped_total{shard=\"0\",reason=\"relay_full\"} 0",
            "ringhall_media_dropped_total{shard=\"0\",reason=\"data_closed\"} 0",
            "ringhall_media_data_deliveries_total{shard=\"0\"} 0",
            "ringhall_media_connection_scores_total{shard=\"1\",score=\"4\",reason=\"none\"} 0",
            "ringhall_media_connection_scores_total{shard=\"1\",score=\"2\",reason=\"bandwidth\"} 0",
            "ringhall_media_packets_relayed_total{shard=\"0\"} 0",
            "ringhall_media_forward_delay_seconds_bucket{shard=\"1\",le=\"0.00005\"} 5",
            "ringhall_media_forward_delay_seconds_bucket{shard=\"1\",le=\"0.0001\"} 7",
            "ringhall_media_forward_delay_seconds_bucket{shard=\"1\",le=\"0.1\"} 7",
            "ringhall_media_forward_delay_seconds_bucket{shard=\"1\",le=\"+Inf\"} 8",
            "ringhall_media_forward_delay_seconds_sum{shard=\"1\"} 1.5",
            "ringhall_media_forward_delay_seconds_count{shard=\"1\"} 8",
        ] {
            assert!(lines.contains(&expected), "{expected}\n{text}");
        }
        // Each name is described once, before its first number.
        let names = lines.iter().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(names, 25);
    }

    #[tokio::test]
    async fn it_is_served_and_the_shards_are_asked_once_a_second() {
        let media = crate::config::Media {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..Default::default()
        };
        let plane = crate::media::start(&media, None, &|_| None).unwrap();
        let page = Arc::new(Page {
            plane: plane.clone(),
            last: Mutex::default(),
        });
        let first = metrics(State(page.clone())).await.into_response();
        assert_eq!(first.status(), 200);
        let made = page.last.lock().await.clone().unwrap();
        assert!(
            made.1.contains("ringhall_media_participants{shard=\"0\"} 0"),
            "{}",
            made.1
        );
        let second = metrics(State(page.clone())).await.into_response();
        assert_eq!(second.status(), 200);
        assert_eq!(page.last.lock().await.clone().unwrap().0, made.0, "the same text");
        tokio::task::spawn_blocking(move || plane.stop()).await.unwrap();
    }
}
