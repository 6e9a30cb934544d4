//! The verbs of people, as an operator and as they themselves run them: what they print, and their exit codes.

use super::{DEADLINE, Dev, answer, complaint, json, tenantry};
use launcher::Scratch;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Output, Stdio};
use std::time::Instant;

const PASSWORD: &str = "correct horse battery";

/// Somebody's command lines, each with what is typed into it.
struct Desk<'a> {
    scratch: &'a Scratch,
    url: &'a str,
    token: Option<String>,
}

impl Desk<'_> {
    fn run(&self, line: &str, typed: &str) -> Output {
        let mut command = tenantry(self.scratch.path());
        command.env("TENANTRY_URL", self.url);
        if let Some(token) = &self.token {
            command.env("TENANTRY_TOKEN", token);
        }
        command.args(line.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It does not read what it has no use for.
        let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
        let output = child.wait_with_output().unwrap();
        for said in [&output.stdout, &output.stderr] {
            assert!(!String::from_utf8_lossy(said).contains(PASSWORD), "{line}: a password is shown");
        }
        output
    }

    fn typed(&self, line: &str, typed: &str) -> Value {
        json(&self.run(&format!("{line} -o json"), typed))
    }

    fn json(&self, line: &str) -> Value {
        self.typed(line, "")
    }

    fn table(&self, line: &str) -> String {
        let output = self.run(line, "");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says about a command that does nothing and prints no result.
    fn refused(&self, code: i32, line: &str, typed: &str) -> String {
        let output = self.run(line, typed);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{line}");
        complaint(&output, code)
    }
}

#[test]
fn verbs_of_people_do_what_they_say_and_end_with_their_codes() {
    let scratch = Scratch::create().unwrap();
    let data_dir = scratch.path().join("data");
    let mut dev = Dev::start_with(&scratch, &data_dir, &["--ephemeral"]);
    let (url, token) = (&dev.descriptor["control_plane"], &dev.descriptor["operator_token"]);
    let (url, token) = (url.as_str().unwrap(), token.as_str().unwrap().to_owned());
    let operator = Desk { scratch: &scratch, url, token: Some(token) };
    operator.json("tenant create acme --region eu");
    operator.json("tenant create umbrella --region us");
    users(&operator);
    members(&operator);
    roles(&operator);
    let ann = signs_in(&Desk { scratch: &scratch, url, token: None });
    switches(&ann, dev.descriptor["gateway"]["pg"].as_str().unwrap());
    invites(&ann);
    is_no_operator(&ann);
    ends(&operator, &ann);
    dev.signal(Signal::SIGTERM);
    assert_eq!(dev.ended(), Some(0));
}

fn users(operator: &Desk<'_>) {
    let line = "user create ann@example.com --name Ann";
    let ann = operator.typed(line, PASSWORD);
    assert_eq!((&ann["email"], &ann["has_password"]), (&json!("ann@example.com"), &json!(true)), "{ann}");
    operator.refused(4, line, PASSWORD);
    operator.refused(4, "user create short@example.com --name Short", "short");
    assert!(operator.refused(2, "user create mute@example.com --name Mute", "").contains("empty"));
    let bob = operator.json("user create bob@example.com --name Bob --no-password");
    assert_eq!(bob["has_password"], false);
    assert!(operator.table("user list").contains("bob@example.com"));
    assert_eq!(operator.json("user get bob@example.com")["id"], bob["id"]);
    let renamed = operator.json("user update bob@example.com --name Robert");
    assert_eq!(renamed["display_name"], "Robert");
    assert!(operator.refused(2, "user update bob@example.com", "").contains("nothing to change"));
    operator.refused(3, "user get nobody@example.com", "");
    operator.refused(3, "user delete nobody@example.com", "");
}

fn members(operator: &Desk<'_>) {
    let owner = operator.json("member add acme ann@example.com --role owner");
    assert_eq!((&owner["tenant"]["slug"], &owner["role"]), (&json!("acme"), &json!("owner")), "{owner}");
    let bob = operator.json("member add acme bob@example.com --role viewer");
    let id = bob["user"]["id"].as_str().unwrap();
    assert_eq!(operator.json(&format!("member set-role acme {id} member"))["role"], "member");
    assert!(operator.table("member list acme").contains("bob@example.com"));
    operator.refused(4, "member add umbrella bob@example.com --role emperor", "");
    operator.refused(3, "member add acme nobody@example.com --role viewer", "");
    operator.refused(3, &format!("member set-role umbrella {id} viewer"), "");
    operator.refused(3, "member list nobody", "");
    let last = owner["user"]["id"].as_str().unwrap();
    assert!(operator.refused(4, &format!("member remove acme {last}"), "").contains("owner"));
    operator.json(&format!("member remove acme {id}"));
    operator.refused(3, &format!("member remove acme {id}"), "");
}

fn roles(operator: &Desk<'_>) {
    let made = operator.json("role create acme support --permissions data.read,members.read");
    assert_eq!(made["permissions"], json!(["members.read", "data.read"]), "{made}");
    operator.refused(4, "role create acme support --permissions data.read", "");
    let changed = operator.json("role update acme support --permissions members.read");
    assert_eq!(changed["permissions"], json!(["members.read"]));
    assert!(operator.table("role list acme").contains("support"));
    assert_eq!(operator.run("role create acme flying --permissions data.fly", "").status.code(), Some(2));
    operator.refused(3, "role update umbrella support --permissions data.read", "");
    operator.json("role delete acme support");
    operator.refused(3, "role delete acme support", "");
}

/// Whoever has no token yet gets one for an address and a password.
fn signs_in<'a>(nobody: &Desk<'a>) -> Desk<'a> {
    nobody.refused(5, "session get", "");
    nobody.refused(5, "session create ann@example.com", "another horse battery");
    nobody.refused(5, "session create nobody@example.com", PASSWORD);
    let session = nobody.typed("session create ann@example.com", PASSWORD);
    let token = session["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("tnu_"));
    Desk { token: Some(token), ..*nobody }
}

