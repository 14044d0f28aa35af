//! Configuration: defaults < file < environment < flags. A key that does not exist is refused, and the nearest one named.

mod options;
mod schema;
mod tls;

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use figment::value::Value;

pub(crate) use options::*;
use schema::Schema;

/// Places looked at when no file is named.
const USUAL_PLACES: [&str; 2] = ["ringhall.toml", "/etc/ringhall/ringhall.toml"];

/// Why the configuration is refused. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A key that does not exist.
    #[error("unknown {place} {key:?}{}", .nearest.as_ref().map(|n| format!(": did you mean {n:?}?")).unwrap_or_default())]
    UnknownKey {
        /// `option` (file or flag) or `environment variable`.
        place: &'static str,
        /// As written.
        key: String,
        /// The closest that exists.
        nearest: Option<String>,
    },
    /// The file cannot be read or is not TOML.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A value does not fit its option.
    #[error("{0}")]
    Value(String),
}

/// Where configuration comes from, besides the defaults.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The file; `None`: the first of the usual places that exists.
    pub(crate) file: Option<PathBuf>,
    /// Environment variables.
    pub(crate) environment: Vec<(String, String)>,
    /// `section.key` and value, from flags.
    pub(crate) flags: Vec<(String, String)>,
}

impl Sources {
    /// Reads everything and puts it together.
    ///
    /// # Errors
    /// [`ConfigError`] names the key and the place.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        let schema = Schema::of(&Config::default())?;
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        let usual = || USUAL_PLACES.iter().map(PathBuf::from).find(|p| p.exists());
        if let Some(path) = self.file.clone().or_else(usual) {
            let text = std::fs::read_to_string(&path).map_err(|e| ConfigError::File {
                path: path.clone(),
                reason: e.to_string(),
            })?;
            schema.check_file(&path, &text)?;
            figment = figment.merge(Toml::string(&text));
        }
        for (name, text) in &self.environment {
            if let Some(key) = schema.key_of_variable(name)? {
                figment = merge(figment, &key, schema.value(&key, text, name)?);
            }
        }
        for (key, text) in &self.flags {
            schema.check_key(key)?;
            figment = merge(figment, key, schema.value(key, text, key)?);
        }
        let config: Config = figment.extract().map_err(|e| ConfigError::Value(e.to_string()))?;
        config.check()?;
        Ok(config)
    }
}

fn merge(figment: Figment, key: &str, value: Value) -> Figment {
    figment.merge(Serialized::default(key, value))
}

/// Splits `section.key=value` of a `--set` flag.
///
/// # Errors
/// A sentence for the operator.
pub(crate) fn parse_set(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.contains('.') => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("write it as section.key=value, for example calls.ring_ms=20000".to_owned()),
    }
}

/// A path below the data folder.
pub(crate) fn in_data_dir(config: &Config, name: &str) -> PathBuf {
    Path::new(&config.data.dir).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let own = |list: &[(&str, &str)]| list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ringhall.toml");
        std::fs::write(&path, file).unwrap();
        Sources {
            file: Some(path),
            environment: own(environment),
            flags: own(flags),
        }
        .load()
    }

    #[test]
    fn the_file_in_the_repository_lists_every_option_with_its_default() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/ringhall.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let file: toml::Table = toml::from_str(&text).unwrap();
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(file, defaults, "an option is missing, or its value is not the default");
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines
            .windows(2)
            .filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with('#'))
        {
            assert!(pair[0].starts_with('#'), "{:?} has no comment above it", pair[1]);
        }
    }

    #[test]
    fn flags_win_over_the_environment_and_the_environment_over_the_file() {
        let file = "[http]\nlisten = '127.0.0.1:1'\n[data]\ndir = 'f'\n[log]\nlevel = 'warn'";
        let environment = [
            ("RINGHALL_HTTP_LISTEN", "127.0.0.1:2"),
            ("RINGHALL_DATA_DIR", "e"),
            ("HOME", "/"),
        ];
        let config = with(file, &environment, &[("http.listen", "127.0.0.1:3")]).unwrap();
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:3");
        assert_eq!(config.data.dir, PathBuf::from("e"));
        assert_eq!(config.log.level, "warn");
    }

    #[test]
    fn every_option_has_a_variable_that_is_read_as_its_type() {
        let environment = [
            ("RINGHALL_MEDIA_ADVERTISE", "192.0.2.1, 2001:db8::1"),
            ("RINGHALL_MEDIA_VIDEO_CODECS", "av1,vp8"),
            ("RINGHALL_CALLS_RING_MS", "1500"),
            ("RINGHALL_CALLS_END_WHEN_INITIATOR_LOST", "true"),
            ("RINGHALL_AUTH_SECRET", "01234567890123456789012345678901"),
            ("RINGHALL_AUTH_ISSUER", "host"),
        ];
        let config = with("", &environment, &[]).unwrap();
        assert_eq!(config.media.advertise.len(), 2);
        assert_eq!(config.media.video_codecs.len(), 2);
        assert_eq!(config.calls.ring_ms, 1500);
        assert!(config.calls.end_when_initiator_lost);
        assert_eq!(
            config.auth.secret, "01234567890123456789012345678901",
            "a number-like secret stays text"
        );
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_right_one() {
        let message = |r: Result<Config, ConfigError>| r.unwrap_err().to_string();
        let file = message(with("[http]\nlissten = 'x'", &[], &[]));
        assert!(file.contains("http.lissten") && file.contains("http.listen"), "{file}");
        let section = message(with("[htp]\nlisten = 'x'", &[], &[]));
        assert!(section.contains("\"htp\"") && section.contains("\"http\""), "{section}");
        let variable = message(with("", &[("RINGHALL_DATADIR", "x")], &[]));
        assert!(variable.contains("RINGHALL_DATA_DIR"), "{variable}");
        let flag = message(with("", &[], &[("calls.ring", "1")]));
        assert!(flag.contains("calls.ring_ms"), "{flag}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named() {
        let number = with("", &[("RINGHALL_CALLS_RING_MS", "soon")], &[])
            .unwrap_err()
            .to_string();
        assert!(
            number.contains("RINGHALL_CALLS_RING_MS") && number.contains("soon"),
            "{number}"
        );
        let listen = with("[http]\nlisten = 'here'", &[], &[]).unwrap_err().to_string();
        assert!(listen.contains("listen"), "{listen}");
        assert!(
            with("[auth]\nissuer = 'host'", &[], &[]).is_err(),
            "an issuer without a secret"
        );
        assert!(with("[auth]\nissuer = 'host'\nsecret = 'short'", &[], &[]).is_err());
        assert!(with("[http", &[], &[]).is_err());
        let codec = with("[media]\nvideo_codecs = ['vp7']", &[], &[])
            .unwrap_err()
            .to_string();
        assert!(codec.contains("vp7") && codec.contains("vp8"), "{codec}");
        let turn = "[turn]\nexternal_urls = ['stun:a', 'turn:b']";
        let open = with(turn, &[], &[]).unwrap_err().to_string();
        assert!(open.contains("turn:b") && open.contains("external_secret"), "{open}");
        assert!(with(&format!("{turn}\nexternal_secret = 's'"), &[], &[]).is_ok());
        let none = with("[media]\nvideo_codecs = []", &[], &[]).unwrap_err().to_string();
        assert!(none.contains("video_codecs"), "{none}");
    }

    #[test]
    fn a_set_flag_is_section_key_and_value() {
        assert_eq!(parse_set("log.level=a=b"), Ok(("log.level".into(), "a=b".into())));
        assert!(parse_set("level=debug").is_err() && parse_set("log.level").is_err());
    }
}
