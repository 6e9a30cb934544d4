//! TLS towards clients.

use crate::section::Section;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Certificates and what is demanded of clients. TLS towards servers is each cluster's own matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsConfig {
    /// `tls.mode`: TLS for PostgreSQL clients, `disable`.
    pub mode: TlsListenerMode,
    /// `tls.http_mode`: TLS for HTTP clients, `disable`. Leave it off behind a proxy that ends TLS.
    pub http_mode: TlsListenerMode,
    /// `tls.certificates`: pairs of `cert_file` and `key_file`, chosen by the name that a client asks for; the first
    /// serves whoever asks for none of them. In the environment `CERT_FILE:KEY_FILE`, several with commas between.
    pub certificates: Vec<CertificateFiles>,
    /// `tls.min_version`: `1.2`, or `1.3`.
    pub min_version: TlsVersion,
    /// `tls.client_ca_file`: the authorities that may have signed clients' certificates, in PEM; none.
    pub client_ca_file: Option<PathBuf>,
    /// `tls.client_auth`: certificates of clients, `none`. Never in place of a password, but see the next.
    pub client_auth: ClientAuth,
    /// `tls.client_auth_is_login`: a certificate whose common name is `USER.TENANT` stands in place of that user's
    /// password with the PostgreSQL protocol, `false`.
    pub client_auth_is_login: bool,
    /// `tls.reload_interval_ms`: how often to look whether the files have changed, milliseconds, 10,000.
    pub reload_interval_ms: u64,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateFiles {
    /// `cert_file`: the certificate and those between it and its authority, in PEM.
    pub cert_file: PathBuf,
    /// `key_file`: the private key in PEM.
    pub key_file: PathBuf,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            mode: TlsListenerMode::Disable,
            http_mode: TlsListenerMode::Disable,
            certificates: Vec::new(),
            min_version: TlsVersion::Tls12,
            client_ca_file: None,
            client_auth: ClientAuth::None,
            client_auth_is_login: false,
            reload_interval_ms: 10_000,
        }
    }
}

/// A word of the settings with a handful of values.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub enum $name {
            $($(#[$meaning])* #[serde(rename = $word)] $variant,)+
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord(&[$($word),+])),
                }
            }
        }
    };
}

words! {
    /// Whether a listener speaks TLS.
    TlsListenerMode {
        /// In clear only.
        Disable = "disable",
        /// As the client asks.
        Allow = "allow",
        /// Nobody is served in clear.
        Require = "require",
    }
}

words! {
    /// What is asked of a client's certificate.
    ClientAuth {
        /// None is asked for.
        None = "none",
        /// One that is shown must be good.
        Optional = "optional",
        /// Nobody is served without a good one.
        Required = "required",
    }
}

words! {
    /// The oldest version of TLS to speak.
    TlsVersion {
        /// RFC 5246.
        Tls12 = "1.2",
        /// RFC 8446.
        Tls13 = "1.3",
    }
}

/// The text is none of the words.
#[derive(Debug)]
pub struct UnknownWord(&'static [&'static str]);

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be one of {}", self.0.join(", "))
    }
}

impl TlsConfig {
    /// [`Self::reload_interval_ms`] as a duration.
    #[must_use]
    pub const fn reload_interval(&self) -> Duration {
        Duration::from_millis(self.reload_interval_ms)
    }

    /// Does any listener speak TLS?
    #[must_use]
    pub fn is_on(&self) -> bool {
        [self.mode, self.http_mode].iter().any(|mode| *mode != TlsListenerMode::Disable)
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let tls = Self {
            mode: section.text("mode", defaults.mode),
            http_mode: section.text("http_mode", defaults.http_mode),
            certificates: read_certificates(&mut section),
            min_version: section.text("min_version", defaults.min_version),
            client_ca_file: section.optional("client_ca_file"),
            client_auth: section.text("client_auth", defaults.client_auth),
            client_auth_is_login: section.flag("client_auth_is_login", defaults.client_auth_is_login),
            reload_interval_ms: section.number(
                "reload_interval_ms",
                defaults.reload_interval_ms,
                &(100..=3_600_000),
            ),
        };
        tls.check(&mut section);
        section.finish();
        tls
    }

