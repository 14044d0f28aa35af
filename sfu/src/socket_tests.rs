use super::*;

#[test]
fn a_specific_address_is_its_own_candidate_and_an_advertised_one_takes_its_place() {
    let config = MediaConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        ..Default::default()
    };
    let sockets = Sockets::open(&config, 0).unwrap();
    assert_eq!(sockets.candidates(&[]), sockets.addresses());
    let outside: IpAddr = "203.0.113.7".parse().unwrap();
    assert_eq!(
        sockets.candidates(&[outside]),
        [SocketAddr::new(outside, sockets.addresses()[0].port())]
    );
}

#[test]
fn of_the_advertised_addresses_those_are_told_whose_family_is_listened_to_in_their_order() {
    let told = |bound: &[&str], advertise: &[&str]| {
        let bound: Vec<SocketAddr> = bound.iter().map(|text| text.parse().unwrap()).collect();
        let advertise: Vec<IpAddr> = advertise.iter().map(|text| text.parse().unwrap()).collect();
        let told = candidates_of(&bound, &advertise);
        told.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let all = ["203.0.113.7", "2001:db8::7", "10.0.0.7"];
    let v4 = "203.0.113.7:1 10.0.0.7:1";
    assert_eq!(told(&["0.0.0.0:1"], &all), v4);
    assert_eq!(told(&["192.168.0.2:1"], &all), v4, "translated one to one");
    assert_eq!(told(&["[fd00::2]:1"], &all), "[2001:db8::7]:1");
    assert_eq!(
        told(&["[::]:1"], &all),
        "203.0.113.7:1 [2001:db8::7]:1 10.0.0.7:1",
        "both"
    );
    assert_eq!(
        told(&["0.0.0.0:1", "[fd00::2]:2"], &all),
        format!("{v4} [2001:db8::7]:2")
    );
    assert_eq!(
        told(&["10.0.0.2:1", "10.1.0.2:1"], &[]),
        "10.0.0.2:1 10.1.0.2:1",
        "several interfaces"
    );
    assert_eq!(told(&["[::]:1"], &["10.0.0.7", "10.0.0.7"]), "10.0.0.7:1", "once");
    let many: Vec<String> = (1..20).map(|n| format!("10.0.0.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(told(&["0.0.0.0:1"], &many).split(' ').count(), MAX_CANDIDATES);
}

#[test]
fn a_taken_port_is_named_in_the_error() {
    let first = Sockets::open(
        &MediaConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            ..Default::default()
        },
        0,
    );
    let taken = first.unwrap();
    let listen = taken.addresses();
    let port = listen[0].port().to_string();
    let error = Sockets::open(
        &MediaConfig {
            listen,
            ..Default::default()
        },
        0,
    )
    .err()
    .unwrap();
    assert!(error.to_string().contains(&port), "{error}");
}

/// Sends datagrams of these sizes to one address.
fn flush(sockets: &mut Sockets, to: &std::net::UdpSocket, sizes: &[usize]) {
    let path = sockets.path(0, to.local_addr().unwrap(), None).unwrap();
    let (mut arena, mut route) = (Arena::default(), sfu_core::forward::Route::default());
    for size in sizes {
        arena.reserve(*size).unwrap().fill(7);
        arena.commit(&mut route, path, *size);
    }
    sockets.flush(&mut arena);
    assert!(arena.is_empty());
}

/// The same; returns the sizes that came, in their order.
fn flushed(sockets: &mut Sockets, sizes: &[usize]) -> Vec<usize> {
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    flush(sockets, &client, sizes);
    let mut out = [0; 2_048];
    sizes.iter().map(|_| client.recv(&mut out).unwrap()).collect()
}

fn local() -> Sockets {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let config = MediaConfig {
        listen,
        ..Default::default()
    };
    Sockets::open(&config, 0).unwrap()
}

#[test]
fn datagrams_of_one_size_go_as_one_message_and_a_shorter_one_ends_the_run() {
    let mut sockets = local();
    let sizes = [100, 100, 100, 60, 100, 100, 200, 200, 50, 50];
    assert_eq!(flushed(&mut sockets, &sizes), sizes);
    // 100 100 100 60 | 100 100 | 200 200 50 | 50
    assert_eq!((sockets.counters.sent, sockets.counters.messages), (10, 4));
    // More than a socket buffer holds, so nobody reads them.
    flush(
        &mut sockets,
        &std::net::UdpSocket::bind("127.0.0.1:0").unwrap(),
        &[1_200; 700],
    );
    // 54 of them are all that one IP packet holds; one system call takes 512 datagrams.
    assert_eq!(sockets.counters.sent, 710);
    assert_eq!(sockets.counters.messages, 4 + 10 + 4);
    assert_eq!((sockets.counters.send_failed, sockets.counters.runs_refused), (0, 0));
}

#[test]
fn where_the_kernel_refuses_runs_every_datagram_goes_alone() {
    let mut sockets = local();
    sys::refuse_runs(&sockets.bound[0].socket);
    assert_eq!(flushed(&mut sockets, &[100; 5]), [100; 5]);
    assert_eq!(flushed(&mut sockets, &[100; 5]), [100; 5]);
    let counters = sockets.counters;
    assert_eq!((counters.sent, counters.messages, counters.runs_refused), (10, 10, 1));
}

#[test]
fn a_path_that_takes_no_runs_does_not_end_them_for_the_others() {
    let mut sockets = local();
    assert_eq!(flushed(&mut sockets, &[100; 5]), [100; 5]);
    sys::refuse_runs(&sockets.bound[0].socket);
    assert_eq!(flushed(&mut sockets, &[100; 5]), [100; 5]);
    assert_eq!(sockets.counters.runs_refused, 1);
    assert_eq!(sockets.bound[0].segments, Some(true));
}
