//! One participant's transport: ICE-lite, DTLS and SRTP behind one sans-IO value.
//!
//! ```text
//!  datagram ─ demux ┬ STUN ─ ice ─ path, answer
//!                   ├ DTLS ─ dtls ─ keys, data
//!                   └ SRTP, SRTCP ─ srtp ─ plaintext in place
//! ```
//!
//! The owner (a shard) finds the transport of a datagram by its path, else by [`stun_local_ufrag`] and [`ufrag`], else
//! (SRTP from a new address, after a NAT rebinding) by SSRC; [`Transport::handle`] decides what is believed. After every
//! `handle`, `handle_timeout`, `send_data` or `close`: drain [`Transport::poll_transmit`] and [`Transport::poll_event`].
//! Media never brings [`Transport::next_deadline`] forward, only control packets do (a DTLS flight wants to be repeated):
//! ask for it again after a `handle` that was neither `Rtp` nor `Rtcp`, and when an armed timer fires.

mod binding;
mod config;
mod demux;
mod dtls;
mod dtls_guard;
mod event;
mod fingerprint;
mod ice;
mod identity;
mod srtp;
#[cfg(test)]
mod tests;
pub mod ufrag;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use config::{
    HANDSHAKE_TIMEOUT, IceCredentials, LOST_AFTER, MAX_SEAL_OVERHEAD, MAX_SSRCS, SEAL_WINDOW, SealError,
    TransportConfig,
};
pub use demux::stun_local_ufrag;
pub use event::{DropReason, FailReason, Incoming, TransportEvent};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use identity::{Identity, IdentityError};

use crypto::RTCCryptoProvider;
use crypto::providers::AwsLcRsProvider;
use demux::Protocol;
use dtls::{Dtls, DtlsEvent};
use ice::Ice;
use srtp::{Opened, Origin, Srtp};

use crate::budget::Budget;
use crate::types::Path;

/// Control packets and events that wait to be drained; more only pile up when the owner does not drain, and then the oldest
/// control packets are dropped (every protocol here repeats itself).
const MAX_QUEUED: usize = 64;

/// Packets from addresses that no check has validated that are tried: each costs a decryption that a forger gets for nothing.
/// A rebound NAT is heard within 20 ms, the beginning of its burst whole, and 50 decryptions are 0.01 ms of a second.
const UNKNOWN_PATHS: Budget = Budget::new(Duration::from_millis(20), 16);

/// STUN's HMAC comes from here; the provider is stateless.
static PROVIDER: AwsLcRsProvider = AwsLcRsProvider::new();

/// How a connected transport is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    /// Not connected yet.
    Connecting,
    Connected,
    Lost,
    /// Failed or closed.
    Dead,
}

/// One participant's transport.
pub struct Transport {
    ice: Ice,
    dtls: Dtls,
    srtp: Option<Box<Srtp>>,
    health: Health,
    made: Instant,
    /// The last authenticated packet of any kind.
    heard: Instant,
    unknown_paths: Budget,
    transmits: VecDeque<(Path, Vec<u8>)>,
    events: VecDeque<TransportEvent>,
}

