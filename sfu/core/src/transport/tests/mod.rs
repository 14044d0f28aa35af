//! The transport against a client made of the DTLS library's client side, in memory and in made-up time.

#![allow(clippy::disallowed_types)] // the library's client takes an `Arc`

mod dtls;
mod ice;
mod media;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::dtls::config::ConfigBuilder;
use ::dtls::crypto::Certificate;
use ::dtls::endpoint::{Endpoint, EndpointEvent};
use ::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use bytes::BytesMut;
use crypto::{RTCCrypto, RTCCryptoProvider};
use shared::TransportProtocol;
use stun::attributes::{
    ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, AttrType,
};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{BINDING_REQUEST, Message, Setter, TransactionId};
use stun::textattrs::TextAttribute;

use super::srtp::Profile;
use super::*;

pub(super) const BOTH: [SrtpProtectionProfile; 2] = [
    SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
    SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
];
pub(super) const ONLY_SHA1: [SrtpProtectionProfile; 1] = [SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80];

pub(super) fn crypto() -> &'static dyn RTCCrypto {
    PROVIDER.crypto()
}

/// The sans-IO core never asks the clock; a test has to begin somewhere.
#[allow(clippy::disallowed_methods)]
pub(super) fn start() -> Instant {
    Instant::now()
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn path(port: u16) -> Path {
    Path::Udp {
        local: ([10, 0, 0, 1], 4000).into(),
        remote: ([192, 0, 2, 7], port).into(),
    }
}

pub(super) fn ours() -> IceCredentials {
    IceCredentials {
        ufrag: "ours".into(),
        pwd: "our password that is long".into(),
    }
}

pub(super) fn theirs() -> IceCredentials {
    IceCredentials {
        ufrag: "their".into(),
        pwd: "their password that is long".into(),
    }
}

/// How a check is made.
pub(super) struct CheckSpec<'a> {
    pub(super) username: &'a str,
    pub(super) pwd: &'a str,
    pub(super) nominate: bool,
    pub(super) controlled: bool,
    pub(super) extra: Option<AttrType>,
}

impl Default for CheckSpec<'_> {
    fn default() -> Self {
        Self {
            username: "ours:their",
            pwd: "our password that is long",
            nominate: false,
            controlled: false,
            extra: None,
        }
    }
}

impl CheckSpec<'_> {
    pub(super) fn build(&self) -> Vec<u8> {
        let mut message = Message::new();
        message.write_header();
        TransactionId([7; 12]).add_to(&mut message).unwrap();
        BINDING_REQUEST.add_to(&mut message).unwrap();
        TextAttribute::new(ATTR_USERNAME, self.username.to_owned())
            .add_to(&mut message)
            .unwrap();
        message.add(ATTR_PRIORITY, &[0x6e, 0, 1, 0xff]);
        message.add(
            if self.controlled {
                ATTR_ICE_CONTROLLED
            } else {
                ATTR_ICE_CONTROLLING
            },
            &[1; 8],
        );
        if self.nominate {
            message.add(ATTR_USE_CANDIDATE, &[]);
        }
        if let Some(extra) = self.extra {
            message.add(extra, &[1, 2, 3]);
        }
        MessageIntegrity::new_raw_integrity_with_provider(self.pwd.as_bytes(), crypto())
            .add_to(&mut message)
            .unwrap();
        FINGERPRINT.add_to(&mut message).unwrap();
        message.raw
    }
}

pub(super) fn check() -> Vec<u8> {
    CheckSpec::default().build()
}

pub(super) fn nomination() -> Vec<u8> {
    CheckSpec {
        nominate: true,
        ..CheckSpec::default()
    }
    .build()
}

/// A DTLS client with a certificate of its own.
pub(super) struct Client {
    pub(super) endpoint: Endpoint,
    pub(super) srtp: Option<Srtp>,
    pub(super) closed: bool,
}

pub(super) struct ClientCertificate {
    certificate: Certificate,
    pub(super) fingerprint: Fingerprint,
}

impl ClientCertificate {
    pub(super) fn generate() -> Self {
        let certificate = Certificate::generate_self_signed(vec!["client".to_owned()], crypto()).unwrap();
        let fingerprint = identity::fingerprint_of(crypto(), certificate.certificate[0].as_ref()).unwrap();
        Self {
            certificate,
            fingerprint,
        }
    }
}

