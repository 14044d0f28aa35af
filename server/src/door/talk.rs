//! One media connection: bytes from the client become datagrams for the shards, and back. What the bytes mean is
//! [`Talk`]'s affair; this is the loop around it, which never lets a slow client make anybody wait but itself.

use std::convert::Infallible;
use std::io;
use std::time::{Duration, Instant};

use sfu::{Inlet, Outflow, Path, Piece};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes read at once.
const READ: usize = 16 << 10;
/// Bytes gathered for one write.
const WRITE: usize = 64 << 10;
/// A client that takes nothing for so long is gone.
const STUCK: Duration = Duration::from_secs(20);

/// Why a connection was closed by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Close {
    #[error("it sent what is not the protocol it began with")]
    Nonsense,
    #[error("it sent a message that is too long")]
    TooLong,
    #[error("it proved nothing in time")]
    Unproven,
    #[error("it has been silent")]
    Silent,
    #[error("it does not read")]
    Stuck,
    #[error("it has ended")]
    Ended,
}

impl From<io::Error> for Close {
    fn from(_: io::Error) -> Self {
        Self::Ended
    }
}

/// Datagrams for one shard.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inward {
    pub(super) shard: usize,
    pub(super) path: Path,
    pub(super) datagrams: Vec<u8>,
}

/// A protocol that carries datagrams in a stream.
pub(super) trait Talk: Send {
    /// Takes the whole messages at the beginning of `received` and says how many bytes they are. What is for the client
    /// goes behind `out`.
    fn take(
        &mut self,
        now: Instant,
        received: &[u8],
        inward: &mut Vec<Inward>,
        out: &mut Vec<u8>,
    ) -> Result<usize, Close>;

    /// Writes what a shard sends, as the client wants it, behind `out`.
    fn wrap(&mut self, now: Instant, piece: &Piece, out: &mut Vec<u8>);

    /// When [`Self::due`] wants to be asked.
    fn deadline(&self) -> Instant;

    /// Whether the connection may go on.
    fn due(&mut self, now: Instant) -> Result<(), Close>;
}

/// Runs a connection until one of its ends has had enough, and says which.
pub(super) async fn run<S>(stream: S, inlet: &mut Inlet, outflow: &mut Outflow, talk: &mut dyn Talk) -> Close
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match forward(stream, inlet, outflow, talk).await {
        Ok(never) => match never {},
        Err(close) => close,
    }
}

async fn forward<S>(
    stream: S,
    inlet: &mut Inlet,
    outflow: &mut Outflow,
    talk: &mut dyn Talk,
) -> Result<Infallible, Close>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut received: Vec<u8> = Vec::new();
    let (mut inward, mut out) = (Vec::new(), Vec::new());
    loop {
        received.reserve(READ);
        tokio::select! {
            read = reader.read_buf(&mut received) => {
                if read? == 0 {
                    return Err(Close::Ended);
                }
                let taken = talk.take(Instant::now(), &received, &mut inward, &mut out)?;
                received.drain(..taken);
                for Inward { shard, path, datagrams } in inward.drain(..) {
                    inlet.push(shard, path, datagrams).await.map_err(|_| Close::Ended)?;
                }
            }
            piece = outflow.next() => {
                let mut next = piece;
                let now = Instant::now();
                let mut written = 0;
                while let Some(piece) = next {
                    talk.wrap(now, &piece, &mut out);
                    written += piece.bytes.len();
                    next = if out.len() < WRITE { outflow.try_next() } else { None };
                }
                write(&mut writer, &mut out).await?;
                outflow.written(written);
            }
            () = tokio::time::sleep_until(talk.deadline().into()) => talk.due(Instant::now())?,
        }
        write(&mut writer, &mut out).await?;
    }
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, out: &mut Vec<u8>) -> Result<(), Close> {
    if out.is_empty() {
        return Ok(());
    }
    let all = async {
        writer.write_all(out).await?;
        writer.flush().await
    };
    tokio::time::timeout(STUCK, all).await.map_err(|_| Close::Stuck)??;
    out.clear();
    Ok(())
}