/// A gateway token opens the tenant's database; nobody gets one for another's tenant.
fn switches(ann: &Desk<'_>, gateway: &str) {
    assert_eq!(ann.json("session get")["user"]["email"], "ann@example.com");
    assert_eq!(ann.json("session tenants")[0]["tenant"]["slug"], "acme");
    assert!(ann.table("session list").contains("password"));
    let switched = ann.json("session switch acme");
    assert_eq!((&switched["role"], &switched["access"]), (&json!("owner"), &json!("owner")), "{switched}");
    ann.refused(3, "session switch umbrella", "");
    ann.refused(3, "session switch nobody", "");
    let dsn = format!("postgres://token:{}@{gateway}/acme", switched["token"].as_str().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    // The gateway has to hear of the key that signed it.
    let one = loop {
        match runtime.block_on(answer(&dsn, "select '1'")) {
            Ok(one) => break one,
            Err(error) => assert!(begun.elapsed() < DEADLINE, "{error:?}"),
        }
    };
    assert_eq!(one, "1");
}

fn invites(ann: &Desk<'_>) {
    let made = ann.json("invite create acme carl@example.com --role member");
    let (token, id) = (made["token"].as_str().unwrap(), made["invite"]["id"].as_str().unwrap());
    assert!(made["link"].is_null(), "nobody has said where invites are accepted");
    let listed = ann.json("invite list acme");
    assert_eq!((&listed[0]["email"], &listed[0]["role"]), (&json!("carl@example.com"), &json!("member")));
    assert!(!listed.to_string().contains(token) && !ann.table("invite list acme").contains(token));
    ann.refused(4, "invite create acme carl@example.com --role emperor", "");
    ann.refused(3, "invite create umbrella carl@example.com --role member", "");
    ann.json(&format!("invite revoke acme {id}"));
    assert!(!ann.json("invite list acme")[0]["revoked_at"].is_null());
}

fn is_no_operator(ann: &Desk<'_>) {
    let tenants = ann.json("tenant list");
    assert_eq!(tenants.as_array().unwrap().len(), 1, "{tenants}");
    assert_eq!(ann.json("tenant get acme")["slug"], "acme");
    ann.refused(3, "tenant get umbrella", "");
    for line in ["user list", "plan list", "gateway list", "tenant suspend acme"] {
        ann.refused(5, line, "");
    }
}

fn ends(operator: &Desk<'_>, ann: &Desk<'_>) {
    operator.refused(4, "user update ann@example.com --disabled true", "");
    operator.refused(4, "user delete ann@example.com", "");
    let again = signs_in(&Desk { token: None, ..*ann });
    ann.json("session revoke");
    ann.refused(5, "session get", "");
    assert_eq!(again.json("session list").as_array().unwrap().len(), 1);
    operator.json("user sign-out ann@example.com");
    again.refused(5, "session switch acme", "");
    operator.typed("user update ann@example.com --password", "another horse battery");
    again.refused(5, "session create ann@example.com", PASSWORD);
    assert!(operator.table("user delete bob@example.com").contains("is removed"));
    operator.refused(3, "user get bob@example.com", "");
}
