//! The first bytes of a connection, and the options in a startup packet.

use super::frames::written;
use pgwire::frontend::write;
use pgwire::startup::{
    EncryptionAnswer, FirstPacket, Startup, expect_no_early_data, is_direct_tls, parse_first_packet,
    parse_options,
};
use pgwire::{backend, frame};

/// As much as a gateway lets a stranger send.
const PACKET_BYTES_MAX: usize = 10_000;

/// Takes the first bytes of a connection, and the same once more as the text of `options`, and as what a server
/// answers to a request for encryption.
pub fn run(bytes: &[u8]) {
    first_packets(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        options(text);
    }
    if let Ok(Some(_granted_or_refused)) = EncryptionAnswer::parse(bytes) {
        assert_eq!(bytes.len(), 1, "an answer has nothing behind it");
    }
}

fn first_packets(bytes: &[u8]) {
    let whole = parse_first_packet(bytes, PACKET_BYTES_MAX);
    // Lengths that matter: each of the first bytes, and the last before the packet is complete.
    let complete = match &whole {
        Ok(Some((_, length))) => *length,
        Ok(None) | Err(_) => bytes.len(),
    };
    for end in (0..complete.min(16)).chain([complete.saturating_sub(1)]) {
        let prefix = parse_first_packet(&bytes[..end], PACKET_BYTES_MAX);
        assert!(prefix == Ok(None) || prefix == whole, "{prefix:?} before {whole:?}");
    }
    let Ok(Some((packet, length))) = whole else { return };
    assert!(length <= PACKET_BYTES_MAX && length <= bytes.len());
    assert!(!is_direct_tls(bytes[0]), "no packet begins like TLS");
    assert_eq!(expect_no_early_data(&bytes[length..]).is_ok(), length == bytes.len());
    let again = match packet {
        FirstPacket::SslRequest => written(|out| {
            write::ssl_request(out);
            Ok::<_, ()>(())
        }),
        FirstPacket::Cancel(key) => written(|out| {
            write::cancel_request(out, key);
            Ok::<_, ()>(())
        }),
        FirstPacket::GssEncRequest => return,
        FirstPacket::Startup(asked) => return session(&asked),
    };
    assert_eq!(again, &bytes[..length]);
}

fn session(asked: &Startup) {
    let parameters = asked.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let again = written(|out| write::startup(out, parameters));
    let (packet, length) = parse_first_packet(&again, again.len()).expect("a packet").expect("all of it");
    let expected = FirstPacket::Startup(Startup { minor: 0, parameters: asked.parameters.clone() });
    assert_eq!((packet, length), (expected, again.len()));
    assert!(asked.parameters.iter().all(|(name, _)| asked.get(name).is_some()));
    if let Some(text) = asked.get("options") {
        options(text);
    }
    let mut out = Vec::new();
    backend::write::negotiate_protocol_version(&mut out, 0, asked.extensions());
    let header = frame::peek_header(&out).expect("a length").expect("a header");
    assert_eq!(header.len, out.len());
    let named: usize = asked.extensions().map(|name| name.len() + 1).sum();
    assert_eq!(header.body_len(), 8 + named, "every extension is named");
}

fn options(text: &str) {
    let Ok(settings) = parse_options(text) else { return };
    for (name, _) in &settings {
        assert!(!name.is_empty() && !name.contains('-') && !name.contains('='), "{name:?}");
    }
    // Written with every character protected, they are read the same.
    let protected = |text: &str| text.chars().flat_map(|character| ['\\', character]).collect::<String>();
    let again: Vec<_> =
        settings.iter().map(|(name, value)| format!("-c {}={}", protected(name), protected(value))).collect();
    assert_eq!(parse_options(&again.join(" ")), Ok(settings));
}
