//! What TLS has to do with who gets in.

use crate::client::{TlsClient, binding, login};
use crate::{STACK, WORLD, address, startup, tls};
use harness::wire::Message;
use pgwire::backend::Authentication;
use pgwire::frontend::write;
use pgwire::scram::{ChannelBinding, ClientExchange};
use tenancy::Secret;

async fn connected() -> TlsClient {
    tls().request(address(&STACK)).await.expect("TLS")
}

fn offers(message: &Message, mechanism: &str) -> bool {
    match Authentication::parse(&message.body) {
        Ok(Authentication::Sasl(offered)) => offered.offers(mechanism),
        other => panic!("no offer: {other:?}"),
    }
}

#[tokio::test]
async fn a_login_is_bound_to_the_certificate() {
    let tenant = STACK.create_tenant("binding", "eu").await;
    let mut client = connected().await;
    client.startup(&startup(&tenant)).await.expect("sent");
    let offer = client.message().await.expect("an offer");
    assert!(offers(&offer, "SCRAM-SHA-256-PLUS") && offers(&offer, "SCRAM-SHA-256"));

    let mut client = connected().await;
    login(&mut client, &startup(&tenant), &tenant.password()).await.expect("let in");

    // As if somebody in between had shown the client another certificate.
    let mut client = connected().await;
    client.startup(&startup(&tenant)).await.expect("sent");
    let elsewhere = ChannelBinding::TlsServerEndPoint(vec![7; 32]);
    let error = client.authenticate_bound_to(tenant.password().as_bytes(), elsewhere).await;
    assert_eq!(error.expect_err("bound to something else").tag, b'E');
}

#[tokio::test]
async fn binding_is_not_offered_in_clear() {
    let tenant = STACK.create_tenant("unbound", "eu").await;
    let mut client = harness::wire::WireClient::dial(&tenant.config()).await.expect("it listens");
    client.startup(&startup(&tenant)).await.expect("sent");
    let offer = client.message().await.expect("an offer");
    assert!(!offers(&offer, "SCRAM-SHA-256-PLUS") && offers(&offer, "SCRAM-SHA-256"));
}

#[tokio::test]
async fn a_client_that_was_kept_from_seeing_the_offer_is_sent_away() {
    let tenant = STACK.create_tenant("downgraded", "eu").await;
    let mut client = connected().await;
    client.startup(&startup(&tenant)).await.expect("sent");
    client.message().await.expect("an offer");
    // What it would have seen, had somebody taken the better mechanism out of the list.
    let mut shortened = Vec::new();
    pgwire::backend::write::authentication_sasl(&mut shortened, &["SCRAM-SHA-256"]);
    let body = &shortened[pgwire::frame::HEADER_LEN..];
    let Ok(Authentication::Sasl(offered)) = Authentication::parse(body) else { panic!("an offer") };
    let password = Secret::new(tenant.password());
    let exchange = ClientExchange::new(password, &offered, binding(&mut client)).expect("an offer to take");
    let mut out = Vec::new();
    write::sasl_initial(&mut out, exchange.mechanism(), exchange.client_first().as_bytes()).expect("it fits");
    client.send(&out).await.expect("sent");
    assert_eq!(client.message().await.expect("an answer").tag, b'E');
}

#[tokio::test]
async fn a_certificate_for_user_and_tenant_stands_for_the_password() {
    let (tenant, other) =
        (STACK.create_tenant("carded", "eu").await, STACK.create_tenant("uncarded", "eu").await);
    let showing = |name: &str| tls().showing(&WORLD.clients.sign_client(name));

    let mut client = showing("app.carded").request(address(&STACK)).await.expect("TLS");
    client.startup(&startup(&tenant)).await.expect("sent");
    client.greeting().await.expect("let in without a password");
    assert_eq!(client.value("select 'known'").await, "known");

    for (name, tenant) in
        [("app", &tenant), ("app.carded", &other), ("other.carded", &tenant), ("carded", &tenant)]
    {
        let mut client = showing(name).request(address(&STACK)).await.expect("TLS");
        client.startup(&startup(tenant)).await.expect("sent");
        let asked = client.message().await.expect("an answer");
        assert!(offers(&asked, "SCRAM-SHA-256"), "{name} has to give a password");
    }
}

#[tokio::test]
async fn a_certificate_of_a_strangers_is_no_good_even_where_none_is_needed() {
    let stranger = crate::certs::Authority::new("a stranger").sign_client("app.carded");
    let client = tls().showing(&stranger).request(address(&STACK)).await;
    // With TLS 1.3 the client is done before the gateway has seen its certificate.
    let refused = match client {
        Err(_) => true,
        Ok(mut client) => {
            let _ = client.startup(&[("user", "app"), ("database", "carded")]).await;
            client.message().await.is_err()
        }
    };
    assert!(refused);
}
