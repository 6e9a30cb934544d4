//! What the writers say against what the views read.

use super::*;
use crate::cancel::CancelKey;
use crate::cursor::MessageError;
use crate::frame::peek_header;
use proptest::collection::vec;
use proptest::prelude::*;

/// What one writer appends: its tag and its body.
fn written(writer: impl FnOnce(&mut Vec<u8>)) -> (u8, Vec<u8>) {
    let mut out = Vec::new();
    writer(&mut out);
    let header = peek_header(&out).unwrap().unwrap();
    assert_eq!(header.len, out.len());
    (header.tag, header.body(&out).unwrap().to_vec())
}

#[test]
fn a_login_is_read_as_it_was_written() {
    let (tag, body) = written(write::authentication_ok);
    assert_eq!((tag, Authentication::parse(&body)), (tag::AUTHENTICATION, Ok(Authentication::Ok)));
    let (_, body) = written(write::authentication_cleartext);
    assert_eq!(Authentication::parse(&body), Ok(Authentication::CleartextPassword));
    let (_, body) = written(|out| write::authentication_sasl(out, &["SCRAM-SHA-256"]));
    let Ok(Authentication::Sasl(offered)) = Authentication::parse(&body) else { panic!("SASL") };
    assert!(offered.eq([b"SCRAM-SHA-256"]));
    let (_, body) = written(|out| write::sasl_continue(out, b"r=x"));
    assert_eq!(Authentication::parse(&body), Ok(Authentication::SaslContinue(b"r=x")));
    let (_, body) = written(|out| write::sasl_final(out, b"v=x"));
    assert_eq!(Authentication::parse(&body), Ok(Authentication::SaslFinal(b"v=x")));
}

#[test]
fn the_sessions_state_is_read_as_it_was_written() {
    for status in [TransactionStatus::Idle, TransactionStatus::InTransaction, TransactionStatus::Failed] {
        let (tag, body) = written(|out| write::ready_for_query(out, status));
        assert_eq!((tag, ready_for_query(&body)), (tag::READY_FOR_QUERY, Ok(status)));
    }
    let (tag, body) = written(|out| write::parameter_status(out, b"TimeZone", b"UTC"));
    assert_eq!((tag, parameter_status(&body)), (tag::PARAMETER_STATUS, Ok((&b"TimeZone"[..], &b"UTC"[..]))));
    let (tag, body) = written(|out| write::command_complete(out, b"INSERT 0 1"));
    assert_eq!((tag, command_complete(&body)), (tag::COMMAND_COMPLETE, Ok(&b"INSERT 0 1"[..])));
    let key = CancelKey { process_id: i32::MIN, secret: -1 };
    let (tag, body) = written(|out| write::backend_key_data(out, key));
    assert_eq!((tag, backend_key_data(&body)), (tag::BACKEND_KEY_DATA, Ok(key)));
}

#[test]
fn a_refused_minor_version_is_laid_out_as_postgresql_does() {
    let (tag, body) = written(|out| write::negotiate_protocol_version(out, 0, ["_pq_.a", "_pq_.b"]));
    assert_eq!(tag, tag::NEGOTIATE_PROTOCOL_VERSION);
    assert_eq!(body, b"\0\x03\0\0\0\0\0\x02_pq_.a\0_pq_.b\0");
    let (_, body) = written(|out| write::negotiate_protocol_version(out, 0, []));
    assert_eq!(body, b"\0\x03\0\0\0\0\0\0");
}

#[test]
fn the_empty_replies_have_their_tags() {
    let mut out = Vec::new();
    write::parse_complete(&mut out);
    write::bind_complete(&mut out);
    write::close_complete(&mut out);
    write::no_data(&mut out);
    write::empty_query_response(&mut out);
    assert_eq!(out, b"1\0\0\0\x042\0\0\0\x043\0\0\0\x04n\0\0\0\x04I\0\0\0\x04");
}

#[test]
fn bodies_that_do_not_fit_are_refused() {
    assert_eq!(ready_for_query(b""), Err(MessageError::Truncated));
    assert_eq!(ready_for_query(b"X"), Err(MessageError::InvalidField("transaction status")));
    assert_eq!(ready_for_query(b"II"), Err(MessageError::TrailingBytes));
    assert_eq!(parameter_status(b"name\0"), Err(MessageError::UnterminatedString));
    assert_eq!(parameter_status(b"a\0b\0c"), Err(MessageError::TrailingBytes));
    assert_eq!(backend_key_data(b"1234567"), Err(MessageError::Truncated));
    assert_eq!(backend_key_data(b"123456789"), Err(MessageError::TrailingBytes));
    assert_eq!(command_complete(b"SET"), Err(MessageError::UnterminatedString));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(body in vec(prop_oneof![Just(0_u8), 10_u8..13, any::<u8>()], 0..48)) {
        let _ = (ready_for_query(&body), parameter_status(&body), backend_key_data(&body), command_complete(&body));
        if let Ok(Authentication::Sasl(offered)) = Authentication::parse(&body) {
            prop_assert_eq!(offered.map(|name| name.len() + 1).sum::<usize>() + 5, body.len());
        }
    }
}
