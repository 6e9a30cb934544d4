//! The verbs that say what a tenant may do, as a script runs them: what they print, and their exit codes.

use super::{Dev, complaint, json, run};
use launcher::Scratch;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

/// Command lines of a stack's operator.
struct Shell<'a> {
    scratch: &'a Scratch,
    data_dir: &'a Path,
}

impl Shell<'_> {
    fn run(&self, line: &str) -> Output {
        let data_dir = self.data_dir.to_str().unwrap();
        let words: Vec<&str> = ["--data-dir", data_dir].into_iter().chain(line.split(' ')).collect();
        run(self.scratch, &words)
    }

    fn json(&self, line: &str) -> Value {
        json(&self.run(&format!("{line} -o json")))
    }

    fn table(&self, line: &str) -> String {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says about a command that does nothing and prints no result.
    fn refused(&self, code: i32, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{line}");
        complaint(&output, code)
    }

    /// A command line that cannot be meant is found out before anybody is asked.
    fn misused(&self, line: &str) {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(output.stdout.is_empty() && said.starts_with("error: "), "{line}: {said}");
    }
}

#[test]
fn verbs_print_what_scripts_rely_on_and_end_with_their_codes() {
    let scratch = Scratch::create().unwrap();
    let data_dir = scratch.path().join("data");
    let mut dev = Dev::start_with(&scratch, &data_dir, &["--ephemeral"]);
    let shell = Shell { scratch: &scratch, data_dir: &data_dir };
    shell.json("tenant create acme --region eu");
    features(&shell);
    allow_lists(&shell);
    entitlements(&shell);
    a_deletion_is_shown_before_it_is_done(&shell);
    gateways(&shell);
    strangers(&scratch, &dev);
    dev.signal(Signal::SIGTERM);
    assert_eq!(dev.ended(), Some(0));
}

fn features(shell: &Shell<'_>) {
    let has = || {
        let all = shell.json("feature of acme");
        all.as_array().unwrap().iter().find(|one| one["feature"] == "exports").unwrap()["enabled"].clone()
    };
    let made = shell.json("feature create exports --description exports");
    assert_eq!(
        (&made["name"], &made["default"], &made["built_in"]),
        (&json!("exports"), &json!(false), &json!(false))
    );
    shell.refused(4, "feature create exports");
    assert!(shell.table("feature list").contains("exports"));
    assert_eq!(has(), false);

    let said = shell.json("feature give acme exports --expires-at 2100-01-01T00:00:00Z");
    assert_eq!((&said["feature"], &said["enabled"]), (&json!("exports"), &json!(true)), "{said}");
    assert!(said["expires_at"].as_str().unwrap().starts_with("2100-01-01"), "{said}");
    assert_eq!(has(), true);
    assert_eq!(shell.json("feature take acme exports")["enabled"], false);
    assert_eq!(has(), false);
    assert_eq!(shell.json("feature clear acme exports")["enabled"], Value::Null);
    assert_eq!(shell.json("feature set exports --default true")["default"], true);
    assert_eq!(has(), true);
    let set = shell.json("feature set exports --plan-off standard --percentage 50");
    assert_eq!((&set["plans"], &set["percentage"]), (&json!({ "standard": false }), &json!(50)));
    assert_eq!(has(), false, "the plan has the last word but for the tenant's own");
    assert_eq!(shell.json("feature set exports --plan-clear standard --percentage 0")["plans"], json!({}));

    assert!(shell.refused(2, "feature set exports").contains("nothing to change"));
    shell.misused("feature set exports --percentage 101");
    shell.misused("feature create Exports");
    shell.misused("feature give acme");
    shell.refused(4, "feature give acme exports --expires-at tomorrow");
    for line in
        ["feature get never", "feature give acme never", "feature give nobody exports", "feature of nobody"]
    {
        shell.refused(3, line);
    }
    shell.refused(4, "feature delete http");
    assert_eq!(shell.json("feature delete exports")["name"], "exports");
    shell.refused(3, "feature get exports");
}

