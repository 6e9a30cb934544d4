//! Holes that other poolers, drivers and servers have had in what this crate does, one test each: the attack is
//! played and must come to nothing. Each test is named after its number at <https://www.cve.org>.

use pgwire::backend::{Authentication, ErrorFields, Mechanisms};
use pgwire::frame::peek_header;
use pgwire::frontend::{Bind, SaslInitial, write};
use pgwire::scram::{ChannelBinding, ClientExchange, ScramError, ServerExchange};
use pgwire::startup::{
    EncryptionAnswer, EncryptionError, FirstPacket, StartupError, expect_no_early_data, parse_first_packet,
};
use pgwire::{WriteError, backend};
use tenancy::Secret;

const SCRAM: &[u8] = b"SCRAM-SHA-256";

fn offer() -> Mechanisms<'static> {
    let Ok(Authentication::Sasl(offered)) = Authentication::parse(b"\0\0\0\x0aSCRAM-SHA-256\0\0") else {
        panic!("no offer");
    };
    offered
}

fn client() -> ClientExchange {
    let password = Secret::new("pencil".to_owned());
    ClientExchange::new(password, &offer(), ChannelBinding::Unavailable).expect("randomness")
}

/// What the client's nonce is, which a server has to begin its own with.
fn nonce_of(client: &ClientExchange) -> String {
    client.client_first().rsplit_once("r=").expect("a nonce").1.to_owned()
}

fn server() -> ServerExchange {
    ServerExchange::mock(&[7; 32], "acme/app", ChannelBinding::Unavailable)
}

/// PgBouncer: the length of a SCRAM packet overflowed and crashed it, before anybody had logged in.
#[test]
fn cve_2026_6664_a_length_in_a_scram_packet_that_overflows() {
    for length in [i32::MIN, -2, 9, 0x7fff_fff0, i32::MAX] {
        let body = [SCRAM, b"\0", &length.to_be_bytes(), b"n,,n=,r="].concat();
        assert!(SaslInitial::parse(&body).is_err(), "{length}");
    }
    for length in [i32::MIN, -1, 0, 3] {
        assert!(peek_header(&[b"p", &length.to_be_bytes()[..]].concat()).is_err(), "{length}");
    }
    let longest =
        peek_header(&[b"p", &i32::MAX.to_be_bytes()[..]].concat()).expect("a length").expect("whole");
    assert_eq!((longest.len, longest.body(b"p\x7f\xff\xff\xff")), (0x8000_0000, None));

    let endless = format!("n,,n=,r={}", "x".repeat(1 << 20));
    assert_eq!(server().first(SCRAM, endless.as_bytes()).map(|_| ()), Err(ScramError::TooLong));
    let (challenge, _) = server().first(SCRAM, b"n,,n=,r=x").expect("a good beginning");
    let endless = format!("c=biws,r=x,p={}", "A".repeat(1 << 20));
    assert_eq!(challenge.finish(endless.as_bytes()).err(), Some(ScramError::TooLong));
}

/// PgBouncer: a server's long nonce was written past the end of a buffer.
#[test]
fn cve_2026_6665_a_servers_endless_nonce() {
    let answer = |added: usize| {
        let client = client();
        let challenge = format!("r={}{},s=c2FsdA==,i=1", nonce_of(&client), "x".repeat(added));
        client.answer(challenge.as_bytes()).map(|_| ())
    };
    assert_eq!(answer(256), Ok(()));
    for added in [257, 2_000, 1 << 20] {
        assert_eq!(answer(added), Err(ScramError::TooLong), "{added}");
    }
}

/// PgBouncer: an error of the server's without a SQLSTATE was read through a null pointer.
#[test]
fn cve_2026_6666_an_error_without_a_sqlstate() {
    let fields = ["SFATAL", "VFATAL", "C53300", "Mno room", "Hwait"];
    for missing in fields {
        let body: String =
            fields.iter().filter(|field| **field != missing).map(|field| format!("{field}\0")).collect();
        let read = ErrorFields::new(body.as_bytes());
        assert_eq!(read.sqlstate().is_none(), missing.starts_with('C'), "{missing}");
        assert_eq!(read.message().is_empty(), missing.starts_with('M'), "{missing}");
        // Either of the two fields tells the severity.
        assert!(read.severity().is_some(), "{missing}");
    }
    for body in [&b""[..], b"\0", b"C\0\0", b"C5330\0\0", b"Ctoo long\0\0", b"C53300"] {
        assert_eq!(ErrorFields::new(body).sqlstate(), None, "{body:?}");
    }
}

/// pgjdbc: a server could ask for any number of hash rounds.
#[test]
fn cve_2026_42198_a_server_that_asks_for_endless_hashing() {
    for rounds in ["0", "100001", "4294967295", "4294967296", "99999999999999999999"] {
        let client = client();
        let challenge = format!("r={}server,s=c2FsdA==,i={rounds}", nonce_of(&client));
        let answer = client.answer(challenge.as_bytes()).map(|_| ());
        assert_eq!(answer, Err(ScramError::Iterations), "{rounds}");
    }
}

