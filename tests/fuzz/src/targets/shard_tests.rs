use super::*;

/// What a play of the corpus makes the shard do: forwarded, left out, retransmitted, malformed.
fn play(name: &str) -> [u64; 4] {
    let file = format!("{}/corpus/shard/{name}", env!("CARGO_MANIFEST_DIR"));
    let input = std::fs::read(&file).unwrap();
    let mut stage = Stage::new(1);
    stage.play(&input);
    assert_eq!(stage.refused, 0, "the offers of {name} are answered");
    let [forwarded, left_out, retransmitted, _, malformed, ..] = stage.counted();
    [forwarded, left_out, retransmitted, malformed]
}

#[test]
fn in_two_shards_packets_cross() {
    for name in ["simulcast", "layered", "voices", "redundant"] {
        let file = format!("{}/corpus/shards/{name}", env!("CARGO_MANIFEST_DIR"));
        let mut stage = Stage::new(2);
        stage.play(&std::fs::read(&file).unwrap());
        let counted = stage.counted();
        assert!(counted[TAKEN] > 0, "{name}: {counted:?}");
        // This one has a key frame at its beginning alone, before anybody over there is known to want it.
        assert!(counted[0] > 0 || name == "layered", "{name}: {counted:?}");
    }
}

/// A fuzzer whose plays never get as far as a viewer would be green for ever.
#[test]
fn the_plays_of_the_corpus_reach_what_they_are_for() {
    let [forwarded, _, retransmitted, malformed] = play("simulcast");
    assert!(
        forwarded > 0 && retransmitted > 0 && malformed == 0,
        "{forwarded} {retransmitted} {malformed}"
    );
    let [forwarded, left_out, _, malformed] = play("layered");
    assert!(forwarded > 0 && malformed == 0, "{forwarded} {left_out} {malformed}");
    for sound in ["voices", "redundant"] {
        let [forwarded, _, _, malformed] = play(sound);
        assert!(forwarded > 0 && malformed == 0, "{sound}: {forwarded} {malformed}");
    }
}
