//! Parsing the first packet.

use super::{CancelKey, EXTENSIONS_MAX, FirstPacket, Startup, is_direct_tls};
use crate::cursor::{Cursor, MessageError};

// Request codes, from <https://www.postgresql.org/docs/current/protocol-message-formats.html>: a
// major version of 1234 that no protocol has.
pub(crate) const CANCEL_REQUEST_CODE: u32 = 80_877_102;
pub(crate) const SSL_REQUEST_CODE: u32 = 80_877_103;
const GSSENC_REQUEST_CODE: u32 = 80_877_104;

/// The only major version that PostgreSQL has spoken since 7.4.
const PROTOCOL_MAJOR: u16 = 3;

/// Length and code.
const PACKET_BYTES_MIN: usize = 8;
/// Length, code, process id and a secret of four bytes (protocol 3.0).
const CANCEL_BYTES: usize = 16;
/// The same with the longest secret of protocol 3.2, 256 bytes.
const CANCEL_BYTES_MAX: usize = 268;

/// Parameters that decide who is who. PostgreSQL lets the last of several win; a gateway that reads
/// one and a server that reads the other would disagree, so each may be there once only.
const GIVEN_ONCE: [&str; 4] = ["user", "database", "options", "replication"];

/// Why the first packet was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// A TLS handshake, without an SSLRequest before it.
    #[error("received a TLS handshake where a startup packet was expected")]
    DirectTls,
    /// A length that this kind of packet cannot have.
    #[error("invalid length of startup packet")]
    Length,
    /// Longer than allowed before anybody is known.
    #[error("startup packet of {length} bytes is longer than the {max} allowed")]
    TooLong {
        /// Bytes announced.
        length: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A cancel key that protocol 3.2 allows. Only protocol 3.0 is ever agreed on here, so no session of ours has
    /// such a key.
    #[error("cancel key has {length} bytes, but keys given here have 4")]
    CancelKeyLength {
        /// Bytes of the key's secret.
        length: usize,
    },
    /// Neither a request that we know nor protocol 3.
    #[error("unsupported frontend protocol {major}.{minor}: only protocol 3 is spoken here")]
    UnsupportedProtocol {
        /// The major version asked for.
        major: u16,
        /// The minor version asked for.
        minor: u16,
    },
    /// The parameters are not pairs of strings with a final zero byte.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    Layout,
    /// A parameter's name or value is not UTF-8.
    #[error("startup parameters must be UTF-8")]
    NotUtf8,
    /// A parameter that decides who is who was given twice.
    #[error("startup parameter \"{0}\" was given more than once")]
    Duplicate(&'static str),
    /// More protocol extensions than there ever were.
    #[error("more than {EXTENSIONS_MAX} protocol extensions were asked for")]
    TooManyExtensions,
}

impl From<MessageError> for StartupError {
    fn from(_: MessageError) -> Self {
        Self::Layout
    }
}

/// Reads the first packet at the start of `buf` and how many bytes it takes. `None` means that it is
/// not all there yet. Bytes behind it are left alone: after an answer to an encryption request there
/// must be none, which the caller checks (CVE-2021-3935).
///
/// `max` bounds the packet's length in bytes and, because a longer one is refused on its first four
/// bytes, how much a caller may have to buffer.
///
/// # Errors
/// What is there can never become a packet that we serve. More bytes would not help.
pub fn parse_first_packet(buf: &[u8], max: usize) -> Result<Option<(FirstPacket, usize)>, StartupError> {
    // Before its length is all there: a TLS record may be shorter than any packet.
    if buf.first().copied().is_some_and(is_direct_tls) {
        return Err(StartupError::DirectTls);
    }
    let Some(length) = buf.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| StartupError::Length)?;
    if length < PACKET_BYTES_MIN {
        return Err(StartupError::Length);
    }
    if length > max {
        return Err(StartupError::TooLong { length, max });
    }
    let Some(&[_, _, _, _, a, b, c, d]) = buf.first_chunk::<PACKET_BYTES_MIN>() else {
        return Ok(None);
    };
    let code = Code::judge(u32::from_be_bytes([a, b, c, d]), length)?;
    let Some(body) = buf.get(PACKET_BYTES_MIN..length) else {
        return Ok(None);
    };
    Ok(Some((code.packet(body)?, length)))
}

