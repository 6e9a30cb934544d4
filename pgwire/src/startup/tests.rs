//! What a client of protocol 3.2 sends, against what it is answered.

use super::*;
use crate::backend::{tag, write};
use crate::frame::peek_header;

/// What libpq says that speaks this minor version, with these parameters.
fn startup(minor: u8, parameters: &[u8]) -> Startup {
    let length = u8::try_from(parameters.len() + 9).unwrap();
    let packet = [&[0, 0, 0, length, 0, 3, 0, minor], parameters, &[0]].concat();
    let Ok(Some((FirstPacket::Startup(startup), _))) = parse_first_packet(&packet, 10_000) else {
        panic!("{packet:?}");
    };
    startup
}

/// What libpq makes of NegotiateProtocolVersion: the version and the names, by its own checks
/// (`pqGetNegotiateProtocolVersion3`).
fn understood(out: &[u8], asked: &Startup) -> (u16, Vec<String>) {
    let header = peek_header(out).unwrap().unwrap();
    assert_eq!((header.tag, header.len), (tag::NEGOTIATE_PROTOCOL_VERSION, out.len()));
    let body = header.body(out).unwrap();
    let (&[0, 3, a, b, c, d, e, f], names) = body.split_first_chunk().unwrap() else { panic!("{body:?}") };
    let minor = u16::from_be_bytes([a, b]);
    assert!(minor <= asked.minor && minor != 1, "a version that libpq refuses");
    let names: Vec<_> = names
        .split_inclusive(|byte| *byte == 0)
        .map(|name| String::from_utf8(name.to_vec()).unwrap())
        .collect();
    assert_eq!(i32::from_be_bytes([c, d, e, f]), i32::try_from(names.len()).unwrap());
    assert!(names.iter().all(|name| name.starts_with("_pq_.") && name.ends_with('\0')), "{names:?}");
    assert!(minor < asked.minor || !names.is_empty(), "nothing that libpq would have to change");
    (minor, names)
}

#[test]
fn a_newer_minor_version_is_negotiated_down_and_every_extension_is_named() {
    for (minor, parameters, expected) in [
        (2, &b"user\0app\0"[..], &[][..]),
        (0, b"user\0app\0_pq_.one\x001\0", &["_pq_.one\0"]),
        (2, b"_pq_.one\0\0user\0app\0_pq_.two\x00x\0_pqx\0\0", &["_pq_.one\0", "_pq_.two\0"]),
        (255, b"user\0app\0_pq_.\x001\0", &["_pq_.\0"]),
    ] {
        let asked = startup(minor, parameters);
        let mut out = Vec::new();
        write::negotiate_protocol_version(&mut out, 0, asked.extensions());
        let (minor, names) = understood(&out, &asked);
        assert_eq!(minor, 0);
        assert_eq!(names, expected);
    }
}

#[test]
fn as_many_extensions_as_a_packet_may_hold_are_all_named() {
    let parameters = vec![("_pq_.x".to_owned(), String::new()); EXTENSIONS_MAX];
    let asked = Startup { minor: 0, parameters };
    let mut out = Vec::new();
    write::negotiate_protocol_version(&mut out, 0, asked.extensions());
    assert_eq!(understood(&out, &asked).1.len(), EXTENSIONS_MAX);
}

/// 3.2 has been agreed on with nobody, so its longer keys were given to nobody.
#[test]
fn a_cancel_key_of_protocol_3_2_is_refused_by_name() {
    for secret in [5_u8, 32, 64] {
        let packet =
            [&[0, 0, 0, 12 + secret, 4, 210, 22, 46], &vec![1; usize::from(secret) + 4][..]].concat();
        let refused = Err(StartupError::CancelKeyLength { length: usize::from(secret) });
        assert_eq!(parse_first_packet(&packet, 10_000), refused);
        // On its first eight bytes.
        assert_eq!(parse_first_packet(&packet[..8], 10_000), refused);
    }
}
