//! A statement's parameters with their types named, so that a statement takes one round trip and, but for the few
//! that are prepared on purpose, leaves nothing prepared behind.

use bytes::BytesMut;
use jiff::Timestamp;
use serde_json::Value;
use std::error::Error;
use std::time::Duration;
use tokio_postgres::types::{IsNull, ToSql, Type};
use uuid::Uuid;

/// One parameter. All but lists of text and numbers may be null.
#[derive(Debug)]
pub(crate) enum Arg<'a> {
    Text(Option<&'a str>),
    Texts(Vec<&'a str>),
    Uuid(Option<Uuid>),
    Uuids(Option<Vec<Uuid>>),
    Bigint(Option<i64>),
    Bigints(Vec<i64>),
    Boolean(Option<bool>),
    Bytes(Option<&'a [u8]>),
    Json(Option<&'a Value>),
    Timestamp(Option<Timestamp>),
}

pub(crate) fn text<'a>(value: impl Into<Option<&'a str>>) -> Arg<'a> {
    Arg::Text(value.into())
}

pub(crate) fn texts<T: AsRef<str>>(values: &[T]) -> Arg<'_> {
    Arg::Texts(values.iter().map(AsRef::as_ref).collect())
}

pub(crate) fn uuid<'a>(value: impl Into<Option<Uuid>>) -> Arg<'a> {
    Arg::Uuid(value.into())
}

/// A list of ids; null stands for any.
pub(crate) fn uuids<'a>(values: Option<Vec<Uuid>>) -> Arg<'a> {
    Arg::Uuids(values)
}

pub(crate) fn bigint<'a>(value: impl Into<Option<i64>>) -> Arg<'a> {
    Arg::Bigint(value.into())
}

pub(crate) fn bigints<'a>(values: Vec<i64>) -> Arg<'a> {
    Arg::Bigints(values)
}

pub(crate) fn boolean<'a>(value: bool) -> Arg<'a> {
    Arg::Boolean(Some(value))
}

pub(crate) fn bytes<'a>(value: impl Into<Option<&'a [u8]>>) -> Arg<'a> {
    Arg::Bytes(value.into())
}

pub(crate) fn json<'a>(value: impl Into<Option<&'a Value>>) -> Arg<'a> {
    Arg::Json(value.into())
}

pub(crate) fn timestamp<'a>(value: impl Into<Option<Timestamp>>) -> Arg<'a> {
    Arg::Timestamp(value.into())
}

/// Milliseconds as statements take them. Longer than 292 million years is cut to that.
pub(crate) fn millis<'a>(duration: Duration) -> Arg<'a> {
    bigint(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

impl Arg<'_> {
    /// The type that the statement is told.
    pub(crate) fn sql_type(&self) -> Type {
        match self {
            Self::Text(_) => Type::TEXT,
            Self::Texts(_) => Type::TEXT_ARRAY,
            Self::Uuid(_) => Type::UUID,
            Self::Uuids(_) => Type::UUID_ARRAY,
            Self::Bigint(_) => Type::INT8,
            Self::Bigints(_) => Type::INT8_ARRAY,
            Self::Boolean(_) => Type::BOOL,
            Self::Bytes(_) => Type::BYTEA,
            Self::Json(_) => Type::JSONB,
            Self::Timestamp(_) => Type::TIMESTAMPTZ,
        }
    }
}

impl ToSql for Arg<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Text(value) => value.to_sql(ty, out),
            Self::Texts(values) => values.to_sql(ty, out),
            Self::Uuid(value) => value.to_sql(ty, out),
            Self::Uuids(values) => values.to_sql(ty, out),
            Self::Bigint(value) => value.to_sql(ty, out),
            Self::Bigints(values) => values.to_sql(ty, out),
            Self::Boolean(value) => value.to_sql(ty, out),
            Self::Bytes(value) => value.to_sql(ty, out),
            Self::Json(value) => value.to_sql(ty, out),
            Self::Timestamp(value) => value.to_sql(ty, out),
        }
    }

    /// Each names its own type; see [`Arg::sql_type`].
    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// As the driver takes parameters.
pub(crate) fn typed<'a>(args: &'a [Arg<'_>]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    args.iter().map(|arg| (arg as &(dyn ToSql + Sync), arg.sql_type())).collect()
}
