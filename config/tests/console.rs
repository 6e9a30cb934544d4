//! Who may log in at the console is checked before anything starts.

#![expect(clippy::unwrap_used, reason = "a failing test shows where")]

use config::{ConfigError, ConsoleLogin, ConsoleRole, GatewayConfig};

const VERIFIER: &str = "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy";

fn parse(console: &str) -> Result<GatewayConfig, ConfigError> {
    let text = format!("region = 'eu'\n[catalog]\ndsn = 'x'\n[console]\n{console}");
    GatewayConfig::parse(&text, |name| (name == "TENANTRY_MASTER_KEY").then(|| "AAAA".to_owned()))
}

fn keys(console: &str) -> Vec<String> {
    let error = parse(console).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
    error.problems.iter().map(|problem| problem.key.clone()).collect()
}

#[test]
fn users_have_a_name_a_role_and_a_password() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "hunter2\n").unwrap();
    let config = parse(&format!(
        "users = [{{ name = 'ops', role = 'admin', verifier = '{VERIFIER}' }},
                  {{ name = 'watch', role = 'stats', password_file = '{}' }}]",
        file.display()
    ))
    .unwrap();
    let [ops, watch] = config.console.users.as_slice() else { panic!("{:?}", config.console) };
    assert_eq!((ops.role, watch.role), (ConsoleRole::Admin, ConsoleRole::Stats));
    assert!(matches!(&ops.login, ConsoleLogin::Verifier(verifier) if verifier.expose() == VERIFIER));
    assert!(matches!(&watch.login, ConsoleLogin::Password(password) if password.expose() == "hunter2"));
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("SCRAM"), "{shown}");
}

#[test]
fn each_mistake_is_named_by_its_key() {
    for (users, expected) in [
        ("{ role = 'admin', verifier = 'V' }", vec!["console.users[0].name"]),
        ("{ name = '', role = 'admin', verifier = 'V' }", vec!["console.users[0].name"]),
        ("{ name = 'a', verifier = 'V' }", vec!["console.users[0].role"]),
        ("{ name = 'a', role = 'owner', verifier = 'V' }", vec!["console.users[0].role"]),
        ("{ name = 'a', role = 'admin' }", vec!["console.users[0].verifier"]),
        ("{ name = 'a', role = 'admin', verifier = 'hunter2' }", vec!["console.users[0].verifier"]),
        (
            "{ name = 'a', role = 'admin', password = 'hunter2' }",
            vec!["console.users[0].password", "console.users[0].verifier"],
        ),
        (
            "{ name = 'a', role = 'admin', password_file = '/does/not/exist' }",
            vec!["console.users[0].password_file"],
        ),
        (
            "{ name = 'a', role = 'admin', verifier = 'V', password_file = '/does/not/exist' }",
            vec!["console.users[0].verifier"],
        ),
        (
            "{ name = 'a', role = 'admin', verifier = 'V' }, { name = 'a', role = 'stats', verifier = 'V' }",
            vec!["console.users"],
        ),
    ] {
        let users = users.replace("'V'", &format!("'{VERIFIER}'"));
        assert_eq!(keys(&format!("users = [{users}]")), expected, "{users}");
    }
}
