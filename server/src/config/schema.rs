//! The set of keys that exist, taken from the defaults, so that it cannot drift from them.

use std::collections::BTreeMap;
use std::path::Path;

use figment::value::{Num, Value};

use super::{Config, ConfigError};

/// Prefix of the variables.
const PREFIX: &str = "RINGHALL_";

/// Variables with the prefix that are not options: the file to read, and what the tests use.
const NOT_OPTIONS: [&str; 2] = ["RINGHALL_CONFIG", "RINGHALL_TEST_"];

/// Keys by `section.key`, each with its default, whose type says how text is to be read.
pub(super) struct Schema {
    keys: BTreeMap<String, toml::Value>,
}

impl Schema {
    pub(super) fn of(defaults: &Config) -> Result<Self, ConfigError> {
        let table = toml::Table::try_from(defaults).map_err(|e| ConfigError::Value(e.to_string()))?;
        let mut keys = BTreeMap::new();
        for (section, value) in table {
            if let toml::Value::Table(options) = value {
                for (key, value) in options {
                    keys.insert(format!("{section}.{key}"), value);
                }
            }
        }
        Ok(Self { keys })
    }

    /// Refuses a file that is not TOML or has a section or key that does not exist.
    pub(super) fn check_file(&self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let table: toml::Table = toml::from_str(text).map_err(|e| ConfigError::File {
            path: path.to_owned(),
            reason: e.to_string().trim_end().to_owned(),
        })?;
        for (section, value) in table {
            let known = self.keys.keys().any(|k| k.split('.').next() == Some(&section));
            if !known {
                let sections = self.keys.keys().filter_map(|k| k.split('.').next());
                return Err(unknown("option", &section, sections));
            }
            match value {
                toml::Value::Table(options) => {
                    for key in options.keys() {
                        self.check_key(&format!("{section}.{key}"))?;
                    }
                }
                _ => {
                    return Err(ConfigError::Value(format!(
                        "{section:?} is a section: write [{section}]"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Refuses a key that does not exist.
    pub(super) fn check_key(&self, key: &str) -> Result<(), ConfigError> {
        if self.keys.contains_key(key) {
            return Ok(());
        }
        Err(unknown("option", key, self.keys.keys().map(String::as_str)))
    }

    /// The key that a variable sets; `None` when the variable is not ours.
    pub(super) fn key_of_variable(&self, name: &str) -> Result<Option<String>, ConfigError> {
        if !name.starts_with(PREFIX) || NOT_OPTIONS.iter().any(|n| name.starts_with(n)) {
            return Ok(None);
        }
        let variables: BTreeMap<String, &String> = self.keys.keys().map(|k| (variable(k), k)).collect();
        match variables.get(name) {
            Some(key) => Ok(Some((*key).clone())),
            None => Err(unknown(
                "environment variable",
                name,
                variables.keys().map(String::as_str),
            )),
        }
    }

    /// Text from the environment or a flag, read as the type that the option has. `place` is named in errors.
    pub(super) fn value(&self, key: &str, text: &str, place: &str) -> Result<Value, ConfigError> {
        let wrong = |what: &str| ConfigError::Value(format!("{place}: {text:?} is not {what}"));
        Ok(match self.keys.get(key) {
            Some(toml::Value::Integer(_)) => Value::Num(
                Default::default(),
                Num::I64(text.trim().parse().map_err(|_| wrong("a whole number"))?),
            ),
            Some(toml::Value::Boolean(_)) => Value::Bool(
                Default::default(),
                text.trim().parse().map_err(|_| wrong("true or false"))?,
            ),
            Some(toml::Value::Array(_)) => {
                let items = text.split(',').map(str::trim).filter(|t| !t.is_empty());
                Value::Array(Default::default(), items.map(Value::from).collect())
            }
            _ => Value::from(text),
        })
    }
}

/// `http.listen` -> `RINGHALL_HTTP_LISTEN`.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn unknown<'a>(place: &'static str, key: &str, known: impl Iterator<Item = &'a str>) -> ConfigError {
    let nearest = known
        .map(|k| (strsim::jaro_winkler(k, key), k))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k.to_owned());
    ConfigError::UnknownKey {
        place,
        key: key.to_owned(),
        nearest,
    }
}
