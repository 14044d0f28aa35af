//! The scenarios that come with the program.

use std::path::Path;

use crate::scenario::{Scenario, ScenarioError};

macro_rules! scenarios {
    ($($name:literal),+ $(,)?) => {
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../scenarios/", $name, ".toml")))),+];
    };
}

scenarios![
    "broadcast-50",
    "room-10x10",
    "room-25x25",
    "meeting-100",
    "rooms-100x5",
    "call-room",
    "call-storm",
    "idle-10000",
    "join-storm",
    "reconnect-storm",
    "resume-1000",
    "soak",
    "narrow-link",
    "lossy-link",
    "layer-switches",
    "fidelity-webrtc",
    "fidelity-whip",
    "relay",
    "ice-tcp",
    "codec-h264",
    "codec-vp9",
    "codec-av1",
];

/// All of them.
///
/// # Errors
/// [`ScenarioError`], which a test rules out.
pub fn all() -> Result<Vec<Scenario>, ScenarioError> {
    FILES.iter().map(|(name, text)| Scenario::parse(name, text)).collect()
}

/// What a word of the command line means: a file, a scenario, or a set of them.
///
/// # Errors
/// [`ScenarioError::Unknown`] names what there is.
pub fn find(word: &str) -> Result<Vec<Scenario>, ScenarioError> {
    let all = all()?;
    if let Some(found) = all.iter().find(|s| s.name == word) {
        return Ok(vec![found.clone()]);
    }
    let set: Vec<Scenario> = all
        .iter()
        .filter(|s| s.sets.iter().any(|set| set == word))
        .cloned()
        .collect();
    if !set.is_empty() {
        return Ok(set);
    }
    if Path::new(word).exists() {
        return Ok(vec![Scenario::read(Path::new(word))?]);
    }
    let mut known: Vec<String> = all.iter().flat_map(|s| s.sets.clone()).collect();
    known.sort();
    known.dedup();
    known.extend(all.into_iter().map(|s| s.name));
    Err(ScenarioError::Unknown {
        name: word.to_owned(),
        known: known.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_reads_and_is_called_as_its_file() {
        for ((file, _), scenario) in FILES.iter().zip(all().unwrap()) {
            assert_eq!(*file, scenario.name);
            assert!(!scenario.title.is_empty() && !scenario.description.is_empty() && !scenario.sets.is_empty());
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        assert_eq!(
            std::fs::read_dir(folder).unwrap().count(),
            FILES.len(),
            "a file is not listed"
        );
    }

    #[test]
    fn a_word_is_a_name_a_set_or_a_file() {
        assert_eq!(find("call-storm").unwrap().len(), 1);
        assert!(find("short").unwrap().len() > 2);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/soak.toml");
        assert_eq!(find(path).unwrap()[0].name, "soak");
        let error = find("nonsense").unwrap_err().to_string();
        assert!(error.contains("call-storm") && error.contains("short"), "{error}");
    }
}
