//! The request that turns an HTTP/1.1 connection into a WebSocket (RFC 6455 §4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::http::request::Parts;
use hyper::{Method, Version};
use tungstenite::handshake::derive_accept_key;

/// The only version there is.
pub const VERSION: &str = "13";

/// The bytes of a key.
const KEY_BYTES: usize = 16;

/// Why a request does not open a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoUpgrade {
    /// It does not ask for one, in a way that HTTP/1.1 has.
    #[error("a WebSocket is opened here, by HTTP/1.1")]
    NotAsked,
    /// It asks for another version.
    #[error("only version 13 of WebSocket is spoken here")]
    Version,
    /// It has no key, two, or one that is none.
    #[error("Sec-WebSocket-Key is not 16 bytes in Base64")]
    Key,
}

/// The value of `Sec-WebSocket-Accept` for a request that opens a WebSocket.
///
/// # Errors
/// It does not.
pub fn accept(parts: &Parts) -> Result<HeaderValue, NoUpgrade> {
    let headers = &parts.headers;
    let is_asked = parts.version == Version::HTTP_11
        && parts.method == Method::GET
        && names(headers, &UPGRADE, "websocket")
        && names(headers, &CONNECTION, "upgrade");
    if !is_asked {
        return Err(NoUpgrade::NotAsked);
    }
    if only(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != VERSION.as_bytes()) {
        return Err(NoUpgrade::Version);
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY).ok_or(NoUpgrade::Key)?.as_bytes();
    if STANDARD.decode(key).is_ok_and(|key| key.len() == KEY_BYTES) {
        HeaderValue::try_from(derive_accept_key(key)).map_err(|_not_text| NoUpgrade::Key)
    } else {
        Err(NoUpgrade::Key)
    }
}

/// Is the word in one of the header's lists?
fn names(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
}

/// The header's value, if it is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn asked(change: &[(&str, &str)]) -> Result<String, NoUpgrade> {
        let mut request = Request::builder().uri("/v2");
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in good {
            let changed = change.iter().find(|(changed, _)| *changed == name);
            request = request.header(name, changed.map_or(value, |(_, value)| value));
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        accept(&parts).map(|value| value.to_str().expect("Base64").to_owned())
    }

    #[test]
    fn the_answer_is_that_of_the_standards_own_example() {
        assert_eq!(asked(&[]).as_deref(), Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    #[test]
    fn what_opens_none_is_refused() {
        for (name, value, why) in [
            ("connection", "close", NoUpgrade::NotAsked),
            ("upgrade", "h2c", NoUpgrade::NotAsked),
            ("sec-websocket-version", "8", NoUpgrade::Version),
            ("sec-websocket-key", "", NoUpgrade::Key),
            ("sec-websocket-key", "dGhlIHNhbXBsZQ==", NoUpgrade::Key),
        ] {
            assert_eq!(asked(&[(name, value)]), Err(why), "{name}: {value}");
        }
    }
}
