//! What may name a client's tenant, and in which order it is asked.

use crate::section::Section;
use serde::Serialize;
use tenancy::Source;

/// The places that can name the tenant of a request or connection. The first one that names a tenant is looked up, and
/// all others that do must name the same. What a credential is bound to, such as an API key's tenant, always counts
/// and goes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResolveConfig {
    /// `resolve.http_sources`: those of an HTTP request, all. One that is left out names nothing: what a client says
    /// there is not looked at.
    pub http_sources: Vec<Source>,
    /// `resolve.wire_sources`: those of a PostgreSQL connection, all, likewise.
    pub wire_sources: Vec<Source>,
    /// `resolve.reserved_names`: labels below `listen.domain` that name no tenant, none. They come on top of those that
    /// no tenant can be called, such as `www`, `app`, `api` and `admin`.
    pub reserved_names: Vec<String>,
}

impl Default for ResolveConfig {
    fn default() -> Self {
        Self {
            http_sources: Source::HTTP.to_vec(),
            wire_sources: Source::WIRE.to_vec(),
            reserved_names: Vec::new(),
        }
    }
}

impl ResolveConfig {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let resolve = Self {
            http_sources: section.words("http_sources", defaults.http_sources),
            wire_sources: section.words("wire_sources", defaults.wire_sources),
            reserved_names: section.words("reserved_names", defaults.reserved_names),
        };
        check(&mut section, "http_sources", &resolve.http_sources, &Source::HTTP);
        check(&mut section, "wire_sources", &resolve.wire_sources, &Source::WIRE);
        if !resolve.reserved_names.iter().all(|name| is_label(name)) {
            section.problem("reserved_names", "must be single labels of a host name, in lower case");
        }
        section.finish();
        resolve
    }
}

/// Is this one label of a host name, in lower case?
pub(crate) fn is_label(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn check(section: &mut Section<'_>, key: &str, given: &[Source], possible: &[Source]) {
    for source in given.iter().filter(|source| !possible.contains(source)) {
        let words: Vec<_> = possible.iter().map(|source| source.as_str()).collect();
        section.problem(key, format!("cannot hold \"{source}\": use some of {}", words.join(", ")));
    }
    if given.iter().enumerate().any(|(at, source)| given[..at].contains(source)) {
        section.problem(key, "names a source twice");
    }
}

#[cfg(test)]
mod tests {
    use crate::GatewayConfig;
    use tenancy::Source;

    fn problems(text: &str) -> String {
        let text = format!("region = \"eu\"\n[resolve]\n{text}");
        let environment = |variable: &str| match variable {
            "TENANTRY_CATALOG_DSN" => Some("postgres://db/tenantry".to_owned()),
            "TENANTRY_MASTER_KEY" => Some("AAAA".to_owned()),
            _ => None,
        };
        GatewayConfig::parse(&text, environment).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn sources_are_listed_once_and_where_they_belong() {
        assert_eq!(problems("http_sources = [\"path\", \"host\"]\nwire_sources = []"), "");
        assert!(problems("http_sources = [\"cookie\"]").contains("no place"));
        assert!(problems("http_sources = [\"token\"]").contains("cannot hold"));
        assert!(problems("wire_sources = [\"path\"]").contains("cannot hold"));
        assert!(problems("wire_sources = [\"user\", \"user\"]").contains("twice"));
        assert!(problems("reserved_names = [\"a.b\"]").contains("labels"));
    }

    #[test]
    fn a_list_is_given_by_a_variable_with_commas() {
        let environment = |variable: &str| match variable {
            "TENANTRY_RESOLVE_WIRE_SOURCES" => Some("user, database".to_owned()),
            "TENANTRY_REGION" => Some("eu".to_owned()),
            "TENANTRY_CATALOG_DSN" => Some("postgres://db/tenantry".to_owned()),
            "TENANTRY_MASTER_KEY" => Some("AAAA".to_owned()),
            _ => None,
        };
        let config = GatewayConfig::parse("", environment).expect("good settings");
        assert_eq!(config.resolve.wire_sources, [Source::User, Source::Database]);
    }
}
