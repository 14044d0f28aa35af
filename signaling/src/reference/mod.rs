//! What is generated from the protocol's types. The golden examples in `signaling/protocol-examples` are part of it: one
//! whole frame a file, read by the tests of both sides and shown in the reference.

mod markdown;
mod source;
mod typescript;

use std::path::{Path, PathBuf};

/// Every generated file with its text, or with what keeps it from being made.
pub fn generated() -> Vec<(PathBuf, Result<String, String>)> {
    let root = root();
    let page = root.join("docs/protocol.md");
    let reference = std::fs::read_to_string(&page)
        .map_err(|e| format!("{}: {e}", page.display()))
        .and_then(|text| markdown::fill_in(&text, &examples()));
    vec![
        (
            root.join("web-client/packages/core/src/protocol/index.ts"),
            Ok(typescript::module()),
        ),
        (page, reference),
    ]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where the golden examples are.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol-examples")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::protocol::{ClientFrame, Command, EventBody, RealtimeBody, ServerFrame};

    #[test]
    fn what_is_generated_is_not_stale() {
        for (path, text) in generated() {
            let now = std::fs::read_to_string(&path).unwrap_or_default();
            let fresh = text.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(
                now == fresh,
                "{} is stale; run: cargo run -p signaling --bin protocol-docs",
                path.display()
            );
        }
    }

    #[test]
    fn every_operation_has_an_example_that_survives_the_types() {
        let check = |prefix: &str, source: &str, name: &str| {
            for variant in source::variants(source, name) {
                let path = examples().join(format!("{prefix}-{}.json", variant.op));
                let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                let golden: Value = serde_json::from_str(&text).unwrap();
                let again = match prefix {
                    "command" | "client" => serde_json::to_value(serde_json::from_str::<ClientFrame>(&text).unwrap()),
                    _ => serde_json::to_value(serde_json::from_str::<ServerFrame>(&text).unwrap()),
                };
                assert_eq!(again.unwrap(), golden, "{}", path.display());
                let body = serde_json::json!({"op": golden["op"], "d": golden["d"]});
                let again = match prefix {
                    "command" => serde_json::to_value(serde_json::from_value::<Command>(body.clone()).unwrap()),
                    "event" => serde_json::to_value(serde_json::from_value::<EventBody>(body.clone()).unwrap()),
                    "realtime" => serde_json::to_value(serde_json::from_value::<RealtimeBody>(body.clone()).unwrap()),
                    _ => continue,
                };
                assert_eq!(golden["op"], variant.op, "{}", path.display());
                let again = again.unwrap();
                for (field, value) in golden["d"].as_object().unwrap() {
                    assert_eq!(&again["d"][field], value, "{}: {field}", path.display());
                }
            }
        };
        check("command", source::COMMAND, "Command");
        check("event", source::EVENT, "EventBody");
        check("realtime", source::EVENT, "RealtimeBody");
        check("client", source::FRAME, "ClientFrame");
        check("server", source::FRAME, "ServerFrame");
    }
}
