//! The generated part of `docs/protocol.md`.

use std::path::Path;

use super::source::{self, Variant};
use super::typescript::{Declared, types};

const BEGIN: &str = "<!-- generated: begin (cargo run -p signaling --bin protocol-docs) -->";
const END: &str = "<!-- generated: end -->";

/// The results of commands that have an example, and what each is.
pub(super) const RESULTS: [(&str, &str); 5] = [
    (
        "created",
        "A call that was started ([StartCallResult](#startcallresult)):",
    ),
    (
        "exists",
        "The chat has a live call already ([StartCallResult](#startcallresult)):",
    ),
    (
        "joined",
        "In the call, waiting, or too late ([JoinCallResult](#joincallresult)):",
    ),
    ("message", "A text message as it was stored ([Message](#message)):"),
    ("done", "Everything else ([Done](#done)):"),
];

fn example(examples: &Path, name: &str) -> Result<String, String> {
    let path = examples.join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// Small objects need no page each.
fn on_one_line(json: &str) -> Result<String, String> {
    let lines: Vec<&str> = json.lines().map(str::trim).collect();
    let text = lines.join(" ");
    serde_json::from_str::<serde_json::Value>(&text).map_err(|e| format!("{text}: {e}"))?;
    Ok(text)
}

/// The page with its generated part made anew.
///
/// # Errors
/// When the marks are missing, or an example is.
pub(super) fn fill_in(page: &str, examples: &Path) -> Result<String, String> {
    let (before, rest) = page.split_once(BEGIN).ok_or_else(|| format!("{BEGIN} is missing"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("{END} is missing"))?;
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", reference(examples)?))
}

fn reference(examples: &Path) -> Result<String, String> {
    let types = types();
    let mut out = String::new();
    let part = |title: &str, prefix: &str, variants: Vec<Variant>| -> Result<String, String> {
        let mut out = format!("\n## {title}\n");
        for variant in variants {
            out += &operation(&variant, prefix, &types, examples)?;
        }
        Ok(out)
    };
    out += &part(
        "Frames of the client",
        "client",
        source::variants(source::FRAME, "ClientFrame"),
    )?;
    out += &part(
        "Frames of the server",
        "server",
        source::variants(source::FRAME, "ServerFrame"),
    )?;
    out += &part(
        "Commands (`req`)",
        "command",
        source::variants(source::COMMAND, "Command"),
    )?;
    out += &part(
        "Durable events (`ev`)",
        "event",
        source::variants(source::EVENT, "EventBody"),
    )?;
    out += &part(
        "Ephemeral events (`rt`)",
        "realtime",
        source::variants(source::EVENT, "RealtimeBody"),
    )?;
    out += "\n## Results (`res.d`)\n";
    for (name, words) in RESULTS {
        out += &format!(
            "\n{words}\n\n```json\n{}\n```\n",
            example(examples, &format!("result-{name}"))?
        );
    }
    out +=
        "\n## Error codes\n\nWhat a refused command is answered with, and what a REST problem names as its `code`.\n";
    for code in source::variants(source::ERROR, "ErrorCode") {
        let text = example(examples, &format!("error-{}", code.op))?;
        let (name, text) = (code.op.to_uppercase(), on_one_line(&text)?);
        out += &format!("\n### `{name}`\n\n{}\n\n```json\n{text}\n```\n", code.doc);
    }
    out += "\n## Close codes\n\nWith what the server closes a WebSocket; the reason is for developers.\n";
    for code in source::constants(source::ERROR, "close") {
        let text = on_one_line(&example(examples, &format!("close-{}", code.name))?)?;
        out += &format!("\n### {}\n\n{}\n\n```json\n{text}\n```\n", code.value, code.doc);
    }
    out += "\n## Types\n";
    let shown = [
        "Command",
        "EventBody",
        "RealtimeBody",
        "ClientFrame",
        "ServerFrame",
        "ErrorCode",
    ];
    for declared in types.iter().filter(|t| !shown.contains(&t.name.as_str())) {
        let fields = fields(&declared.text);
        out += &format!("\n### {}\n\n{}\n", declared.name, words(&declared.docs));
        out += &match fields.is_empty() {
            true => format!("\n`{}`\n", compact(&declared.text)),
            false => table(&fields),
        };
    }
    Ok(out)
}

fn operation(variant: &Variant, prefix: &str, types: &[Declared], examples: &Path) -> Result<String, String> {
    let example = example(examples, &format!("{prefix}-{}", variant.op))?;
    let fields = types
        .iter()
        .find(|t| t.name == variant.payload)
        .map(|t| fields(&t.text))
        .unwrap_or_default();
    let result = match (prefix, variant.op.as_str()) {
        ("command", "start_call") => "\nResult: [StartCallResult](#startcallresult).\n",
        ("command", "accept_call" | "join_call") => "\nResult: [JoinCallResult](#joincallresult).\n",
        ("command", "send_message") => "\nResult: [Message](#message).\n",
        ("command", _) => "\nResult: [Done](#done).\n",
        _ => "",
    };
    Ok(format!(
        "\n### `{}`\n\n{}\n{}{result}\n```json\n{}\n```\n",
        variant.op,
        variant.doc,
        table(&fields),
        example
    ))
}

fn table(fields: &[Field]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let mut out = String::from("\n| Field | Type | |\n|---|---|---|\n");
    for field in fields {
        out += &format!(
            "| `{}` | `{}` | {} |\n",
            field.name,
            field.kind.replace('|', "\\|"),
            field.doc
        );
    }
    out
}

struct Field {
    name: String,
    kind: String,
    doc: String,
}

/// The documented fields of an object type; none for unions and plain names.
fn fields(declaration: &str) -> Vec<Field> {
    let object = declaration
        .split_once(" = ")
        .is_some_and(|(_, text)| text.starts_with("{ \n/**"));
    if !object {
        return Vec::new();
    }
    let blocks = declaration
        .split("/**")
        .skip(1)
        .filter_map(|block| block.split_once("*/"));
    blocks
        .filter_map(|(doc, rest)| {
            let (name, kind) = rest
                .trim()
                .trim_end_matches("};")
                .trim()
                .trim_end_matches(',')
                .split_once(": ")?;
            Some(Field {
                name: name.to_owned(),
                kind: kind.trim().to_owned(),
                doc: words(doc),
            })
        })
        .collect()
}

/// A comment as one paragraph.
fn words(comment: &str) -> String {
    let lines = comment
        .lines()
        .map(|l| l.trim().trim_start_matches("/**").trim_start_matches("*/"));
    let lines = lines
        .map(|l| l.trim_start_matches('*').trim())
        .filter(|l| !l.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// A declaration without its comments, on one line.
fn compact(declaration: &str) -> String {
    let mut out = String::new();
    let mut rest = declaration;
    while let Some((before, comment)) = rest.split_once("/**") {
        out += before;
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    out += rest;
    out.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .trim_end_matches(';')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_without_marks_is_not_overwritten() {
        assert!(fill_in("# Words of people", Path::new(".")).is_err());
    }

    #[test]
    fn fields_are_read_with_their_words() {
        let text = "type A = { \n/**\n * Who\n * it is.\n */\nid: UserId, \n/**\n * May be absent.\n */\nname?: string | null, };";
        let fields = fields(text);
        assert_eq!(fields.len(), 2);
        assert_eq!(
            (fields[0].name.as_str(), fields[0].kind.as_str(), fields[0].doc.as_str()),
            ("id", "UserId", "Who it is.")
        );
        assert_eq!(
            (fields[1].name.as_str(), fields[1].kind.as_str()),
            ("name?", "string | null")
        );
    }
}