/// What kind of packet it is, known to have a length that fits.
enum Code {
    Ssl,
    GssEnc,
    Cancel,
    Startup { minor: u16 },
}

impl Code {
    fn judge(code: u32, length: usize) -> Result<Self, StartupError> {
        match (code, length) {
            (SSL_REQUEST_CODE, PACKET_BYTES_MIN) => Ok(Self::Ssl),
            (GSSENC_REQUEST_CODE, PACKET_BYTES_MIN) => Ok(Self::GssEnc),
            (CANCEL_REQUEST_CODE, CANCEL_BYTES) => Ok(Self::Cancel),
            (CANCEL_REQUEST_CODE, CANCEL_BYTES..=CANCEL_BYTES_MAX) => {
                Err(StartupError::CancelKeyLength { length: length - CANCEL_BYTES + 4 })
            }
            (SSL_REQUEST_CODE | GSSENC_REQUEST_CODE | CANCEL_REQUEST_CODE, _) => Err(StartupError::Length),
            _ => Self::session(code),
        }
    }

    fn session(code: u32) -> Result<Self, StartupError> {
        let [a, b, c, d] = code.to_be_bytes();
        let (major, minor) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        if major == PROTOCOL_MAJOR {
            Ok(Self::Startup { minor })
        } else {
            Err(StartupError::UnsupportedProtocol { major, minor })
        }
    }

    fn packet(self, body: &[u8]) -> Result<FirstPacket, StartupError> {
        Ok(match self {
            Self::Ssl => FirstPacket::SslRequest,
            Self::GssEnc => FirstPacket::GssEncRequest,
            Self::Cancel => {
                let mut cursor = Cursor::new(body);
                FirstPacket::Cancel(CancelKey { process_id: cursor.i32()?, secret: cursor.i32()? })
            }
            Self::Startup { minor } => {
                let startup = Startup { minor, parameters: parameters(body)? };
                if startup.extensions().count() > EXTENSIONS_MAX {
                    return Err(StartupError::TooManyExtensions);
                }
                FirstPacket::Startup(startup)
            }
        })
    }
}

fn parameters(body: &[u8]) -> Result<Vec<(String, String)>, StartupError> {
    let mut cursor = Cursor::new(body);
    let mut parameters = Vec::new();
    loop {
        let name = text(cursor.string()?)?;
        if name.is_empty() {
            cursor.end()?;
            break;
        }
        parameters.push((name, text(cursor.string()?)?));
    }
    let twice = |once: &&str| parameters.iter().filter(|(name, _)| name == once).count() > 1;
    match GIVEN_ONCE.into_iter().find(twice) {
        Some(name) => Err(StartupError::Duplicate(name)),
        None => Ok(parameters),
    }
}

