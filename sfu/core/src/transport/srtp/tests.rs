//! SRTP against the RFCs' vectors, and as claims about forged, repeated and late packets.

use crypto::RTCCryptoProvider;
use crypto::providers::AwsLcRsProvider;
use proptest::prelude::*;

use super::cipher::Ciphers;
use super::keys::Master;
use super::packet::RtpHeader;
use super::*;
use crate::transport::{DropReason, MAX_SEAL_OVERHEAD, MAX_SSRCS, SealError};

const PROFILES: [Profile; 2] = [Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80];

fn pair(profile: Profile) -> (Srtp, Srtp) {
    let provider = AwsLcRsProvider::new();
    let exported: Vec<u8> = (0..profile.exported_len() as u8).map(|i| i.wrapping_mul(37)).collect();
    let client = Srtp::client(provider.crypto(), profile, &exported).unwrap();
    let server = Srtp::server(provider.crypto(), profile, &exported).unwrap();
    (client, server)
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 1, 0]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    packet
}

fn sealed_rtp(from: &mut Srtp, packet: &[u8], index: u64) -> Result<Vec<u8>, SealError> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + MAX_SEAL_OVERHEAD, 0);
    let len = from.outbound.seal_rtp(&mut buffer, packet.len(), index)?;
    buffer.truncate(len);
    Ok(buffer)
}

fn sealed_rtcp(from: &mut Srtp, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + MAX_SEAL_OVERHEAD, 0);
    let len = from.outbound.seal_rtcp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(len);
    buffer
}

fn open(to: &mut Srtp, packet: &[u8]) -> Result<Opened, DropReason> {
    to.inbound.open_rtp(&mut packet.to_vec(), Origin::Valid)
}

/// A vector of RFC 7714 has session keys, not master keys, so the ciphers are checked through a KDF that is checked on
/// its own (RFC 3711 B.3); this one covers KDF and AES-GCM framing together, made with libsrtp's published test key.
#[test]
fn an_aes_gcm_packet_of_another_implementation_opens_and_seals_to_the_same_bytes() {
    let key: [u8; 16] = std::array::from_fn(|i| i as u8);
    let salt: [u8; 12] = std::array::from_fn(|i| 0xa0 + i as u8);
    let plain: Vec<u8> = [
        &[0x80, 0x0f, 0x12, 0x34, 0xde, 0xca, 0xfb, 0xad, 0xca, 0xfe, 0xba, 0xbe][..],
        &[0xab; 16],
    ]
    .concat();
    let sealed: Vec<u8> = [
        &plain[..12],
        &[
            0xc5, 0x00, 0x2e, 0xde, 0x04, 0xcf, 0xdd, 0x2e, 0xb9, 0x11, 0x59, 0xe0, 0x88, 0x0a, 0xa0, 0x6e, 0xd2, 0x97,
            0x68, 0x26, 0xf7, 0x96, 0xb2, 0x01, 0xdf, 0x31, 0x31, 0xa1, 0x27, 0xe8, 0xa3, 0x92,
        ],
    ]
    .concat();
    check_vector(Profile::AeadAes128Gcm, &Master::new(&key, &salt), &plain, &sealed);
}

/// libsrtp's published vector for AES_CM_128_HMAC_SHA1_80 (the keys are those of RFC 3711 B.3).
#[test]
fn an_aes_counter_packet_of_another_implementation_opens_and_seals_to_the_same_bytes() {
    let key = [
        0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde, 0x41, 0x39,
    ];
    let salt = [
        0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab, 0xe6,
    ];
    let plain: Vec<u8> = [
        &[0x80, 0x0f, 0x12, 0x34, 0xde, 0xca, 0xfb, 0xad, 0xca, 0xfe, 0xba, 0xbe][..],
        &[0xab; 16],
    ]
    .concat();
    let sealed: Vec<u8> = [
        &plain[..12],
        &[
            0x4e, 0x55, 0xdc, 0x4c, 0xe7, 0x99, 0x78, 0xd8, 0x8c, 0xa4, 0xd2, 0x15, 0x94, 0x9d, 0x24, 0x02, 0xb7, 0x8d,
            0x6a, 0xcc, 0x99, 0xea, 0x17, 0x9b, 0x8d, 0xbb,
        ],
    ]
    .concat();
    check_vector(Profile::Aes128CmHmacSha1_80, &Master::new(&key, &salt), &plain, &sealed);
}

