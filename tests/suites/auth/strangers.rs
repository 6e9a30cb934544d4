//! Somebody who cannot log in does not learn why: which tenants and users exist is nobody's business.

use super::{STACK, dial};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::{Tenant, wait_until};
use pgwire::backend::Authentication;
use pgwire::frontend::write;
use pgwire::scram::{ChannelBinding, ClientExchange};
use tenancy::Secret;

/// What a client sees that is not let in, with what is random taken out, and the salt it was shown.
struct Seen {
    transcript: Vec<String>,
    salt: String,
}

async fn try_to_enter(tenant: &Tenant, user: &str, database: &str, password: &str) -> Seen {
    let mut client = dial(tenant).await;
    client.startup(&[("user", user), ("database", database)]).await.expect("sent");
    let mut transcript = Vec::new();

    let offer = client.message().await.expect("an offer");
    transcript.push(format!("{}{:?}", char::from(offer.tag), offer.body));
    let Ok(Authentication::Sasl(mechanisms)) = Authentication::parse(&offer.body) else {
        panic!("no SASL: {offer:?}");
    };
    let password = Secret::new(password.to_owned());
    let exchange =
        ClientExchange::new(password, &mechanisms, ChannelBinding::Unavailable).expect("randomness");
    let mut out = Vec::new();
    write::sasl_initial(&mut out, "SCRAM-SHA-256", exchange.client_first().as_bytes()).expect("it fits");
    client.send(&out).await.expect("sent");

    let challenge = client.message().await.expect("a challenge");
    let Ok(Authentication::SaslContinue(first)) = Authentication::parse(&challenge.body) else {
        panic!("no challenge: {challenge:?}");
    };
    let text = String::from_utf8(first.to_vec()).expect("SCRAM is text");
    let fields: Vec<&str> = text.split(',').collect();
    let &[nonce, salt, rounds] = fields.as_slice() else { panic!("{text}") };
    transcript.push(format!("nonce of {}, salt of {}, {rounds}", nonce.len(), salt.len()));
    assert!(STANDARD.decode(&salt[2..]).is_ok(), "{salt}");

    let (_, proof) = exchange.answer(first).expect("a good challenge");
    out.clear();
    write::sasl_response(&mut out, proof.as_bytes()).expect("it fits");
    client.send(&out).await.expect("sent");
    for message in client.until_end().await.expect("the end") {
        transcript.push(format!("{}{}", char::from(message.tag), String::from_utf8_lossy(&message.body)));
    }
    Seen { transcript, salt: salt.to_owned() }
}

#[tokio::test]
async fn unknown_tenants_unknown_users_and_wrong_passwords_look_alike() {
    let tenant = STACK.create_tenant("secretive", "eu").await;
    let suspended = STACK.create_tenant("suspended-secretly", "eu").await;
    STACK.change_state(&suspended.slug, "suspend").await;
    let wrong_password = try_to_enter(&tenant, "app", "secretive", "wrong").await;
    assert!(wrong_password.transcript[2].contains("28P01"), "{:?}", wrong_password.transcript);
    assert_eq!(wrong_password.transcript.len(), 3, "{:?}", wrong_password.transcript);
    for (user, database, password) in [
        ("app", "no-such-tenant", "wrong"),
        ("app", "No Slug At All", "wrong"),
        ("app", "postgres", "wrong"),
        ("app", "no-such-tenant", &*tenant.password()),
        ("app", "suspended-secretly", "wrong"),
    ] {
        let seen = try_to_enter(&tenant, user, database, password).await;
        assert_eq!(seen.transcript, wrong_password.transcript, "{user} at {database}");
    }
    for user in ["ghost", "app2", "gh'ost", "postgres"] {
        let mut seen = try_to_enter(&tenant, user, "secretive", &tenant.password()).await.transcript;
        seen[2] = seen[2].replace(&format!("\"{user}\""), "\"app\"");
        assert_eq!(seen, wrong_password.transcript, "{user}");
    }
}

/// A salt that changed from one attempt to the next would give nobodies away.
#[tokio::test]
async fn nobodies_keep_their_salt_and_do_not_share_it() {
    let tenant = STACK.create_tenant("salted", "eu").await;
    let mut salts = Vec::new();
    for (user, database) in
        [("app", "salted"), ("ghost", "salted"), ("app", "no-such-tenant"), ("app", "no-other-tenant")]
    {
        let first = try_to_enter(&tenant, user, database, "wrong").await.salt;
        assert_eq!(first, try_to_enter(&tenant, user, database, "wrong").await.salt, "{user} at {database}");
        salts.push(first);
    }
    salts.sort();
    salts.dedup();
    assert_eq!(salts.len(), 4, "salts are shared");
}

#[tokio::test]
async fn the_state_of_a_tenant_is_told_to_its_own_only() {
    let tenant = STACK.create_tenant("private", "eu").await;
    STACK.change_state(&tenant.slug, "suspend").await;
    let error = tenant.try_connect().await.expect_err("suspended");
    assert_eq!(error.code().map(|code| code.code()), Some("57P03"));
    let stranger = try_to_enter(&tenant, "app", "private", "wrong").await;
    assert!(stranger.transcript[2].contains("28P01"), "{:?}", stranger.transcript);
    let key = Tenant { api_key: "tnt_of-somebody-else".to_owned(), ..tenant.clone() };
    let (status, body) = STACK.http_query(&key, "select 1", &[]).await;
    assert_eq!((status, body["code"].as_str()), (401, Some("28P01")));
    let (status, body) = STACK.http_query(&tenant, "select 1", &[]).await;
    assert_eq!((status, body["code"].as_str()), (403, Some("57P03")), "{body:#}");
}

#[tokio::test]
async fn attempts_are_counted_but_not_under_a_strangers_name() {
    let tenant = STACK.create_tenant("counted", "eu").await;
    let labels = ["kind=\"unauthenticated\""];
    let refusals = async || STACK.metric("tenantry_gateway_refusals_total", &labels).await;
    let before = refusals().await;
    try_to_enter(&tenant, "app", "never-heard-of", "wrong").await;
    try_to_enter(&tenant, "app", "counted", "wrong").await;
    wait_until("both are counted", async || refusals().await >= before + 2.0).await;
    assert!(!STACK.metrics().await.contains("never-heard-of"), "a stranger has made a series");
}