fn text(bytes: &[u8]) -> Result<String, StartupError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| StartupError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::write;
    use proptest::prelude::*;

    const MAX: usize = 10_000;

    fn packet(code: u32, body: &[u8]) -> Vec<u8> {
        let length = i32::try_from(body.len() + PACKET_BYTES_MIN).unwrap();
        [&length.to_be_bytes()[..], &code.to_be_bytes(), body].concat()
    }

    fn parsed(bytes: &[u8]) -> Result<FirstPacket, StartupError> {
        parse_first_packet(bytes, MAX).map(|packet| packet.expect("complete").0)
    }

    #[test]
    fn requests_are_told_apart() {
        assert_eq!(parsed(&packet(SSL_REQUEST_CODE, b"")), Ok(FirstPacket::SslRequest));
        assert_eq!(parsed(&packet(GSSENC_REQUEST_CODE, b"")), Ok(FirstPacket::GssEncRequest));
        let key = CancelKey { process_id: 7, secret: -9 };
        let mut out = Vec::new();
        write::cancel_request(&mut out, key);
        assert_eq!(parsed(&out), Ok(FirstPacket::Cancel(key)));
    }

    #[test]
    fn a_session_keeps_its_minor_version_and_parameters() {
        let bytes = packet(0x0003_0002, b"user\0app\0database\0acme\0_pq_.x\x001\0\0");
        let Ok(FirstPacket::Startup(startup)) = parsed(&bytes) else { panic!("a session") };
        assert_eq!(startup.minor, 2);
        assert_eq!((startup.get("user"), startup.get("database")), (Some("app"), Some("acme")));
        assert_eq!(startup.get("options"), None);
        assert!(startup.extensions().eq(["_pq_.x"]));
    }

    #[test]
    fn of_two_settings_the_last_counts() {
        let bytes = packet(0x0003_0000, b"a\x001\0a\x002\0\0");
        let Ok(FirstPacket::Startup(startup)) = parsed(&bytes) else { panic!("a session") };
        assert_eq!(startup.get("a"), Some("2"));
    }

    #[test]
    fn bytes_behind_the_packet_are_not_consumed() {
        let bytes = [packet(SSL_REQUEST_CODE, b""), b"early".to_vec()].concat();
        assert_eq!(parse_first_packet(&bytes, MAX), Ok(Some((FirstPacket::SslRequest, 8))));
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        let v3 = 0x0003_0000;
        for (bytes, error) in [
            (packet(0x0002_0000, b"\0"), StartupError::UnsupportedProtocol { major: 2, minor: 0 }),
            (packet(SSL_REQUEST_CODE, b"x"), StartupError::Length),
            (packet(CANCEL_REQUEST_CODE, b"1234567"), StartupError::Length),
            (packet(CANCEL_REQUEST_CODE, b"123456789"), StartupError::CancelKeyLength { length: 5 }),
            (packet(CANCEL_REQUEST_CODE, &[1; 36]), StartupError::CancelKeyLength { length: 32 }),
            (packet(CANCEL_REQUEST_CODE, &[1; 260]), StartupError::CancelKeyLength { length: 256 }),
            (packet(CANCEL_REQUEST_CODE, &[1; 261]), StartupError::Length),
            (b"\x16\x03\x01\x02".to_vec(), StartupError::DirectTls),
            (b"\x16".to_vec(), StartupError::DirectTls),
            (packet(v3, b""), StartupError::Layout),
            (packet(v3, b"user\0app\0"), StartupError::Layout),
            (packet(v3, b"user\0app"), StartupError::Layout),
            (packet(v3, b"user\0\0user\0\0\0"), StartupError::Duplicate("user")),
            (packet(v3, b"\0trailing"), StartupError::Layout),
            (packet(v3, b"user\0\xff\0\0"), StartupError::NotUtf8),
            (packet(v3, &[b"_pq_.\0\0".repeat(1025), vec![0]].concat()), StartupError::TooManyExtensions),
        ] {
            assert_eq!(parsed(&bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn a_bad_length_is_refused_on_sight() {
        assert_eq!(parse_first_packet(b"\0\0\0\x07", MAX), Err(StartupError::Length));
        assert_eq!(parse_first_packet(b"\xff\xff\xff\xff", MAX), Err(StartupError::Length));
        assert_eq!(
            parse_first_packet(b"GET ", MAX),
            Err(StartupError::TooLong { length: 0x4745_5420, max: MAX })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_prefixes_agree(
            code in prop_oneof![any::<u32>(), Just(0x0003_0000), Just(CANCEL_REQUEST_CODE), Just(SSL_REQUEST_CODE)],
            body in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..64),
        ) {
            let bytes = packet(code, &body);
            let whole = parse_first_packet(&bytes, MAX);
            prop_assert_ne!(&whole, &Ok(None));
            for end in 0..bytes.len() {
                let prefix = parse_first_packet(&bytes[..end], MAX);
                prop_assert!(prefix == Ok(None) || prefix == whole);
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), max in any::<usize>()) {
            let _ = parse_first_packet(&bytes, max);
        }

        #[test]
        fn what_is_written_is_read_again(
            settings in proptest::collection::vec(("x[a-z]{1,8}", "[^\0]{0,16}"), 0..8),
        ) {
            let mut out = Vec::new();
            write::startup(&mut out, settings.iter().map(|(k, v)| (k.as_str(), v.as_str()))).unwrap();
            let expected = FirstPacket::Startup(Startup { minor: 0, parameters: settings });
            prop_assert_eq!(parse_first_packet(&out, MAX), Ok(Some((expected, out.len()))));
        }
    }
}
