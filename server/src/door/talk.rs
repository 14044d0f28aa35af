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
/// Longer than any connection lasts without something to do.
const FOREVER: Duration = Duration::from_secs(24 * 3_600);

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
    let mut inward = Vec::new();
    let mut out = Outgoing::default();
    loop {
        received.reserve(READ);
        let until = talk.deadline().min(out.stuck_at());
        // Reading goes on while a slow client is written to: its voice and its feedback wait for nothing that it is sent.
        tokio::select! {
            read = reader.read_buf(&mut received), if out.bytes.len() < WRITE => {
                if read? == 0 {
                    return Err(Close::Ended);
                }
                let now = Instant::now();
                out.begin(now);
                let taken = talk.take(now, &received, &mut inward, &mut out.bytes)?;
                received.drain(..taken);
                for Inward { shard, path, datagrams } in inward.drain(..) {
                    inlet.push(shard, path, datagrams).await.map_err(|_| Close::Ended)?;
                }
            }
            piece = outflow.next(), if out.bytes.is_empty() => {
                let mut next = piece;
                let now = Instant::now();
                out.begin(now);
                while let Some(piece) = next {
                    talk.wrap(now, &piece, &mut out.bytes);
                    out.carried += piece.bytes.len();
                    next = if out.bytes.len() < WRITE { outflow.try_next() } else { None };
                }
            }
            step = out.step(&mut writer), if !out.bytes.is_empty() => {
                if step? {
                    outflow.written(out.carried);
                    out.clear();
                }
            }
            () = tokio::time::sleep_until(until.into()) => {
                let now = Instant::now();
                if now >= out.stuck_at() {
                    return Err(Close::Stuck);
                }
                talk.due(now)?;
            }
        }
    }
}

/// What is on its way to the client.
struct Outgoing {
    bytes: Vec<u8>,
    /// So many of them have been taken.
    done: usize,
    /// Bytes of pieces among them.
    carried: usize,
    /// When the client took something last.
    progress: Instant,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            done: 0,
            carried: 0,
            progress: Instant::now(),
        }
    }
}

impl Outgoing {
    /// Something may be put behind it now.
    fn begin(&mut self, now: Instant) {
        if self.bytes.is_empty() {
            self.progress = now;
        }
    }

    /// When the client is given up unless it takes something.
    fn stuck_at(&self) -> Instant {
        let waits = if self.bytes.is_empty() { FOREVER } else { STUCK };
        self.progress + waits
    }

    /// Writes some of it, or flushes when all is written; whether it is through. May be dropped at any time.
    async fn step<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> io::Result<bool> {
        let rest = self.bytes.get(self.done..).unwrap_or_default();
        if rest.is_empty() {
            writer.flush().await?;
            return Ok(true);
        }
        let taken = writer.write(rest).await?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.done += taken;
        self.progress = Instant::now();
        Ok(false)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        (self.done, self.carried) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use sfu::MediaConfig;
    use tokio::sync::mpsc;

    use super::*;

    /// Answers each byte with ten thousand, and tells that it came.
    struct Loud(mpsc::UnboundedSender<u8>);

    impl Talk for Loud {
        fn take(
            &mut self,
            _: Instant,
            received: &[u8],
            _: &mut Vec<Inward>,
            out: &mut Vec<u8>,
        ) -> Result<usize, Close> {
            for byte in received {
                let _ = self.0.send(*byte);
                out.extend([*byte; 10_000]);
            }
            Ok(received.len())
        }

        fn wrap(&mut self, _: Instant, _: &Piece, _: &mut Vec<u8>) {}

        fn deadline(&self) -> Instant {
            Instant::now() + FOREVER
        }

        fn due(&mut self, _: Instant) -> Result<(), Close> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn who_reads_slowly_is_heard_meanwhile_and_held_up_when_their_answers_pile_up() {
        let config = MediaConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            ..MediaConfig::default()
        };
        let media = sfu::start(&config).unwrap();
        let (mut inlet, mut outflow) = media.line();
        let (mut client, stream) = tokio::io::duplex(1_000);
        let (heard, mut told) = mpsc::unbounded_channel();
        let mut talk = Loud(heard);
        let task = tokio::spawn(async move { run(stream, &mut inlet, &mut outflow, &mut talk).await });
        let soon = Duration::from_secs(20);
        for byte in 0..7 {
            client.write_all(&[byte]).await.unwrap();
            // Nothing of the answers has been read.
            let next = tokio::time::timeout(soon, told.recv()).await;
            assert_eq!(next, Ok(Some(byte)));
        }
        // 70,000 bytes wait: nobody is to fill our memory by asking and not reading.
        client.write_all(&[7]).await.unwrap();
        let mut answers = vec![0; 60_000];
        client.read_exact(&mut answers).await.unwrap();
        assert!(told.try_recv().is_err(), "read before the answers were taken");
        let mut answers = vec![0; 20_000];
        client.read_exact(&mut answers).await.unwrap();
        assert_eq!(answers[19_999], 7, "every byte came, in order");
        drop(client);
        let end = tokio::time::timeout(soon, task).await.unwrap().unwrap();
        assert_eq!(end, Close::Ended);
        tokio::task::spawn_blocking(move || media.shutdown()).await.unwrap();
    }
}
