//! Requests whose bodies take their time: what let them in can end meanwhile.

use crate::fixture::{Plane, eventually};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request of which everything but the body was sent.
struct Slow {
    stream: TcpStream,
    body: String,
}

impl Slow {
    async fn begin(method: &str, token: &str, target: RequestBuilder, body: &Value) -> Self {
        let target = target.build().unwrap().url().clone();
        let body = body.to_string();
        let authority = format!("{}:{}", target.host_str().unwrap(), target.port().unwrap());
        let mut stream = TcpStream::connect(&authority).await.unwrap();
        let head = format!(
            "{method} {} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            target.path(),
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream, body }
    }

    /// Sends the body. Returns the status.
    async fn end(mut self) -> u16 {
        self.stream.write_all(self.body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

/// Waits until a key or a session was let in since its use was last forgotten.
async fn let_in(plane: &Plane, table: &str) {
    let used = format!("select 1 from catalog.{table} where last_used_at > now() - interval '1 minute'");
    eventually("the request is let in", async || (plane.sql(&used).await > 0).then_some(())).await;
}

async fn forget_uses(plane: &Plane, table: &str) {
    plane.sql(&format!("update catalog.{table} set last_used_at = now() - interval '1 hour'")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_meanwhile_changes_nothing() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let (id, key) = plane.key("acme", "owner", "admin").await;
    let begin = async || {
        forget_uses(&plane, "credentials").await;
        let body = json!({ "display_name": "Changed" });
        let slow = Slow::begin("PATCH", &key, plane.get("/v1/tenants/acme"), &body).await;
        let_in(&plane, "credentials").await;
        slow
    };
    assert_eq!(begin().await.end().await, 200);
    plane.expect(200, plane.patch("/v1/tenants/acme", json!({ "display_name": "Acme" }))).await;
    let slow = begin().await;
    plane.expect(200, plane.delete(&format!("/v1/tenants/acme/credentials/{id}"))).await;
    assert_eq!(slow.end().await, 401);
    assert_eq!(plane.shown("acme").await["display_name"], "Acme");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_sent_away_meanwhile_changes_nothing() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let begin = async |person: &crate::people::Person| {
        forget_uses(&plane, "sessions").await;
        let body = json!({ "domain": format!("{}.acme.org", &person.id[..8]) });
        let slow = Slow::begin("POST", &person.token, plane.get("/v1/tenants/acme/domains"), &body).await;
        let_in(&plane, "sessions").await;
        slow
    };
    let ways = [("removed", 404), ("demoted", 403), ("signed out", 401), ("disabled", 401)];
    for (way, expected) in ways {
        let ann = plane.member(&way.replace(' ', "-"), "acme", "admin").await;
        let member = crate::people::at("acme", &ann);
        let user = format!("/v1/users/{}", ann.id);
        let slow = begin(&ann).await;
        let request = match way {
            "removed" => plane.delete(&member),
            "demoted" => plane.patch(&member, json!({ "role": "viewer" })),
            "signed out" => plane.delete(&format!("{user}/sessions")),
            _ => plane.patch(&user, json!({ "disabled": true })),
        };
        plane.expect(200, request).await;
        assert_eq!(slow.end().await, expected, "{way}");
    }
    assert_eq!(plane.sql("select 1 from catalog.custom_domains").await, 0);
}