impl Transport {
    /// A transport that waits for the peer's first check.
    pub fn new(config: TransportConfig, identity: &Identity, now: Instant) -> Self {
        Self {
            ice: Ice::new(config.local, config.remote),
            dtls: Dtls::new(identity, config.remote_fingerprint),
            srtp: None,
            health: Health::Connecting,
            made: now,
            heard: now,
            unknown_paths: UNKNOWN_PATHS,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Takes one datagram. RTP and RTCP are opened in place: the plaintext is `datagram[..len]`. A datagram that is
    /// dropped is left in an unspecified state.
    pub fn handle(&mut self, now: Instant, path: Path, datagram: &mut [u8]) -> Incoming {
        if self.health == Health::Dead {
            return Incoming::Dropped(DropReason::Dead);
        }
        let outcome = match demux::classify(datagram) {
            Protocol::Rtp => self.open(now, path, datagram, false),
            Protocol::Rtcp => self.open(now, path, datagram, true),
            Protocol::Stun => self.handle_stun(now, path, datagram),
            Protocol::Dtls => self.handle_dtls(now, path, datagram),
            Protocol::Unknown => Err(DropReason::Unknown),
        };
        outcome.unwrap_or_else(Incoming::Dropped)
    }

    fn open(&mut self, now: Instant, path: Path, datagram: &mut [u8], rtcp: bool) -> Result<Incoming, DropReason> {
        let srtp = self.srtp.as_mut().ok_or(DropReason::TooEarly)?;
        let origin = if self.ice.is_valid(&path) {
            Origin::Valid
        } else if self.unknown_paths.take(now) {
            Origin::Unknown
        } else {
            return Err(DropReason::UnknownPath);
        };
        let Opened { len, index, newer } = if rtcp {
            srtp.inbound.open_rtcp(datagram, origin)?
        } else {
            srtp.inbound.open_rtp(datagram, origin)?
        };
        self.alive(now);
        if self.ice.authentic(now, path, newer) {
            self.push_event(TransportEvent::PathChanged(path));
        }
        Ok(if rtcp {
            Incoming::Rtcp { len }
        } else {
            Incoming::Rtp { len, index }
        })
    }

    fn handle_stun(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<Incoming, DropReason> {
        let checked = self.ice.check(PROVIDER.crypto(), now, path, datagram)?;
        self.transmit(path, checked.answer);
        self.alive(now);
        if checked.moved {
            self.push_event(TransportEvent::PathChanged(path));
        }
        Ok(Incoming::Nothing)
    }

    fn handle_dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<Incoming, DropReason> {
        if !self.ice.is_valid(&path) {
            return Err(DropReason::UnknownPath);
        }
        let mut events = Vec::new();
        let outcome = self.dtls.handle(now, datagram, &mut events);
        let mut data = Vec::new();
        for event in events {
            match event {
                DtlsEvent::Connected(srtp) => {
                    self.srtp = Some(srtp);
                    self.health = Health::Connected;
                    self.alive(now);
                    self.push_event(TransportEvent::Connected);
                }
                DtlsEvent::Data(packet) => {
                    self.alive(now);
                    data.push(packet);
                }
                DtlsEvent::Closed => self.end(TransportEvent::Closed),
                DtlsEvent::Failed(reason) => self.end(TransportEvent::Failed(reason)),
            }
        }
        self.send_dtls(path);
        outcome?;
        Ok(if data.is_empty() {
            Incoming::Nothing
        } else {
            Incoming::Data(data)
        })
    }

    /// Sends what DTLS wants sent: on the current path, or where the datagram came from.
    fn send_dtls(&mut self, fallback: Path) {
        let path = self.ice.current().unwrap_or(fallback);
        while let Some(datagram) = self.dtls.poll_transmit() {
            self.transmit(path, datagram);
        }
    }

    fn transmit(&mut self, path: Path, datagram: Vec<u8>) {
        if self.transmits.len() >= MAX_QUEUED {
            self.transmits.pop_front();
        }
        self.transmits.push_back((path, datagram));
    }

    fn push_event(&mut self, event: TransportEvent) {
        if self.events.len() >= MAX_QUEUED {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// An authenticated packet has come.
    fn alive(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
        if self.health == Health::Lost {
            self.health = Health::Connected;
            self.push_event(TransportEvent::Recovered);
        }
    }

    fn end(&mut self, event: TransportEvent) {
        self.health = Health::Dead;
        self.srtp = None;
        self.push_event(event);
    }

    /// For the fuzzer: as if a check had come this way.
    #[cfg(feature = "fuzzing")]
    pub fn believe(&mut self, now: Instant, path: Path) {
        self.ice.believe(now, path);
    }

    /// For the fuzzer: as if the handshake were done, with keys that everybody knows.
    #[cfg(feature = "fuzzing")]
    pub fn connect_unproven(&mut self, now: Instant, path: Path) {
        let profile = srtp::Profile::AeadAes128Gcm;
        let keys = vec![7; profile.exported_len()];
        if let (false, Ok(srtp)) = (self.is_connected(), Srtp::server(PROVIDER.crypto(), profile, &keys)) {
            self.believe(now, path);
            self.srtp = Some(Box::new(srtp));
            self.health = Health::Connected;
            self.heard = now;
            self.push_event(TransportEvent::Connected);
        }
    }

    /// For the simulator: a connected transport goes on without ciphers.
    #[cfg(feature = "simulation")]
    pub fn go_plain(&mut self) {
        if let Some(srtp) = &mut self.srtp {
            srtp.inbound.set_plain();
            srtp.outbound.set_plain();
        }
    }

    /// Seals `packet[..len]`, an RTP packet, in place and returns the length to send; `packet` has
    /// [`MAX_SEAL_OVERHEAD`] bytes of room behind `len`. `index` is the extended sequence number: roll-over counter << 16
    /// | the header's sequence number; the caller starts an SSRC at roll-over counter 0. Each (SSRC, index) is sealed at
    /// most once, in any order within the last [`SEAL_WINDOW`] indices: a retransmission goes out as RTX, or not at all.
    ///
    /// # Errors
    /// The packet must not be sent, and is in an unspecified state.
    pub fn seal_rtp(&mut self, packet: &mut [u8], len: usize, index: u64) -> Result<usize, SealError> {
        self.srtp
            .as_mut()
            .ok_or(SealError::NotConnected)?
            .outbound
            .seal_rtp(packet, len, index)
    }

    /// Seals `packet[..len]`, a compound RTCP packet, in place and returns the length to send; room as in `seal_rtp`.
    ///
    /// # Errors
    /// The packet must not be sent, and is in an unspecified state.
    pub fn seal_rtcp(&mut self, packet: &mut [u8], len: usize) -> Result<usize, SealError> {
        self.srtp
            .as_mut()
            .ok_or(SealError::NotConnected)?
            .outbound
            .seal_rtcp(packet, len)
    }

    /// Sends one SCTP packet as DTLS application data.
    ///
    /// # Errors
    /// [`SealError::NotConnected`].
    pub fn send_data(&mut self, now: Instant, data: &[u8]) -> Result<(), SealError> {
        let path = self.ice.current().ok_or(SealError::NotConnected)?;
        if !self.dtls.send(now, data) {
            return Err(SealError::NotConnected);
        }
        self.send_dtls(path);
        Ok(())
    }

    /// The next control packet to send: STUN answers and DTLS. RTP and RTCP are the caller's to send, to [`Self::path`].
    pub fn poll_transmit(&mut self) -> Option<(Path, Vec<u8>)> {
        self.transmits.pop_front()
    }

    /// What has happened since the last call.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        self.events.pop_front()
    }

    /// Where packets to the peer go; `None` before the first authentic check.
    pub fn path(&self) -> Option<Path> {
        self.ice.current()
    }

    /// Whether a check has validated this path (and it has not been forgotten since).
    pub fn owns_path(&self, path: &Path) -> bool {
        self.ice.is_valid(path)
    }

    /// The valid paths, the current one among them: keys of the owner's table from path to transport.
    pub fn valid_paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.ice.valid_paths()
    }

    /// Whether packets can be sealed and opened.
    pub fn is_connected(&self) -> bool {
        self.srtp.is_some()
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.health {
            Health::Connecting => {
                let end = self.made + HANDSHAKE_TIMEOUT;
                Some(self.dtls.next_deadline().map_or(end, |dtls| dtls.min(end)))
            }
            Health::Connected => Some(self.heard + LOST_AFTER),
            Health::Lost | Health::Dead => None,
        }
    }

    /// Does what is due at `now`: DTLS retransmissions, the end of a handshake that never ends, loss detection.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.health {
            Health::Connecting if now >= self.made + HANDSHAKE_TIMEOUT => {
                self.end(TransportEvent::Failed(FailReason::Timeout));
            }
            Health::Connecting => {
                self.dtls.handle_timeout(now);
                if let Some(path) = self.ice.current() {
                    self.send_dtls(path);
                }
            }
            Health::Connected if now >= self.heard + LOST_AFTER => {
                self.health = Health::Lost;
                self.push_event(TransportEvent::Lost);
            }
            _ => {}
        }
    }

    /// New credentials for both sides (RFC 8445 §9). Paths and keys stay; checks with the old credentials are answered
    /// until the first authentic check with the new ones.
    pub fn restart_ice(&mut self, local: IceCredentials, remote: IceCredentials) {
        self.ice.restart(local, remote);
    }

    /// Ends the association with a close_notify; drain `poll_transmit` once more, then drop the transport.
    pub fn close(&mut self, now: Instant) {
        if self.health == Health::Dead {
            return;
        }
        self.dtls.close(now);
        if let Some(path) = self.ice.current() {
            self.send_dtls(path);
        }
        self.health = Health::Dead;
        self.srtp = None;
    }
}