const SERVER: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 4000);

impl Client {
    pub(super) fn connect(now: Instant, certificate: &ClientCertificate, profiles: &[SrtpProtectionProfile]) -> Self {
        let config = ConfigBuilder::default()
            .with_crypto_provider(Arc::new(AwsLcRsProvider::new()))
            .with_certificates(vec![certificate.certificate.clone()])
            .with_srtp_protection_profiles(profiles.to_vec())
            .with_insecure_skip_verify(true)
            .build(true, Some(SERVER))
            .unwrap();
        let mut endpoint = Endpoint::new(([192, 0, 2, 7], 1).into(), TransportProtocol::UDP, None);
        endpoint.connect(now, SERVER, Arc::new(config), None).unwrap();
        Self {
            endpoint,
            srtp: None,
            closed: false,
        }
    }

    pub(super) fn outgoing(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.endpoint.poll_transmit())
            .map(|t| t.message.to_vec())
            .collect()
    }

    /// Takes a datagram; `false` when the library refuses it.
    pub(super) fn take(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let Ok(events) = self.endpoint.read(now, SERVER, None, BytesMut::from(datagram)) else {
            return false;
        };
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => {
                    let state = self.endpoint.get_connection_state(SERVER).unwrap();
                    let profile = match state.srtp_protection_profile() {
                        SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Profile::AeadAes128Gcm,
                        _ => Profile::Aes128CmHmacSha1_80,
                    };
                    let keys = state
                        .export_keying_material("EXTRACTOR-dtls_srtp", &[], profile.exported_len())
                        .unwrap();
                    self.srtp = Some(Srtp::client(crypto(), profile, keys.as_ref()).unwrap());
                }
                EndpointEvent::PeerClosed => self.closed = true,
                _ => {}
            }
        }
        true
    }

    pub(super) fn write(&mut self, now: Instant, data: &[u8]) {
        self.endpoint.write(now, SERVER, data).unwrap();
    }
}

pub(super) fn transport(now: Instant, identity: &Identity, fingerprint: Fingerprint) -> Transport {
    let config = TransportConfig {
        local: ours(),
        remote: theirs(),
        remote_fingerprint: fingerprint,
    };
    Transport::new(config, identity, now)
}

pub(super) fn control(transport: &mut Transport) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| transport.poll_transmit())
        .map(|(_, datagram)| datagram)
        .collect()
}

pub(super) fn events(transport: &mut Transport) -> Vec<TransportEvent> {
    std::iter::from_fn(|| transport.poll_event()).collect()
}

/// Carries datagrams both ways until both are quiet; `lose` is asked for each datagram.
pub(super) fn exchange(
    now: Instant,
    client: &mut Client,
    server: &mut Transport,
    mut lose: impl FnMut(bool, &[u8]) -> bool,
) {
    for _ in 0..20 {
        let up = client.outgoing();
        let quiet = up.is_empty();
        for mut datagram in up {
            if !lose(true, &datagram) {
                server.handle(now, path(1), &mut datagram);
            }
        }
        let down = control(server);
        if quiet && down.is_empty() {
            return;
        }
        for datagram in down {
            if classify(&datagram) == Protocol::Dtls && !lose(false, &datagram) {
                client.take(now, &datagram);
            }
        }
    }
}

pub(super) use demux::classify;

/// A connected pair.
pub(super) fn connected(now: Instant, profiles: &[SrtpProtectionProfile]) -> (Client, Transport) {
    let identity = Identity::generate().unwrap();
    let certificate = ClientCertificate::generate();
    let mut server = transport(now, &identity, certificate.fingerprint);
    assert_eq!(server.handle(now, path(1), &mut nomination()), Incoming::Nothing);
    let mut client = Client::connect(now, &certificate, profiles);
    exchange(now, &mut client, &mut server, |_, _| false);
    assert_eq!(
        events(&mut server),
        [TransportEvent::PathChanged(path(1)), TransportEvent::Connected]
    );
    assert!(client.srtp.is_some());
    (client, server)
}
