//! Views against writers, and views against anything.

use super::*;
use crate::cursor::MessageError;
use crate::emit::WriteError;
use crate::frame::peek_header;
use proptest::collection::vec;
use proptest::prelude::*;

/// The body of the one message that `out` holds, after checking its tag.
fn body(out: &[u8], tag: u8) -> &[u8] {
    let header = peek_header(out).unwrap().unwrap();
    assert_eq!((header.tag, header.len), (tag, out.len()));
    header.body(out).unwrap()
}

/// Bytes that may stand in a string.
fn name() -> impl Strategy<Value = Vec<u8>> {
    vec(1_u8.., 0..12)
}

#[test]
fn the_empty_messages_are_five_bytes() {
    let mut out = Vec::new();
    write::sync(&mut out);
    write::flush(&mut out);
    write::terminate(&mut out);
    assert_eq!(out, b"S\0\0\0\x04H\0\0\0\x04X\0\0\0\x04");
}

#[test]
fn a_text_bind_is_laid_out_as_documented() {
    let mut out = Vec::new();
    write::bind_text(&mut out, b"", b"s", &[Some(b"42"), None, Some(b"")]).unwrap();
    let expected = b"\0s\0\0\0\0\x03\0\0\0\x0242\xff\xff\xff\xff\0\0\0\0\0\0";
    assert_eq!(body(&out, tag::BIND), expected);
}

#[test]
fn more_parameters_than_a_count_can_say_are_refused() {
    let mut out = Vec::new();
    let parameters = vec![None; 65_536];
    assert_eq!(write::bind_text(&mut out, b"", b"", &parameters), Err(WriteError::TooMany));
    assert!(out.is_empty());
    assert_eq!(write::bind_text(&mut out, b"", b"", &parameters[1..]), Ok(()));
}

#[test]
fn a_message_longer_than_a_length_can_say_is_refused() {
    let mut out = Vec::new();
    let longest = 0x7fff_ffff - 4 - 2;
    assert_eq!(write::bind_head(&mut out, b"", b"", longest), Ok(()));
    assert_eq!(out, b"B\x7f\xff\xff\xff\0\0");
    for too_long in [longest + 1, usize::MAX] {
        assert_eq!(write::bind_head(&mut out, b"", b"", too_long), Err(WriteError::TooLong));
    }
    assert_eq!(out.len(), 7);
}

#[test]
fn a_zero_byte_cannot_smuggle_a_field() {
    let mut out = Vec::new();
    assert_eq!(write::query(&mut out, b"select 1\0"), Err(WriteError::ZeroByte));
    assert_eq!(write::parse(&mut out, b"a\0", b"select 1", &[]), Err(WriteError::ZeroByte));
    assert_eq!(write::startup(&mut out, [("user", "a\0database\0b")]), Err(WriteError::ZeroByte));
    assert_eq!(write::startup(&mut out, [("", "a")]), Err(WriteError::EmptyName));
    assert!(out.is_empty());
}

#[test]
fn a_sasl_response_without_data_differs_from_one_with_none() {
    let none = SaslInitial::parse(b"SCRAM-SHA-256\0\xff\xff\xff\xff").unwrap();
    assert_eq!((none.mechanism, none.data), (&b"SCRAM-SHA-256"[..], None));
    let mut out = Vec::new();
    write::sasl_initial(&mut out, "SCRAM-SHA-256", b"").unwrap();
    assert_eq!(SaslInitial::parse(body(&out, tag::PASSWORD)).unwrap().data, Some(&b""[..]));
    for (bad, error) in [
        (&b"X\0\xff\xff\xff\xfe"[..], MessageError::InvalidField("length")),
        (b"X\0\0\0\0\x02a", MessageError::Truncated),
        (b"X\0\0\0\0\x01ab", MessageError::TrailingBytes),
        (b"X\0\x7f\xff\xff\xff", MessageError::Truncated),
    ] {
        assert_eq!(SaslInitial::parse(bad), Err(error), "{bad:?}");
    }
}

#[test]
fn messages_with_more_or_less_than_they_should_have_are_refused() {
    assert_eq!(query(b"select 1"), Err(MessageError::UnterminatedString));
    assert_eq!(query(b"select 1\0x"), Err(MessageError::TrailingBytes));
    assert_eq!(password(b""), Err(MessageError::UnterminatedString));
    assert_eq!(DescribeOrClose::parse(b""), Err(MessageError::Truncated));
    assert_eq!(DescribeOrClose::parse(b"Xname\0"), Err(MessageError::InvalidField("subtype")));
    assert_eq!(Execute::parse(b"p\0\0\0\0"), Err(MessageError::Truncated));
    assert_eq!(Execute::parse(b"p\0\0\0\0\0x"), Err(MessageError::TrailingBytes));
    assert_eq!(Parse::parse(b"name\0query"), Err(MessageError::UnterminatedString));
    assert_eq!(Bind::parse(b"portal"), Err(MessageError::UnterminatedString));
}