fn check_vector(profile: Profile, master: &Master, plain: &[u8], sealed: &[u8]) {
    let provider = AwsLcRsProvider::new();
    let mut ciphers = Ciphers::new(provider.crypto(), profile, master).unwrap();
    let header = RtpHeader::parse(plain).unwrap();
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + MAX_SEAL_OVERHEAD, 0);
    let len = ciphers.seal_rtp(&mut buffer, plain.len(), header, 0x1234).unwrap();
    assert_eq!(&buffer[..len], sealed);
    let mut buffer = sealed.to_vec();
    let len = ciphers.open_rtp(&mut buffer, header, 0x1234).unwrap();
    assert_eq!(&buffer[..len], plain);
}

#[test]
fn a_packet_index_is_sealed_at_most_once() {
    for profile in PROFILES {
        let (_, mut server) = pair(profile);
        let packet = rtp(1, 7, b"x");
        assert!(sealed_rtp(&mut server, &packet, 7).is_ok());
        assert_eq!(
            sealed_rtp(&mut server, &packet, 7),
            Err(SealError::IndexUsed),
            "the same bytes again"
        );
        assert_eq!(
            sealed_rtp(&mut server, &rtp(1, 7, b"y"), 7),
            Err(SealError::IndexUsed),
            "other bytes"
        );
        assert!(sealed_rtp(&mut server, &packet, 0x1_0007).is_ok(), "the next roll-over");
        assert_eq!(
            sealed_rtp(&mut server, &rtp(1, 8, b"x"), 8),
            Err(SealError::IndexUsed),
            "too old to tell"
        );
        assert!(sealed_rtp(&mut server, &rtp(2, 7, b"x"), 7).is_ok(), "another stream");
        assert!(
            sealed_rtp(&mut server, &rtp(1, 5, b"x"), 0x1_0005).is_ok(),
            "late but fresh"
        );
    }
}

#[test]
fn an_index_that_is_not_the_packets_own_is_refused() {
    let (_, mut server) = pair(Profile::AeadAes128Gcm);
    assert_eq!(
        sealed_rtp(&mut server, &rtp(1, 7, b"x"), 8),
        Err(SealError::IndexMismatch)
    );
    assert_eq!(
        sealed_rtp(&mut server, &rtp(1, 7, b"x"), 1 << 48 | 7),
        Err(SealError::IndexMismatch)
    );
    assert_eq!(
        server.outbound.seal_rtp(&mut rtp(1, 7, b"x"), 13, 7),
        Err(SealError::NoRoom)
    );
    assert_eq!(sealed_rtp(&mut server, &[0x80; 11], 7), Err(SealError::Malformed));
}

#[test]
fn streams_beyond_the_cap_are_refused_when_sealing_and_when_opening() {
    let (mut client, mut server) = pair(Profile::AeadAes128Gcm);
    for ssrc in 0..MAX_SSRCS as u32 {
        let packet = sealed_rtp(&mut client, &rtp(ssrc, 1, b"x"), 1).unwrap();
        assert!(open(&mut server, &packet).is_ok());
    }
    assert_eq!(
        sealed_rtp(&mut client, &rtp(u32::MAX, 1, b"x"), 1),
        Err(SealError::TooManyStreams)
    );
    let (mut other, _) = pair(Profile::AeadAes128Gcm);
    let packet = sealed_rtp(&mut other, &rtp(u32::MAX, 1, b"x"), 1).unwrap();
    assert_eq!(open(&mut server, &packet), Err(DropReason::Limit));
    assert_eq!(server.inbound.streams(), MAX_SSRCS);
}

