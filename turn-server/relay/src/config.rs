//! What a relay is told at its start.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use turn_server::Quota;
use turn_server::credential::Credentials;

use crate::Policy;

/// A listener for TLS.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// Where.
    pub listen: SocketAddr,
    /// PEM file of the certificate chain.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

/// Settings.
#[derive(Clone)]
pub struct Options {
    /// Address and port for clients, UDP and TCP; port 0 takes a free one.
    pub listen: SocketAddr,
    /// TLS besides.
    pub tls: Option<TlsOptions>,
    /// Addresses that relayed ports are opened on, one of each family at most.
    pub relay: Vec<IpAddr>,
    /// The address that clients are told instead, behind a NAT: one of each family at most.
    pub advertise: Vec<IpAddr>,
    /// Relayed ports.
    pub ports: RangeInclusive<u16>,
    /// REALM.
    pub realm: String,
    /// Who may allocate.
    pub credentials: Credentials,
    /// Whom they may reach.
    pub policy: Policy,
    /// How many allocations there may be.
    pub quota: Quota,
}

/// Why a relay cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is not to be had.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// Which one.
        listen: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A certificate.
    #[error("{}: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nobody could use it.
    #[error("nobody could use this relay: give it a shared secret, or users with passwords")]
    Nobody,
    /// No address to relay from.
    #[error("give the address that relayed ports are opened on, for example 203.0.113.7: it cannot be guessed")]
    NoAddress,
}
