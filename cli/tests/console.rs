//! `tenantry console`, as somebody types it.

#![expect(clippy::unwrap_used, reason = "a failing test shows where")]

use pgwire::scram::Verifier;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use tenancy::Secret;

fn hash(input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tenantry"))
        .args(["console", "hash-password"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_verifier_is_the_passwords_and_never_the_same_twice() {
    let [first, second] = [hash("opens sesame\n"), hash("opens sesame")].map(|output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    });
    assert_ne!(first, second);
    for text in [first, second] {
        let verifier = Verifier::parse(text.trim_end()).unwrap();
        assert!(verifier.check_password(&Secret::new("opens sesame".to_owned())));
        assert!(!verifier.check_password(&Secret::new("opens sesame ".to_owned())));
    }
}

#[test]
fn no_password_is_a_mistake() {
    for input in ["", "\n"] {
        let output = hash(input);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: the password is empty\nhint: "));
    }
}
