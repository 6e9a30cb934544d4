//! What each route requires, in one table that a person can read. A route that is not in it is served to nobody.

use axum::http::Method;
use std::fmt;
use tenancy::Permission::{
    self, CredentialsManage, DomainsManage, IssuersManage, MembersManage, MembersRead, TenantDelete,
    TenantManage, TenantRead,
};

/// What somebody must be, or must hold, to have a route served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Requirement {
    /// Nothing: no token is looked at.
    Public,
    /// To be the operator.
    Operator,
    /// To be a person who has signed in, for what is theirs.
    Oneself,
    /// To hold this in the tenant that the path names as `{tenant}`.
    Tenant(Permission),
    /// To hold this in the tenant of the operation that the path names as `{operation}`.
    Operation(Permission),
    /// To be anybody with a token; the answer shows only what belongs to tenants in which they hold this.
    Listed(Permission),
}

use Requirement::{Listed, Oneself, Operation, Operator, Public, Tenant};

impl fmt::Display for Requirement {
    /// The word of `x-tenantry-requires`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Operator => "operator",
            Self::Oneself => "self",
            Self::Tenant(permission) | Self::Operation(permission) | Self::Listed(permission) => {
                permission.as_str()
            }
        })
    }
}

/// Method, path as the router has it, requirement.
const TABLE: &[(&str, &str, Requirement)] = &[
    ("GET", "/healthz", Public),
    ("GET", "/readyz", Public),
    ("GET", "/metrics", Public),
    ("GET", "/openapi.json", Public),
    ("POST", "/v1/regions", Operator),
    ("GET", "/v1/regions", Operator),
    ("GET", "/v1/regions/{region}", Operator),
    ("POST", "/v1/clusters", Operator),
    ("GET", "/v1/clusters", Operator),
    ("GET", "/v1/clusters/{cluster}", Operator),
    ("PATCH", "/v1/clusters/{cluster}", Operator),
    ("GET", "/v1/gateways", Operator),
    ("DELETE", "/v1/gateways/{gateway}", Operator),
    ("POST", "/v1/plans", Operator),
    ("GET", "/v1/plans", Operator),
    ("GET", "/v1/plans/{plan}", Operator),
    ("PATCH", "/v1/plans/{plan}", Operator),
    ("POST", "/v1/features", Operator),
    ("GET", "/v1/features", Operator),
    ("GET", "/v1/features/{feature}", Operator),
    ("PATCH", "/v1/features/{feature}", Operator),
    ("DELETE", "/v1/features/{feature}", Operator),
    ("POST", "/v1/tenants", Operator),
    ("GET", "/v1/tenants", Listed(TenantRead)),
    ("GET", "/v1/tenants/{tenant}", Tenant(TenantRead)),
    ("PATCH", "/v1/tenants/{tenant}", Tenant(TenantManage)),
    ("DELETE", "/v1/tenants/{tenant}", Tenant(TenantDelete)),
    ("GET", "/v1/tenants/{tenant}/entitlements", Tenant(TenantRead)),
    ("PATCH", "/v1/tenants/{tenant}/entitlements", Operator),
    ("GET", "/v1/tenants/{tenant}/features", Tenant(TenantRead)),
    ("PUT", "/v1/tenants/{tenant}/features/{feature}", Operator),
    ("DELETE", "/v1/tenants/{tenant}/features/{feature}", Operator),
    ("GET", "/v1/tenants/{tenant}/allow-list", Tenant(TenantRead)),
    ("PUT", "/v1/tenants/{tenant}/allow-list", Tenant(TenantManage)),
    ("POST", "/v1/tenants/{tenant}/suspend", Operator),
    ("POST", "/v1/tenants/{tenant}/resume", Operator),
    ("POST", "/v1/tenants/{tenant}/credentials", Tenant(CredentialsManage)),
    ("GET", "/v1/tenants/{tenant}/credentials", Tenant(CredentialsManage)),
    ("DELETE", "/v1/tenants/{tenant}/credentials/{credential}", Tenant(CredentialsManage)),
    ("POST", "/v1/tenants/{tenant}/credentials/{credential}/rotate", Tenant(CredentialsManage)),
    ("POST", "/v1/tenants/{tenant}/domains", Tenant(DomainsManage)),
    ("GET", "/v1/tenants/{tenant}/domains", Tenant(DomainsManage)),
    ("POST", "/v1/tenants/{tenant}/domains/{domain}/verify", Tenant(DomainsManage)),
    ("DELETE", "/v1/tenants/{tenant}/domains/{domain}", Tenant(DomainsManage)),
    ("POST", "/v1/service-credentials", Operator),
    ("GET", "/v1/service-credentials", Operator),
    ("DELETE", "/v1/service-credentials/{service_credential}", Operator),
    ("POST", "/v1/users", Operator),
    ("GET", "/v1/users", Operator),
    ("GET", "/v1/users/{user}", Operator),
    ("PATCH", "/v1/users/{user}", Operator),
    ("DELETE", "/v1/users/{user}", Operator),
    ("POST", "/v1/users/{user}/identities", Operator),
    ("DELETE", "/v1/users/{user}/identities", Operator),
    ("GET", "/v1/users/{user}/sessions", Operator),
    ("DELETE", "/v1/users/{user}/sessions", Operator),
    ("GET", "/v1/users/{user}/tenants", Operator),
    ("POST", "/v1/tenants/{tenant}/members", Operator),
    ("GET", "/v1/tenants/{tenant}/members", Tenant(MembersRead)),
    ("GET", "/v1/tenants/{tenant}/members/{user}", Tenant(MembersRead)),
    ("PATCH", "/v1/tenants/{tenant}/members/{user}", Tenant(MembersManage)),
    ("DELETE", "/v1/tenants/{tenant}/members/{user}", Tenant(MembersManage)),
    ("POST", "/v1/tenants/{tenant}/roles", Tenant(MembersManage)),
    ("GET", "/v1/tenants/{tenant}/roles", Tenant(MembersRead)),
    ("PATCH", "/v1/tenants/{tenant}/roles/{role}", Tenant(MembersManage)),
    ("DELETE", "/v1/tenants/{tenant}/roles/{role}", Tenant(MembersManage)),
    ("POST", "/v1/tenants/{tenant}/invites", Tenant(MembersManage)),
    ("GET", "/v1/tenants/{tenant}/invites", Tenant(MembersRead)),
    ("DELETE", "/v1/tenants/{tenant}/invites/{invite}", Tenant(MembersManage)),
    ("POST", "/v1/invites/accept", Public),
    ("POST", "/v1/session", Public),
    ("GET", "/v1/session", Oneself),
    ("DELETE", "/v1/session", Oneself),
    ("POST", "/v1/session/switch", Oneself),
    ("POST", "/v1/session/password", Oneself),
    ("POST", "/v1/session/invites", Oneself),
    ("GET", "/v1/session/tenants", Oneself),
    ("DELETE", "/v1/session/tenants/{of}", Oneself),
    ("GET", "/v1/sessions", Oneself),
    ("DELETE", "/v1/sessions/{session}", Oneself),
    ("GET", "/v1/signing-keys", Operator),
    ("POST", "/v1/signing-keys/rotate", Operator),
    ("POST", "/v1/issuers", Operator),
    ("GET", "/v1/issuers", Operator),
    ("GET", "/v1/issuers/{issuer}", Operator),
    ("PATCH", "/v1/issuers/{issuer}", Operator),
    ("DELETE", "/v1/issuers/{issuer}", Operator),
    ("POST", "/v1/issuers/{issuer}/test", Operator),
    ("POST", "/v1/tenants/{tenant}/issuers", Tenant(IssuersManage)),
    ("GET", "/v1/tenants/{tenant}/issuers", Tenant(IssuersManage)),
    ("GET", "/v1/tenants/{tenant}/issuers/{issuer}", Tenant(IssuersManage)),
    ("PATCH", "/v1/tenants/{tenant}/issuers/{issuer}", Tenant(IssuersManage)),
    ("DELETE", "/v1/tenants/{tenant}/issuers/{issuer}", Tenant(IssuersManage)),
    ("POST", "/v1/tenants/{tenant}/issuers/{issuer}/test", Tenant(IssuersManage)),
    ("POST", "/v1/tenants/{tenant}/external-ids", Operator),
    ("GET", "/v1/tenants/{tenant}/external-ids", Tenant(IssuersManage)),
    ("DELETE", "/v1/tenants/{tenant}/external-ids/{issuer}/{external_id}", Operator),
    ("GET", "/v1/operations", Listed(TenantRead)),
    ("GET", "/v1/operations/{operation}", Operation(TenantRead)),
    ("GET", "/v1/operations/{operation}/events", Operation(TenantRead)),
    ("POST", "/v1/operations/{operation}/cancel", Operator),
];

