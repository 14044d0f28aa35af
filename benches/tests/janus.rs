//! Janus itself, as far as one gets without media: it starts, says its version, answers a publisher, and refuses a viewer of
//! what does not flow yet.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests")]

use benches::peers::{PeerError, Want, janus};
use benches::scenario::Scenario;
use str0m::media::{Direction, MediaKind};

fn offer() -> String {
    let mut rtc = str0m::Rtc::builder().build(std::time::Instant::now());
    let mut api = rtc.sdp_api();
    api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
    api.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
    api.apply().unwrap().0.to_sdp_string()
}

#[tokio::test]
async fn a_publisher_is_answered_and_a_viewer_of_nothing_is_refused() {
    let text = "name = \"x\"\ntitle = \"x\"\nduration_seconds = 1\n[rooms]\npublishers = 1\nviewers = 1\n";
    let scenario = Scenario::parse("test", text).unwrap();
    let peer = match janus::start(&scenario).await {
        Ok(peer) => peer,
        // Not installed: the scenario is skipped at it, with the command that helps.
        Err(PeerError::Unable(why)) => {
            assert!(why.contains("apt-get install"), "{why}");
            return;
        }
        Err(PeerError::Failed(why)) => panic!("{why}"),
    };
    let description = peer.description();
    assert!(
        description.contains("Janus 1.") && peer.pid().is_some(),
        "{description}"
    );
    let answer = match peer.publish("r", "ann", offer()).await {
        Ok(answer) => answer,
        Err(PeerError::Unable(why)) => {
            assert!(why.contains("tools/in-namespace"), "{why}");
            return;
        }
        Err(PeerError::Failed(why)) => panic!("{why}"),
    };
    assert!(answer.contains("m=audio") && answer.contains("a=recvonly"), "{answer}");
    let wants = [false, true].map(|video| Want {
        publisher: "ann".to_owned(),
        video,
        layer: 0,
    });
    // It offers only what flows, and nobody has connected: the harness therefore lets publishers connect first.
    let early = peer.view_offer("r", "bob", &wants).await;
    assert!(
        matches!(&early, Err(PeerError::Failed(why)) if why.contains("No such feed")),
        "{early:?}"
    );
    let nobody = [Want {
        publisher: "nobody".to_owned(),
        ..wants[0].clone()
    }];
    assert!(peer.view_offer("r", "eve", &nobody).await.is_err());
    peer.clear("r").await.unwrap();
    peer.stop().await;
}
