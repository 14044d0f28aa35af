use proptest::prelude::*;

use super::*;

fn kbps(kilobits: u64) -> Bitrate {
    Bitrate::kbps(kilobits)
}

fn stream(slot: u16, height: u32, rungs: &[u64]) -> StreamView {
    let rung = |(layer, rate): (usize, &u64)| Rung {
        layer: layer as u8,
        temporal: 3,
        bitrate: kbps(*rate),
    };
    StreamView {
        slot,
        pinned: false,
        height,
        recency: u32::from(slot) + 1,
        rungs: rungs.iter().enumerate().map(rung).collect(),
        ideal: 0,
        now: None,
    }
}

fn run(streams: &[StreamView], budget: Budget) -> Vec<(u16, Option<usize>)> {
    let snapshot = Snapshot {
        streams: streams.to_vec(),
        first: kbps(50),
    };
    let mut out: Vec<_> = allocate(&snapshot, budget)
        .streams
        .iter()
        .map(|d| (d.slot, d.rung))
        .collect();
    out.sort_unstable();
    out
}

const LAYERS: [u64; 3] = [100, 300, 900];

#[test]
fn table_of_cases() {
    let grid: Vec<StreamView> = (0..4).map(|slot| stream(slot, 360, &LAYERS)).collect();
    let large = |slot| StreamView {
        height: 720,
        ..stream(slot, 720, &LAYERS)
    };
    let pinned = |slot| StreamView {
        pinned: true,
        ..stream(slot, 360, &LAYERS)
    };
    let speaking = |slot| StreamView {
        recency: 0,
        ..stream(slot, 180, &LAYERS)
    };
    let sent = |slot, now| StreamView {
        now: Some(now),
        ..stream(slot, 360, &LAYERS)
    };
    type Case<'a> = (&'a str, Vec<StreamView>, u64, &'a [Option<usize>]);
    let cases: [Case<'_>; 12] = [
        ("room for everything", grid.clone(), 5_000, &[Some(2); 4]),
        ("a grid degrades evenly", grid.clone(), 1_400, &[Some(1); 4]),
        (
            "what is left goes to the most recent",
            grid.clone(),
            800,
            &[Some(1), Some(0), Some(0), Some(0)],
        ),
        ("a floor for all before more for one", grid.clone(), 500, &[Some(0); 4]),
        (
            "no room for all floors",
            grid.clone(),
            300,
            &[Some(0), Some(0), None, None],
        ),
        (
            "the speaker's floor comes first",
            vec![stream(0, 360, &LAYERS), speaking(1)],
            170,
            &[None, Some(0)],
        ),
        ("nothing fits", grid.clone(), 60, &[None; 4]),
        (
            "the large one climbs first",
            vec![stream(0, 360, &LAYERS), large(1)],
            600,
            &[Some(0), Some(1)],
        ),
        (
            "the pinned one before the large one",
            vec![large(0), pinned(1)],
            600,
            &[Some(0), Some(1)],
        ),
        (
            "entering asks for a tenth more",
            vec![stream(0, 360, &LAYERS)],
            1_044,
            &[Some(1)],
        ),
        ("staying does not", vec![sent(0, 2)], 960, &[Some(2)]),
        (
            "a source without layers",
            vec![stream(0, 360, &[2_000])],
            1_000,
            &[None],
        ),
    ];
    for (name, streams, budget, expected) in cases {
        let found: Vec<_> = run(&streams, Budget::steady(kbps(budget)))
            .iter()
            .map(|d| d.1)
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_short_dip_takes_nothing_away_and_a_deep_one_does_at_once() {
    let sent = [StreamView {
        now: Some(2),
        ..stream(0, 360, &LAYERS)
    }];
    let budget = |now, lowest, highest| Budget {
        now: kbps(now),
        carries: kbps(now),
        lowest: kbps(lowest),
        highest: kbps(highest),
        guessed: false,
    };
    let rung = |budget| run(&sent, budget)[0].1;
    assert_eq!(rung(budget(800, 800, 1_000)), Some(2), "a saw-tooth");
    assert_eq!(rung(budget(800, 800, 940)), Some(1), "not within 1.5 s above its cost");
    assert_eq!(rung(budget(500, 500, 1_000)), Some(1), "less than three quarters");
    assert_eq!(rung(budget(2_000, 400, 2_000)), Some(2), "what flows stays");
    let paused = stream(0, 360, &LAYERS);
    assert_eq!(
        run(&[paused], budget(2_000, 100, 2_000))[0].1,
        None,
        "and what does not, waits"
    );
}

#[test]
fn a_queue_that_is_drained_pauses_no_floor_that_flows_and_lets_nothing_begin() {
    let sent = |now| StreamView {
        now: Some(now),
        ..stream(0, 360, &LAYERS)
    };
    let draining = |carries| Budget {
        now: kbps(40),
        carries: kbps(carries),
        lowest: kbps(40),
        highest: kbps(400),
        guessed: false,
    };
    let rung = |stream, budget| run(&[stream], budget)[0].1;
    assert_eq!(rung(sent(0), draining(360)), Some(0));
    assert_eq!(
        rung(sent(1), draining(360)),
        Some(1),
        "nor anything else that the path carries"
    );
    assert_eq!(rung(sent(1), draining(340)), Some(0), "but nothing that it does not");
    assert_eq!(rung(stream(0, 360, &LAYERS), draining(360)), None, "and nothing begins");
    assert_eq!(rung(sent(0), draining(90)), None, "the path itself carries too little");
}

#[test]
fn before_anything_is_known_everybody_gets_a_floor_and_nobody_more() {
    let guessed = Budget {
        guessed: true,
        ..Budget::steady(kbps(1_000))
    };
    let grid: Vec<StreamView> = (0..12).map(|slot| stream(slot, 360, &LAYERS)).collect();
    let given: Vec<_> = run(&grid, guessed).into_iter().filter_map(|(_, rung)| rung).collect();
    assert_eq!(given, [0; 8], "as many as fit");
    assert_eq!(run(&grid[..1], guessed)[0].1, Some(0));
}

#[test]
fn what_is_wanted_is_the_best_of_all_with_the_reserve() {
    let snapshot = Snapshot {
        streams: vec![stream(0, 360, &LAYERS), stream(1, 360, &[200])],
        first: kbps(100),
    };
    let decisions = allocate(&snapshot, Budget::steady(kbps(150)));
    assert_eq!((decisions.used, decisions.wanted), (kbps(100), kbps(1_320)));
}

fn streams() -> impl Strategy<Value = Vec<StreamView>> {
    let one = (
        any::<bool>(),
        (0_u32..4).prop_map(|doubled| 90 << doubled),
        0_u32..5,
        proptest::collection::vec(20_u64..1_000, 0..5),
        proptest::option::of(0_usize..4),
    );
    proptest::collection::vec(one, 0..30).prop_map(|all| {
        let mut streams = Vec::new();
        for (slot, (pinned, height, recency, mut rates, now)) in all.into_iter().enumerate() {
            rates.sort_unstable();
            streams.push(StreamView {
                pinned,
                recency,
                now: now.filter(|now| *now < rates.len()),
                ..stream(slot as u16, height, &rates)
            });
        }
        streams
    })
}

/// What was decided becomes what flows.
fn follow(snapshot: &mut Snapshot, decisions: &Decisions) {
    for stream in &mut snapshot.streams {
        let found = decisions.streams.iter().find(|d| d.slot == stream.slot);
        stream.now = found.and_then(|d| d.rung);
    }
}

proptest! {
    #[test]
    fn the_sum_fits_at_every_capacity_and_at_the_boundaries_of_layers(
        streams in streams(), first in 0_u64..200, budget in 0_u64..20_000, nudge in -1_i64..2,
    ) {
        let mut snapshot = Snapshot { streams, first: kbps(first) };
        // A capacity that is exactly what some allocation takes, or a bit next to it.
        let edge = allocate(&snapshot, Budget::steady(kbps(budget))).used;
        let capacity = Bitrate::bps(edge.as_bps().saturating_add_signed(nudge));
        for _ in 0..3 {
            let decisions = allocate(&snapshot, Budget::steady(capacity));
            prop_assert!(decisions.used <= capacity || decisions.used == snapshot.first);
            let cost = decisions.streams.iter().filter_map(|d| {
                let stream = snapshot.streams.iter().find(|s| s.slot == d.slot)?;
                Some(stream.rungs[d.rung?].bitrate)
            });
            prop_assert_eq!(cost.fold(snapshot.first, Bitrate::plus), decisions.used);
            follow(&mut snapshot, &decisions);
        }
    }

    #[test]
    fn a_steady_budget_settles_and_one_within_a_tenth_takes_nothing_away(
        streams in streams(), budget in 0_u64..20_000, wobble in proptest::collection::vec(0.93_f64..1.0, 20),
    ) {
        let mut snapshot = Snapshot { streams, first: kbps(50) };
        snapshot.streams.iter_mut().for_each(|s| s.now = None);
        let steady = Budget::steady(kbps(budget));
        for _ in 0..4 {
            let decisions = allocate(&snapshot, steady);
            follow(&mut snapshot, &decisions);
        }
        let settled = allocate(&snapshot, steady);
        for factor in wobble {
            let now = kbps(budget).scaled(factor);
            let decisions = allocate(&snapshot, Budget { now, carries: now, lowest: now, ..steady });
            prop_assert_eq!(&decisions.streams, &settled.streams, "it oscillates");
            follow(&mut snapshot, &decisions);
        }
    }

    #[test]
    fn nobody_starves_while_another_climbs(streams in streams(), budget in 0_u64..20_000) {
        let mut snapshot = Snapshot { streams, first: kbps(50) };
        snapshot.streams.iter_mut().for_each(|s| s.now = None);
        let decisions = allocate(&snapshot, Budget::steady(kbps(budget)));
        let climbed: u64 = decisions.streams.iter().filter_map(|d| {
            let stream = snapshot.streams.iter().find(|s| s.slot == d.slot)?;
            Some(stream.rungs[d.rung?].bitrate.as_bps() - stream.rungs[0].bitrate.as_bps())
        }).sum();
        for paused in decisions.streams.iter().filter(|d| d.rung.is_none()) {
            let stream = snapshot.streams.iter().find(|s| s.slot == paused.slot).unwrap();
            let without = decisions.used.as_bps() - climbed + stream.rungs[0].bitrate.as_bps();
            prop_assert!(without as f64 * RESERVE > budget as f64 * 1e3 - 2.0, "slot {} could have its floor", paused.slot);
        }
    }
}
