//! Clients by TCP and TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use turn_server::Client;
use turn_server::stream::first_message;

use crate::hub::{LONGEST, Message};

/// Connections at once; further ones wait in the system's queue.
const CONNECTIONS: usize = 4_096;
/// For a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Without an allocation a connection is closed after this, whatever else it says.
const PROVE: Duration = Duration::from_secs(15);
/// First bytes of the answer to an Allocate that was granted.
const ALLOCATED: [u8; 2] = [0x01, 0x03];
/// A connection on which nothing has come for so long is closed: an allocation has to be refreshed more often.
const SILENCE: Duration = Duration::from_secs(660);
/// A client that takes nothing for so long is gone.
const STUCK: Duration = Duration::from_secs(20);
/// Messages that may wait for one client; more are dropped.
const WAITING: usize = 256;
/// Longest message: a datagram in a Send indication.
const LONGEST_MESSAGE: usize = LONGEST + 64;

/// Numbers connections over all listeners.
static NEXT: AtomicU64 = AtomicU64::new(1);

pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    queue: mpsc::Sender<Message>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let Ok((stream, remote)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await; // no descriptors are left, mostly
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (tls, queue, mut stopped) = (tls.clone(), queue.clone(), stopped.clone());
        tokio::spawn(async move {
            let talk = async {
                match tls {
                    None => connection(stream, remote, queue, PROVE).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                            connection(stream, remote, queue, PROVE).await;
                        }
                    }
                }
            };
            tokio::select! {
                () = talk => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
            drop(place);
        });
    }
}

async fn connection<S>(stream: S, remote: SocketAddr, queue: mpsc::Sender<Message>, prove: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connection = NEXT.fetch_add(1, Ordering::Relaxed);
    let client = Client::Stream { connection, remote };
    let (sender, replies) = mpsc::channel(WAITING);
    if queue.send(Message::Connected(connection, sender)).await.is_err() {
        return;
    }
    let (reader, writer) = tokio::io::split(stream);
    let proven = AtomicBool::new(false);
    let unproven = async {
        tokio::time::sleep(prove).await;
        if proven.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    };
    tokio::select! {
        () = read(reader, client, &queue) => {}
        () = write(writer, replies, &proven) => {}
        () = unproven => {}
    }
    let _ = queue.send(Message::Disconnected(client)).await;
}

async fn read<R: AsyncRead + Unpin>(mut reader: R, client: Client, queue: &mpsc::Sender<Message>) {
    let mut received = Vec::new();
    loop {
        let Ok(Ok(1..)) = tokio::time::timeout(SILENCE, reader.read_buf(&mut received)).await else {
            return;
        };
        let mut taken = 0;
        loop {
            let rest = received.get(taken..).unwrap_or_default();
            match first_message(rest, LONGEST_MESSAGE) {
                Ok(Some(length)) => {
                    let message = rest.get(..length).unwrap_or_default().to_vec();
                    taken += length;
                    if queue.send(Message::FromStream(client, message)).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                Err(_) => return, // no TURN, or a message longer than any datagram
            }
        }
        received.drain(..taken);
    }
}

async fn write<W: AsyncWrite + Unpin>(mut writer: W, mut replies: mpsc::Receiver<Vec<u8>>, proven: &AtomicBool) {
    while let Some(reply) = replies.recv().await {
        if reply.starts_with(&ALLOCATED) {
            proven.store(true, Ordering::Relaxed);
        }
        let all = async {
            writer.write_all(&reply).await?;
            writer.flush().await
        };
        if !matches!(tokio::time::timeout(STUCK, all).await, Ok(Ok(()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;

    const BINDING: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7];

    /// A connection whose first message is answered with `answer`; whether it is there long after it had to prove itself.
    async fn stays(answer: &[u8]) -> bool {
        let (mut client, server) = tokio::io::duplex(1_024);
        let (sender, mut queue) = mpsc::channel(16);
        let prove = Duration::from_millis(100);
        let remote = SocketAddr::from(([203, 0, 113, 9], 4_000));
        let running = tokio::spawn(connection(server, remote, sender, prove));
        let Some(Message::Connected(_, replies)) = queue.recv().await else {
            panic!("it is not told");
        };
        client.write_all(&BINDING).await.unwrap();
        assert!(matches!(queue.recv().await, Some(Message::FromStream(..))));
        replies.send(answer.to_vec()).await.unwrap();
        let ended = tokio::time::timeout(5 * prove, running).await.is_ok();
        if !ended {
            client.write_all(&BINDING).await.unwrap();
            assert!(matches!(queue.recv().await, Some(Message::FromStream(..))));
        }
        !ended
    }

    #[tokio::test]
    async fn who_has_no_allocation_in_time_is_closed_however_much_it_says() {
        let mut granted = BINDING;
        granted[..2].copy_from_slice(&ALLOCATED);
        let mut answered = BINDING;
        answered[..2].copy_from_slice(&[1, 1]);
        assert!(!stays(&answered).await);
        assert!(stays(&granted).await);
    }
}
