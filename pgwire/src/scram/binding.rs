//! Binding a login to the TLS connection that it goes through (RFC 5929).

use super::{SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramError};
use crate::backend::Mechanisms;

/// The name of the only kind of binding that PostgreSQL knows (RFC 5929 §4).
const TLS_SERVER_END_POINT: &str = "tls-server-end-point";

/// What a login can be bound to. Both sides must see the same thing: somebody between them who shows the client
/// another certificate cannot pass the login on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Nothing: there is no TLS, or the certificate is signed in a way that defines no binding (Ed25519).
    #[default]
    Unavailable,
    /// `tls-server-end-point`: the hash of the server's certificate in DER, by the hash function of its own
    /// signature, or SHA-256 where that is MD5 or SHA-1 (RFC 5929 §4.1). Not secret. No bytes bind to nothing and
    /// count as [`ChannelBinding::Unavailable`].
    TlsServerEndPoint(Vec<u8>),
}

/// What a client says about binding in its first message: the `gs2-cbind-flag` of RFC 5802 §7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindingFlag<'a> {
    /// `n`: it cannot bind, or does not want to.
    Unsupported,
    /// `y`: it could, but saw no offer.
    NotOffered,
    /// `p=`: it binds, to this kind of thing.
    Bound(&'a str),
}

impl<'a> BindingFlag<'a> {
    pub(super) fn parse(flag: &'a str) -> Option<Self> {
        match flag {
            "n" => Some(Self::Unsupported),
            "y" => Some(Self::NotOffered),
            _ => flag.strip_prefix("p=").map(Self::Bound),
        }
    }
}

/// What a client has settled on: how it logs in and what it says about binding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) mechanism: &'static str,
    /// `gs2-header`.
    pub(super) header: &'static str,
    /// Behind the header in the last message; empty without binding.
    pub(super) data: Vec<u8>,
}

impl ChannelBinding {
    fn data(&self) -> Option<&[u8]> {
        match self {
            Self::TlsServerEndPoint(data) if !data.is_empty() => Some(data),
            Self::TlsServerEndPoint(_) | Self::Unavailable => None,
        }
    }

    /// As a server: what to offer, best first.
    pub(super) fn mechanisms(&self) -> &'static [&'static str] {
        match self.data() {
            Some(_) => &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256],
            None => &[SCRAM_SHA_256],
        }
    }

    /// As a server: the data that the client has to repeat, given the mechanism it chose and what it says. The
    /// two must agree, and a client that saw no offer although there was one has been lied to (RFC 5802 §6).
    pub(super) fn agree(&self, mechanism: &[u8], flag: BindingFlag<'_>) -> Result<&[u8], ScramError> {
        let plus = mechanism == SCRAM_SHA_256_PLUS.as_bytes();
        if !plus && mechanism != SCRAM_SHA_256.as_bytes() {
            return Err(ScramError::Mechanism);
        }
        match (plus, flag, self.data()) {
            (true, _, None) => Err(ScramError::Mechanism),
            (true, BindingFlag::Bound(TLS_SERVER_END_POINT), Some(data)) => Ok(data),
            (true, BindingFlag::Bound(_), Some(_)) => Err(ScramError::ChannelBindingKind),
            (true, _, Some(_)) => Err(ScramError::ChannelBindingMissing),
            (false, BindingFlag::Bound(_), _) => Err(ScramError::ChannelBindingUnasked),
            (false, BindingFlag::NotOffered, Some(_)) => Err(ScramError::ChannelBindingDowngrade),
            (false, _, _) => Ok(&[]),
        }
    }

    /// As a client: binds if the server offers it. A server that does not, although we could, learns so in a way
    /// that nobody in between can take back.
    pub(super) fn choose(self, offered: &Mechanisms<'_>) -> Result<Choice, ScramError> {
        let plain = offered.offers(SCRAM_SHA_256);
        match (self.data(), offered.offers(SCRAM_SHA_256_PLUS)) {
            (Some(data), true) => Ok(Choice {
                mechanism: SCRAM_SHA_256_PLUS,
                header: "p=tls-server-end-point,,",
                data: data.to_vec(),
            }),
            (Some(_), false) if plain => Ok(Choice::without_binding("y,,")),
            (None, _) if plain => Ok(Choice::without_binding("n,,")),
            _ => Err(ScramError::NotOffered),
        }
    }
}

impl Choice {
    pub(super) fn without_binding(header: &'static str) -> Self {
        Self { mechanism: SCRAM_SHA_256, header, data: Vec::new() }
    }
}
