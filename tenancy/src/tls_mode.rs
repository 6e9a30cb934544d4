//! How a connection to a cluster is kept from being read and redirected.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a connection to a cluster demands of TLS. The words are libpq's `sslmode`; its `allow` and `prefer` are left
/// out, because they go on in clear when somebody in between says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// In clear. For a server on the same machine, or behind a tunnel of the operator's own.
    Disable,
    /// Encrypted, to whoever answers: no certificate is looked at.
    Require,
    /// The certificate is from an authority that we trust; for which name, is not looked at.
    VerifyCa,
    /// The certificate is from an authority that we trust, and for the server's name.
    #[default]
    VerifyFull,
}

impl TlsMode {
    /// Every mode, the weakest first.
    pub const ALL: [Self; 4] = [Self::Disable, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// The word used by the API, the CLI and the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no mode.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a TLS mode: use disable, require, verify-ca or verify-full")]
pub struct UnknownTlsMode(String);

impl FromStr for TlsMode {
    type Err = UnknownTlsMode;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| UnknownTlsMode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::TlsMode;

    #[test]
    fn every_mode_reads_back_from_its_word_and_the_strictest_is_the_default() {
        for mode in TlsMode::ALL {
            assert_eq!(mode.as_str().parse::<TlsMode>().ok(), Some(mode));
        }
        assert!("prefer".parse::<TlsMode>().is_err(), "a mode that goes on in clear");
        assert_eq!(TlsMode::default(), TlsMode::VerifyFull);
    }
}
