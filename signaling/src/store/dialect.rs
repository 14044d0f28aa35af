//! A query is written once, in the words both databases understand (`$1` placeholders), with a few marks that mean something
//! on Postgres only and are removed for SQLite: `ms(column)` and `ts($n)` turn `TIMESTAMPTZ` into epoch milliseconds and back
//! (functions made by the first migration; SQLite keeps the milliseconds as they are), `::jsonb` and `::text` convert
//! metadata, `clock_timestamp()` is the clock, `FROM each($1)` gives the texts of a JSON array, `FOR UPDATE` locks rows
//! (SQLite has one writer).

/// Removes what only Postgres understands.
pub(crate) fn for_sqlite(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut word = true; // whether an identifier may begin here
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        if word && let Some((inner, after)) = call_of(rest) {
            out.push_str(inner);
            rest = after;
            word = false;
            continue;
        }
        word = !(first.is_alphanumeric() || first == '_');
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    if out.contains("FROM each(") {
        out = out.replace("FROM each(", "FROM json_each(");
    }
    if out.contains("strpos(") {
        out = out.replace("strpos(", "instr(");
    }
    if out.contains("clock_timestamp()") {
        out = out.replace("clock_timestamp()", "CAST(unixepoch('subsec') * 1000 AS INTEGER)");
    }
    for mark in ["::jsonb", "::text", " FOR UPDATE SKIP LOCKED", " FOR UPDATE"] {
        if out.contains(mark) {
            out = out.replace(mark, "");
        }
    }
    out
}

/// `ms(x)rest` or `ts(x)rest` -> (`x`, `rest`). The argument holds no parenthesis.
fn call_of(sql: &str) -> Option<(&str, &str)> {
    let inner = sql.strip_prefix("ms(").or_else(|| sql.strip_prefix("ts("))?;
    inner.split_once(')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_removed_for_sqlite_and_names_that_look_alike_stay() {
        assert_eq!(
            for_sqlite("SELECT ms(c.created_at) AS at, items(1), x::text FROM calls c WHERE at < ts($2) FOR UPDATE"),
            "SELECT c.created_at AS at, items(1), x FROM calls c WHERE at < $2"
        );
        assert_eq!(for_sqlite("VALUES ($1, ts($2), $3::jsonb)"), "VALUES ($1, $2, $3)");
    }
}
