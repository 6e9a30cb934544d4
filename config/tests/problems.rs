//! What is wrong is told, all of it, with its key, and without secrets.

use config::{ConfigError, ControlPlaneConfig, GatewayConfig, MasterKeySource, SecretUnreadable};
use std::path::Path;
use std::time::Duration;

const MINIMAL: &str = "region = 'eu'\n[catalog]\ndsn = 'postgres://db/tenantry'";

/// An environment of these variables, and of the required secrets.
fn environment<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    let required = [("TENANTRY_MASTER_KEY", "AAAA"), ("TENANTRY_OPERATOR_TOKEN", "0123456789abcdef")];
    move |name| {
        let found = variables.iter().chain(&required).find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

fn gateway(text: &str, variables: &[(&str, &str)]) -> Result<GatewayConfig, ConfigError> {
    GatewayConfig::parse(text, environment(variables))
}

fn keys(error: &ConfigError) -> Vec<&str> {
    error.problems.iter().map(|problem| problem.key.as_str()).collect()
}

#[test]
fn one_run_reports_every_mistake() {
    let text = "
        nmae = 'typo'
        region = 'Not A Region'
        drain_timeout_ms = 'soon'
        worker_threads = 0
        [listen]
        pg = 'localhost'
        http = '127.0.0.1:9090'
        [catalog]
        pool_size = 1000
        [pool]
        idle_timeout_ms = -1
        connect_timeout_ms = 1.5
        [limits]
        client_limit = 99999999999999
        startup_bytes_max = 20000
        [metrics]
        per_tenant = true
        [unknown]
        key = 1
        ";
    let error = GatewayConfig::parse(text, |_| None).unwrap_err();
    let mut found = keys(&error);
    found.sort_unstable();
    let mut expected = vec![
        "catalog.dsn",
        "catalog.pool_size",
        "drain_timeout_ms",
        "limits.client_limit",
        "limits.startup_bytes_max",
        "listen.admin",
        "listen.pg",
        "master_key",
        "metrics.per_tenant",
        "nmae",
        "pool.connect_timeout_ms",
        "pool.idle_timeout_ms",
        "region",
        "unknown",
        "worker_threads",
        "listen.http",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
    let shown = error.to_string();
    assert!(shown.starts_with("the configuration has 16 problems:\n"), "{shown}");
    assert!(shown.contains("catalog.pool_size: must be a whole number from 1 to 100"), "{shown}");
    assert!(shown.contains("nmae: is not a known setting"), "{shown}");
}

#[test]
fn a_minimal_file_is_enough() {
    let config = gateway(MINIMAL, &[]).unwrap();
    assert_eq!(config.pool.idle_timeout(), Duration::from_secs(60));
    assert_eq!(config.master_key, MasterKeySource::Env("TENANTRY_MASTER_KEY".to_owned()));
}

#[test]
fn the_environment_wins_and_can_stand_alone() {
    let variables = [
        ("TENANTRY_REGION", "us"),
        ("TENANTRY_CATALOG_DSN", "postgres://other/catalog"),
        ("TENANTRY_LISTEN_PG", "0.0.0.0:5432"),
        ("TENANTRY_POOL_IDLE_TIMEOUT_MS", "250"),
        ("TENANTRY_WORKER_THREADS", "3"),
        ("TENANTRY_NAME", ""),
    ];
    for text in [MINIMAL, "", "[catalog]\ndsn_file = '/does/not/exist'"] {
        let config = gateway(text, &variables).unwrap();
        assert_eq!(config.region.as_str(), "us");
        assert_eq!(config.catalog.dsn.expose(), "postgres://other/catalog");
        assert_eq!(config.listen.pg.to_string(), "0.0.0.0:5432");
        assert_eq!(config.pool.idle_timeout_ms, 250);
        assert_eq!(config.worker_threads, Some(3));
        assert_eq!(config.name, "gateway", "an empty variable is not set");
    }
}

#[test]
fn a_wrong_variable_is_named_by_the_key_that_it_stands_for() {
    let error = gateway(MINIMAL, &[("TENANTRY_CATALOG_POOL_SIZE", "many")]).unwrap_err();
    assert_eq!(keys(&error), ["catalog.pool_size"]);
}

#[test]
fn secrets_do_not_stand_in_the_file_and_are_not_shown() {
    let text =
        format!("operator_token = 'hunter2'\nmaster_key = 'hunter2'\n{}", "[catalog]\ndsn = 'hunter2'");
    let error = ControlPlaneConfig::parse(&text, environment(&[])).unwrap_err();
    assert_eq!(keys(&error), ["master_key", "operator_token"]);
    assert!(!error.to_string().contains("hunter2"));

    let config = gateway("region = 'eu'\n[catalog]\ndsn = 'hunter2'", &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let broken = gateway("[catalog]\ndsn = 'hunter2", &[]).unwrap_err();
    assert!(!broken.to_string().contains("hunter2"), "{broken}");
    assert!(broken.to_string().contains("line 2"), "{broken}");
}

#[test]
fn a_weak_operator_token_is_refused() {
    let text = "[catalog]\ndsn = 'x'";
    let weak = ControlPlaneConfig::parse(text, environment(&[("TENANTRY_OPERATOR_TOKEN", "short")]));
    assert_eq!(keys(&weak.unwrap_err()), ["operator_token"]);
    let missing = ControlPlaneConfig::parse(text, |_| None).unwrap_err();
    assert_eq!(keys(&missing), ["master_key", "operator_token"]);
}

#[test]
fn settings_that_contradict_each_other_are_named() {
    let text = "
        master_key_file = '/does/not/exist'
        master_key_env = 'KEY'
        [catalog]
        dsn = 'x'
        dsn_file = '/does/not/exist'
        [worker]
        lease_ms = 500
        poll_ms = 500
        [gateway_endpoint]
        pg_host = 'a/b'
        http_url = 'gateway:80'
        ";
    let error = ControlPlaneConfig::parse(text, environment(&[])).unwrap_err();
    let expected = [
        "catalog.dsn",
        "master_key_file",
        "master_key_file",
        "gateway_endpoint.pg_host",
        "gateway_endpoint.http_url",
        "worker.poll_ms",
    ];
    assert_eq!(keys(&error), expected);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = GatewayConfig::load(Path::new("/does/not/exist.toml")).unwrap_err();
    assert!(missing.to_string().starts_with("/does/not/exist.toml: cannot be read: "), "{missing}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.toml");
    std::fs::write(&path, "region = 3").unwrap();
    let wrong = GatewayConfig::load(&path).unwrap_err();
    assert!(wrong.to_string().contains("region: must be text in quotes, not a whole number"), "{wrong}");
    std::fs::write(&path, " \n").unwrap();
    let empty = MasterKeySource::File(path.clone()).read().unwrap_err();
    assert_eq!(empty, SecretUnreadable::Empty(path.display().to_string()));
    std::fs::write(&path, "x".repeat(100_000)).unwrap();
    assert!(MasterKeySource::File(path).read().is_err());
}

#[test]
fn a_table_where_a_value_belongs_and_the_reverse_are_told() {
    let error = gateway("region = 'eu'\npool = 3\ncatalog = { dsn = { a = 1 } }", &[]).unwrap_err();
    assert_eq!(keys(&error), ["catalog.dsn", "pool"]);
    assert!(error.to_string().contains("pool: must be a table, not a whole number"), "{error}");
}