fn allow_lists(shell: &Shell<'_>) {
    assert_eq!(shell.json("allow-list get acme")["ranges"], json!([]));
    let ranges = json!(["192.0.2.0/24", "2001:db8::/32"]);
    assert_eq!(shell.json("allow-list set acme 192.0.2.0/24 2001:db8::/32")["ranges"], ranges);
    assert_eq!(shell.json("allow-list get acme")["ranges"], ranges);
    assert!(shell.table("allow-list get acme").contains("192.0.2.0/24"));
    shell.misused("allow-list set acme");
    shell.misused("allow-list set acme 192.0.2.0/33");
    assert_eq!(shell.json("allow-list get acme")["ranges"], ranges, "what was refused has changed nothing");
    assert_eq!(shell.json("allow-list clear acme")["ranges"], json!([]));
    for line in ["allow-list get nobody", "allow-list set nobody 192.0.2.1", "allow-list clear nobody"] {
        shell.refused(3, line);
    }
}

fn entitlements(shell: &Shell<'_>) {
    let pool_size = |shown: &Value| {
        let shown = &shown["entitlements"]["pool_size"];
        (shown["value"].as_u64().unwrap(), shown["source"].as_str().unwrap().to_owned())
    };
    let plans = pool_size(&shell.json("tenant entitlements acme"));
    assert_eq!(plans.1, "plan");
    let own = shell.json("tenant set-entitlements acme --pool-size 3 --weight 200");
    assert_eq!(pool_size(&own), (3, "override".to_owned()));
    let table = shell.table("tenant entitlements acme");
    let told = table.lines().find(|line| line.starts_with("Own")).unwrap();
    assert!(told.contains("pool_size") && told.contains("weight"), "{table}");
    let back = shell.json("tenant set-entitlements acme --pool-size plan --weight plan");
    assert_eq!(pool_size(&back), plans);

    assert!(shell.refused(2, "tenant set-entitlements acme").contains("nothing to change"));
    assert!(shell.refused(2, "plan set standard --weight plan").contains("is a number"));
    shell.misused("tenant set-entitlements acme --pool-size many");
    shell.refused(4, "tenant set-entitlements acme --weight 0");
    shell.refused(4, "tenant set-entitlements acme --pool-size 2 --floor 3");
    shell.refused(3, "tenant entitlements nobody");
    shell.refused(3, "tenant set-entitlements nobody --pool-size 3");
    assert_eq!(
        pool_size(&shell.json("tenant entitlements acme")),
        plans,
        "what was refused has changed nothing"
    );
}

fn a_deletion_is_shown_before_it_is_done(shell: &Shell<'_>) {
    let plan = shell.json("tenant delete acme --dry-run");
    let steps = plan["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["name"].is_string()) && steps.len() > 1, "{plan}");
    assert!(shell.table("tenant delete acme --dry-run").starts_with("STEP"));
    shell.refused(3, "tenant delete nobody --dry-run");
    shell.refused(8, "tenant delete acme");
    assert_eq!(shell.json("tenant get acme")["state"], "active");
}

fn gateways(shell: &Shell<'_>) {
    let listed = shell.json("gateway list");
    let name = listed[0]["name"].as_str().unwrap();
    assert_eq!(listed[0]["live"], true, "{listed}");
    assert!(shell.table("gateway list").contains(name));
    let said = shell.refused(4, &format!("gateway forget {name}"));
    assert!(said.contains("sign of life"), "{said}");
    shell.refused(3, "gateway forget never");
    shell.misused("gateway forget");
    let gone = shell.json(&format!("gateway forget {name} --force"));
    assert_eq!((&gone["forgotten"][0]["name"], &gone["living"]), (&json!(name), &json!([])), "{gone}");
}

fn strangers(scratch: &Scratch, dev: &Dev) {
    let url = dev.descriptor["control_plane"].as_str().unwrap();
    let verbs =
        [&["feature", "list"][..], &["allow-list", "get", "acme"], &["gateway", "forget", "gateway-1"]];
    for verb in verbs {
        let output = run(scratch, &[&["--url", url, "--token", "none"], verb].concat());
        complaint(&output, 5);
    }
}
