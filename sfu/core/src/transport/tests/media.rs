//! Media through a connected transport: both ways, over moving paths, and loss of the peer.

use super::*;

fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0, 0, 0, 9]);
    packet.extend(b"media");
    packet
}

fn sealed(client: &mut Client, sequence: u16) -> Vec<u8> {
    let mut packet = rtp(sequence);
    let len = packet.len();
    packet.resize(len + MAX_SEAL_OVERHEAD, 0);
    let sealed = client
        .srtp
        .as_mut()
        .unwrap()
        .outbound
        .seal_rtp(&mut packet, len, u64::from(sequence))
        .unwrap();
    packet.truncate(sealed);
    packet
}

#[test]
fn media_and_reports_travel_both_ways_under_both_profiles() {
    for profiles in [&BOTH[..], &ONLY_SHA1] {
        let now = start();
        let (mut client, mut server) = connected(now, profiles);
        let mut up = sealed(&mut client, 5);
        let Incoming::Rtp { len, index: 5 } = server.handle(now, path(1), &mut up) else {
            panic!()
        };
        assert_eq!(&up[..len], rtp(5));

        let mut down = rtp(6);
        let len = down.len();
        down.resize(len + MAX_SEAL_OVERHEAD, 0);
        let len = server.seal_rtp(&mut down, len, 0x1_0006).unwrap();
        // The client cannot know that a stream begins at roll-over counter 1: sealed with 1, it opens with 1 only.
        let inbound = &mut client.srtp.as_mut().unwrap().inbound;
        assert!(inbound.open_rtp(&mut down[..len].to_vec(), Origin::Valid).is_err());
        let mut down = rtp(7);
        let len = down.len();
        down.resize(len + MAX_SEAL_OVERHEAD, 0);
        assert_eq!(server.seal_rtp(&mut down, len, 7), Err(SealError::IndexUsed));
        down[11] = 8; // another SSRC
        let len = server.seal_rtp(&mut down, len, 7).unwrap();
        assert_eq!(
            inbound.open_rtp(&mut down[..len], Origin::Valid).map(|o| o.index),
            Ok(7)
        );

        let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
        let mut up = report.to_vec();
        up.resize(8 + MAX_SEAL_OVERHEAD, 0);
        let len = client.srtp.as_mut().unwrap().outbound.seal_rtcp(&mut up, 8).unwrap();
        assert_eq!(server.handle(now, path(1), &mut up[..len]), Incoming::Rtcp { len: 8 });
        let mut down = report.to_vec();
        down.resize(8 + MAX_SEAL_OVERHEAD, 0);
        let len = server.seal_rtcp(&mut down, 8).unwrap();
        let opened = client
            .srtp
            .as_mut()
            .unwrap()
            .inbound
            .open_rtcp(&mut down[..len], Origin::Valid)
            .unwrap();
        assert_eq!(&down[..opened.len], report);
    }
}

#[test]
fn newer_media_from_a_valid_path_moves_the_call_and_late_media_does_not() {
    let now = start();
    let (mut client, mut server) = connected(now, &BOTH);
    let (late, newer) = (sealed(&mut client, 1), sealed(&mut client, 2));
    server.handle(now, path(2), &mut check());
    server.handle(now, path(1), &mut sealed(&mut client, 3));
    assert!(matches!(
        server.handle(now, path(2), &mut late.clone()),
        Incoming::Rtp { .. }
    ));
    assert!(matches!(
        server.handle(now, path(2), &mut newer.clone()),
        Incoming::Rtp { .. }
    ));
    assert_eq!(server.path(), Some(path(1)));
    server.handle(now, path(2), &mut sealed(&mut client, 4));
    assert_eq!(server.path(), Some(path(2)));
    assert_eq!(events(&mut server), [TransportEvent::PathChanged(path(2))]);
}

#[test]
fn media_from_a_rebound_address_is_heard_but_nothing_is_sent_there_before_a_check() {
    let now = start();
    let (mut client, mut server) = connected(now, &BOTH);
    server.handle(now, path(1), &mut sealed(&mut client, 1));
    let captured = sealed(&mut client, 2);
    assert!(matches!(
        server.handle(now, path(8), &mut sealed(&mut client, 3)),
        Incoming::Rtp { .. }
    ));
    assert_eq!(server.path(), Some(path(1)));
    assert_eq!(
        server.handle(now, path(9), &mut captured.clone()),
        Incoming::Dropped(DropReason::UnknownPath)
    );
    server.handle(now + ms(600), path(8), &mut check());
    assert_eq!(server.path(), Some(path(8)));
}

#[test]
fn forged_media_from_unknown_addresses_is_tried_at_a_capped_rate() {
    let now = start();
    let (mut client, mut server) = connected(now, &BOTH);
    server.handle(now, path(1), &mut sealed(&mut client, 1));
    let tried = (0..10_000u16)
        .filter(|i| {
            let mut forged = rtp(100 + (i % 100));
            forged.resize(100, 0);
            server.handle(now, path(1_000 + i), &mut forged) == Incoming::Dropped(DropReason::NotAuthentic)
        })
        .count();
    assert_eq!(tried, 16);
    assert!(matches!(
        server.handle(now, path(1), &mut sealed(&mut client, 2)),
        Incoming::Rtp { .. }
    ));
}

#[test]
fn media_before_the_handshake_is_too_early() {
    let now = start();
    let mut server = transport(now, &Identity::generate().unwrap(), Fingerprint([1; 32]));
    server.handle(now, path(1), &mut nomination());
    assert_eq!(
        server.handle(now, path(1), &mut rtp(1)),
        Incoming::Dropped(DropReason::TooEarly)
    );
}

#[test]
fn silence_is_reported_after_five_seconds_and_the_next_authentic_packet_ends_it() {
    let now = start();
    let (mut client, mut server) = connected(now, &BOTH);
    server.handle(now + ms(1_000), path(1), &mut sealed(&mut client, 1));
    assert_eq!(server.next_deadline(), Some(now + ms(6_000)));
    server.handle_timeout(now + ms(5_999));
    assert_eq!(events(&mut server), []);
    let mut forged = rtp(2);
    forged.resize(60, 0);
    server.handle(now + ms(5_999), path(1), &mut forged); // proves nothing
    server.handle_timeout(now + ms(6_000));
    assert_eq!(events(&mut server), [TransportEvent::Lost]);
    assert_eq!(server.next_deadline(), None);
    server.handle(now + ms(9_000), path(1), &mut check());
    assert_eq!(events(&mut server), [TransportEvent::Recovered]);
    assert_eq!(server.next_deadline(), Some(now + ms(14_000)));
}
