//! A stream some of whose bytes were read already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::sort::{ENOUGH, Kind, Verdict, sort};

/// A stream with what was read of it to find out what it is for.
pub(super) struct Prefixed<S> {
    head: [u8; ENOUGH],
    filled: usize,
    given: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> Prefixed<S> {
    /// Reads until it is clear what the stream is for; `None`: nothing of ours, or it has ended.
    pub(super) async fn sorted(mut stream: S) -> Option<(Kind, Self)> {
        let (mut head, mut filled) = ([0; ENOUGH], 0);
        loop {
            match sort(&head[..filled]) {
                Verdict::Is(kind) => {
                    let given = 0;
                    return Some((
                        kind,
                        Self {
                            head,
                            filled,
                            given,
                            stream,
                        },
                    ));
                }
                Verdict::Nothing => return None,
                Verdict::More => match stream.read(&mut head[filled..]).await {
                    Ok(count @ 1..) => filled += count,
                    _ => return None,
                },
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let left = &this.head[this.given..this.filled];
        if left.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, out);
        }
        let count = left.len().min(out.remaining());
        out.put_slice(&left[..count]);
        this.given += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn nothing_of_what_was_read_is_lost_even_when_it_comes_byte_by_byte() {
        let message = [0, 3, 0, 4, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5];
        let (mut client, server) = tokio::io::duplex(1);
        let writing = tokio::spawn(async move {
            client.write_all(&message).await.unwrap();
        });
        let (kind, mut stream) = Prefixed::sorted(server).await.unwrap();
        assert_eq!(kind, Kind::Turn);
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, message);
        writing.await.unwrap();
    }

    #[tokio::test]
    async fn who_hangs_up_or_talks_nonsense_gets_nothing() {
        let (client, server) = tokio::io::duplex(64);
        drop(client);
        assert!(Prefixed::sorted(server).await.is_none());
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"\x80nonsense").await.unwrap();
        assert!(Prefixed::sorted(server).await.is_none());
    }
}