#[test]
fn a_replayed_packet_is_dropped_and_a_late_one_is_taken_once() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        let packets: Vec<_> = (0..4u16)
            .map(|i| sealed_rtp(&mut client, &rtp(9, i, b"x"), u64::from(i)).unwrap())
            .collect();
        assert!(open(&mut server, &packets[0]).unwrap().newer);
        assert!(open(&mut server, &packets[3]).unwrap().newer);
        assert!(!open(&mut server, &packets[1]).unwrap().newer);
        assert_eq!(open(&mut server, &packets[1]), Err(DropReason::Replayed));
        assert_eq!(open(&mut server, &packets[3]), Err(DropReason::Replayed));
    }
}

#[test]
fn one_forged_packet_does_not_silence_the_stream_nor_leave_a_trace() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        let first = sealed_rtp(&mut client, &rtp(9, 100, b"x"), 100).unwrap();
        assert!(open(&mut server, &first).is_ok());
        // Far ahead, so that a window moved before authentication would make everything after it "too old".
        for sequence in [101, 8_000, 32_000, 60_000] {
            let forged = rtp(9, sequence, &[0x5a; 60]);
            assert!(matches!(
                open(&mut server, &forged),
                Err(DropReason::NotAuthentic | DropReason::Replayed)
            ));
        }
        for ssrc in 1_000..3_000 {
            assert_eq!(
                open(&mut server, &rtp(ssrc, 1, &[0; 60])),
                Err(DropReason::NotAuthentic)
            );
            assert_eq!(
                server.inbound.open_rtcp(&mut sealed_lookalike(ssrc), Origin::Valid),
                Err(DropReason::NotAuthentic)
            );
        }
        assert_eq!(server.inbound.streams(), 1, "state only for authentic packets");
        for i in 101..8_101u64 {
            let packet = sealed_rtp(&mut client, &rtp(9, i as u16, b"x"), i).unwrap();
            assert_eq!(open(&mut server, &packet).map(|o| o.index), Ok(i));
        }
    }
}

fn sealed_lookalike(ssrc: u32) -> Vec<u8> {
    let mut packet = rtcp(ssrc);
    packet.extend([0x80; 30]);
    packet
}

#[test]
fn a_report_that_claims_not_to_be_encrypted_is_refused() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        let sealed = sealed_rtcp(&mut client, &rtcp(5));
        let at = match profile {
            Profile::AeadAes128Gcm => sealed.len() - 4,
            Profile::Aes128CmHmacSha1_80 => sealed.len() - 14,
        };
        let mut clear = sealed.clone();
        clear[at] &= 0x7f;
        assert_eq!(
            server.inbound.open_rtcp(&mut clear, Origin::Valid),
            Err(DropReason::NotAuthentic)
        );
        // The attack itself: plain reports with an index behind them, E = 0, no valid tag.
        let mut forged = rtcp(5);
        forged.extend([0; 20]);
        assert_eq!(
            server.inbound.open_rtcp(&mut forged, Origin::Valid),
            Err(DropReason::NotAuthentic)
        );
        let mut sealed = sealed;
        let opened = server.inbound.open_rtcp(&mut sealed, Origin::Valid).unwrap();
        assert_eq!(&sealed[..opened.len], rtcp(5));
    }
}

#[test]
fn a_replayed_report_is_dropped() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        let sealed = sealed_rtcp(&mut client, &rtcp(5));
        assert!(server.inbound.open_rtcp(&mut sealed.clone(), Origin::Valid).is_ok());
        assert_eq!(
            server.inbound.open_rtcp(&mut sealed.clone(), Origin::Valid),
            Err(DropReason::Replayed)
        );
    }
}

#[test]
fn from_an_unknown_address_only_newer_packets_of_known_streams_are_taken() {
    let (mut client, mut server) = pair(Profile::AeadAes128Gcm);
    let packets: Vec<_> = (0..4u16)
        .map(|i| sealed_rtp(&mut client, &rtp(9, i, b"x"), u64::from(i)).unwrap())
        .collect();
    let unknown = |server: &mut Srtp, i: usize| server.inbound.open_rtp(&mut packets[i].clone(), Origin::Unknown);
    assert_eq!(unknown(&mut server, 0), Err(DropReason::UnknownPath));
    assert!(open(&mut server, &packets[2]).is_ok());
    assert_eq!(unknown(&mut server, 1), Err(DropReason::UnknownPath));
    assert_eq!(unknown(&mut server, 3).map(|o| o.newer), Ok(true));
}

