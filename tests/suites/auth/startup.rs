//! The packets before the login: too large, too slow, in clear, or nonsense.

use super::{STACK, dial, last_words};
use harness::wire::WireClient;
use harness::{Tenant, wait_until};
use pgwire::backend::tag;
use tokio::io::AsyncReadExt;

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];

/// A startup packet of a version, with its parameters as they stand on the wire.
fn startup(minor: u8, parameters: &str) -> Vec<u8> {
    let length = u32::try_from(8 + parameters.len() + 1).expect("short");
    [&length.to_be_bytes()[..], &[0, 3, 0, minor], parameters.as_bytes(), &[0]].concat()
}

fn parameters(tenant: &Tenant) -> String {
    format!("user\0app\0database\0{}\0", tenant.slug)
}

/// The one byte that answers an encryption request.
async fn answer(client: &mut WireClient, request: &[u8]) -> u8 {
    client.send(request).await.expect("sent");
    client.stream().read_u8().await.expect("an answer")
}

async fn finish_login(client: &mut WireClient, tenant: &Tenant) {
    client.authenticate(tenant.password().as_bytes()).await.expect("let in");
    let greeting = client.until_ready().await.expect("a greeting");
    assert!(greeting.iter().any(|message| message.tag == tag::BACKEND_KEY_DATA), "{greeting:?}");
    assert_eq!(client.value("select 'in'").await, "in");
}

#[tokio::test]
async fn encryption_is_declined_and_the_login_goes_on() {
    let tenant = STACK.create_tenant("plain", "eu").await;
    for requests in [&[SSL_REQUEST][..], &[GSSENC_REQUEST, SSL_REQUEST], &[SSL_REQUEST, GSSENC_REQUEST]] {
        let mut client = dial(&tenant).await;
        for request in requests {
            assert_eq!(answer(&mut client, request).await, b'N');
        }
        client.send(&startup(0, &parameters(&tenant))).await.expect("sent");
        finish_login(&mut client, &tenant).await;
    }
}

#[tokio::test]
async fn bytes_behind_an_encryption_request_are_not_taken_for_the_clients() {
    let tenant = STACK.create_tenant("injected", "eu").await;
    for request in [SSL_REQUEST, GSSENC_REQUEST] {
        let bytes = [&request[..], &startup(0, &parameters(&tenant))].concat();
        let error = last_words(&mut dial(&tenant).await, &bytes).await;
        assert_eq!(error.sqlstate(), "08P01");
    }
}

#[tokio::test]
async fn nobody_asks_for_encryption_for_ever() {
    let tenant = STACK.create_tenant("insisting", "eu").await;
    let mut client = dial(&tenant).await;
    let mut asked = 0;
    while asked < 10 {
        client.send(&SSL_REQUEST).await.expect("sent");
        asked += 1;
        let mut first = [0];
        if client.stream().peek(&mut first).await.expect("an answer") == 0 || first[0] == b'E' {
            break;
        }
        client.stream().read_u8().await.expect("an answer");
    }
    assert!(asked < 10, "asked {asked} times");
    assert_eq!(client.message().await.expect("an error").sqlstate(), "08P01");
}

#[tokio::test]
async fn a_newer_protocol_is_negotiated_down() {
    let tenant = STACK.create_tenant("newer", "eu").await;
    for (minor, extension) in [(2, ""), (0, "_pq_.command_compression\x001\0"), (9, "_pq_.x\x00y\0")] {
        let mut client = dial(&tenant).await;
        client.send(&startup(minor, &format!("{}{extension}", parameters(&tenant)))).await.expect("sent");
        let offer = client.message().await.expect("an answer");
        assert_eq!(offer.tag, tag::NEGOTIATE_PROTOCOL_VERSION, "3.{minor}");
        assert_eq!(offer.body[..4], [0, 3, 0, 0], "3.0 is what is spoken");
        let names = extension.split('\0').next().expect("a name or nothing");
        assert_eq!(offer.body[4..8], u32::from(!names.is_empty()).to_be_bytes());
        assert!(offer.body[8..].starts_with(names.as_bytes()));
        finish_login(&mut client, &tenant).await;
    }
}

