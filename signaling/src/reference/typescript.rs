//! The TypeScript of the SDK, from the derives.

use std::collections::BTreeSet;

use ts_rs::{Config, TS, TypeVisitor};

use crate::protocol::{
    CallDetails, CallPage, ChatList, ClientFrame, Command, Done, ErrorCode, EventBody, JoinCallResult, MAX_FRAME_BYTES,
    MAX_SDP_FRAME_BYTES, MessagePage, RealtimeBody, SUBPROTOCOL, ServerFrame, StartCallResult, Unread, close,
};

/// A declared type.
pub(super) struct Declared {
    pub(super) name: String,
    /// A JSDoc comment, or nothing.
    pub(super) docs: String,
    /// `type Name = ...;`
    pub(super) text: String,
}

/// Every type that the roots reach, each once, by name: the derives hand out dependencies in no stable order.
pub(super) fn types() -> Vec<Declared> {
    let config = Config::new().with_large_int("number");
    let mut collector = Collector {
        config: &config,
        seen: BTreeSet::new(),
        found: Vec::new(),
    };
    collector.visit::<ErrorCode>();
    collector.visit::<Command>();
    collector.visit::<StartCallResult>();
    collector.visit::<JoinCallResult>();
    collector.visit::<Done>();
    collector.visit::<ChatList>();
    collector.visit::<MessagePage>();
    collector.visit::<Unread>();
    collector.visit::<CallPage>();
    collector.visit::<CallDetails>();
    collector.visit::<EventBody>();
    collector.visit::<RealtimeBody>();
    collector.visit::<ClientFrame>();
    collector.visit::<ServerFrame>();
    collector.found.sort_by(|a, b| a.name.cmp(&b.name));
    collector.found
}

struct Collector<'a> {
    config: &'a Config,
    seen: BTreeSet<String>,
    found: Vec<Declared>,
}

impl TypeVisitor for Collector<'_> {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Containers (Option, Vec) have no declaration, but what is in them may have.
        T::visit_generics(self);
        if T::output_path().is_none() {
            return;
        }
        let name = T::ident(self.config);
        if !self.seen.insert(name.clone()) {
            return;
        }
        T::visit_dependencies(self);
        let text = T::decl(self.config);
        self.found.push(Declared {
            name,
            docs: T::docs().unwrap_or_default(),
            text,
        });
    }
}

/// The whole module.
pub(super) fn module() -> String {
    let mut out = String::from(
        "// Generated from signaling/src/protocol by `cargo run -p signaling --bin protocol-docs`. Do not edit.\n",
    );
    let constants = [
        ("The WebSocket subprotocol.", "SUBPROTOCOL", format!("{SUBPROTOCOL:?}")),
        (
            "Largest client frame in bytes.",
            "MAX_FRAME_BYTES",
            MAX_FRAME_BYTES.to_string(),
        ),
        (
            "Largest client frame in bytes for `media_offer`.",
            "MAX_SDP_FRAME_BYTES",
            MAX_SDP_FRAME_BYTES.to_string(),
        ),
    ];
    for (doc, name, value) in constants {
        out += &format!("\n/** {doc} */\nexport const {name} = {value};\n");
    }
    out += "\n/** WebSocket close codes. */\nexport const CLOSE = {\n";
    for (name, code) in [
        ("protocol", close::PROTOCOL),
        ("auth", close::AUTH),
        ("removed", close::REMOVED),
        ("replaced", close::REPLACED),
        ("flood", close::FLOOD),
        ("draining", close::DRAINING),
    ] {
        out += &format!("  {name}: {code},\n");
    }
    out += "} as const;\n";
    for declared in types() {
        out += &format!("\n{}export {}\n", one_line(&declared.docs), tidy(&declared.text));
    }
    out
}

/// A JSDoc comment of one sentence on one line.
fn one_line(docs: &str) -> String {
    let lines: Vec<&str> = docs.trim().lines().collect();
    match lines.as_slice() {
        ["/**", one, " */"] => format!("/** {} */\n", one.trim_start_matches(" * ").trim()),
        [] => String::new(),
        _ => format!("{}\n", docs.trim_end()),
    }
}

/// Fields and members of unions on lines of their own.
fn tidy(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().map(str::trim_end).peekable();
    while let Some(line) = lines.next() {
        if line == "/**" {
            let mut words = Vec::new();
            for line in lines.by_ref().take_while(|l| *l != " */") {
                words.push(line.trim_start_matches(" *").trim());
            }
            let comment = words.join(" ");
            out += &format!("  /** {} */\n", comment.trim());
            if let Some(field) = lines.next() {
                let (field, rest) = match field.strip_suffix("};") {
                    Some(field) => (field.trim(), "};\n"),
                    None => (field.trim(), ""),
                };
                out += &format!("  {}\n{rest}", field.trim_end_matches(',').to_owned() + ";");
            }
        } else {
            let unions = line.replace(" | { \"", "\n  | { \"").replace("; }", " }");
            out += &format!("{}\n", unions.trim_end());
        }
    }
    out.trim_end().to_owned()
}
