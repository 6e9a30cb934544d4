//! People: who they are, what they are in which tenant, and what takes them to the gateways.

mod crowds;
mod invites;
mod lives;
mod members;
mod owners;
mod refusals;
mod roles;
mod signing_in;
mod takeovers;

use crate::fixture::{Answer, Plane};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tenancy::UserId;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Somebody who has signed in.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: String,
    /// What shows the session.
    pub(crate) token: String,
}

impl Person {
    pub(crate) fn user(&self) -> UserId {
        self.id.parse().unwrap()
    }

    /// A request of this person's.
    pub(crate) fn asks(&self, plane: &Plane, method: Method, path: &str) -> RequestBuilder {
        plane.bare(method, path).bearer_auth(&self.token)
    }

    pub(crate) fn posts(&self, plane: &Plane, path: &str, body: &Value) -> RequestBuilder {
        self.asks(plane, Method::POST, path).json(body)
    }

    /// The same account in another session.
    pub(crate) async fn again(&self, plane: &Plane) -> Self {
        Self { id: self.id.clone(), email: self.email.clone(), token: sign_in(plane, &self.email).await }
    }

    /// A gateway token, as the API answers it.
    pub(crate) async fn switch(&self, plane: &Plane, tenant: &str) -> Value {
        plane.expect(200, self.posts(plane, "/v1/session/switch", &json!({ "tenant": tenant }))).await
    }
}

impl Plane {
    /// A user who has signed in.
    pub(crate) async fn person(&self, name: &str) -> Person {
        let email = format!("{name}@example.com");
        let body = json!({ "email": email, "display_name": name, "password": PASSWORD });
        let user = self.expect(201, self.post("/v1/users", body)).await;
        let id = user["id"].as_str().unwrap().to_owned();
        Person { id, token: sign_in(self, &email).await, email }
    }

    /// A member of a tenant who has signed in.
    pub(crate) async fn member(&self, name: &str, tenant: &str, role: &str) -> Person {
        let person = self.person(name).await;
        self.join(&person, tenant, role).await;
        person
    }

    pub(crate) async fn join(&self, person: &Person, tenant: &str, role: &str) {
        let body = json!({ "user": person.id, "role": role });
        self.expect(201, self.post(&format!("/v1/tenants/{tenant}/members"), body)).await;
    }
}

pub(crate) async fn try_sign_in(plane: &Plane, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    plane.send(plane.bare(Method::POST, "/v1/session").json(&body)).await
}

pub(crate) async fn sign_in(plane: &Plane, email: &str) -> String {
    let answer = try_sign_in(plane, email, PASSWORD).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["token"].as_str().unwrap().to_owned()
}

/// The path of a member.
pub(crate) fn at(tenant: &str, person: &Person) -> String {
    format!("/v1/tenants/{tenant}/members/{}", person.id)
}
