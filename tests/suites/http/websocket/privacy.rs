//! Who may show a password in clear, and who may open a session at all.

use super::{all_at_once, at_once, connect, opened};
use crate::{Http, value};
use futures_util::{SinkExt, StreamExt};
use harness::wire::{Message as Answer, tags};
use harness::{Stack, Tenant, eventually};
use pgwire::frontend::write;
use reqwest::Method;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use tenantry::client::path;
use tenantry::dev::StackOptions;
use tokio::net::TcpSocket;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// The proxy that the gateway trusts.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

const ELSEWHERE: (&str, &str) = ("x-forwarded-for", "198.51.100.7");

async fn opened_from(stack: &Stack, from: Ipv4Addr, headers: &[(&'static str, &str)]) -> super::Socket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let stream = socket.connect(stack.addresses().http).await.unwrap();
    let mut request = format!("ws://{}/v2", stack.addresses().http).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    client_async(request, stream).await.unwrap().0
}

#[tokio::test]
async fn a_password_is_shown_only_where_nobody_can_listen() {
    let options = StackOptions::ephemeral()
        .gateway(|gateway| gateway.listen.trusted_proxies = vec![IpAddr::from(PROXY).into()]);
    let stack = Stack::start_with(options).await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let (config, password) = (tenant.config(), tenant.password());
    let user = config.get_user().unwrap();
    let proto = |value| ("x-forwarded-proto", value);
    for (headers, is_let_in) in [
        (&[ELSEWHERE, proto("https")][..], true),
        (&[ELSEWHERE, proto("https"), ("forwarded", "for=198.51.100.7;proto=https")], true),
        (&[("forwarded", "for=198.51.100.7;proto=https")], true),
        (&[ELSEWHERE], false),
        (&[ELSEWHERE, proto("http")], false),
        (&[ELSEWHERE, proto("https, http")], false),
        // The proxy writes the one, and passes the client's own other one on.
        (&[ELSEWHERE, proto("https"), ("forwarded", "for=198.51.100.7;proto=http")], false),
    ] {
        let socket = opened_from(&stack, PROXY, headers).await;
        let answers = at_once(socket, all_at_once(user, "acme", &password, "select 'in' as t")).await;
        if is_let_in {
            assert!(tags(&answers).ends_with("TDCZ"), "{headers:?}: {}", tags(&answers));
        } else {
            assert_eq!(answers.last().unwrap().sqlstate(), "28000", "{headers:?}");
            assert!(answers.last().unwrap().text().contains("only taken over TLS"), "{headers:?}");
        }
    }
    // Who is no proxy is not believed, and needs not be: it is on this machine.
    let socket = opened_from(&stack, Ipv4Addr::LOCALHOST, &[ELSEWHERE, proto("http")]).await;
    let answers = at_once(socket, all_at_once(user, "acme", &password, "select 1")).await;
    assert!(tags(&answers).ends_with("TDCZ"), "{}", tags(&answers));
    // Who waits to be asked proves its password, and shows it to nobody.
    let mut socket = opened_from(&stack, PROXY, &[ELSEWHERE]).await;
    let mut startup = Vec::new();
    write::startup(&mut startup, [("user", user), ("database", "acme")]).unwrap();
    socket.send(Message::binary(startup)).await.unwrap();
    let asked = socket.next().await.unwrap().unwrap().into_data();
    assert_eq!((asked[0], &asked[5..9]), (b'R', &[0, 0, 0, 10][..]), "by SCRAM");
}

/// How the tenant is answered in a WebSocket.
async fn answers(stack: &Stack, tenant: &Tenant, password: &str) -> Vec<Answer> {
    let config = tenant.config();
    let first = all_at_once(config.get_user().unwrap(), "acme", password, "select 1");
    at_once(opened(stack).await, first).await
}

#[tokio::test]
async fn who_does_not_have_websockets_is_told_so_once_it_is_known() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let http = Http::new(&stack);
    let feature = path(&["tenants", "acme", "features", "websocket"]);
    let say = async |enabled: bool| {
        stack.must(Method::PUT, &feature, Some(&json!({ "enabled": enabled }))).await;
    };
    let begun = connect(&stack, &tenant).await;
    say(false).await;
    let refusal = eventually("it is refused", async || {
        answers(&stack, &tenant, &tenant.password()).await.into_iter().find(|answer| answer.tag == b'E')
    })
    .await;
    assert_eq!(refusal.sqlstate(), "0A000");
    assert!(refusal.text().contains("\"websocket\""), "{}", refusal.text());
    let stranger = answers(&stack, &tenant, "wrong").await;
    assert_eq!(stranger.last().unwrap().sqlstate(), "28P01", "who is not known hears nothing of it");
    begun.batch_execute("select 1").await.expect("what has begun goes on");
    tenant.connect().await.batch_execute("select 1").await.unwrap();
    assert_eq!(value(&http, &tenant, "select 1").await, 1);
    say(true).await;
    eventually("it is let in again", async || {
        let answers = answers(&stack, &tenant, &tenant.password()).await;
        tags(&answers).ends_with("TDCZ").then_some(())
    })
    .await;
}
