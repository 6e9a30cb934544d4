use super::*;
use std::net::{IpAddr, SocketAddr};

fn address(ip: &str) -> ClientAddress {
    SocketAddr::new(ip.parse().expect(ip), 1).into()
}

fn addresses(connections: u32, failed_logins: u32) -> Addresses {
    let limits = LimitsConfig {
        address_connections_per_second: connections,
        address_failed_logins_per_minute: failed_logins,
        address_exempt: vec!["192.0.2.128/25".parse().expect("a range")],
        ..LimitsConfig::default()
    };
    Addresses::new(&limits, &["192.0.2.100".parse().expect("a range")])
}

#[test]
fn an_address_gets_its_burst_and_then_as_many_as_it_may() {
    let table = Table::new(10, Duration::from_secs(1), 5);
    let (key, second) = (address("192.0.2.7").key(), 1_000_000_000);
    assert_eq!((0..100).filter(|_| table.take(key, 0).is_ok()).count(), 50);
    assert_eq!(table.look(key, 0), Err(second / 10));
    assert_eq!((0..100).filter(|_| table.take(key, second).is_ok()).count(), 10);
    assert_eq!(table.take(address("192.0.2.8").key(), second), Ok(()), "another's");
}

#[test]
fn one_network_of_ipv6_is_one_address_and_ipv4_in_its_form_is_ipv4() {
    let addresses = addresses(1, 0);
    for host in ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5"] {
        assert!(addresses.connects(address(host)).is_ok());
    }
    assert!(addresses.connects(address("2001:db8::6")).is_err());
    assert!(addresses.connects(address("2001:db8:0:1::6")).is_ok(), "another network");
    for _ in 0..5 {
        assert!(addresses.connects(address("::ffff:192.0.2.7")).is_ok());
    }
    assert!(addresses.connects(address("192.0.2.7")).is_err());
}

#[test]
fn logins_that_fail_close_the_door_and_others_do_not() {
    let addresses = addresses(0, 3);
    let client = address("192.0.2.7");
    for _ in 0..9 {
        addresses.refused_with(ErrorKind::ClientLimit, client);
    }
    assert!(addresses.connects(client).is_ok());
    for _ in 0..3 {
        assert!(addresses.may_log_in(client).is_ok());
        addresses.refused_with(ErrorKind::Unauthenticated, client);
    }
    let refused = addresses.connects(client).expect_err("it guesses");
    assert_eq!(refused.kind(), ErrorKind::AddressLimited);
    assert!(refused.retry_pause().is_some_and(|pause| pause <= Duration::from_secs(20)), "{refused:?}");
    assert_eq!(addresses.failed.get(), 3);
    assert_eq!(
        addresses.refusals().collect::<Vec<_>>(),
        [(Excess::Connections, 0), (Excess::FailedLogins, 1)]
    );
    assert_eq!(addresses.shown()[0].address, client.key());
}

#[test]
fn logins_that_fail_side_by_side_are_all_counted() {
    let addresses = addresses(0, 60);
    let client = address("192.0.2.7");
    // All were let in while there was something left.
    for _ in 0..100 {
        assert!(addresses.may_log_in(client).is_ok());
    }
    for _ in 0..100 {
        addresses.refused_with(ErrorKind::Unauthenticated, client);
    }
    let refused = addresses.may_log_in(client).expect_err("forty too many");
    let pause = refused.retry_pause().expect("a time to come back at");
    assert!(pause > Duration::from_secs(20) && pause <= Duration::from_secs(41), "{pause:?}");
    for _ in 0..10_000 {
        addresses.refused_with(ErrorKind::Unauthenticated, client);
    }
    let refused = addresses.may_log_in(client).expect_err("many too many");
    assert!(
        refused.retry_pause().is_some_and(|pause| pause <= Duration::from_secs(121)),
        "it is let in again"
    );
    assert!(addresses.may_log_in(address("192.0.2.8")).is_ok(), "another's");
}

#[test]
fn the_exempt_and_everybody_where_there_is_no_limit_are_never_refused() {
    let (limited, unlimited) = (addresses(1, 1), addresses(0, 0));
    for _ in 0..100 {
        limited.refused_with(ErrorKind::Unauthenticated, address("192.0.2.130"));
        assert!(limited.connects(address("192.0.2.130")).is_ok());
        limited.refused_with(ErrorKind::Unauthenticated, address("192.0.2.100"));
        assert!(limited.connects(address("192.0.2.100")).is_ok(), "a trusted proxy");
        unlimited.refused_with(ErrorKind::Unauthenticated, address("192.0.2.7"));
        assert!(unlimited.connects(address("192.0.2.7")).is_ok());
    }
}

#[test]
fn what_operators_are_shown_is_bounded_and_what_a_flood_costs_others_is_little() {
    let addresses = addresses(1, 0);
    let flood = |number: u32| ClientAddress::from(SocketAddr::new(IpAddr::from(number.to_be_bytes()), 1));
    for number in 0..500 {
        for _ in 0..6 {
            let _ = addresses.connects(flood(number));
        }
    }
    assert_eq!(addresses.shown().len(), SHOWN_MAX);
    let innocent = (1_000_000..1_001_000).filter(|number| addresses.connects(flood(*number)).is_ok()).count();
    assert!(innocent > 990, "{innocent} of 1,000 addresses get in");
}
