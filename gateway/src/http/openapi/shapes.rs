//! What bodies are made of, by name.

use crate::http::failure::ErrorBody;
use crate::http::features::Features;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// A parameter: text, number, boolean, JSON or an array becomes text for PostgreSQL, which gives it its type.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described, never made")]
struct Statement {
    /// One statement.
    query: String,
    /// Its parameters `$1`, `$2`…
    #[schema(max_items = 65_535)]
    params: Option<Vec<serde_json::Value>>,
    /// Rows as arrays rather than as objects.
    #[schema(rename = "arrayMode")]
    array_mode: Option<bool>,
}

/// Statements in one transaction: all of them, or none.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described, never made")]
struct Batch {
    /// In order.
    #[schema(max_items = 10_000)]
    queries: Vec<Statement>,
}

/// A column of a result, as PostgreSQL describes it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "described, never made")]
struct Field {
    name: String,
    #[schema(rename = "tableID")]
    table_id: u32,
    #[schema(rename = "columnID")]
    column_id: i32,
    #[schema(rename = "dataTypeID")]
    data_type_id: u32,
    data_type_size: i32,
    data_type_modifier: i32,
    format: String,
}

/// What came of a statement.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "described, never made")]
struct QueryResult {
    fields: Vec<Field>,
    /// Objects by column name, or arrays.
    rows: Vec<serde_json::Value>,
    /// The command tag's first word.
    command: String,
    /// Rows that the command tag counts.
    row_count: Option<u64>,
    row_as_array: bool,
}

/// What came of a batch.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described, never made")]
struct BatchResult {
    results: Vec<QueryResult>,
}

/// What is wrong, in the form of RFC 9457.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described, never made")]
struct Problem {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
}

/// All is well.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described, never made")]
struct Status {
    status: String,
}

/// All of them.
pub(super) fn all() -> Vec<(String, RefOr<Schema>)> {
    fn of<T: ToSchema>(all: &mut Vec<(String, RefOr<Schema>)>) {
        all.push((T::name().into_owned(), T::schema()));
    }
    let mut all = Vec::new();
    of::<Statement>(&mut all);
    of::<Batch>(&mut all);
    of::<Field>(&mut all);
    of::<QueryResult>(&mut all);
    of::<BatchResult>(&mut all);
    of::<Features>(&mut all);
    of::<ErrorBody>(&mut all);
    of::<Problem>(&mut all);
    of::<Status>(&mut all);
    all
}
