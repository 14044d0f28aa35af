//! Reads names and doc comments of enum variants from the protocol's source: the derive that makes the TypeScript drops
//! them.

pub(super) const COMMAND: &str = include_str!("../protocol/command.rs");
pub(super) const EVENT: &str = include_str!("../protocol/event.rs");
pub(super) const FRAME: &str = include_str!("../protocol/frame.rs");
pub(super) const ERROR: &str = include_str!("../protocol/error.rs");

/// A variant of one of the enums.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variant {
    /// In snake_case, as on the wire.
    pub(super) op: String,
    /// Its type's name without `Box`; empty for a unit variant or one with fields of its own.
    pub(super) payload: String,
    /// Its doc comment, as one paragraph.
    pub(super) doc: String,
}

/// The variants of `pub enum {name}` in order. The source is formatted by rustfmt, which this relies on.
pub(super) fn variants(source: &str, name: &str) -> Vec<Variant> {
    let mut found = Vec::new();
    let mut doc = Vec::new();
    let begin = format!("pub enum {name} {{");
    for line in source
        .lines()
        .skip_while(|l| *l != begin)
        .skip(1)
        .take_while(|l| *l != "}")
    {
        let text = line.trim();
        if let Some(words) = text.strip_prefix("///") {
            if line.starts_with("    ///") {
                doc.push(words.trim());
            }
        } else if line.starts_with("    ") && text.starts_with(char::is_uppercase) {
            let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
            let (variant, rest) = text.split_at(end);
            let payload = rest.trim_start_matches('(').trim_end_matches(',').trim_end_matches(')');
            let payload = payload
                .strip_prefix("Box<")
                .and_then(|p| p.strip_suffix('>'))
                .unwrap_or(payload);
            let payload = if payload.chars().all(char::is_alphanumeric) {
                payload
            } else {
                ""
            };
            found.push(Variant {
                op: snake(variant),
                payload: payload.to_owned(),
                doc: doc.join(" ").replace("[`", "`").replace("`]", "`"),
            });
            doc.clear();
        } else {
            doc.clear();
        }
    }
    found
}

/// A constant of the module of close codes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Constant {
    /// In lower case, as in the TypeScript.
    pub(super) name: String,
    /// Its value.
    pub(super) value: u16,
    /// Its doc comment.
    pub(super) doc: String,
}

/// The numbers in `pub mod {name}` in order.
pub(super) fn constants(source: &str, name: &str) -> Vec<Constant> {
    let begin = format!("pub mod {name} {{");
    let mut doc = String::new();
    let mut found = Vec::new();
    for line in source
        .lines()
        .skip_while(|l| *l != begin)
        .skip(1)
        .take_while(|l| *l != "}")
    {
        let text = line.trim();
        if let Some(words) = text.strip_prefix("///") {
            doc = words.trim().to_owned();
        } else if let Some((name, value)) = text
            .strip_prefix("pub const ")
            .and_then(|rest| rest.split_once(": u16 = "))
            && let Ok(value) = value.trim_end_matches(';').parse()
        {
            found.push(Constant {
                name: name.to_lowercase(),
                value,
                doc: std::mem::take(&mut doc),
            });
        }
    }
    found
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_are_found_with_their_words() {
        let codes = constants(ERROR, "close");
        let of = |name: &str| codes.iter().find(|code| code.name == name).map(|code| code.value);
        assert_eq!((of("protocol"), of("draining")), (Some(4400), Some(4503)));
        assert!(codes.iter().all(|code| !code.doc.is_empty()), "{codes:?}");
    }

    #[test]
    fn variants_are_found_with_their_payload_and_words() {
        let source = "pub enum Other {\n    A,\n}\npub enum Sample {\n    /// Ring\n    /// it.\n    StartCall(StartCall),\n    \
            /// Boxed.\n    Snapshot(Box<Snapshot>),\n    /// Plain.\n    Ping {\n        /// Field.\n        n: u64,\n    },\n}\n";
        let found = variants(source, "Sample");
        let brief: Vec<_> = found
            .iter()
            .map(|v| (v.op.as_str(), v.payload.as_str(), v.doc.as_str()))
            .collect();
        let expected = [
            ("start_call", "StartCall", "Ring it."),
            ("snapshot", "Snapshot", "Boxed."),
            ("ping", "", "Plain."),
        ];
        assert_eq!(brief, expected);
    }
}
