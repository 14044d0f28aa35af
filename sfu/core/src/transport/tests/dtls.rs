//! Handshakes: both profiles, losses, floods, wrong certificates.

use super::*;

/// A handshake record with one fragment.
fn fragment(record: u64, message: u16, total: u32, offset: u32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![22, 0xfe, 0xfd, 0, 0];
    out.extend(&record.to_be_bytes()[2..]);
    out.extend((12 + body.len() as u16).to_be_bytes());
    out.push(1);
    out.extend(&total.to_be_bytes()[1..]);
    out.extend(message.to_be_bytes());
    out.extend(&offset.to_be_bytes()[1..]);
    out.extend(&(body.len() as u32).to_be_bytes()[1..]);
    out.extend(body);
    out
}

fn checked(now: Instant) -> Transport {
    let mut server = transport(now, &Identity::generate().unwrap(), Fingerprint([1; 32]));
    server.handle(now, path(1), &mut nomination());
    control(&mut server);
    events(&mut server);
    server
}

#[test]
fn a_client_that_lists_the_dearer_profile_first_still_gets_aes_gcm() {
    let (client, _) = connected(start(), &BOTH);
    let state = client.endpoint.get_connection_state(SERVER).unwrap();
    assert_eq!(
        state.srtp_protection_profile(),
        SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm
    );
}

#[test]
fn a_client_without_aes_gcm_gets_the_other_profile_from_the_same_hello() {
    let (client, _) = connected(start(), &ONLY_SHA1);
    let state = client.endpoint.get_connection_state(SERVER).unwrap();
    assert_eq!(
        state.srtp_protection_profile(),
        SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80
    );
}

#[test]
fn a_client_with_neither_profile_fails_and_is_told_nothing() {
    let now = start();
    let certificate = ClientCertificate::generate();
    let mut server = transport(now, &Identity::generate().unwrap(), certificate.fingerprint);
    server.handle(now, path(1), &mut nomination());
    let mut client = Client::connect(now, &certificate, &[SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm]);
    exchange(now, &mut client, &mut server, |_, _| false);
    assert_eq!(
        events(&mut server).last(),
        Some(&TransportEvent::Failed(FailReason::NoCommonSrtpProfile))
    );
    assert_eq!(
        server.handle(now, path(1), &mut check()),
        Incoming::Dropped(DropReason::Dead)
    );
}

#[test]
fn a_wrong_fingerprint_fails_the_transport_and_nothing_else_happens() {
    let now = start();
    let identity = Identity::generate().unwrap();
    let (expected, shown) = (ClientCertificate::generate(), ClientCertificate::generate());
    let mut server = transport(now, &identity, expected.fingerprint);
    server.handle(now, path(1), &mut nomination());
    let mut client = Client::connect(now, &shown, &BOTH);
    exchange(now, &mut client, &mut server, |_, _| false);
    assert_eq!(
        events(&mut server),
        [
            TransportEvent::PathChanged(path(1)),
            TransportEvent::Failed(FailReason::WrongFingerprint)
        ]
    );
    assert!(client.srtp.is_none(), "the last flight was not sent");
    let mut packet = [0x80; 60];
    assert_eq!(server.seal_rtp(&mut packet, 20, 0), Err(SealError::NotConnected));
    assert!(control(&mut server).is_empty());
    assert_eq!(server.next_deadline(), None);
}

#[test]
fn a_client_hello_over_several_datagrams_is_put_together() {
    for profiles in [&BOTH[..], &ONLY_SHA1] {
        let now = start();
        let certificate = ClientCertificate::generate();
        let mut server = transport(now, &Identity::generate().unwrap(), certificate.fingerprint);
        server.handle(now, path(1), &mut nomination());
        control(&mut server);
        let mut client = Client::connect(now, &certificate, profiles);
        // The first flight is one record with one whole ClientHello: cut its body into pieces, each its own datagram.
        let hello = client.outgoing().remove(0);
        let body = &hello[25..];
        for (i, piece) in body.chunks(40).enumerate() {
            assert!(control(&mut server).is_empty(), "nothing before the last piece");
            // Record numbers that the client itself will not use: it goes on from 1.
            let mut datagram = fragment(500 + i as u64, 0, body.len() as u32, i as u32 * 40, piece);
            assert_eq!(server.handle(now, path(1), &mut datagram), Incoming::Nothing);
        }
        for datagram in control(&mut server) {
            assert!(client.take(now, &datagram));
        }
        exchange(now, &mut client, &mut server, |_, _| false);
        assert_eq!(events(&mut server).last(), Some(&TransportEvent::Connected));
    }
}

