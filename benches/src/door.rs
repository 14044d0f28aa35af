//! Where clients take their offers: WHIP and WHEP of a running server, or a media plane in this process.

use std::io;
use std::net::SocketAddr;

use sfu::{Handle, MediaConfig, OfferRequest, Seat, SlotPolicy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A way in.
#[derive(Clone)]
pub enum Door {
    /// `http://host:port` and a token for `{identity}`.
    Http {
        /// Where, with the path up to `/whip` or `/whep`.
        base: String,
        /// The room.
        room: String,
        /// Bearer tokens, one per participant.
        tokens: Vec<String>,
    },
    /// In process.
    Local(Handle),
}

/// An offer was not answered.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The connection.
    #[error("the server cannot be reached: {0}")]
    Io(#[from] io::Error),
    /// Not an http URL.
    #[error("only http://host:port is understood, not {0}")]
    Url(String),
    /// The server said no.
    #[error("the server answered {0}")]
    Status(String),
    /// The media plane said no.
    #[error(transparent)]
    Media(#[from] sfu::MediaError),
    /// The media plane did not start.
    #[error(transparent)]
    Start(#[from] sfu::StartError),
    /// Fewer tokens than participants.
    #[error("no token for participant {0}")]
    NoToken(usize),
}

impl Door {
    /// Starts a media plane on a free port of the loopback interface.
    ///
    /// # Errors
    /// [`DoorError::Start`].
    pub fn local() -> Result<Self, DoorError> {
        let listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        Ok(Self::Local(sfu::start(&MediaConfig {
            listen,
            ..Default::default()
        })?))
    }

    /// Takes an offer in. `publish`: to WHIP, else to WHEP; in process the difference is the right to send.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn offer(&self, number: usize, publish: bool, sdp: String) -> Result<String, DoorError> {
        match self {
            Self::Local(handle) => {
                let name = if publish {
                    format!("publisher-{number}")
                } else {
                    format!("viewer-{number}")
                };
                let request = OfferRequest {
                    seat: Seat {
                        room: "load".to_owned(),
                        participant: name,
                    },
                    sdp,
                    mids: Default::default(),
                    publish,
                    subscribe: !publish,
                    slots: SlotPolicy::Fill,
                };
                Ok(handle.offer(request).await?)
            }
            Self::Http { base, room, tokens } => {
                let token = tokens.get(number).ok_or(DoorError::NoToken(number))?;
                let kind = if publish { "whip" } else { "whep" };
                post(base, &format!("/{kind}/{room}"), token, &sdp).await
            }
        }
    }
}

async fn post(base: &str, path: &str, token: &str, sdp: &str) -> Result<String, DoorError> {
    let rest = base
        .strip_prefix("http://")
        .ok_or_else(|| DoorError::Url(base.to_owned()))?;
    let (host, prefix) = rest
        .split_once('/')
        .map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
    let prefix = prefix.trim_end_matches('/');
    let mut stream = TcpStream::connect(host).await?;
    let request = format!(
        "POST {prefix}{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{sdp}",
        sdp.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (head, body) = response
        .split_once("\r\n\r\n")
        .ok_or_else(|| DoorError::Status(response.clone()))?;
    let status = head.lines().next().unwrap_or_default();
    if !status.contains(" 201 ") {
        return Err(DoorError::Status(format!("{status}: {body}")));
    }
    Ok(body.to_owned())
}
