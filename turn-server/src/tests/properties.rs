//! Whatever comes, in whatever order: no panic, and the books balance.

use std::time::Duration;

use proptest::prelude::*;
use stun::attributes::*;
use stun::message::*;

use super::support::*;
use crate::*;

#[derive(Clone, Debug)]
enum Step {
    Allocate(u8, u32),
    Refresh(u8, u32),
    Permit(u8),
    Bind(u8, u16),
    Send(u8),
    Channel(u8, u16),
    Disconnect(u8),
    Leave(u8),
    Pass(u16),
    Garbage(u8, Vec<u8>),
    /// A signed request with one byte changed.
    Bent(u8, u16, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..4_u8;
    prop_oneof![
        (who.clone(), 0..5000_u32).prop_map(|(w, l)| Step::Allocate(w, l)),
        (who.clone(), 0..5000_u32).prop_map(|(w, l)| Step::Refresh(w, l)),
        who.clone().prop_map(Step::Permit),
        (who.clone(), 0x3FFE..0x4004_u16).prop_map(|(w, n)| Step::Bind(w, n)),
        who.clone().prop_map(Step::Send),
        (who.clone(), 0x3FFE..0x4004_u16).prop_map(|(w, n)| Step::Channel(w, n)),
        who.clone().prop_map(Step::Disconnect),
        who.clone().prop_map(Step::Leave),
        (0..900_u16).prop_map(Step::Pass),
        (who.clone(), prop::collection::vec(any::<u8>(), 0..80)).prop_map(|(w, b)| Step::Garbage(w, b)),
        (who, any::<u16>(), any::<u8>()).prop_map(|(w, at, to)| Step::Bent(w, at, to)),
    ]
}

fn run(steps: &[Step]) {
    let mut world = World::with_quota(Quota {
        total: 3,
        per_user: 2,
        per_address: 3,
    });
    let mut people: Vec<Person> = (0..4_u16)
        .map(|n| {
            let user = ["ivan", "maria"][usize::from(n % 2)];
            Person::new(&mut world, user, udp(4000 + n))
        })
        .collect();
    for step in steps {
        match step {
            Step::Allocate(who, seconds) => {
                people[usize::from(*who)].allocate(&mut world, &[lifetime(*seconds)]);
            }
            Step::Refresh(who, seconds) => {
                people[usize::from(*who)].code(&mut world, METHOD_REFRESH, &[lifetime(*seconds)]);
            }
            Step::Permit(who) => {
                people[usize::from(*who)].permit(&mut world, peer());
            }
            Step::Bind(who, number) => {
                people[usize::from(*who)].bind(&mut world, *number, peer());
            }
            Step::Send(who) => {
                let person = &mut people[usize::from(*who)];
                let permitted = matches!(person.send(&mut world, peer(), b"x").0, Outcome::Payload { .. });
                let of = world.server.of_client(world.time.now, person.at);
                assert_eq!(
                    permitted,
                    of.is_some_and(|(a, _)| a.permits(world.time.now, peer().ip()))
                );
            }
            Step::Channel(who, number) => {
                let at = people[usize::from(*who)].at;
                world.handle(at, &channel_data(*number, b"x"));
            }
            Step::Disconnect(who) => world
                .server
                .disconnected(people[usize::from(*who)].at, &mut world.relay),
            Step::Leave(who) => {
                let user = people[usize::from(*who)].credential.username.split_once(':').unwrap().1;
                world.relay.gone.insert(user.to_owned());
            }
            Step::Pass(seconds) => {
                world.pass(u64::from(*seconds));
                world.timeout();
                assert!(world.server.allocations.values().all(|a| a.until > world.time.now));
            }
            Step::Garbage(who, bytes) => {
                world.handle(people[usize::from(*who)].at, bytes);
            }
            Step::Bent(who, at, to) => {
                let person = &mut people[usize::from(*who)];
                let mut message = person.request(METHOD_CREATE_PERMISSION, &[super::support::to(peer())]);
                let at = usize::from(*at) % message.len();
                message[at] ^= to;
                world.handle(person.at, &message);
            }
        }
        let server = &world.server;
        assert!(server.allocations.len() <= 3);
        assert_eq!(server.allocations.len(), server.by_client.len());
        assert_eq!(server.allocations.len(), world.relay.open.len());
        assert!(server.due.len() <= server.allocations.len() + steps.len());
    }
    world.relay.gone.clear();
    world.time.now += Duration::from_secs(4000);
    world.timeout();
    assert!(world.relay.open.is_empty() && world.server.due.is_empty() && world.server.by_client.is_empty());
    // Nothing of any quota is left taken.
    world.time.unix = UNIX;
    for at in 0..2 {
        let mut ivan = Person::new(&mut world, "ivan", udp(6000 + at));
        assert_eq!(code(&ivan.allocate(&mut world, &[])), None);
    }
}

proptest! {
    #[test]
    fn the_books_balance(steps in prop::collection::vec(step(), 0..60)) {
        run(&steps);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        claims(&bytes);
        let _ = stream::first_message(&bytes, 1500);
        World::new().handle(udp(1), &bytes);
    }

    #[test]
    fn a_message_cut_or_bent_anywhere_never_panics(cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut world = World::new();
        let mut ivan = Person::new(&mut world, "ivan", udp(4000));
        let mut message = ivan.request(METHOD_ALLOCATE, &[transport(), family(1), (ATTR_EVEN_PORT, vec![0])]);
        let whole = message.len();
        message[at.index(whole)] ^= to;
        message.truncate(cut.index(whole + 1));
        claims(&message);
        world.handle(ivan.at, &message);
    }

    #[test]
    fn a_stream_is_split_alike_however_it_arrives(lengths in prop::collection::vec(0..40_usize, 1..6), split in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        for length in &lengths {
            bytes.extend(channel_data(0x4001, &vec![5; *length]));
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let mut found = Vec::new();
        let mut buffer = Vec::new();
        let at = split.index(bytes.len());
        for part in [&bytes[..at], &bytes[at..]] {
            buffer.extend_from_slice(part);
            while let Some(n) = stream::first_message(&buffer, 1500).unwrap() {
                found.push(usize::from(u16::from_be_bytes([buffer[2], buffer[3]])));
                buffer.drain(..n);
            }
        }
        prop_assert_eq!(found, lengths);
        prop_assert!(buffer.is_empty());
    }
}
