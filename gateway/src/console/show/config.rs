//! `SHOW CONFIG`: the settings in force, and what they are when nobody sets them.
//!
//! All of them, whatever there will be: the settings are written by their own types, which leave secrets out.

use super::route::flatten;
use crate::console::rows::{Column, Row, Rows, Value, columns};
use crate::shared::Shared;
use config::GatewayConfig;

pub(super) const COLUMNS: &[Column] = columns! { key: Text, value: Text, default: Text, changeable: Text };

pub(super) fn rows(shared: &Shared) -> Rows {
    let mut rows = settings(&shared.config);
    rows.extend(in_pgbouncers_words(&shared.config, &GatewayConfig::default()));
    Box::new(rows.into_iter())
}

/// Every setting under its own key. None can be changed while the gateway runs.
fn settings(config: &GatewayConfig) -> Vec<Row> {
    let flat = |config: &GatewayConfig| {
        let mut rows = Vec::new();
        // Our own types have text keys and no failing serializers.
        flatten("", &serde_json::to_value(config).unwrap_or_default(), &mut rows);
        rows
    };
    let defaults = flat(&GatewayConfig::default());
    let default_of = |key: &Value| {
        let row = defaults.iter().find(|row| row.first() == Some(key))?;
        row.get(1).cloned()
    };
    let rows = flat(config).into_iter();
    rows.map(|mut row| {
        let default = row.first().and_then(default_of).unwrap_or(Value::Null);
        row.extend([default, "no".into()]);
        row
    })
    .collect()
}

/// PgBouncer's names for settings that mean the same here, in its units: exporters look for them.
fn in_pgbouncers_words(config: &GatewayConfig, defaults: &GatewayConfig) -> [Row; 9] {
    let row = |key: &'static str, of: fn(&GatewayConfig) -> String| {
        vec![key.into(), of(config).into(), of(defaults).into(), "no".into()]
    };
    [
        row("listen_addr", |config| config.listen.pg.ip().to_string()),
        row("listen_port", |config| config.listen.pg.port().to_string()),
        row("max_client_conn", |config| config.limits.client_limit.to_string()),
        row("pool_mode", |_| "transaction".to_owned()),
        row("server_lifetime", |config| config.pool.max_lifetime().as_secs().to_string()),
        row("server_idle_timeout", |config| config.pool.idle_timeout().as_secs().to_string()),
        row("server_connect_timeout", |config| config.pool.connect_timeout().as_secs().to_string()),
        row("server_login_retry", |config| config.pool.retry_pause_max().as_secs().to_string()),
        row("client_login_timeout", |config| config.limits.startup_timeout().as_secs().to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_but_the_secret_ones_has_a_row() {
        let verifier = "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy";
        let text = format!(
            "region = 'eu'\n[catalog]\ndsn = 'postgres://hunter2'\n\
             [console]\nusers = [{{ name = 'ops', role = 'stats', verifier = '{verifier}' }}]"
        );
        let environment = |name: &str| (name == "TENANTRY_MASTER_KEY").then(|| "hunter2".to_owned());
        let config = GatewayConfig::parse(&text, environment).expect("good settings");
        let written = format!("{:?}", settings(&config));
        for secret in ["hunter2", "SCRAM", "c3RvcmVk"] {
            assert!(!written.contains(secret), "{written}");
        }
        let keys: Vec<_> = settings(&config).into_iter().filter_map(|row| row.into_iter().next()).collect();
        for key in [
            "name",
            "limits.client_limit",
            "pool.idle_timeout_ms",
            "catalog.pool_size",
            "console.session_limit",
        ] {
            assert!(keys.contains(&key.into()), "{key}");
        }
    }

    #[test]
    fn a_row_has_a_value_for_each_column() {
        let rows = settings(&GatewayConfig::default());
        assert!(!rows.is_empty() && rows.iter().all(|row| row.len() == COLUMNS.len()));
    }
}