#[test]
fn a_handshake_survives_the_loss_of_any_one_datagram() {
    for lost in 0..12 {
        let mut now = start();
        let certificate = ClientCertificate::generate();
        let mut server = transport(now, &Identity::generate().unwrap(), certificate.fingerprint);
        server.handle(now, path(1), &mut nomination());
        let mut client = Client::connect(now, &certificate, &BOTH);
        let mut count = 0;
        for _ in 0..100 {
            exchange(now, &mut client, &mut server, |_, _| {
                count += 1;
                count - 1 == lost
            });
            if client.srtp.is_some() && server.is_connected() {
                break;
            }
            now += ms(200);
            client.endpoint.handle_timeout(SERVER, now).unwrap();
            server.handle_timeout(now);
        }
        assert!(client.srtp.is_some() && server.is_connected(), "datagram {lost} lost");
    }
}

#[test]
fn thirty_thousand_one_byte_fragments_end_in_failure_not_in_a_stack_overflow() {
    let now = start();
    let mut server = checked(now);
    let mut taken = 0;
    for i in 0..30_000u32 {
        // The last byte comes last, so that each one makes the library try to join all before it.
        let mut datagram = fragment(u64::from(i), 0, 30_001, i, &[0]);
        if server.handle(now, path(1), &mut datagram) == Incoming::Nothing {
            taken += 1;
        }
    }
    assert!(taken <= 256, "{taken}");
    assert_eq!(events(&mut server), [TransportEvent::Failed(FailReason::Flood)]);
}

#[test]
fn next_epoch_records_are_bounded_before_the_handshake_ends() {
    let now = start();
    let mut server = checked(now);
    let mut taken = 0;
    for i in 0..100_000u64 {
        let mut datagram = vec![23, 0xfe, 0xfd, 0, 1];
        datagram.extend(&i.to_be_bytes()[2..]);
        datagram.extend([0, 40]);
        datagram.extend([7; 40]);
        if server.handle(now, path(1), &mut datagram) == Incoming::Nothing {
            taken += 1;
        }
    }
    assert!(taken <= 64, "{taken}");
    assert_eq!(events(&mut server), [TransportEvent::Failed(FailReason::Flood)]);
}

#[test]
fn dtls_from_an_address_without_a_check_is_dropped() {
    let now = start();
    let mut server = checked(now);
    let mut datagram = fragment(0, 0, 10, 0, &[0; 10]);
    assert_eq!(
        server.handle(now, path(2), &mut datagram),
        Incoming::Dropped(DropReason::UnknownPath)
    );
}

#[test]
fn a_forged_alert_or_record_does_not_end_an_established_association() {
    let now = start();
    let (mut client, mut server) = connected(now, &BOTH);
    for content_type in 20..=24 {
        for epoch in 0..3 {
            for body in [&[2; 40][..], &[1], &[2, 40]] {
                let mut datagram = vec![
                    content_type,
                    0xfe,
                    0xfd,
                    0,
                    epoch,
                    0,
                    0,
                    0,
                    0,
                    9,
                    9,
                    0,
                    body.len() as u8,
                ];
                datagram.extend(body);
                server.handle(now, path(1), &mut datagram);
            }
        }
    }
    assert_eq!(events(&mut server), []);
    client.write(now, b"still here");
    let mut datagram = client.outgoing().remove(0);
    assert_eq!(
        server.handle(now, path(1), &mut datagram),
        Incoming::Data(vec![b"still here".to_vec()])
    );
}

#[test]
fn a_goodbye_closes_either_end() {
    let now = start();
    let (mut client, mut server) = connected(now, &BOTH);
    server.close(now);
    for datagram in control(&mut server) {
        client.take(now, &datagram);
    }
    assert!(client.closed);

    let (mut client, mut server) = connected(now, &BOTH);
    client.endpoint.stop(now, SERVER);
    for mut datagram in client.outgoing() {
        server.handle(now, path(1), &mut datagram);
    }
    assert_eq!(events(&mut server), [TransportEvent::Closed]);
    assert_eq!(
        server.handle(now, path(1), &mut check()),
        Incoming::Dropped(DropReason::Dead)
    );
}

#[test]
fn a_transport_that_is_never_reached_fails_in_the_end() {
    let now = start();
    let mut server = transport(now, &Identity::generate().unwrap(), Fingerprint([1; 32]));
    assert_eq!(server.next_deadline(), Some(now + HANDSHAKE_TIMEOUT));
    server.handle_timeout(now + HANDSHAKE_TIMEOUT - ms(1));
    assert_eq!(events(&mut server), []);
    server.handle_timeout(now + HANDSHAKE_TIMEOUT);
    assert_eq!(events(&mut server), [TransportEvent::Failed(FailReason::Timeout)]);
}