    /// What fits together: above all, that no setting promises what another takes back.
    fn check(&self, section: &mut Section<'_>) {
        if self.is_on() && self.certificates.is_empty() {
            section.problem("certificates", "is missing, and TLS is not disabled");
        }
        if self.client_auth == ClientAuth::None {
            if self.client_auth_is_login {
                section.problem("client_auth_is_login", "asks for client_auth to be optional or required");
            }
            return;
        }
        if self.client_ca_file.is_none() {
            section.problem("client_ca_file", "is missing, and certificates of clients are asked for");
        }
        if !self.is_on() {
            section.problem("client_auth", "asks for TLS, which is disabled");
        }
        if self.client_auth == ClientAuth::Required {
            let modes = [("mode", self.mode), ("http_mode", self.http_mode)];
            for (key, _) in modes.iter().filter(|(_, mode)| *mode == TlsListenerMode::Allow) {
                let message = "lets clients in without TLS, and so without the certificate that is required";
                section.problem(key, message);
            }
        }
    }
}

fn read_certificates(section: &mut Section<'_>) -> Vec<CertificateFiles> {
    if let Some(text) = section.in_environment("certificates") {
        section.discard("certificates");
        let pairs: Option<Vec<_>> = text.split(',').map(pair).collect();
        return pairs.unwrap_or_else(|| {
            section.problem("certificates", "must be CERT_FILE:KEY_FILE, several with commas between");
            Vec::new()
        });
    }
    section.list("certificates", |mut certificate| {
        let mut file = |key| {
            if !certificate.gives(key) {
                certificate.problem(key, "is missing");
            }
            certificate.text(key, PathBuf::new())
        };
        let files = CertificateFiles { cert_file: file("cert_file"), key_file: file("key_file") };
        certificate.finish();
        files
    })
}

fn pair(text: &str) -> Option<CertificateFiles> {
    let (cert_file, key_file) = text.trim().split_once(':')?;
    Some(CertificateFiles { cert_file: cert_file.into(), key_file: key_file.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GatewayConfig;

    const REST: &str = "region = 'eu'\ncatalog.dsn = 'postgres://h/d'\n";

    fn read(tls: &str, variables: &[(&str, &str)]) -> Result<TlsConfig, String> {
        let text = format!("{REST}{tls}");
        let environment = |name: &str| {
            let given = variables.iter().find(|(known, _)| *known == name);
            given
                .map(|(_, value)| (*value).to_owned())
                .or_else(|| (name == "TENANTRY_MASTER_KEY").then(|| "AAAA".to_owned()))
        };
        GatewayConfig::parse(&text, environment).map(|config| config.tls).map_err(|error| error.to_string())
    }

    fn files(cert: &str, key: &str) -> CertificateFiles {
        CertificateFiles { cert_file: cert.into(), key_file: key.into() }
    }

    #[test]
    fn several_certificates_come_from_the_file_or_the_environment() {
        let text = "[tls]\nmode = 'require'\n[[tls.certificates]]\ncert_file = 'a.crt'\nkey_file = 'a.key'\n\
                    [[tls.certificates]]\ncert_file = 'b.crt'\nkey_file = 'b.key'\n";
        let expected = [files("a.crt", "a.key"), files("b.crt", "b.key")];
        assert_eq!(read(text, &[]).expect("good settings").certificates, expected);
        let variables =
            [("TENANTRY_TLS_MODE", "allow"), ("TENANTRY_TLS_CERTIFICATES", "a.crt:a.key, b.crt:b.key")];
        let tls = read("", &variables).expect("good settings");
        assert_eq!((tls.mode, tls.certificates.as_slice()), (TlsListenerMode::Allow, &expected[..]));
    }

    #[test]
    fn each_mistake_names_its_key() {
        let certificate = "certificates = [{ cert_file = 'a', key_file = 'b' }]\n";
        for (text, key) in [
            ("mode = 'on'\n".to_owned(), "tls.mode"),
            ("mode = 'require'\n".to_owned(), "tls.certificates"),
            ("certificates = [{ cert_file = 'a' }]\n".to_owned(), "tls.certificates[0].key_file"),
            (
                "certificates = [{ cert_file = 'a', key_file = 'b', x = 1 }]\n".to_owned(),
                "tls.certificates[0].x",
            ),
            ("certificates = 'a'\n".to_owned(), "tls.certificates"),
            ("client_auth_is_login = true\n".to_owned(), "tls.client_auth_is_login"),
            (format!("{certificate}mode = 'require'\nclient_auth = 'required'\n"), "tls.client_ca_file"),
            (format!("{certificate}client_ca_file = 'c'\nclient_auth = 'optional'\n"), "tls.client_auth"),
            (
                format!("{certificate}mode = 'allow'\nclient_ca_file = 'c'\nclient_auth = 'required'\n"),
                "tls.mode",
            ),
            ("min_version = '1.1'\n".to_owned(), "tls.min_version"),
        ] {
            let error = read(&format!("[tls]\n{text}"), &[]).expect_err("a mistake");
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
