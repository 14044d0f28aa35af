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
    use crate::protocol::{
        ClientFrame, Command, Done, EventBody, JoinCallResult, Message, RealtimeBody, ServerFrame, StartCallResult,
    };

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

    fn read(name: &str) -> Value {
        let path = examples().join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    #[test]
    fn every_error_code_and_every_close_code_has_an_example() {
        for code in source::variants(source::ERROR, "ErrorCode") {
            let golden = read(&format!("error-{}", code.op));
            let frame: ServerFrame = serde_json::from_value(golden.clone()).unwrap();
            assert_eq!(serde_json::to_value(frame).unwrap(), golden, "{}", code.op);
            assert_eq!(golden["err"]["code"], code.op.to_uppercase());
            // A wait is named exactly where waiting helps.
            let waits = matches!(code.op.as_str(), "rate_limited" | "unavailable" | "draining");
            assert_eq!(
                golden["err"]["retryAfterMs"].as_u64().unwrap() > 0,
                waits,
                "{}",
                code.op
            );
        }
        for code in source::constants(source::ERROR, "close") {
            let golden = read(&format!("close-{}", code.name));
            assert_eq!(golden["code"], code.value);
            // All of a close frame's payload is at most 125 bytes (RFC 6455, 5.5), two of them the code.
            assert!((1..=123).contains(&golden["reason"].as_str().unwrap().len()));
        }
    }

    #[test]
    fn every_kind_of_result_has_an_example_that_survives_its_type() {
        for (name, _) in markdown::RESULTS {
            let golden = read(&format!("result-{name}"))["d"].clone();
            let again = match name {
                "created" | "exists" => {
                    serde_json::to_value(serde_json::from_value::<StartCallResult>(golden.clone()).unwrap())
                }
                "joined" => serde_json::to_value(serde_json::from_value::<JoinCallResult>(golden.clone()).unwrap()),
                "message" => serde_json::to_value(serde_json::from_value::<Message>(golden.clone()).unwrap()),
                "done" => serde_json::to_value(serde_json::from_value::<Done>(golden.clone()).unwrap()),
                other => panic!("of what type is {other}?"),
            };
            assert_eq!(again.unwrap(), golden, "{name}");
        }
    }

    /// An example that no test reads is a lie in waiting.
    #[test]
    fn every_example_is_of_something_that_there_is() {
        let variants = |prefix: &str, source: &str, name: &str| {
            let all = source::variants(source, name).into_iter();
            all.map(|v| format!("{prefix}-{}.json", v.op)).collect::<Vec<_>>()
        };
        let mut known = [
            variants("command", source::COMMAND, "Command"),
            variants("event", source::EVENT, "EventBody"),
            variants("realtime", source::EVENT, "RealtimeBody"),
            variants("client", source::FRAME, "ClientFrame"),
            variants("server", source::FRAME, "ServerFrame"),
            variants("error", source::ERROR, "ErrorCode"),
        ]
        .concat();
        known.extend(
            source::constants(source::ERROR, "close")
                .iter()
                .map(|c| format!("close-{}.json", c.name)),
        );
        known.extend(markdown::RESULTS.map(|(name, _)| format!("result-{name}.json")));
        for file in std::fs::read_dir(examples()).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(known.contains(&name), "{name}");
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
