//! What docs/identity.md says of providers, done as it stands there: the command lines register them, and the claims get in.
//!
//! Only the keys are another's: a provider on this machine signs, with the algorithm that it has.

use super::{STACK, answer, sql, value};
use clap::Parser;
use harness::{Oidc, Tenant, eventually};
use serde_json::{Map, Value};
use tenantry::cli::Cli;
use tenantry::client::path;

const DOCUMENT: &str = include_str!("../../../docs/identity.md");

/// The role that the claims of each section give, as what the login role may do.
const SECTIONS: [(&str, &str); 4] =
    [("Auth0", "write"), ("Clerk", "write"), ("Supabase", "write"), ("Keycloak", "owner")];

const ACCESS: &str = "select case when has_database_privilege(current_database(), 'create') then 'owner'
  when has_database_privilege(current_database(), 'temp') then 'write' else 'read' end";

/// The blocks of a language in a section.
fn blocks<'a>(section: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    section.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

fn section(name: &str) -> &'static str {
    let (_, rest) = DOCUMENT.split_once(&format!("\n### {name}\n")).unwrap();
    rest.split("\n### ").next().unwrap()
}

/// The section's command lines, as words.
fn commands(section: &str) -> Vec<Vec<String>> {
    let text = blocks(section, "sh").concat().replace("\\\n", " ");
    let lines = text.lines().map(|line| line.split(" #").next().unwrap());
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// What a token of the section's provider says, but for when.
fn claims(section: &str) -> Value {
    let is_claims = |block: &&str| block.contains("\"iss\"");
    let block = blocks(section, "json").into_iter().find(is_claims).unwrap();
    let mut claims: Map<String, Value> = serde_json::from_str(block).unwrap();
    claims.retain(|name, _| !["exp", "nbf", "iat"].contains(&name.as_str()));
    Value::Object(claims)
}

async fn run(words: Vec<String>) {
    let endpoint =
        ["--url", &STACK.descriptor().control_plane, "--token", &STACK.descriptor().operator_token];
    let all = words.into_iter().chain(endpoint.into_iter().map(str::to_owned));
    Cli::try_parse_from(all).unwrap().run().await.unwrap_or_else(|error| panic!("{}", error.lines()));
}

/// As the document has it, with the keys of a provider here.
async fn create(words: Vec<String>, oidc: &Oidc) {
    let mut here = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if ["--algorithm", "--jwks-url", "--jwks-ca"].contains(&word.as_str()) {
            words.next();
        } else {
            here.push(word);
        }
    }
    here.extend(["--algorithm", "ES256", "--jwks-url", &oidc.jwks_url()].map(str::to_owned));
    run(here).await;
}

async fn issuer_of(iss: &Value) -> String {
    let issuers = STACK.client().list(&path(&["issuers"])).await.unwrap();
    let issuer = issuers.iter().find(|issuer| issuer["iss"] == *iss).unwrap();
    issuer["id"].as_str().unwrap().to_owned()
}

async fn follow(name: &str, tenant: &Tenant, oidc: &Oidc) -> Value {
    let claims = claims(section(name));
    for words in commands(section(name)) {
        let verb: Vec<&str> = words.iter().take(3).map(String::as_str).collect();
        match verb[..] {
            ["tenantry", "issuer", "create"] => create(words, oidc).await,
            ["tenantry", "issuer", "link"] => {
                assert_eq!(words[3], tenant.slug);
                let issuer = issuer_of(&claims["iss"]).await;
                run([&words[..4], &[issuer, words[5].clone()]].concat()).await;
            }
            _ => panic!("{words:?} is not known here"),
        }
    }
    claims
}

#[tokio::test]
async fn the_documents_providers_get_in_as_it_says() {
    // The document's tenant.
    let tenant = STACK.create_tenant("acme", "eu").await;
    for (name, access) in SECTIONS {
        let oidc = Oidc::start().await;
        let claims = follow(name, &tenant, &oidc).await;
        let token = oidc.token(&claims);
        eventually(&format!("{name} is known"), async || {
            (answer(sql(&token, "select 1")).await.0 == 200).then_some(())
        })
        .await;
        assert_eq!(value(&token, ACCESS).await, access, "{name}");
        assert_eq!(value(&token, "select current_database()::text").await, super::database_of(&tenant).await);
    }
}
