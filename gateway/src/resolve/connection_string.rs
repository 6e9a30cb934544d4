//! What a connection string says of its tenant, as drivers send it in an HTTP header.
//!
//! `postgres://USER:PASSWORD@HOST/DATABASE?options=…`. Each place counts in which libpq takes host and database from, also
//! where there are several hosts or parameters. Besides the places that a startup packet has, the
//! host may name the tenant: `acme.db.example.com`, when `db.example.com` is the gateway's domain. Any
//! other host is merely where the string leads elsewhere, and names nothing.
//!
//! What this module must never do: repeat any of the string in an error.

use super::agreement;
use super::claims::Claim;
use super::host::Hosts;
use crate::error::Refusal;
use pgwire::startup::parse_options;
use tenancy::{Secret, Source, UserName};

/// What a connection string says.
#[derive(Debug)]
pub struct ConnectionString {
    /// Each place in it that names a tenant.
    pub claims: Vec<Claim>,
    /// The user within the tenant. `None` when it can be no user's name: it is then treated just like
    /// an unknown one.
    pub user: Option<UserName>,
    /// The user as written, for messages back to the client.
    pub user_as_given: String,
    /// The password.
    pub password: Option<Secret>,
    /// What the client calls itself, as PostgreSQL would have it.
    pub application_name: Option<Box<str>>,
}

impl ConnectionString {
    /// Reads a connection string.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str, hosts: Hosts<'_>) -> Result<Self, Refusal> {
        let parts = Parts::split(text).ok_or_else(malformed)?;
        let decoded = |text| percent_decoded(text).ok_or_else(malformed);
        let user_as_given = decoded(parts.user)?;
        let database = decoded(parts.database)?;
        let password = parts.password.map(decoded).transpose()?.map(Secret::new);
        let mut parameters = Parameters::read(parts.query)?;
        for host in parts.hosts {
            parameters.hosts.push(decoded(host)?);
        }
        parameters.databases.push(database);
        let (user, suffix) = agreement::split_user(&user_as_given);
        let of_hosts = parameters.hosts.iter().filter_map(|host| hosts.claim(host, Source::Host));
        let of_options = parameters.tenants.iter().map(|name| Claim::name(Source::Option, name));
        let of_user = suffix.map(|name| Claim::name(Source::User, name));
        let of_databases =
            parameters.databases.iter().filter_map(|name| Claim::database(name, &user_as_given));
        let claims = of_hosts.chain(of_options).chain(of_user).chain(of_databases).collect();
        let application_name = parameters.application_name.as_deref().map(as_application_name);
        Ok(Self { claims, user: user.parse().ok(), password, user_as_given, application_name })
    }
}

/// The parts of the text, still percent-encoded.
struct Parts<'a> {
    user: &'a str,
    password: Option<&'a str>,
    hosts: Vec<&'a str>,
    database: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    /// <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>
    fn split(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"))?;
        let rest = rest.split('#').next()?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        let host = |address: &'a str| match address.strip_prefix('[') {
            Some(v6) => v6.split_once(']').map(|(address, _port)| address),
            None => address.split(':').next(),
        };
        let hosts = address.split(',').map(host).collect::<Option<_>>()?;
        Some(Self { user, password, hosts, database, query })
    }
}

/// What names a tenant behind the question mark, and the client itself.
#[derive(Default)]
struct Parameters {
    application_name: Option<String>,
    tenants: Vec<String>,
    hosts: Vec<String>,
    databases: Vec<String>,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, Refusal> {
        let mut read = Self::default();
        let decoded = |text: &str| percent_decoded(text).ok_or_else(malformed);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match decoded(name)?.as_str() {
                "options" => read.tenants.extend(tenants_of(&decoded(&value.replace('+', " "))?)?),
                "host" => read.hosts.extend(decoded(value)?.split(',').map(str::to_owned)),
                "dbname" => read.databases.push(decoded(value)?),
                "application_name" => read.application_name = Some(decoded(value)?),
                // They would go before those in front of the host, for which the password is checked.
                "user" | "password" => return Err(malformed()),
                _ => {}
            }
        }
        Ok(read)
    }
}

/// Printable ASCII, and no more of it than a name has (`pg_clean_ascii` and `NAMEDATALEN` in PostgreSQL): so it is the
/// same on each connection however it is given.
fn as_application_name(given: &str) -> Box<str> {
    const BYTES_MAX: usize = 63;
    let clean = |byte: u8| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '?' };
    given.bytes().take(BYTES_MAX).map(clean).collect()
}

