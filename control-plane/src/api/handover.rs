//! What a tenant's people are handed, once: where to connect and with what.

use config::GatewayEndpoint;
use tenancy::{Secret, Slug, UserName};

/// The path of the SQL endpoint on the gateway.
const SQL_PATH: &str = "/sql";

/// The URL that works as it stands in psql, drivers and ORMs. Passwords are made of characters that need
/// no escaping; user names are escaped.
pub(super) fn connection_string(
    gateway: &GatewayEndpoint,
    user: &UserName,
    password: &Secret,
    slug: &Slug,
) -> Secret {
    let host = match gateway.pg_host.contains(':') && !gateway.pg_host.starts_with('[') {
        true => format!("[{}]", gateway.pg_host),
        false => gateway.pg_host.clone(),
    };
    Secret::new(format!(
        "postgres://{}:{}@{host}:{}/{slug}",
        escaped(user.as_str()),
        escaped(password.expose()),
        gateway.pg_port
    ))
}

/// Where SQL is sent over HTTP.
pub(super) fn http_endpoint(gateway: &GatewayEndpoint) -> String {
    format!("{}{SQL_PATH}", gateway.http_url)
}

/// RFC 3986 percent-encoding of everything but unreserved characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str, user: &str) -> String {
        let gateway = GatewayEndpoint { pg_host: host.into(), ..GatewayEndpoint::default() };
        let password = Secret::new("p-_w".into());
        let url = connection_string(&gateway, &user.parse().unwrap(), &password, &"acme".parse().unwrap());
        url.expose().to_owned()
    }

    #[test]
    fn the_url_works_as_it_stands() {
        assert_eq!(url("db.example.com", "app"), "postgres://app:p-_w@db.example.com:6432/acme");
        assert_eq!(url("::1", "app"), "postgres://app:p-_w@[::1]:6432/acme");
        assert_eq!(url("[::1]", "jürgen k"), "postgres://j%C3%BCrgen%20k:p-_w@[::1]:6432/acme");
    }

    #[test]
    fn a_driver_reads_it_back() {
        let parsed: tokio_postgres::Config = url("127.0.0.1", "a@b:c/d").parse().unwrap();
        assert_eq!(parsed.get_user(), Some("a@b:c/d"));
        assert_eq!(parsed.get_dbname(), Some("acme"));
    }
}
