//! SCRAM with clients that do not keep to it.

use super::{STACK, dial, last_words};
use harness::Tenant;
use harness::wire::WireClient;
use pgwire::backend::Authentication;
use pgwire::frontend::write;
use pgwire::scram::{ChannelBinding, ClientExchange};
use tenancy::Secret;

/// A client that is about to answer the offer of SCRAM-SHA-256.
async fn offered(tenant: &Tenant) -> WireClient {
    let mut client = dial(tenant).await;
    client.startup(&[("user", "app"), ("database", &tenant.slug)]).await.expect("sent");
    let offer = client.message().await.expect("an offer");
    let Ok(Authentication::Sasl(mechanisms)) = Authentication::parse(&offer.body) else {
        panic!("no SASL: {offer:?}");
    };
    assert!(mechanisms.eq([b"SCRAM-SHA-256".as_slice()]), "offers what it cannot do without TLS");
    client
}

fn initial(mechanism: &str, data: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write::sasl_initial(&mut out, mechanism, data.as_bytes()).expect("it fits");
    out
}

fn response(data: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write::sasl_response(&mut out, data.as_bytes()).expect("it fits");
    out
}

/// The server's nonce, after a first message that it accepts.
async fn challenged(client: &mut WireClient, first: &str) -> String {
    client.send(&initial("SCRAM-SHA-256", first)).await.expect("sent");
    let challenge = client.message().await.expect("a challenge");
    let Ok(Authentication::SaslContinue(data)) = Authentication::parse(&challenge.body) else {
        panic!("no challenge: {challenge:?}");
    };
    let text = String::from_utf8(data.to_vec()).expect("SCRAM is text");
    text.strip_prefix("r=").expect("a nonce").split(',').next().expect("a nonce").to_owned()
}

/// Base64 of 32 bytes, which is what a proof looks like.
const PROOF: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[tokio::test]
async fn channel_binding_is_neither_pretended_nor_stripped() {
    let tenant = STACK.create_tenant("bound", "eu").await;
    // The client insists on binding that was not offered.
    for (mechanism, data) in [
        ("SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=abcdefgh"),
        ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abcdefgh"),
    ] {
        let error = last_words(&mut offered(&tenant).await, &initial(mechanism, data)).await;
        assert_eq!(error.sqlstate(), "08P01", "{mechanism} {data}");
    }
    // What the client said about binding was changed on the way: `biws` is `n,,`, `eSws` is `y,,`.
    for (first, last) in [("n,,n=,r=abcdefgh", "eSws"), ("y,,n=,r=abcdefgh", "biws")] {
        let mut client = offered(&tenant).await;
        let nonce = challenged(&mut client, first).await;
        let error = last_words(&mut client, &response(&format!("c={last},r={nonce},p={PROOF}"))).await;
        assert_eq!(error.sqlstate(), "08P01", "{first}");
    }
    // Unchanged, it fails by its proof alone.
    for (first, last) in [("n,,n=,r=abcdefgh", "biws"), ("y,,n=,r=abcdefgh", "eSws")] {
        let mut client = offered(&tenant).await;
        let nonce = challenged(&mut client, first).await;
        let error = last_words(&mut client, &response(&format!("c={last},r={nonce},p={PROOF}"))).await;
        assert_eq!(error.sqlstate(), "28P01", "{first}");
    }
}

#[tokio::test]
async fn broken_messages_are_refused_in_words() {
    let tenant = STACK.create_tenant("broken", "eu").await;
    for data in [
        "",
        "n",
        "n,,",
        "n,,n=,",
        "n,,n=,r=",
        "n,a=root,n=,r=abcdefgh",
        "n,,m=ext,n=,r=abcdefgh",
        "n,,n=,r=ab\u{e9}cdefgh",
        &format!("n,,n=,r={}", "x".repeat(5_000)),
    ] {
        let error = last_words(&mut offered(&tenant).await, &initial("SCRAM-SHA-256", data)).await;
        assert_eq!(error.sqlstate(), "08P01", "{data:.40}");
    }
    for (mechanism, data) in [("PLAIN", "\0app\0secret"), ("", ""), ("SCRAM-SHA-1", "n,,n=,r=abcdefgh")] {
        let error = last_words(&mut offered(&tenant).await, &initial(mechanism, data)).await;
        assert_eq!(error.sqlstate(), "08P01", "{mechanism}");
    }
    for last in ["", "c=biws", "c=biws,r=other,p=AAAA", &format!("c=biws,r=other,p={PROOF}"), "p=,p=,p="] {
        let mut client = offered(&tenant).await;
        challenged(&mut client, "n,,n=,r=abcdefgh").await;
        assert_eq!(last_words(&mut client, &response(last)).await.sqlstate(), "08P01", "{last}");
    }
}

#[tokio::test]
async fn nothing_but_a_password_message_is_taken_before_the_login() {
    let tenant = STACK.create_tenant("early", "eu").await;
    let mut query = Vec::new();
    write::query(&mut query, b"select 1").expect("it fits");
    let mut password = Vec::new();
    write::password(&mut password, tenant.password().as_bytes()).expect("it fits");
    for message in [query, password, vec![0; 32], b"p\0\0\0\x03".to_vec(), b"p\xff\xff\xff\xff".to_vec()] {
        let error = last_words(&mut offered(&tenant).await, &message).await;
        assert_eq!(error.sqlstate(), "08P01", "{message:?}");
    }
    // A length that nobody will wait for.
    let error = last_words(&mut offered(&tenant).await, b"p\0\x10\0\0").await;
    assert_eq!(error.sqlstate(), "54000");
}

/// The proof of one login is worth nothing in another.
#[tokio::test]
async fn a_proof_cannot_be_replayed() {
    let tenant = STACK.create_tenant("replayed", "eu").await;
    let mut first = offered(&tenant).await;
    let Ok(Authentication::Sasl(offer)) = Authentication::parse(b"\0\0\0\x0aSCRAM-SHA-256\0\0") else {
        panic!("no offer");
    };
    let password = Secret::new(tenant.password());
    let exchange = ClientExchange::new(password, &offer, ChannelBinding::Unavailable).expect("randomness");
    let hello = exchange.client_first();
    first.send(&initial("SCRAM-SHA-256", &hello)).await.expect("sent");
    let challenge = first.message().await.expect("a challenge");
    let Ok(Authentication::SaslContinue(data)) = Authentication::parse(&challenge.body) else {
        panic!("no challenge: {challenge:?}");
    };
    let (_, proof) = exchange.answer(data).expect("a good challenge");

    let mut second = offered(&tenant).await;
    challenged(&mut second, &hello).await;
    assert_eq!(last_words(&mut second, &response(&proof)).await.sqlstate(), "08P01");
    first.send(&response(&proof)).await.expect("sent");
    let last = first.message().await.expect("an answer");
    assert!(matches!(Authentication::parse(&last.body), Ok(Authentication::SaslFinal(_))), "{last:?}");
}
