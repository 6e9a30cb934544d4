//! Every route that there is, as the OpenAPI document has it, and how to ask for it in earnest.

use super::world::{Side, issuer};
use reqwest::Method;
use serde_json::{Value, json};
use std::cmp::Reverse;

/// One route.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// `x-tenantry-requires`.
    pub(crate) requires: String,
    takes_body: bool,
    /// Whether it can be asked what would happen.
    rehearses: bool,
}

/// Every route of the document.
pub(crate) fn all() -> Vec<Route> {
    let document: Value = serde_json::from_str(&control_plane::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let routes = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(|(method, operation)| {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            Route {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                requires: operation["x-tenantry-requires"].as_str().unwrap().to_owned(),
                takes_body: operation["requestBody"].is_object(),
                rehearses: parameters.iter().any(|parameter| parameter["name"] == "dry_run"),
            }
        })
    });
    let mut routes: Vec<_> = routes.collect();
    // What ends something comes last, what is inside of it before it, and what ends the asker's session at the very end.
    routes.sort_by_key(|route| {
        let ends = route.method == Method::DELETE;
        (
            route.name() == "DELETE /v1/session",
            ends,
            if ends { Reverse(route.path.len()) } else { Reverse(0) },
        )
    });
    routes
}

impl Route {
    /// As a person names it.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The same, never to be rehearsed.
    pub(crate) fn in_earnest(self) -> Self {
        Self { rehearses: false, ..self }
    }

    /// Is it about one tenant, named by its path or by an operation of it?
    pub(crate) fn is_about_a_tenant(&self) -> bool {
        self.path.contains("{tenant}") || self.path.contains("{operation}")
    }

    /// Does its path name something inside a tenant?
    pub(crate) fn has_a_child(&self) -> bool {
        self.path.contains("{tenant}") && self.path.matches('{').count() > 1
    }

    /// The path that names `tenant` so, and what is inside `children`'s tenant. Where the route can be rehearsed it is,
    /// so that everybody who may delete a tenant can show it.
    pub(crate) fn target(&self, tenant: &str, children: &Side) -> String {
        let mut parts = Vec::new();
        for part in self.path.split('/') {
            let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            parts.push(match name {
                None => part.to_owned(),
                Some("tenant") => tenant.to_owned(),
                Some(name) => children.example(&self.path, name),
            });
        }
        let query = match self.name().as_str() {
            "DELETE /v1/users/{user}/identities" => "?issuer=https://idp.example/&subject=42",
            _ if self.rehearses => "?dry_run=true",
            _ => "",
        };
        format!("{}{query}", parts.join("/"))
    }

    /// A body that the route takes, if it takes any.
    pub(crate) fn body(&self, side: &Side) -> Option<Value> {
        if !self.takes_body {
            return None;
        }
        let example = example_body(&self.name(), side);
        Some(example.unwrap_or_else(|| panic!("give {} a body in tests/api/idor/route.rs", self.name())))
    }
}

/// One valid body for each route that takes one. A route that has none here fails the test.
fn example_body(route: &str, side: &Side) -> Option<Value> {
    Some(match route {
        "POST /v1/regions" => json!({ "name": side.fresh("region") }),
        "POST /v1/clusters" => {
            json!({ "name": "us-1", "region": "eu", "admin_dsn": "postgres://a:b@127.0.0.1:1/postgres" })
        }
        "PATCH /v1/clusters/{cluster}" => json!({ "connection_budget": 50 }),
        "POST /v1/plans" => json!({ "name": side.fresh("plan") }),
        "PATCH /v1/plans/{plan}" => json!({ "queue_limit": 900 }),
        // The tenants' own see which features there are: their names are nobody's.
        "POST /v1/features" => json!({ "name": side.fresh("f").replace(side.slug, "any") }),
        "PATCH /v1/features/{feature}" => json!({ "percentage": 10, "plans": { "standard": true } }),
        "PUT /v1/tenants/{tenant}/features/{feature}" => json!({ "enabled": true }),
        "PUT /v1/tenants/{tenant}/allow-list" => json!({ "ranges": ["192.0.2.0/24"] }),
        "POST /v1/tenants" => json!({ "slug": side.fresh("tenant"), "region": "eu" }),
        "PATCH /v1/tenants/{tenant}" => json!({ "display_name": side.display_name() }),
        "PATCH /v1/tenants/{tenant}/entitlements" => json!({ "queue_limit": 90 }),
        "POST /v1/tenants/{tenant}/credentials" => json!({ "kind": "api-key", "role": "viewer" }),
        "POST /v1/tenants/{tenant}/credentials/{credential}/rotate" => json!({}),
        "POST /v1/service-credentials" => {
            json!({ "name": side.fresh("s"), "role": "viewer", "expires_at": "2999-01-01T00:00:00Z" })
        }
        "POST /v1/users" => {
            json!({ "email": format!("{}@new.example", side.fresh("u")), "display_name": "x" })
        }
        "PATCH /v1/users/{user}" => json!({ "display_name": side.fresh("u") }),
        "POST /v1/users/{user}/identities" => json!({ "issuer": "https://idp.example/", "subject": "42" }),
        "POST /v1/tenants/{tenant}/members" => {
            json!({ "user": side.example(route, "user"), "role": "viewer" })
        }
        "PATCH /v1/tenants/{tenant}/members/{user}" => json!({ "role": "member" }),
        "POST /v1/tenants/{tenant}/roles" => {
            json!({ "name": side.fresh("r"), "permissions": ["tenant.read"] })
        }
        "PATCH /v1/tenants/{tenant}/roles/{role}" => json!({ "permissions": ["members.read"] }),
        "POST /v1/tenants/{tenant}/invites" => {
            json!({ "email": format!("{}@new.example", side.fresh("g")), "role": "viewer" })
        }
        "POST /v1/tenants/{tenant}/domains" => json!({ "domain": format!("{}.example", side.fresh("d")) }),
        "POST /v1/session/switch" => json!({ "tenant": side.slug }),
        "POST /v1/session/password" => json!({ "current": "a wrong password", "new": "another password" }),
        "POST /v1/session/invites" => json!({ "token": "tni_wrong" }),
        "POST /v1/signing-keys/rotate" => json!({}),
        "POST /v1/issuers" | "POST /v1/tenants/{tenant}/issuers" => issuer(&side.fresh("i")),
        "PATCH /v1/issuers/{issuer}" | "PATCH /v1/tenants/{tenant}/issuers/{issuer}" => {
            json!({ "leeway_s": 30 })
        }
        "POST /v1/issuers/{issuer}/test" | "POST /v1/tenants/{tenant}/issuers/{issuer}/test" => json!({}),
        "POST /v1/tenants/{tenant}/external-ids" => {
            json!({ "issuer_id": side.example("/v1/issuers", "issuer"), "external_id": side.fresh("org") })
        }
        _ => return None,
    })
}
