//! One question and one answer of STUN (RFC 8489), to see whether datagrams arrive: a Binding request without attributes.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long one read waits.
pub(super) const WAIT: Duration = Duration::from_millis(200);
/// A question is repeated: one lost datagram is no closed port.
const TRIES: u32 = 4;
/// Time for the answer to each.
const EACH: Duration = Duration::from_millis(500);

const REQUEST: [u8; 8] = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
const SUCCESS: [u8; 2] = [1, 1];
const HEADER: usize = 20;

/// Asks `to`. What answered: it is another address than `to` when the answer came from elsewhere. Blocks for two seconds at
/// the most.
pub(super) fn ask(to: SocketAddr) -> std::io::Result<Option<SocketAddr>> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(WAIT))?;
    let mut request = [0; HEADER];
    request[..8].copy_from_slice(&REQUEST);
    request[8..].copy_from_slice(&rand::random::<[u8; 12]>());
    let mut answer = [0; 512];
    for _ in 0..TRIES {
        // A router that says "unreachable" is an answer too: no.
        if let Err(error) = socket.send_to(&request, to)
            && error.kind() != ErrorKind::ConnectionRefused
        {
            return Err(error);
        }
        let until = Instant::now() + EACH;
        while Instant::now() < until {
            if let Ok((length, from)) = socket.recv_from(&mut answer)
                && length >= HEADER
                && answer[..2] == SUCCESS
                && answer[4..HEADER] == request[4..]
            {
                return Ok(Some(from));
            }
        }
    }
    Ok(None)
}

/// Answers such questions until it is told to stop. `socket` has a read timeout.
pub(super) fn answer(socket: &UdpSocket, stop: &Arc<AtomicBool>) {
    let mut datagram = [0; 512];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut datagram)
            && length == HEADER
            && datagram[..8] == REQUEST
        {
            datagram[..2].copy_from_slice(&SUCCESS);
            let _ = socket.send_to(&datagram[..HEADER], from);
        }
    }
}
