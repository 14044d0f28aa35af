//! Any inputs in any order keep the invariants.

use proptest::prelude::*;

use super::*;

const PEOPLE: [&str; 5] = ["anna", "boris", "clara", "dora", "eve"]; // eve is in no chat

fn person() -> impl Strategy<Value = UserId> {
    prop::sample::select(&PEOPLE[..]).prop_map(id)
}

fn input() -> impl Strategy<Value = Input> {
    let tab = 1..3u32;
    prop_oneof![
        person().prop_map(Input::RingAck),
        (
            prop::sample::select(&PEOPLE[..]),
            tab.clone(),
            any::<bool>(),
            any::<bool>(),
            any::<bool>()
        )
            .prop_map(|(name, tab, accept, takeover, wait)| waiting(entering(name, tab, accept, takeover), wait)),
        (
            person(),
            prop::sample::select(vec![RejectReason::Declined, RejectReason::Busy, RejectReason::Timeout])
        )
            .prop_map(|(user, reason)| Input::Reject(user, reason)),
        person().prop_map(Input::End),
        (prop::sample::select(&PEOPLE[..]), tab.clone())
            .prop_map(|(name, tab)| Input::Leave(id(name), Some(format!("{name}-{tab}").into()))),
        (person(), any::<bool>(), person()).prop_map(|(by, guest, user)| Input::Invite { by, guest, user }),
        (person(), person()).prop_map(|(by, user)| Input::Kick(by, user)),
        (person(), person(), any::<bool>()).prop_map(|(by, user, muted)| Input::Mute {
            by,
            user,
            source: MediaSource::Mic,
            muted
        }),
        (person(), any::<bool>()).prop_map(|(by, locked)| Input::Lock(by, locked)),
        (person(), person()).prop_map(|(by, user)| Input::Admit(by, user)),
        (person(), person()).prop_map(|(by, user)| Input::Deny(by, user)),
        person().prop_map(Input::Stay),
        prop::sample::select(vec![-3_600_000, 0, 3_600_000]).prop_map(|jump_ms| Input::Resync { jump_ms }),
        person().prop_map(Input::RaiseHand),
        (prop::sample::select(&PEOPLE[..]), tab, any::<bool>()).prop_map(|(name, tab, lost)| Input::Socket {
            user: id(name),
            device: format!("{name}-{tab}").into(),
            lost
        }),
        person().prop_map(Input::MediaConnected),
        person().prop_map(Input::MediaLost),
        person().prop_map(Input::MediaClosed),
        prop::collection::vec(person(), 0..3).prop_map(Input::Restart),
        Just(Input::Tick),
        Just(Input::Tick),
    ]
}

fn kind() -> impl Strategy<Value = ChatType> {
    prop::sample::select(vec![ChatType::Direct, ChatType::Group, ChatType::Room])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_inputs_breaks_an_invariant(
        kind in kind(),
        inputs in prop::collection::vec((input(), 0..25_000i64), 1..80),
    ) {
        let people = if kind == ChatType::Direct { &PEOPLE[..2] } else { &PEOPLE[..4] };
        let mut desk = Desk::start(kind, people);
        let mut durations = BTreeMap::<UserId, i64>::new();
        for (input, pause) in inputs {
            desk.now.0 += pause;
            let (before, over) = (desk.call.clone(), !desk.call.live());
            // `run` checks the invariants of every state it reaches.
            if desk.run(&input).is_err() {
                prop_assert_eq!(&desk.call, &before, "a refusal changes nothing");
            } else if over {
                prop_assert_eq!(&desk.call, &before, "a finished call never changes");
            } else {
                prop_assert!(desk.call.rev >= before.rev);
                for effect in &desk.effects {
                    if let Effect::Log(EventType::ParticipantLeft, Some(user), metadata) = effect {
                        *durations.entry(user.clone()).or_default() += metadata["durationMs"].as_i64().unwrap();
                    }
                }
            }
        }
        for (user, person) in &desk.call.participants {
            prop_assert_eq!(person.duration_ms, durations.get(user).copied().unwrap_or(0));
        }
    }

    #[test]
    fn time_alone_ends_every_call(
        kind in kind(),
        inputs in prop::collection::vec((input(), 0..25_000i64), 0..40),
    ) {
        let people = if kind == ChatType::Direct { &PEOPLE[..2] } else { &PEOPLE[..4] };
        let mut desk = Desk::start(kind, people);
        for (input, pause) in inputs {
            desk.now.0 += pause;
            let _ = desk.run(&input);
        }
        let mut ticks = 0;
        while let Some((at, timer)) = desk.call.next_deadline() {
            desk.now = desk.now.max(at);
            prop_assert_eq!(desk.ok(&Input::Tick), Outcome::Done, "{:?} was due and did nothing", timer);
            ticks += 1;
            prop_assert!(ticks < 100, "a deadline comes back for ever");
        }
    }
}
