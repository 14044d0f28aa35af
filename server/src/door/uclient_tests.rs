//! `turnutils_uclient` (package coturn), somebody else's client, through our own TLS and our own TURN by stream, as on the one
//! port: what stands in for the shards sends everything back.

use std::process::Command;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::relay::{Media, Relayed, Relays};
use super::*;
use crate::config::{Config, TlsMode};
use crate::tls;

const SECRET: &str = "north";

/// Our addresses, which everything is for, and everybody takes part.
struct Sink([SocketAddr; 2]);

impl Media for Sink {
    fn shard_at(&self, address: SocketAddr) -> Option<usize> {
        self.0.iter().position(|ours| *ours == address)
    }

    fn addresses(&self) -> &[SocketAddr] {
        &self.0
    }

    fn takes_part(&self, _: &str) -> bool {
        true
    }
}

/// One connection, until the client ends it.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, line: u64, remote: SocketAddr, relays: &Relays) {
    let sink = Sink(["192.0.2.1:7882".parse().unwrap(), "[2001:db8::1]:7882".parse().unwrap()]);
    let mut talk = Relayed::new(line, remote, relays, &sink, Instant::now());
    let (mut received, mut inward, mut out) = (Vec::new(), Vec::new(), Vec::new());
    while let Ok(1..) = stream.read_buf(&mut received).await {
        let now = Instant::now();
        let taken = talk.take(now, &received, &mut inward, &mut out).unwrap();
        received.drain(..taken);
        for piece in inward.drain(..) {
            let sfu::Path::Turn { local, .. } = piece.path else {
                panic!("{:?}", piece.path)
            };
            let back = sfu::Piece {
                local: Some(local),
                bytes: piece.datagrams,
            };
            talk.wrap(now, &back, &mut out);
        }
        if stream.write_all(&out).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        out.clear();
    }
}

/// Serves both ways on a free port, until the test ends.
async fn serve() -> SocketAddr {
    let folder = tempfile::tempdir().unwrap();
    let (_, certificate, key) = tls::tests::issued(&["calls.example"]);
    let mut config = Config::default();
    config.tls.mode = TlsMode::Files;
    config.tls.certificate = folder.path().join("chain.pem");
    config.tls.key = folder.path().join("key.pem");
    std::fs::write(&config.tls.certificate, certificate).unwrap();
    std::fs::write(&config.tls.key, key).unwrap();
    let tls = tls::start(&config).unwrap().unwrap();
    let relays = Relays::new("ringhall", SECRET.as_bytes());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for line in 1.. {
            let (stream, remote) = listener.accept().await.unwrap();
            let (tls, relays): (Arc<_>, Arc<_>) = (tls.clone(), relays.clone());
            tokio::spawn(async move {
                let Some((kind, stream)) = Prefixed::sorted(stream).await else {
                    return;
                };
                match kind {
                    Kind::Turn => answer(stream, line, remote, &relays).await,
                    Kind::Tls => match tls.accept(stream).await {
                        Some(Accepted::Turn(stream)) => answer(stream, line, remote, &relays).await,
                        Some(Accepted::Unsaid(stream)) => {
                            let (kind, stream) = Prefixed::sorted(stream).await.unwrap();
                            assert_eq!(kind, Kind::Turn);
                            answer(stream, line, remote, &relays).await;
                        }
                        _ => {}
                    },
                    other => panic!("{other:?}"),
                }
            });
        }
    });
    address
}

/// Runs the client; every message has to come back.
fn uclient(at: SocketAddr, options: &[&str]) {
    let output = Command::new("timeout")
        .args(["60", "turnutils_uclient", "-t", "-u", "ivan", "-W", SECRET, "-c"])
        .args(["-n", "30", "-m", "2", "-l", "170", "-z", "5", "-r", "7882"])
        .args(options)
        .args(["-p", &at.port().to_string(), &at.ip().to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let total = "tot_send_msgs=60, tot_recv_msgs=60";
    let whole = output.status.success() && text.contains(total) && text.contains("Total lost packets 0 ");
    assert!(
        whole,
        "{options:?}: {text}; is turnutils_uclient there? (sudo apt-get install -y coturn)"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_and_tls_by_channel_and_by_indication_to_both_families() {
    let at = serve().await;
    // At once: the client waits more than it works.
    let all = tokio::task::spawn_blocking(move || {
        std::thread::scope(|scope| {
            for tls in [&[][..], &["-S"]] {
                for relayed in [&["-e", "192.0.2.1"][..], &["-x", "-e", "2001:db8::1"]] {
                    for way in [&[][..], &["-s"]] {
                        let options = [tls, relayed, way].concat();
                        scope.spawn(move || uclient(at, &options));
                    }
                }
            }
        });
    });
    all.await.unwrap();
}
