//! The DTLS association, server side: the only file that drives the DTLS library, so that another can take its place.
//!
//! The association is keyed by one fixed pseudo address, because it outlives every path. Retransmission is ours: the
//! library disarms its timer whenever any handshake record arrives, even one that does not advance the handshake, and
//! then a lost flight is never sent again.

#![allow(clippy::disallowed_types)] // see identity.rs

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use crypto::RTCCryptoProvider;
use dtls::config::HandshakeConfig;
use dtls::endpoint::{Endpoint, EndpointEvent};
use dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use shared::TransportProtocol;
use shared::error::Error;

use super::dtls_guard::Guard;
use super::identity::fingerprint_of;
use super::srtp::{Profile, Srtp};
use super::{DropReason, FailReason, Fingerprint, Identity};

/// The label of RFC 5764 §4.2.
const EXPORTER: &str = "EXTRACTOR-dtls_srtp";

/// The peer, as the library knows it.
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// The first wait before a flight is sent again; each next one is twice as long (RFC 6347 §4.2.4.1).
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(400);

/// How often one flight is sent again: 0.4, 0.8, 1.6, 3.2, 6.4 s.
const MAX_RETRANSMISSIONS: u32 = 5;

/// What happened.
#[derive(Debug)]
pub(crate) enum DtlsEvent {
    /// The peer is who its SDP says; these are the keys.
    Connected(Box<Srtp>),
    /// Application data.
    Data(Vec<u8>),
    /// The peer closed the association.
    Closed,
    /// It failed for good.
    Failed(FailReason),
}

impl std::fmt::Debug for Srtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Srtp") // keys are not for logs
    }
}

enum State {
    Handshake {
        /// Clear handshake records so far, for a second try with the other profile; gone once the first flight is out.
        hello: Option<Vec<Vec<u8>>>,
        /// The last flight sent, and when it is sent again.
        flight: Vec<Vec<u8>>,
        sent: u32,
        again: Option<Instant>,
    },
    Established,
    Dead,
}

/// One association.
pub(crate) struct Dtls {
    endpoint: Endpoint,
    fallback: Option<Arc<HandshakeConfig>>,
    provider: Arc<dyn RTCCryptoProvider>,
    peer: Fingerprint,
    guard: Guard,
    state: State,
    transmits: VecDeque<Vec<u8>>,
}

impl Dtls {
    pub(crate) fn new(identity: &Identity, peer: Fingerprint) -> Self {
        Self {
            endpoint: endpoint(&identity.gcm),
            fallback: Some(Arc::clone(&identity.sha1)),
            provider: Arc::clone(&identity.provider),
            peer,
            guard: Guard::default(),
            state: State::Handshake {
                hello: Some(Vec::new()),
                flight: Vec::new(),
                sent: 0,
                again: None,
            },
            transmits: VecDeque::new(),
        }
    }

