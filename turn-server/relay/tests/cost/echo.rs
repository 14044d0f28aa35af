//! What stands for a shard of the media server: one thread and one socket, which send everybody's datagrams back. TURN shares
//! the port as it does there: a payload is moved to the front of its buffer, and what goes back is wrapped and gathered.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use turn_server::credential::Credentials;
use turn_server::*;

use crate::clients::{USERS, WORD};

pub(super) struct Echo {
    pub(super) address: SocketAddr,
    /// Its number at the kernel.
    pub(super) thread: String,
}

struct Ours {
    next_port: u16,
}

impl Relay for Ours {
    fn open(&mut self, _: AllocationId, _: &str, _: Family, _: bool) -> Result<SocketAddr, OpenError> {
        self.next_port += 1;
        Ok(([127, 0, 0, 1], self.next_port).into())
    }
    fn close(&mut self, _: AllocationId) {}
    fn permits(&self, _: SocketAddr) -> bool {
        true
    }
    fn knows(&self, _: &str) -> bool {
        true
    }
}

/// Starts one on a free port. It ends with the process.
pub(super) fn start() -> Echo {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (told, thread) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let link = std::fs::read_link("/proc/thread-self").unwrap();
        told.send(link.file_name().unwrap().to_str().unwrap().to_owned())
            .unwrap();
        serve(&socket);
    });
    Echo {
        address,
        thread: thread.recv().unwrap(),
    }
}

fn serve(socket: &UdpSocket) {
    let local = socket.local_addr().unwrap();
    let mut server = Server::new(Config {
        realm: "ringhall".to_owned(),
        credentials: Credentials {
            secret: Vec::new(),
            users: USERS.map(|user| (user.to_owned(), WORD.to_owned())).into(),
        },
        nonce_secret: [3; 32],
        quota: Quota::default(),
    });
    let mut relay = Ours { next_port: 49_152 };
    let (mut buffer, mut scratch, mut gathered) = ([0; 2048], Vec::new(), Vec::new());
    while let Ok((length, remote)) = socket.recv_from(&mut buffer) {
        if !claims(&buffer[..length]) {
            let _ = socket.send_to(&buffer[..length], remote);
            continue;
        }
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let time = Time {
            now: Instant::now(),
            unix,
        };
        let client = Client::Udp { local, remote };
        let (allocation, peer, length) = match server.handle(time, client, &buffer[..length], &mut relay, &mut scratch)
        {
            Outcome::Reply => {
                let _ = socket.send_to(&scratch, remote);
                continue;
            }
            Outcome::Payload {
                allocation, peer, data, ..
            } => {
                let length = data.len();
                buffer.copy_within(data, 0);
                (allocation, peer, length)
            }
            Outcome::Dropped(_) => continue,
        };
        let wrapped = server.wrap(time.now, allocation, peer, &buffer[..length], &mut scratch);
        if let Some(Client::Udp { remote, .. }) = wrapped {
            gathered.clear();
            gathered.extend_from_slice(&scratch);
            let _ = socket.send_to(&gathered, remote);
        }
    }
}