proptest! {
    #[test]
    fn parses_survive_a_round_trip_and_a_new_name(n in name(), other in name(), q in name(), types in vec(any::<u32>(), 0..5)) {
        let (mut out, mut renamed, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        write::parse(&mut out, &n, &q, &types).unwrap();
        let parse = Parse::parse(body(&out, tag::PARSE)).unwrap();
        prop_assert_eq!((parse.name, parse.query), (&n[..], &q[..]));
        prop_assert_eq!(parse.rest.len(), 2 + 4 * types.len());
        write::parse_raw(&mut renamed, &other, &[parse.query, b"\0", parse.rest].concat()).unwrap();
        write::parse(&mut expected, &other, &q, &types).unwrap();
        prop_assert_eq!(renamed, expected);
    }

    #[test]
    fn binds_survive_a_round_trip_and_a_new_name(portal in name(), n in name(), other in name(), values in vec(proptest::option::of(vec(any::<u8>(), 0..9)), 0..5)) {
        let values: Vec<_> = values.iter().map(Option::as_deref).collect();
        let (mut out, mut renamed, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        write::bind_text(&mut out, &portal, &n, &values).unwrap();
        let bind = Bind::parse(body(&out, tag::BIND)).unwrap();
        prop_assert_eq!((bind.portal, bind.statement), (&portal[..], &n[..]));
        write::bind_renamed(&mut renamed, &bind, &other).unwrap();
        write::bind_text(&mut expected, &portal, &other, &values).unwrap();
        prop_assert_eq!(&renamed, &expected);
        renamed.clear();
        write::bind_head(&mut renamed, bind.portal, &other, bind.rest.len()).unwrap();
        prop_assert_eq!([&renamed[..], bind.rest].concat(), expected);
    }

    #[test]
    fn small_messages_survive_a_round_trip(n in name(), max_rows in any::<i32>(), kind in prop_oneof![Just(STATEMENT), Just(PORTAL)]) {
        let mut out = Vec::new();
        write::execute(&mut out, &n, max_rows).unwrap();
        prop_assert_eq!(Execute::parse(body(&out, tag::EXECUTE)), Ok(Execute { portal: &n, max_rows }));
        out.clear();
        write::describe(&mut out, kind, &n).unwrap();
        prop_assert_eq!(DescribeOrClose::parse(body(&out, tag::DESCRIBE)), Ok(DescribeOrClose { kind, name: &n }));
        out.clear();
        write::close(&mut out, kind, &n).unwrap();
        prop_assert_eq!(DescribeOrClose::parse(body(&out, tag::CLOSE)), Ok(DescribeOrClose { kind, name: &n }));
        out.clear();
        write::query(&mut out, &n).unwrap();
        prop_assert_eq!(query(body(&out, tag::QUERY)), Ok(&n[..]));
        out.clear();
        write::password(&mut out, &n).unwrap();
        prop_assert_eq!(password(body(&out, tag::PASSWORD)), Ok(&n[..]));
        out.clear();
        write::copy_fail(&mut out, &n).unwrap();
        prop_assert_eq!(query(body(&out, tag::COPY_FAIL)), Ok(&n[..]));
        out.clear();
        write::sasl_response(&mut out, &n).unwrap();
        prop_assert_eq!(body(&out, tag::PASSWORD), &n[..]);
    }

    #[test]
    fn any_bytes_are_survived_and_a_view_fits_its_body(bytes in vec(prop_oneof![Just(0_u8), Just(STATEMENT), any::<u8>()], 0..48)) {
        let _ = (query(&bytes), DescribeOrClose::parse(&bytes), Execute::parse(&bytes), SaslInitial::parse(&bytes));
        if let Ok(parse) = Parse::parse(&bytes) {
            prop_assert_eq!(parse.name.len() + parse.query.len() + parse.rest.len() + 2, bytes.len());
        }
        if let Ok(bind) = Bind::parse(&bytes) {
            prop_assert_eq!(bind.portal.len() + bind.statement.len() + bind.rest.len() + 2, bytes.len());
        }
    }
}