    /// Takes one datagram; what happened goes to `events`. An error means that nothing in it was of use.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        datagram: &[u8],
        events: &mut Vec<DtlsEvent>,
    ) -> Result<(), DropReason> {
        let established = match self.state {
            State::Handshake { .. } => false,
            State::Established => true,
            State::Dead => return Err(DropReason::Dead),
        };
        let mut admitted = BytesMut::with_capacity(datagram.len());
        let state = &mut self.state;
        let split = self.guard.split(datagram, established, |record| {
            admitted.extend_from_slice(record.bytes);
            if let State::Handshake { hello: Some(hello), .. } = state
                && record.is_clear_handshake
            {
                hello.push(record.bytes.to_vec());
            }
        });
        if split == Err(DropReason::Limit) && !established {
            self.fail(FailReason::Flood, events);
            return Err(DropReason::Limit);
        }
        split?;
        let outcome = self.read(now, admitted, events);
        self.collect(now);
        outcome
    }

    fn read(&mut self, now: Instant, datagram: BytesMut, events: &mut Vec<DtlsEvent>) -> Result<(), DropReason> {
        match self.endpoint.read(now, PEER, None, datagram) {
            Ok(happened) => {
                let mut useful = matches!(self.state, State::Handshake { .. });
                for event in happened {
                    useful = true;
                    match event {
                        EndpointEvent::HandshakeComplete => self.complete(events),
                        EndpointEvent::ApplicationData(data) if matches!(self.state, State::Established) => {
                            events.push(DtlsEvent::Data(data.to_vec()));
                        }
                        EndpointEvent::PeerClosed if matches!(self.state, State::Established) => {
                            self.state = State::Dead;
                            events.push(DtlsEvent::Closed);
                        }
                        EndpointEvent::PeerClosed => self.fail(FailReason::Handshake, events),
                        _ => {}
                    }
                }
                if useful { Ok(()) } else { Err(DropReason::NotAuthentic) }
            }
            Err(Error::ErrServerNoMatchingSrtpProfile) => self.fall_back(now, events),
            Err(_) if matches!(self.state, State::Established) => {
                // Past the handshake the library only fails on what decrypted: a fatal alert, or nonsense from the peer.
                self.state = State::Dead;
                events.push(DtlsEvent::Closed);
                Ok(())
            }
            Err(_) => {
                self.fail(FailReason::Handshake, events);
                Err(DropReason::NotAuthentic)
            }
        }
    }

    /// The client has no AES-GCM for SRTP: the same ClientHello goes to an endpoint that offers the other profile.
    fn fall_back(&mut self, now: Instant, events: &mut Vec<DtlsEvent>) -> Result<(), DropReason> {
        let hello = match &mut self.state {
            State::Handshake { hello, .. } => hello.take(),
            _ => None,
        };
        let (Some(config), Some(hello)) = (self.fallback.take(), hello) else {
            self.fail(FailReason::NoCommonSrtpProfile, events);
            return Err(DropReason::NotAuthentic);
        };
        // The alert that the first endpoint has queued dies with it.
        self.endpoint = endpoint(&config);
        let mut outcome = Ok(());
        for record in hello {
            outcome = self.read(now, BytesMut::from(&record[..]), events);
        }
        outcome
    }

    /// The handshake is complete: is it the peer that the SDP named, and what are the keys?
    fn complete(&mut self, events: &mut Vec<DtlsEvent>) {
        match self.keys() {
            Ok(srtp) => {
                self.state = State::Established;
                events.push(DtlsEvent::Connected(Box::new(srtp)));
            }
            Err(reason) => self.fail(reason, events),
        }
    }

    fn keys(&self) -> Result<Srtp, FailReason> {
        let state = self.endpoint.get_connection_state(PEER).ok_or(FailReason::Handshake)?;
        let shown = state
            .peer_certificates
            .first()
            .and_then(|der| fingerprint_of(self.provider.crypto(), der));
        if shown != Some(self.peer) {
            return Err(FailReason::WrongFingerprint);
        }
        let profile = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Profile::AeadAes128Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Profile::Aes128CmHmacSha1_80,
            _ => return Err(FailReason::NoCommonSrtpProfile),
        };
        let exported = state
            .export_keying_material(EXPORTER, &[], profile.exported_len())
            .map_err(|_| FailReason::Handshake)?;
        Srtp::server(self.provider.crypto(), profile, exported.as_ref()).map_err(|_| FailReason::Handshake)
    }

    fn fail(&mut self, reason: FailReason, events: &mut Vec<DtlsEvent>) {
        if !matches!(self.state, State::Dead) {
            self.state = State::Dead;
            self.transmits.clear();
            events.push(DtlsEvent::Failed(reason));
        }
    }

    /// Takes what the library wants sent; a new flight of the handshake starts its own retransmissions.
    fn collect(&mut self, now: Instant) {
        let mut fresh = Vec::new();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            fresh.push(transmit.message.to_vec());
        }
        if fresh.is_empty() || matches!(self.state, State::Dead) {
            return;
        }
        if let State::Handshake {
            hello,
            flight,
            sent,
            again,
        } = &mut self.state
        {
            *hello = None;
            flight.clone_from(&fresh);
            *sent = 0;
            *again = Some(now + FIRST_RETRANSMISSION);
        }
        self.transmits.extend(fresh);
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Handshake { again, .. } => *again,
            _ => None,
        }
    }

    /// Sends the last flight again when it is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let State::Handshake {
            flight, sent, again, ..
        } = &mut self.state
        else {
            return;
        };
        if again.is_none_or(|due| now < due) {
            return;
        }
        *sent += 1;
        // Byte for byte: what the peer has already seen it drops as a replay, what it missed is new to it.
        self.transmits.extend(flight.iter().cloned());
        *again = (*sent < MAX_RETRANSMISSIONS).then(|| now + FIRST_RETRANSMISSION * (1 << *sent));
    }

    /// The next datagram to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// Sends application data; `false` when the association is not established.
    pub(crate) fn send(&mut self, now: Instant, data: &[u8]) -> bool {
        let sent = matches!(self.state, State::Established) && self.endpoint.write(now, PEER, data).is_ok();
        self.collect(now);
        sent
    }

    /// Says goodbye.
    pub(crate) fn close(&mut self, now: Instant) {
        if matches!(self.state, State::Established) {
            self.endpoint.stop(now, PEER);
            self.collect(now);
        }
        self.state = State::Dead;
    }
}

fn endpoint(config: &Arc<HandshakeConfig>) -> Endpoint {
    Endpoint::new(PEER, TransportProtocol::UDP, Some(Arc::clone(config)))
}
