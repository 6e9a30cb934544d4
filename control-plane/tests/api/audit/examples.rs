//! A request that succeeds, for each route that changes something. Most are those that `idor` has; here stands what
//! those that are refused there take to succeed, and what nobody has to have signed in for.

use crate::fixture::servers;
use crate::idor::route::Route;
use crate::idor::world::{Side, World, issuer};
use crate::people::{PASSWORD, Person};
use control_plane::failpoint::{Action, Failpoints, Moment};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tenancy::OperationId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Once told to, keeps provisions from ending, so that there is one to cancel.
#[derive(Default)]
struct StuckProvisions(AtomicBool);

impl Failpoints for StuckProvisions {
    fn reached(&self, _: OperationId, step: &str, _: Moment) -> Action {
        if step == "write-marker" && self.0.load(Ordering::SeqCst) { Action::Crash } else { Action::Continue }
    }
}

/// A request.
pub(super) struct Example {
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

/// Whom and what the requests are about.
pub(super) struct Cast {
    pub(super) world: World,
    /// An owner of the first tenant, who asks for what people may do.
    pub(super) ann: Person,
    stuck: Arc<StuckProvisions>,
}

impl Cast {
    pub(super) async fn new() -> Self {
        let stuck = Arc::new(StuckProvisions::default());
        let world = World::failing(stuck.clone()).await;
        world.plane.tenant("suspended").await;
        let ann = world.plane.member("ann", world.sides[0].slug, "owner").await;
        Self { world, ann, stuck }
    }

    /// A request that succeeds. It may take others to come there.
    pub(super) async fn example(&self, route: &Route) -> Example {
        let name = route.name();
        let side = &self.world.sides[0];
        match name.as_str() {
            "POST /v1/session" | "POST /v1/invites/accept" => {
                Example { path: route.path.clone(), body: Some(self.strangers(&name).await) }
            }
            _ => {
                let path = match self.path(&name).await {
                    Some(path) => path,
                    None => route.target(side.slug, side),
                };
                let body = self.body(&name).await.or_else(|| route.body(side));
                Example { path, body }
            }
        }
    }

    /// What somebody says who has not signed in.
    async fn strangers(&self, name: &str) -> Value {
        match name {
            "POST /v1/session" => json!({ "email": self.ann.email, "password": PASSWORD }),
            _ => {
                let token = self.invite(&self.world.sides[0], "guest@example.com").await;
                json!({ "token": token, "display_name": "Guest", "password": "a guest's password" })
            }
        }
    }

    /// The path, where what `idor` names is not there or not as it has to be.
    async fn path(&self, name: &str) -> Option<String> {
        let other = &self.world.sides[1];
        Some(match name {
            "POST /v1/operations/{operation}/cancel" => {
                format!("/v1/operations/{}/cancel", self.stuck_operation().await)
            }
            "POST /v1/tenants/{tenant}/suspend" => "/v1/tenants/suspended/suspend".to_owned(),
            "POST /v1/tenants/{tenant}/resume" => {
                let path = format!("/v1/tenants/{}", other.slug);
                let plane = &self.world.plane;
                let suspend = plane.request(Method::POST, &format!("{path}/suspend"));
                let suspended = plane.expect(202, suspend).await;
                plane.finished(&suspended["operation"]["id"], "succeeded").await;
                format!("{path}/resume")
            }
            "POST /v1/issuers/{issuer}/test" => format!("/v1/issuers/{}/test", self.provider().await),
            "DELETE /v1/session/tenants/{of}" => format!("/v1/session/tenants/{}", other.id),
            "DELETE /v1/sessions/{session}" => {
                let again = self.ann.again(&self.world.plane).await;
                let shown = again.asks(&self.world.plane, Method::GET, "/v1/session");
                let shown = self.world.plane.expect(200, shown).await;
                format!("/v1/sessions/{}", shown["session"]["id"].as_str().unwrap())
            }
            _ => return None,
        })
    }

