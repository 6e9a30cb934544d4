//! `SHOW ROUTE acme`: where a tenant's connections go and why, fact by fact.

use crate::admin::explain;
use crate::console::failure::Failure;
use crate::console::rows::{Column, Row, Rows, Value, columns};
use crate::shared::Shared;
use pgwire::SqlState;
use serde_json::Value as Json;

pub(super) const COLUMNS: &[Column] = columns! { key: Text, value: Text };

pub(super) async fn rows(tenant: &str, shared: &Shared) -> Result<Rows, Failure> {
    let slug = tenant.parse().map_err(|_no_slug| no_such_tenant(tenant))?;
    let explanation = explain::explain(shared, &slug).await?.ok_or_else(|| no_such_tenant(tenant))?;
    let json = serde_json::to_value(&explanation)
        .map_err(|_bug| Failure::new(SqlState::INTERNAL_ERROR, "the route could not be written"))?;
    let mut rows = Vec::new();
    flatten("", &json, &mut rows);
    Ok(Box::new(rows.into_iter()))
}

/// There is none of this name.
pub(in crate::console) fn no_such_tenant(name: &str) -> Failure {
    Failure::new(SqlState::INVALID_CATALOG_NAME, format!("no such tenant: {name}"))
}

/// Every value that is not a table itself, with the path that leads to it.
pub(super) fn flatten(path: &str, json: &Json, rows: &mut Vec<Row>) {
    match json {
        Json::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, rows);
            }
        }
        other => rows.push(vec![path.to_owned().into(), text_of(other)]),
    }
}

fn text_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::String(text) => text.clone().into(),
        Json::Array(items) => {
            let texts = items.iter().map(|item| match item {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            });
            texts.collect::<Vec<_>>().join(", ").into()
        }
        other => other.to_string().into(),
    }
}