#[tokio::test]
async fn what_is_no_startup_packet_is_refused() {
    let tenant = STACK.create_tenant("garbled", "eu").await;
    let own = parameters(&tenant);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("HTTP", b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec()),
        ("a length below its own", vec![0, 0, 0, 3, 0, 3, 0, 0]),
        ("a negative length", vec![0xff, 0xff, 0xff, 0xff]),
        ("an enormous length", vec![0x7f, 0xff, 0xff, 0xff]),
        ("longer than allowed", vec![0, 0, 0x27, 0x11, 0, 3, 0, 0]),
        ("protocol 2", vec![0, 0, 0, 9, 0, 2, 0, 0, 0]),
        ("protocol 4", vec![0, 0, 0, 9, 0, 4, 0, 0, 0]),
        ("no end", startup(0, "user\0app\0database")),
        ("a name twice", startup(0, &format!("{own}database\0other\0"))),
        ("no parameters", [&8_u32.to_be_bytes()[..], &[0, 3, 0, 0]].concat()),
        ("a short cancel", vec![0, 0, 0, 12, 4, 210, 22, 46, 0, 0, 0, 1]),
        ("a cancel key of protocol 3.2", [&[0, 0, 0, 44, 4, 210, 22, 46][..], &[1; 36]].concat()),
    ];
    for (what, bytes) in cases {
        assert_eq!(last_words(&mut dial(&tenant).await, &bytes).await.sqlstate(), "08P01", "{what}");
    }
    for value in ["database", "true", "on", "1", "yes"] {
        let replication = startup(0, &format!("{own}replication\0{value}\0"));
        let refusal = last_words(&mut dial(&tenant).await, &replication).await;
        assert_eq!(refusal.sqlstate(), "0A000", "{value}");
        assert!(refusal.text().contains("replication"), "{}", refusal.text());
    }
}

#[tokio::test]
async fn who_takes_too_long_is_sent_away() {
    let tenant = STACK.create_tenant("slow", "eu").await;
    let silent = dial(&tenant).await;
    let mut half = dial(&tenant).await;
    half.send(&startup(0, &parameters(&tenant))[..20]).await.expect("sent");
    let mut undecided = dial(&tenant).await;
    undecided.send(&startup(0, &parameters(&tenant))).await.expect("sent");
    undecided.message().await.expect("an offer");
    let mut dripping = dial(&tenant).await;
    let packet = startup(0, &format!("{}application_name\0{}\0", parameters(&tenant), "x".repeat(9_000)));
    let dripped = async {
        for byte in packet {
            if dripping.send(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        dripping.until_end().await
    };
    let (mut silent, mut undecided) = (silent, undecided);
    let ends = tokio::join!(silent.until_end(), half.until_end(), undecided.until_end(), dripped);
    // A byte now and then is no login either.
    for (who, end) in [("silent", ends.0), ("half", ends.1), ("undecided", ends.2), ("dripping", ends.3)] {
        let messages = end.unwrap_or_else(|error| panic!("{who}: {error}"));
        let [last] = messages.as_slice() else { panic!("{who}: {messages:?}") };
        assert_eq!(last.sqlstate(), "57014", "{who}");
        assert_eq!(last.text(), "canceling authentication due to timeout", "{who}");
    }
    let labels = ["kind=\"login_timeout\""];
    wait_until("all are counted", async || {
        STACK.metric("tenantry_gateway_refusals_total", &labels).await >= 4.0
    })
    .await;
}

/// Settings of the startup packet that the server does not accept are told in its own words.
#[tokio::test]
async fn a_bad_setting_is_refused_and_harms_nobody() {
    let tenant = STACK.create_tenant("settings", "eu").await;
    for (name, value) in [("DateStyle", "nonsense"), ("no_such_setting", "1"), ("log_statement", "all")] {
        let parameters = [("user", "app"), ("database", "settings"), (name, value)];
        let refused = WireClient::login_as(&tenant.config(), &parameters).await;
        let error = refused.err().unwrap_or_else(|| panic!("{name} was accepted"));
        assert_eq!(error.tag, b'E', "{name}");
        assert!(error.text().contains(name), "{name}: {}", error.text());
    }
    assert_eq!(WireClient::login(&tenant.config()).await.expect("let in").value("select 'in'").await, "in");
}