/// PgBouncer: a long name of a database crashed it where databases came into being on request.
#[test]
fn cve_2012_4575_a_long_database_name() {
    let packet = |name: usize| {
        let mut out = Vec::new();
        let name = "x".repeat(name);
        write::startup(&mut out, [("user", "app"), ("database", name.as_str())]).expect("it fits");
        out
    };
    let max = packet(9_000).len();
    let Ok(Some((FirstPacket::Startup(startup), _))) = parse_first_packet(&packet(9_000), max) else {
        panic!("the longest packet allowed");
    };
    assert_eq!(startup.get("database").map(str::len), Some(9_000));
    let refused = Err(StartupError::TooLong { length: max + 1, max });
    assert_eq!(parse_first_packet(&packet(9_001), max), refused);
    // Nothing of the name has to be there for that.
    assert_eq!(parse_first_packet(&packet(9_001)[..4], max), refused);
}

/// PgBouncer, and others: what came in clear before TLS was taken for part of what was encrypted.
#[test]
fn cve_2021_3935_plaintext_behind_a_clients_encryption_request() {
    let mut sent = Vec::new();
    write::ssl_request(&mut sent);
    let request = sent.len();
    write::startup(&mut sent, [("user", "mallory")]).expect("it fits");
    let (packet, length) = parse_first_packet(&sent, 10_000).expect("a packet").expect("whole");
    assert_eq!((packet, length), (FirstPacket::SslRequest, request));
    assert_eq!(expect_no_early_data(&sent[length..]), Err(EncryptionError::EarlyData));
    assert_eq!(expect_no_early_data(&[]), Ok(()));
}

/// libpq: the same from a server's side.
#[test]
fn cve_2021_23222_plaintext_behind_a_servers_answer() {
    assert_eq!(EncryptionAnswer::parse(b"S"), Ok(Some(EncryptionAnswer::Granted)));
    for answer in [&b"SR\0\0\0\x08\0\0\0\0"[..], b"S\0", b"SS", b"N\0"] {
        assert_eq!(EncryptionAnswer::parse(answer), Err(EncryptionError::EarlyData), "{answer:?}");
    }
}

/// libpq: the words of an error that came in clear, from anybody, were kept and shown later.
#[test]
fn cve_2024_10977_a_servers_error_before_encryption() {
    let error = EncryptionAnswer::parse(b"E\0\0\0\x20SFATAL\0Mcall this number\0\0").expect_err("no answer");
    assert_eq!(error, EncryptionError::ServerError);
    assert!(!format!("{error} {error:?}").contains("number"));
    // Nor do they get into an error by way of SCRAM.
    let client = client();
    let challenge = format!("r={}server,s=c2FsdA==,i=1", nonce_of(&client));
    let (answer, _) = client.answer(challenge.as_bytes()).expect("a good challenge");
    let error = answer.verify(b"e=call this number").expect_err("no proof");
    assert!(!format!("{error} {error:?}").contains("number"));
}

/// pgx, sqlx, diesel: the length of a message beyond 4 GiB was cut to 32 bits, and the message's own content was
/// read as the messages behind it.
#[test]
fn cve_2024_27304_a_message_longer_than_its_length_can_say() {
    // Zeroed memory that nobody touches costs nothing but addresses.
    let text = String::from_utf8(vec![0; (1 << 32) + 8]).expect("zeroes are text");
    let huge = text.as_bytes();
    let bind = |rest| Bind { portal: b"", statement: b"", rest };
    type Write<'a> = Box<dyn Fn(&mut Vec<u8>) -> Result<(), WriteError> + 'a>;
    let writers: [(&str, Write<'_>); 21] = [
        ("startup name", Box::new(|out| write::startup(out, [(text.as_str(), "")]))),
        ("startup value", Box::new(|out| write::startup(out, [("user", text.as_str())]))),
        ("password", Box::new(|out| write::password(out, huge))),
        ("sasl mechanism", Box::new(|out| write::sasl_initial(out, &text, b""))),
        ("sasl data", Box::new(|out| write::sasl_initial(out, "", huge))),
        ("sasl response", Box::new(|out| write::sasl_response(out, huge))),
        ("query", Box::new(|out| write::query(out, huge))),
        ("parse name", Box::new(|out| write::parse(out, huge, b"", &[]))),
        ("parse query", Box::new(|out| write::parse(out, b"", huge, &[]))),
        ("parse raw name", Box::new(|out| write::parse_raw(out, huge, b""))),
        ("parse raw rest", Box::new(|out| write::parse_raw(out, b"", huge))),
        ("bind renamed", Box::new(|out| write::bind_renamed(out, &bind(b""), huge))),
        ("bind renamed rest", Box::new(|out| write::bind_renamed(out, &bind(huge), b""))),
        ("bind head", Box::new(|out| write::bind_head(out, b"", huge, 0))),
        ("bind head rest", Box::new(|out| write::bind_head(out, b"", b"", huge.len()))),
        ("bind text name", Box::new(|out| write::bind_text(out, huge, b"", &[]))),
        ("bind text value", Box::new(|out| write::bind_text(out, b"", b"", &[Some(huge)]))),
        ("describe", Box::new(|out| write::describe(out, b'S', huge))),
        ("close", Box::new(|out| write::close(out, b'S', huge))),
        ("execute", Box::new(|out| write::execute(out, huge, 0))),
        ("copy fail", Box::new(|out| write::copy_fail(out, huge))),
    ];
    let mut out = b"before".to_vec();
    for (what, write) in writers {
        assert_eq!(write(&mut out), Err(WriteError::TooLong), "{what}");
        assert_eq!(out, b"before", "{what}");
        assert!(out.capacity() < 1 << 20, "{what}: copied before it was judged");
    }
    // A reply that is due is cut, and says the length that it then has.
    out.clear();
    backend::write::sasl_continue(&mut out, huge);
    let header = peek_header(&out).expect("a length").expect("whole");
    assert_eq!(header.len, out.len());
}
