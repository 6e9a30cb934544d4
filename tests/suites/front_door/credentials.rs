//! Passwords, API keys, services and certificates, in every state.

use crate::axes::{Case, Kind};
use crate::world::{ClientCertificate, Owners, Proof};
use crate::{STACK, WORLD_FILES};
use harness::Tenant;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use tenantry::client::path;

/// How a credential is brought to an end once it was seen to be good.
pub(crate) enum Spoil {
    /// It is taken back.
    Delete(String),
    /// Its time has come.
    Sql(String),
}

impl Spoil {
    pub(crate) async fn happen(self) {
        match self {
            Self::Delete(path) => drop(STACK.must(Method::DELETE, &path, None).await),
            Self::Sql(sql) => {
                STACK.catalog_admin().await.batch_execute(&sql).await.expect("an administrator may");
            }
        }
    }
}

/// The credentials of one kind.
pub(crate) struct Proofs(HashMap<Case, Proof>);

impl Proofs {
    pub(crate) fn new(proofs: impl IntoIterator<Item = (Case, Proof)>) -> Self {
        Self(proofs.into_iter().collect())
    }

    /// The one of a case: that of [`Case::Right`] where it is nothing special.
    pub(crate) fn of(&self, case: Case) -> &Proof {
        self.0.get(&case).unwrap_or_else(|| &self.0[&Case::Right])
    }
}

/// Makes all but tokens.
pub(crate) async fn make(owners: &Owners) -> (HashMap<Kind, Proofs>, Vec<Spoil>) {
    let password = json!({ "kind": "password", "user_name": "app" });
    let scopes = ["data", "read-only", "admin"];
    let [data, read, admin] =
        scopes.map(|scope| json!({ "kind": "api-key", "scope": scope, "role": "admin" }));
    let some = json!([owners.mine.slug, owners.suspended.slug, owners.purged.slug]);
    let made = tokio::join!(
        of_tenant(owners, &password),
        of_tenant(owners, &data),
        of_tenant(owners, &read),
        of_tenant(owners, &admin),
        services(Some(&some)),
        services(None),
        certificates(owners),
    );
    let made = [
        (Kind::Password, made.0),
        (Kind::DataKey, made.1),
        (Kind::ReadOnlyKey, made.2),
        (Kind::AdminKey, made.3),
        (Kind::Service, made.4),
        (Kind::ServiceForAll, made.5),
        (Kind::Certificate, made.6),
    ];
    let (mut all, mut spoils) = (HashMap::new(), Vec::new());
    for (kind, (proofs, ends)) in made {
        all.insert(kind, proofs);
        spoils.extend(ends);
    }
    (all, spoils)
}

async fn create(tenant: &Tenant, body: &Value) -> Value {
    STACK.must(Method::POST, &path(&["tenants", &tenant.id, "credentials"]), Some(body)).await
}

fn id(created: &Value) -> &str {
    created["credential"]["id"].as_str().expect("an id")
}

fn withdrawn(tenant: &Tenant, created: &Value) -> Spoil {
    Spoil::Delete(path(&["tenants", &tenant.id, "credentials", id(created)]))
}

fn expired(table: &str, id: &str) -> Spoil {
    Spoil::Sql(format!("update catalog.{table} set expires_at = clock_timestamp() where id = '{id}'"))
}

fn proof(created: &Value) -> Proof {
    if let Some(key) = created["api_key"].as_str() {
        return Proof::Key(key.to_owned());
    }
    let text = created["connection_string"].as_str().expect("a secret");
    let config: tokio_postgres::Config = text.parse().expect("a connection string");
    let password = config.get_password().expect("a password").to_vec();
    Proof::Password(String::from_utf8(password).expect("a password is text"))
}

