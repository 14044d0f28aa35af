//! Parameters and rows of either database.

use sqlx::Row as _;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use super::StoreError;

/// A parameter of a query.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
    Bool(bool),
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// `args![a, b]`: the parameters of a query, each through `Into<Value>`.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::db::Value::from($value)),*] };
}
pub(crate) use args;

/// A row of either database.
pub(crate) enum Row {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

macro_rules! getter {
    ($(#[$doc:meta])* $name:ident -> $type:ty) => {
        $(#[$doc])*
        pub(crate) fn $name(&self, column: &'static str) -> Result<$type, StoreError> {
            match self {
                Self::Postgres(row) => row.try_get(column),
                Self::Sqlite(row) => row.try_get(column),
            }
            .map_err(|error| StoreError::Query(format!("column {column}: {error}")))
        }
    };
}

impl Row {
    getter!(text -> String);
    getter!(opt_text -> Option<String>);
    getter!(int -> i64);
    getter!(opt_int -> Option<i64>);
    getter!(bool -> bool);
}

/// The parameters as either driver takes them. A macro, because what each value must implement to be added names the
/// driver three times over, in bounds longer than the loop.
macro_rules! arguments {
    ($name:ident -> $arguments:ty) => {
        pub(super) fn $name(values: Vec<Value>) -> Result<$arguments, StoreError> {
            use sqlx::Arguments as _;
            let mut arguments = <$arguments>::default();
            for value in values {
                match value {
                    Value::Text(value) => arguments.add(value),
                    Value::Int(value) => arguments.add(value),
                    Value::Bool(value) => arguments.add(value),
                }
                .map_err(|error| StoreError::Query(error.to_string()))?;
            }
            Ok(arguments)
        }
    };
}
arguments!(postgres_arguments -> PgArguments);
arguments!(sqlite_arguments -> SqliteArguments);
