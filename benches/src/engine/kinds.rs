//! The two kinds of client behind one face: str0m for volume, the `webrtc` crate for fidelity.

use std::net::{IpAddr, SocketAddr};

use crate::scenario::{ClientKind, Codec};

use super::connection::{self, Connection, ConnectionError, Lines, Wanted};
use super::fidelity;

/// A connection that has offered.
pub enum Offered {
    /// str0m.
    Volume(Box<connection::Offered>),
    /// The `webrtc` crate.
    Fidelity(Box<fidelity::Peer>),
}

/// A connection that both sides have described.
pub enum Negotiated {
    /// str0m.
    Volume(Box<Connection>),
    /// The `webrtc` crate.
    Fidelity(Box<fidelity::Peer>),
}

/// Makes a connection and its offer.
///
/// # Errors
/// [`ConnectionError`].
pub async fn offer(bind: IpAddr, wanted: Wanted<'_>) -> Result<(Offered, String), ConnectionError> {
    Ok(match wanted.client {
        ClientKind::Str0m => {
            let (offered, sdp) = connection::offer(bind, wanted)?;
            (Offered::Volume(Box::new(offered)), sdp)
        }
        ClientKind::Webrtc => {
            let (peer, sdp) = fidelity::offer(bind, wanted).await?;
            (Offered::Fidelity(Box::new(peer)), sdp)
        }
    })
}

/// Answers a server's offer to a viewer; str0m only.
///
/// # Errors
/// [`ConnectionError`].
pub fn answer(
    bind: IpAddr,
    offer: &str,
    codec: Codec,
    through: Option<SocketAddr>,
) -> Result<(Negotiated, String), ConnectionError> {
    let (connection, answer) = connection::answer(bind, offer, codec, through)?;
    Ok((Negotiated::Volume(Box::new(connection)), answer))
}

impl Offered {
    /// The m-lines, to name them to the server.
    pub fn lines(&self) -> Lines {
        match self {
            Self::Volume(offered) => offered.lines(),
            Self::Fidelity(peer) => peer.lines().clone(),
        }
    }

    /// Takes the server's answer; with `through`, the server is reached by that address instead of its own.
    ///
    /// # Errors
    /// [`ConnectionError::Lacks`] when the server does not do what is wanted, else another.
    pub async fn answered(self, answer: &str, through: Option<SocketAddr>) -> Result<Negotiated, ConnectionError> {
        Ok(match self {
            Self::Volume(offered) => Negotiated::Volume(Box::new(offered.answered(answer, through)?)),
            Self::Fidelity(peer) => Negotiated::Fidelity(Box::new(peer.answered(answer, through).await?)),
        })
    }
}
