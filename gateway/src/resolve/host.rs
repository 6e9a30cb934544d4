//! The tenant's name in a host name, whether a connection string or TLS (SNI) brings it.

/// Below this domain host names always name tenants: it is every machine's own (RFC 6761 §6.3).
const LOCAL_DOMAIN: &str = "localhost";

/// The label in front of the gateway's domain. A name deeper below it, or elsewhere, names nothing.
#[must_use]
pub fn tenant_of(host: &str, domain: Option<&str>) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let (label, parent) = host.split_once('.')?;
    let ours = parent == LOCAL_DOMAIN || domain.is_some_and(|domain| parent.eq_ignore_ascii_case(domain));
    ours.then(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::tenant_of;

    #[test]
    fn only_the_label_right_below_the_domain_names_a_tenant() {
        let tenant = |host| tenant_of(host, Some("DB.example.com"));
        assert_eq!(tenant("ACME.db.example.com.").as_deref(), Some("acme"));
        assert_eq!(tenant("acme.localhost").as_deref(), Some("acme"));
        for host in ["db.example.com", "a.b.db.example.com", "acme.example.com", "localhost", ""] {
            assert_eq!(tenant(host), None, "{host}");
        }
        assert_eq!(tenant_of("acme.db.example.com", None), None);
    }
}