    /// The body, where the one of `idor` is refused or holds no secret although it could. What is not in the body and
    /// has to be there first comes here too.
    async fn body(&self, name: &str) -> Option<Value> {
        let plane = &self.world.plane;
        Some(match name {
            "POST /v1/clusters" => {
                let dsn = servers().await.other.dsn("postgres");
                json!({ "name": "eu-2", "region": "eu", "tls_mode": "disable", "admin_dsn": dsn.expose() })
            }
            "PATCH /v1/clusters/{cluster}" => {
                let dsn = servers().await.catalog.dsn("postgres");
                json!({ "admin_dsn": dsn.expose() })
            }
            "POST /v1/users" => {
                json!({ "email": "eve@example.com", "display_name": "Eve", "password": "eve's password" })
            }
            "PATCH /v1/users/{user}" => json!({ "password": "somebody's password" }),
            "POST /v1/tenants/{tenant}/members" => {
                json!({ "user": plane.person("bob").await.id, "role": "viewer" })
            }
            "POST /v1/session/password" => json!({ "current": PASSWORD, "new": PASSWORD }),
            "POST /v1/session/invites" => {
                json!({ "token": self.invite(&self.world.sides[1], &self.ann.email).await })
            }
            "POST /v1/tenants/{tenant}/domains/{domain}/verify" => {
                self.prove_domain().await;
                return None;
            }
            "DELETE /v1/tenants/{tenant}/external-ids/{issuer}/{external_id}" => {
                self.tie_external_id(name).await;
                return None;
            }
            _ => return None,
        })
    }

    /// The token of an invite.
    async fn invite(&self, side: &Side, email: &str) -> String {
        let plane = &self.world.plane;
        let body = json!({ "email": email, "role": "viewer" });
        let made = plane.expect(201, plane.post(&side.path("invites"), body)).await;
        made["token"].as_str().unwrap().to_owned()
    }

    /// An operation that does not end.
    async fn stuck_operation(&self) -> String {
        self.stuck.0.store(true, Ordering::SeqCst);
        let plane = &self.world.plane;
        let body = json!({ "slug": "cancelled", "region": "eu" });
        let created = plane.expect(202, plane.post("/v1/tenants", body)).await;
        created["operation"]["id"].as_str().unwrap().to_owned()
    }

    /// Has the first tenant's domain hold its challenge.
    async fn prove_domain(&self) {
        let plane = &self.world.plane;
        let listed = plane.expect(200, plane.get(&self.world.sides[0].path("domains"))).await;
        let domain = format!("{}.example", self.world.sides[0].slug);
        let items = listed["items"].as_array().unwrap();
        let asked = &items.iter().find(|one| one["domain"] == domain.as_str()).unwrap()["challenge"];
        let text = |field: &str| asked[field].as_str().unwrap();
        self.world.name_server.set(text("name"), &[text("value")]);
    }

    /// Ties the external id that `idor` names.
    async fn tie_external_id(&self, route: &str) {
        let (plane, side) = (&self.world.plane, &self.world.sides[0]);
        let path = route.split_once(' ').unwrap().1;
        let [issuer, external] = ["issuer", "external_id"].map(|name| side.example(path, name));
        let body = json!({ "issuer_id": issuer, "external_id": external });
        plane.expect(201, plane.post(&side.path("external-ids"), body)).await;
    }

    /// An issuer whose keys are there.
    async fn provider(&self) -> String {
        let plane = &self.world.plane;
        let keys = plane.expect(200, plane.get("/v1/signing-keys")).await;
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "1", "x": keys["items"][0]["public_key"] });
        let mut new = issuer("here");
        new["jwks_url"] = json!(serve(json!({ "keys": [key] }).to_string()).await);
        let made = plane.expect(201, plane.post("/v1/issuers", new)).await;
        made["id"].as_str().unwrap().to_owned()
    }
}

/// Answers `body` to whoever asks.
async fn serve(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            // A request without a body, which fits into one packet.
            let asked = client.read(&mut [0; 4_096]).await;
            if asked.is_ok() && client.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    url
}
