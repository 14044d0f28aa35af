//! Commands and what they were answered with, so that one which comes twice is carried out once.

use serde_json::Value as Json;

use super::StoreError;
use super::db::{Tx, args};
use crate::ids::{CommandId, UserId};
use crate::protocol::WireError;

type Result<T> = std::result::Result<T, StoreError>;

/// What a command is answered with: `res.d` or `res.err`.
pub(crate) type Answer = std::result::Result<Json, WireError>;

/// Claims a command id for this transaction. A second transaction with the same id waits here until the first is over.
/// Returns the stored answer, a result or a refusal, when the command was given before.
///
/// # Errors
/// [`StoreError::CommandReused`] when the id was used for another operation.
pub(crate) async fn claim(tx: &mut Tx, user: &UserId, id: &CommandId, op: &str) -> Result<Option<Answer>> {
    let claimed = tx
        .execute(
            "INSERT INTO client_commands (user_id, command_id, op) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            args![user.as_str(), id.as_str(), op],
        )
        .await?;
    if claimed == 1 {
        return Ok(None);
    }
    let row = tx
        .fetch_optional(
            "SELECT op, result::text AS result, refusal::text AS refusal FROM client_commands \
             WHERE user_id = $1 AND command_id = $2",
            args![user.as_str(), id.as_str()],
        )
        .await?;
    let row = row.ok_or(StoreError::Busy)?;
    if row.text("op")? != op {
        return Err(StoreError::CommandReused);
    }
    if let Some(refusal) = row.opt_text("refusal")? {
        return Ok(Some(Err(decode("refusal", refusal)?)));
    }
    let result = row.opt_text("result")?.ok_or(StoreError::Busy)?;
    Ok(Some(Ok(decode("result", result)?)))
}

fn decode<T: serde::de::DeserializeOwned>(column: &str, value: String) -> Result<T> {
    serde_json::from_str(&value).map_err(|_| StoreError::Decode {
        column: column.into(),
        value,
    })
}

/// Stores the result with the claimed command.
pub(crate) async fn finish(tx: &mut Tx, user: &UserId, id: &CommandId, result: &Json) -> Result<()> {
    tx.execute(
        "UPDATE client_commands SET result = $3::jsonb WHERE user_id = $1 AND command_id = $2",
        args![user.as_str(), id.as_str(), result.to_string()],
    )
    .await
    .map(drop)
}

/// Stores the refusal with the claimed command.
pub(crate) async fn refuse(tx: &mut Tx, user: &UserId, id: &CommandId, refusal: &WireError) -> Result<()> {
    let refusal = serde_json::to_string(refusal).map_err(|error| StoreError::Query(error.to_string()))?;
    tx.execute(
        "UPDATE client_commands SET refusal = $3::jsonb WHERE user_id = $1 AND command_id = $2",
        args![user.as_str(), id.as_str(), refusal],
    )
    .await
    .map(drop)
}