fn tenants_of(options: &str) -> Result<impl Iterator<Item = String>, Refusal> {
    let settings = parse_options(options).map_err(|_unreadable| malformed())?;
    let tenants = settings.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case("tenant"));
    Ok(tenants.map(|(_, value)| value))
}

/// Percent-decodes to text. `None`: a broken escape, or bytes that are no text.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit =
                || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            decoded.push(digit()? * 16 + digit()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

fn malformed() -> Refusal {
    Refusal::protocol("the connection string cannot be read")
        .hint("it has the form postgres://USER:PASSWORD@HOST/DATABASE, special characters percent-encoded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::GatewayConfig;
    use proptest::prelude::*;
    use tenancy::ErrorKind;

    fn config() -> GatewayConfig {
        let mut config = GatewayConfig::default();
        config.listen.domain = Some("db.example.com".to_owned());
        config
    }

    /// Each place that names a tenant, with the name.
    fn named(text: &str) -> String {
        let parsed = ConnectionString::parse(text, Hosts::of(&config())).expect("a good string");
        let words = |claim: &Claim| format!("{}={}", claim.source, claim.named.as_text());
        parsed.claims.iter().map(words).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_place_names_the_tenant() {
        for (text, expected) in [
            ("postgres://app:pw@127.0.0.1:6432/acme", "database=acme"),
            ("postgresql://app:pw@[::1]:6432/acme?sslmode=require", "database=acme"),
            ("postgres://app.acme@gateway", "user=acme"),
            ("postgres://app:pw@ACME.db.example.com.:5432/", "host=acme"),
            ("postgres://app:pw@acme.localhost:8080", "host=acme"),
            ("postgres://app:pw@sql.acme.org/", "custom-domain=sql.acme.org"),
            ("postgres://app@gateway?options=-c%20tenant%3Dacme", "option=acme"),
            ("postgres://app@gateway?application_name=x&options=-c+tenant%3Dacme", "option=acme"),
            ("postgres://app.acme:pw@one.localhost/other", "host=one user=acme database=other"),
            ("postgres://app@a.localhost:1,b.localhost:2/", "host=a host=b"),
            ("postgres://app@a%2elocalhost/", "host=a"),
            (
                "postgres://app@h/a?host=b.localhost,c.localhost&dbname=d",
                "host=b host=c database=d database=a",
            ),
            ("postgres://app@h?opt%69ons=-ctenant%3Da&options=-c%20tenant%3Db", "option=a option=b"),
            ("postgres://app@h?options=-ctenant%3Da%20-ctenant%3Db", "option=a option=b"),
        ] {
            assert_eq!(named(text), expected, "{text}");
        }
    }

    #[test]
    fn a_string_may_name_none() {
        for text in ["postgres://gateway", "postgres://:@a.b.db.example.com/", "postgres://db.example.com"] {
            assert_eq!(named(text), "", "{text}");
        }
    }

    #[test]
    fn names_and_passwords_are_decoded() {
        let text = "postgres://%61pp:p%40s%3As%2F%C3%A9@h/acme";
        let parsed = ConnectionString::parse(text, Hosts::of(&config())).expect("a good string");
        assert_eq!(parsed.user_as_given, "app");
        assert_eq!(parsed.user.as_ref().map(UserName::as_str), Some("app"));
        assert_eq!(parsed.password.as_ref().map(Secret::expose), Some("p@s:s/é"));
        assert!(!format!("{parsed:?}").contains("p@s"));
    }

    #[test]
    fn what_is_no_connection_string_is_refused_without_being_repeated() {
        for text in [
            "",
            "http://secret@h/d",
            "postgres://secret:%zz@h/d",
            "postgres://secret:%ff@h/d",
            "postgres://secret@[::1",
            "postgres://app@h/d?user=secret",
            "postgres://app@h/d?password=secret",
        ] {
            let refusal = ConnectionString::parse(text, Hosts::of(&config())).expect_err("not a string");
            assert_eq!(refusal.kind(), ErrorKind::ProtocolViolation, "{text}");
            assert!(!refusal.message().contains("secret"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "(postgres://)?[a-z%:@/?\\[\\].=&\\PC]{0,40}") {
            let _ = ConnectionString::parse(&text, Hosts::of(&config()));
        }
    }
}