#[test]
fn the_roll_over_counter_is_followed_for_three_rounds() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        for index in (65_000..200_000u64).step_by(50) {
            let packet = sealed_rtp(&mut client, &rtp(9, index as u16, b"x"), index).unwrap();
            assert_eq!(open(&mut server, &packet).map(|o| o.index), Ok(index));
        }
    }
}

fn any_rtp() -> impl Strategy<Value = Vec<u8>> {
    (
        0u8..16,
        prop::option::of(0u16..4),
        any::<u16>(),
        any::<u32>(),
        prop::collection::vec(any::<u8>(), 0..200),
    )
        .prop_map(|(csrcs, extension, sequence, ssrc, payload)| {
            let mut packet = rtp(ssrc, sequence, &[]);
            packet[0] |= csrcs;
            packet.extend(std::iter::repeat_n(0xC5, 4 * usize::from(csrcs)));
            if let Some(words) = extension {
                packet[0] |= 0x10;
                packet.extend([0xbe, 0xde]);
                packet.extend(words.to_be_bytes());
                packet.extend(std::iter::repeat_n(0xE7, 4 * usize::from(words)));
            }
            packet.extend(payload);
            packet
        })
}

proptest! {
    #[test]
    fn what_one_end_seals_the_other_opens_and_any_flipped_bit_is_refused(
        packet in any_rtp(), gcm: bool, flip in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let (mut client, mut server) = pair(if gcm { PROFILES[0] } else { PROFILES[1] });
        let index = u64::from(RtpHeader::parse(&packet).unwrap().sequence);
        let sealed = sealed_rtp(&mut client, &packet, index).unwrap();
        let mut flipped = sealed.clone();
        flipped[flip.index(sealed.len())] ^= 1 << bit;
        prop_assert!(open(&mut server, &flipped).is_err());
        let mut opened = sealed;
        let len = server.inbound.open_rtp(&mut opened, Origin::Valid).unwrap().len;
        prop_assert_eq!(&opened[..len], &packet[..]);
    }

    #[test]
    fn reports_travel_and_any_flipped_bit_is_refused(
        ssrc: u32, gcm: bool, flip in any::<prop::sample::Index>(), bit in 0u8..8, first: bool,
    ) {
        let (mut client, mut server) = pair(if gcm { PROFILES[0] } else { PROFILES[1] });
        if !first {
            sealed_rtcp(&mut client, &rtcp(1));
        }
        let sealed = sealed_rtcp(&mut client, &rtcp(ssrc));
        let mut flipped = sealed.clone();
        flipped[flip.index(sealed.len())] ^= 1 << bit;
        prop_assert!(server.inbound.open_rtcp(&mut flipped, Origin::Valid).is_err());
        let mut opened = sealed;
        let len = server.inbound.open_rtcp(&mut opened, Origin::Valid).unwrap().len;
        prop_assert_eq!(&opened[..len], &rtcp(ssrc)[..]);
    }

    #[test]
    fn arbitrary_bytes_are_never_opened_and_never_panic(mut packet in prop::collection::vec(any::<u8>(), 0..80), gcm: bool) {
        let (_, mut server) = pair(if gcm { PROFILES[0] } else { PROFILES[1] });
        prop_assert!(server.inbound.open_rtp(&mut packet, Origin::Valid).is_err());
        prop_assert!(server.inbound.open_rtcp(&mut packet, Origin::Valid).is_err());
        let len = packet.len();
        let _ = server.outbound.seal_rtp(&mut packet, len.saturating_sub(20), 0);
        let _ = server.outbound.seal_rtcp(&mut packet, len.saturating_sub(20));
    }
}
