//! The example files are read as an operator would have them read, and say what the defaults are.

#![expect(clippy::unwrap_used, reason = "a failing test shows where")]

use config::{ControlPlaneConfig, GatewayConfig};
use std::cell::RefCell;
use std::collections::BTreeSet;

const GATEWAY: &str = include_str!("../examples/gateway.toml");
const CONTROL_PLANE: &str = include_str!("../examples/control-plane.toml");

/// The files that the examples name, in a directory that exists.
fn with_secrets(run: impl FnOnce(&dyn Fn(&str) -> Option<String>)) {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let key = file("master.key", "AAAA\n");
    let token = file("operator.token", "0123456789abcdef0123456789abcdef\n");
    let dsn = file("catalog.dsn", "postgres://tenantry@db/tenantry\n");
    run(&|variable| match variable {
        "TENANTRY_MASTER_KEY_FILE" => Some(key.clone()),
        "TENANTRY_OPERATOR_TOKEN_FILE" => Some(token.clone()),
        "TENANTRY_CATALOG_DSN_FILE" => Some(dsn.clone()),
        _ => None,
    });
}

#[test]
fn the_gateway_example_is_valid_and_shows_the_defaults() {
    with_secrets(|environment| {
        let config = GatewayConfig::parse(GATEWAY, environment).unwrap();
        let defaults = GatewayConfig::default();
        assert_eq!(config.catalog.dsn.expose(), "postgres://tenantry@db/tenantry");
        assert_eq!(config.catalog.pool_size, defaults.catalog.pool_size);
        assert_eq!((&config.name, &config.region), (&defaults.name, &defaults.region));
        assert_eq!(config.listen, defaults.listen);
        assert_eq!(config.tls, defaults.tls);
        assert_eq!(config.routes, defaults.routes);
        assert_eq!(config.resolve, defaults.resolve);
        assert_eq!(config.pool, defaults.pool);
        assert_eq!(config.prepared, defaults.prepared);
        assert_eq!(config.identity, defaults.identity);
        assert_eq!(config.limits, defaults.limits);
        assert_eq!(config.timeouts, defaults.timeouts);
        assert_eq!(config.cancel, defaults.cancel);
        assert!(config.console.users.is_empty(), "nobody is let in by an example");
        assert_eq!(config.console.session_limit, defaults.console.session_limit);
        assert_eq!(config.console.idle_timeout(), defaults.console.idle_timeout());
        assert_eq!(config.console.pause_timeout(), defaults.console.pause_timeout());
        assert_eq!(config.metrics, defaults.metrics);
        assert_eq!(config.drain_timeout(), defaults.drain_timeout());
        assert_eq!(config.drain_delay(), defaults.drain_delay());
        assert_eq!(config.worker_threads, defaults.worker_threads);
        assert_eq!(config.master_key.read().unwrap().expose(), "AAAA");
    });
}

#[test]
fn the_control_plane_example_is_valid_and_shows_the_defaults() {
    with_secrets(|environment| {
        let config = ControlPlaneConfig::parse(CONTROL_PLANE, environment).unwrap();
        let defaults = ControlPlaneConfig::default();
        assert_eq!(config.operator_token.expose(), "0123456789abcdef0123456789abcdef");
        assert_eq!(config.catalog.dsn.expose(), "postgres://tenantry@db/tenantry");
        assert_eq!(config.listen, defaults.listen);
        assert_eq!(config.gateway_endpoint, defaults.gateway_endpoint);
        assert_eq!(config.worker, defaults.worker);
        assert_eq!(config.identity, defaults.identity);
        assert_eq!(config.limits, defaults.limits);
        assert_eq!(config.keep_old_slug_s, defaults.keep_old_slug_s);
        assert_eq!(config.domains, defaults.domains);
        assert_eq!(config.storage, defaults.storage);
    });
}

/// Collects the variables that a configuration asks for, one for each key that it knows.
#[derive(Default)]
struct Asked(RefCell<BTreeSet<String>>);

impl Asked {
    fn note(&self, variable: &str) -> Option<String> {
        self.0.borrow_mut().insert(variable.to_owned());
        None
    }
}

/// The variables of the settings that an example shows, those that are commented out too.
fn shown(example: &str) -> BTreeSet<String> {
    let mut section = String::new();
    let mut shown = BTreeSet::new();
    for line in example.lines().map(|line| line.trim_start_matches("# ")) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{}_", name.to_uppercase());
        } else if let Some((key, _)) = line.split_once(" = ") {
            shown.insert(format!("TENANTRY_{section}{}", key.to_uppercase()));
        }
    }
    shown
}

#[test]
fn every_setting_stands_in_its_example() {
    let (gateway, control_plane) = (Asked::default(), Asked::default());
    assert!(GatewayConfig::parse("", |variable| gateway.note(variable)).is_err());
    assert!(ControlPlaneConfig::parse("", |variable| control_plane.note(variable)).is_err());
    // These stand in no file; the examples name the file or variable to use instead.
    let elsewhere = ["TENANTRY_OPERATOR_TOKEN", "TENANTRY_CATALOG_DSN", "TENANTRY_MASTER_KEY"];
    for (asked, example) in [(gateway, GATEWAY), (control_plane, CONTROL_PLANE)] {
        let mut missing = asked.0.into_inner();
        missing.retain(|variable| !elsewhere.contains(&variable.as_str()));
        assert_eq!(missing.difference(&shown(example)).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