async fn of_tenant(owners: &Owners, body: &Value) -> (Proofs, Vec<Spoil>) {
    let mine = &owners.mine;
    let rotate = async || {
        let first = create(mine, body).await;
        let path = path(&["tenants", &mine.id, "credentials", id(&first), "rotate"]);
        let second = STACK.must(Method::POST, &path, Some(&json!({ "keep_old_s": 3_600 }))).await;
        (first, second)
    };
    let (both, gone) = (rotate().await, rotate().await);
    let (revoked, late) = (create(mine, body).await, create(mine, body).await);
    let spoils = vec![withdrawn(mine, &gone.0), withdrawn(mine, &revoked), expired("credentials", id(&late))];
    let wrong = match proof(&revoked) {
        Proof::Key(key) => Proof::Key(made_up(&key)),
        _ => Proof::Password("made-up".to_owned()),
    };
    let proofs = Proofs::new([
        (Case::Right, proof(&create(mine, body).await)),
        (Case::Suspended, proof(&create(&owners.suspended, body).await)),
        (Case::Purged, proof(&create(&owners.purged, body).await)),
        (Case::Wrong, wrong),
        (Case::Expired, proof(&late)),
        (Case::Revoked, proof(&revoked)),
        (Case::BothOld, proof(&both.0)),
        (Case::BothNew, proof(&both.1)),
        (Case::GoneOld, proof(&gone.0)),
        (Case::GoneNew, proof(&gone.1)),
    ]);
    (proofs, spoils)
}

/// Looks like this one, and is nobody's.
fn made_up(key: &str) -> String {
    let (prefix, random) = key.split_at(4);
    format!("{prefix}{}", random.chars().rev().collect::<String>())
}

/// A service is rotated by having a second one.
async fn services(tenants: Option<&Value>) -> (Proofs, Vec<Spoil>) {
    let make = async || {
        let mut body = json!({ "name": "door", "role": "member", "expires_at": "2999-01-01T00:00:00Z" });
        if let Some(tenants) = tenants {
            body["tenants"] = tenants.clone();
        }
        let made = STACK.must(Method::POST, &path(&["service-credentials"]), Some(&body)).await;
        let text = |pointer: &str| made.pointer(pointer).and_then(Value::as_str).expect("text").to_owned();
        (text("/key"), text("/service_credential/id"))
    };
    let (right, late, revoked, gone) = (make().await, make().await, make().await, make().await);
    let mut spoils = vec![expired("service_credentials", &late.1)];
    spoils.extend([&revoked.1, &gone.1].map(|id| Spoil::Delete(path(&["service-credentials", id]))));
    let proofs = Proofs::new([
        (Case::Wrong, Proof::Key(made_up(&right.0))),
        (Case::Right, Proof::Key(right.0)),
        (Case::Expired, Proof::Key(late.0)),
        (Case::Revoked, Proof::Key(revoked.0)),
        (Case::BothNew, Proof::Key(make().await.0)),
        (Case::GoneOld, Proof::Key(gone.0)),
        (Case::GoneNew, Proof::Key(make().await.0)),
    ]);
    (proofs, spoils)
}

/// A certificate stands for its user's passwords, and goes with the last of them.
async fn certificates(owners: &Owners) -> (Proofs, Vec<Spoil>) {
    let signed = |user: &'static str, tenant: &Tenant| {
        let signed = WORLD_FILES.clients.sign_client(&format!("{user}.{}", tenant.slug));
        Proof::Certificate(Box::new(ClientCertificate { user, signed }))
    };
    let mine = &owners.mine;
    let user = async |name: &str| create(mine, &json!({ "kind": "password", "user_name": name })).await;
    let spoils =
        vec![expired("credentials", id(&user("late").await)), withdrawn(mine, &user("dismissed").await)];
    let proofs = Proofs::new([
        (Case::Right, signed("app", mine)),
        (Case::Suspended, signed("app", &owners.suspended)),
        (Case::Purged, signed("app", &owners.purged)),
        (Case::Wrong, signed("nobody", mine)),
        (Case::Expired, signed("late", mine)),
        (Case::Revoked, signed("dismissed", mine)),
        (Case::BothOld, signed("app", mine)),
        (Case::BothNew, signed("app", mine)),
    ]);
    (proofs, spoils)
}