/// What a route requires. A router answers HEAD with what it has for GET, so the two require the same.
pub(in super::super) fn of(method: &Method, path: &str) -> Option<Requirement> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let row = TABLE.iter().find(|(of_method, of_path, _)| *of_method == method && *of_path == path);
    row.map(|(_, _, requirement)| *requirement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use tenancy::Role;

    #[test]
    fn each_route_has_one_requirement_that_its_path_can_meet() {
        let routes: HashSet<_> = TABLE.iter().map(|(method, path, _)| (method, path)).collect();
        assert_eq!(routes.len(), TABLE.len(), "a route stands there twice");
        for (method, path, requirement) in TABLE {
            match requirement {
                Tenant(_) => assert!(path.starts_with("/v1/tenants/{tenant}"), "{method} {path}"),
                Operation(_) => assert!(path.starts_with("/v1/operations/{operation}"), "{method} {path}"),
                Listed(_) => assert!(*method == "GET" && !path.contains('{'), "{method} {path}"),
                Public | Operator | Oneself => {}
            }
        }
    }

    /// The router and the document are made of the same functions, so the document's routes are the router's.
    #[test]
    fn the_table_has_each_route_that_there_is_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(&crate::api::openapi()).unwrap();
        let mut documented = HashSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let method: Method = method.to_uppercase().parse().unwrap();
                let requirement = of(&method, path);
                assert!(requirement.is_some(), "{method} {path} stands in no table: nobody gets it");
                let told = operation["x-tenantry-requires"].as_str();
                assert_eq!(told, requirement.map(|one| one.to_string()).as_deref(), "{method} {path}");
                documented.insert((method.to_string(), path.clone()));
            }
        }
        for (method, path, _) in TABLE {
            assert!(documented.contains(&((*method).to_owned(), (*path).to_owned())), "{method} {path}");
        }
    }

    fn row(cells: &[&str]) -> String {
        format!("| {} |\n", cells.join(" | "))
    }

    fn roles() -> String {
        let mut text = row(&["", "owner", "admin", "member", "viewer"]) + "|---|:-:|:-:|:-:|:-:|\n";
        for permission in Permission::ALL {
            let word = format!("`{permission}`");
            let held = Role::ALL.map(|role| if role.permissions().contains(*permission) { "×" } else { "" });
            text += &row(&[word.as_str(), held[0], held[1], held[2], held[3]]);
        }
        text
    }

    fn routes() -> String {
        let mut text = row(&["route", "requires"]) + "|---|---|\n";
        for (method, path, requirement) in TABLE {
            let listed = if matches!(requirement, Listed(_)) { ", of each that is listed" } else { "" };
            text += &row(&[&format!("`{method} {path}`"), &format!("`{requirement}`{listed}")]);
        }
        text
    }

    /// To write the tables anew: `UPDATE_DOCS=1 cargo test -p control-plane requirement`.
    #[test]
    fn the_documented_tables_are_these() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/identity.md");
        let mut text = std::fs::read_to_string(path).unwrap();
        for (name, table) in [("roles", roles()), ("routes", routes())] {
            let (before, rest) = text.split_once(&format!("<!-- {name} -->\n")).unwrap();
            let (shown, after) = rest.split_once(&format!("<!-- /{name} -->\n")).unwrap();
            if std::env::var_os("UPDATE_DOCS").is_some() {
                let anew = format!("{before}<!-- {name} -->\n{table}<!-- /{name} -->\n{after}");
                std::fs::write(path, &anew).unwrap();
                text = anew;
                continue;
            }
            assert_eq!(
                shown, table,
                "{path} is stale: UPDATE_DOCS=1 cargo test -p control-plane requirement"
            );
        }
    }

    #[test]
    fn what_is_not_in_the_table_has_no_requirement_to_meet() {
        assert_eq!(of(&Method::GET, "/v1/tenants"), Some(Listed(TenantRead)));
        assert_eq!(of(&Method::HEAD, "/v1/tenants"), Some(Listed(TenantRead)));
        assert_eq!(of(&Method::PUT, "/v1/tenants"), None);
        assert_eq!(of(&Method::GET, "/v1/tenants/"), None);
    }
}
