//! A small crowd through the whole media plane: threads, sockets, system calls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use benches::client::{Client, Role, Totals};
use benches::door::Door;

#[tokio::test(flavor = "multi_thread")]
async fn three_publishers_reach_three_viewers_over_real_sockets() {
    let door = Door::local().unwrap();
    let totals = Arc::new(Totals::default());
    let mut threads = Vec::new();
    for role in [
        Role::Publish {
            bitrate: 300_000,
            fps: 25,
        },
        Role::View { audio: 3, video: 3 },
    ] {
        for number in 0..3 {
            let client = Client::join(&door, number, role, SocketAddr::from(([127, 0, 0, 1], 0)))
                .await
                .unwrap();
            let totals = totals.clone();
            threads.push(std::thread::spawn(move || client.run(&totals)));
        }
    }
    // Each viewer gets 150 audio and about 75 video packets a second; 2,000 in all say that they flow.
    let deadline = Instant::now() + Duration::from_secs(60);
    while totals.received.load(Ordering::Relaxed) < 2_000 {
        assert!(Instant::now() < deadline, "{totals:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    totals.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    assert_eq!(totals.connected.load(Ordering::Relaxed), 6);
    let lost = totals.lost.load(Ordering::Relaxed);
    assert!(lost < 100, "{lost} lost of {}", totals.received.load(Ordering::Relaxed));
}
