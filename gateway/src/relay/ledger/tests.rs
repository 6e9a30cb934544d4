use super::*;
use crate::relay::prepared::{StatementCache, Text};
use proptest::prelude::*;

fn ledger(requests: &[Request]) -> Ledger {
    let mut ledger = Ledger::default();
    for request in requests {
        ledger.expect(Due::to_client(*request));
    }
    ledger
}

fn settle_all(ledger: &mut Ledger, tags: &[u8]) -> Vec<Verdict> {
    tags.iter().map(|tag| ledger.settle(*tag, &mut Settled::default())).collect()
}

use Request::{Bind, CopyEnd, Describe, Execute, Parse, Query, Sync};

#[test]
fn a_whole_extended_query_settles() {
    let mut ledger = ledger(&[Parse, Bind, Describe, Execute, Sync]);
    assert!(settle_all(&mut ledger, b"12TDDCZ").iter().all(|verdict| *verdict == Verdict::Forward));
    assert!(ledger.is_empty());
}

#[test]
fn an_error_throws_away_everything_up_to_the_next_sync_and_no_further() {
    let mut ledger = ledger(&[Parse, Bind, Execute, Sync, Bind, Execute, Sync]);
    let mut settled = Settled::default();
    assert_eq!(ledger.settle(b'E', &mut settled), Verdict::Forward);
    assert_eq!(settled.failed.len(), 3);
    settle_all(&mut ledger, b"Z2CZ");
    assert!(ledger.is_empty());
}

#[test]
fn a_failed_simple_query_still_ends_with_ready() {
    let mut ledger = ledger(&[Query, Query]);
    settle_all(&mut ledger, b"TDEZ");
    assert_eq!(ledger.len(), 1);
}

#[test]
fn a_simple_query_does_not_end_before_it_was_answered() {
    let mut ledger = Ledger::default();
    ledger.expect(Due::to_client(Request::Query));
    ledger.expect(Due::to_client(Request::Query));
    for tag in *b"TDCZ" {
        assert_eq!(ledger.settle(tag, &mut Settled::default()), Verdict::Forward);
    }
    assert_eq!(ledger.settle(b'Z', &mut Settled::default()), Verdict::OutOfSync, "one too many");
}

#[test]
fn a_reply_that_is_not_due_is_out_of_sync() {
    for (requests, tag) in
        [(&[][..], b'Z'), (&[Parse], b'2'), (&[Sync], b'D'), (&[Execute], b'Z'), (&[Query], b'1')]
    {
        assert_eq!(ledger(requests).settle(tag, &mut Settled::default()), Verdict::OutOfSync, "{requests:?}");
    }
}

#[test]
fn copy_in_eats_the_sync_that_was_sent_with_its_execute() {
    let mut ledger = ledger(&[Bind, Execute, Sync]);
    settle_all(&mut ledger, b"2G");
    ledger.copy_ended();
    ledger.expect_sync(Origin::Client);
    settle_all(&mut ledger, b"CZ");
    assert!(ledger.is_empty());
}

#[test]
fn copy_in_sent_blindly_keeps_the_sync_after_its_data() {
    let mut ledger = ledger(&[Bind, Execute, CopyEnd, Sync]);
    assert!(!settle_all(&mut ledger, b"2GCZ").contains(&Verdict::OutOfSync));
    assert!(ledger.is_empty());
}

#[test]
fn a_sync_during_copy_in_is_not_answered() {
    let mut ledger = ledger(&[Query]);
    settle_all(&mut ledger, b"G");
    ledger.expect_sync(Origin::Client);
    ledger.copy_ended();
    settle_all(&mut ledger, b"CZ");
    assert!(ledger.is_empty());
}

#[test]
fn an_error_during_copy_in_is_followed_by_the_clients_sync() {
    let mut ledger = ledger(&[Execute]);
    settle_all(&mut ledger, b"GE");
    ledger.copy_ended();
    ledger.expect_sync(Origin::Client);
    settle_all(&mut ledger, b"Z");
    assert!(ledger.is_empty());
}

#[test]
fn our_own_requests_are_swallowed_and_their_errors_are_the_clients_only_when_replayed() {
    for (origin, on_success, on_error) in [
        (Origin::Replay, Verdict::Swallow, Verdict::Forward),
        (Origin::Setup, Verdict::Swallow, Verdict::Swallow),
    ] {
        let mut ledger = Ledger::default();
        ledger.expect(Due::of(Parse, origin));
        assert_eq!(ledger.settle(b'1', &mut Settled::default()), on_success);
        ledger.expect(Due::of(Parse, origin));
        assert_eq!(ledger.settle(b'E', &mut Settled::default()), on_error);
    }
}

#[test]
fn local_replies_wait_for_their_turn_and_die_with_an_error_before_them() {
    let mut ledger = ledger(&[Bind]);
    ledger.expect(Due::of(Parse, Origin::Local));
    ledger.expect_sync(Origin::Client);
    assert!(ledger.next_local().is_none());
    settle_all(&mut ledger, b"E");
    assert!(ledger.next_local().is_none());
    settle_all(&mut ledger, b"Z");
    assert!(ledger.is_empty());
}

#[test]
fn answers_to_a_flush_settle_nothing_until_the_sync() {
    let mut ledger = ledger(&[Parse, Describe]);
    settle_all(&mut ledger, b"1tn");
    assert!(ledger.is_empty() && !ledger.is_settled());
    ledger.expect_sync(Origin::Client);
    settle_all(&mut ledger, b"Z");
    assert!(ledger.is_settled());
}

#[test]
fn a_simple_query_ends_what_a_flush_left_open() {
    let mut ledger = ledger(&[Parse, Query]);
    settle_all(&mut ledger, b"1CZ");
    assert!(ledger.is_settled());
}

#[test]
fn what_is_sent_after_a_query_still_owes_its_sync() {
    let mut ledger = ledger(&[Parse, Sync, Bind]);
    settle_all(&mut ledger, b"1Z2");
    assert!(ledger.is_empty() && !ledger.is_settled());
}

#[test]
fn what_is_sent_after_an_error_and_before_the_sync_is_thrown_away_with_it() {
    let mut ledger = ledger(&[Parse]);
    settle_all(&mut ledger, b"E");
    for request in [Bind, Query, Execute] {
        ledger.expect(Due::to_client(request));
    }
    ledger.expect(Due::of(Parse, Origin::Local));
    assert!(ledger.next_local().is_none());
    ledger.expect_sync(Origin::Client);
    let mut settled = Settled::default();
    assert_eq!(ledger.settle(b'Z', &mut settled), Verdict::Forward);
    assert_eq!(settled.failed.len(), 4);
    assert!(ledger.is_settled());
}

#[test]
fn after_an_error_nothing_but_ready_is_due() {
    let mut ledger = ledger(&[Parse]);
    settle_all(&mut ledger, b"E");
    ledger.expect(Due::to_client(Bind));
    assert_eq!(ledger.settle(b'2', &mut Settled::default()), Verdict::OutOfSync);
}

fn parse_of(statement: &Arc<Statement>, client_name: &[u8]) -> Due {
    Due {
        statement: Some(Arc::clone(statement)),
        client_name: Some(client_name.into()),
        ..Due::to_client(Parse)
    }
}

#[test]
fn a_statement_is_uncertain_once_a_sync_lies_between_until_it_is_answered() {
    let statements = StatementCache::default();
    let intern = |body: &[u8]| {
        let text = Text { body, context: None };
        statements.intern(text, statements.hash(text)).expect("there is room")
    };
    let (statement, other) = (intern(b"selec 1\0\0\0"), intern(b"select 1\0\0\0"));
    let mut ledger = Ledger::default();
    ledger.expect(parse_of(&statement, b"a"));
    assert!(!ledger.is_uncertain(&statement, b"a"));
    ledger.expect_sync(Origin::Client);
    assert!(ledger.is_uncertain(&statement, b"b"));
    assert!(ledger.is_uncertain(&other, b"a"));
    assert!(!ledger.is_uncertain(&other, b"b"));
    settle_all(&mut ledger, b"E");
    assert!(!ledger.is_uncertain(&statement, b"a"));
}

#[test]
fn the_unnamed_statement_is_uncertain_once_a_sync_lies_between_until_its_parse_is_answered() {
    let own = || Due { client_name: Some(Box::default()), ..Due::to_client(Parse) };
    for due in [own(), Due::of(Parse, Origin::Replay)] {
        let mut ledger = Ledger::default();
        ledger.expect(due);
        assert!(!ledger.is_unnamed_uncertain(), "they fail together");
        ledger.expect_sync(Origin::Client);
        assert!(ledger.is_unnamed_uncertain());
        ledger.expect(parse_of(&some_statement(), b"named"));
        assert!(ledger.is_unnamed_uncertain());
        ledger.expect(own());
        assert!(!ledger.is_unnamed_uncertain(), "it is another one now");
        ledger.expect_sync(Origin::Client);
        settle_all(&mut ledger, b"1Z");
        assert!(ledger.is_unnamed_uncertain());
        settle_all(&mut ledger, b"E");
        assert!(!ledger.is_unnamed_uncertain());
    }
}

fn some_statement() -> Arc<Statement> {
    let text = Text { body: b"select 1\0\0\0", context: None };
    StatementCache::default().unshared(text).expect("there is room")
}

proptest! {
    /// A server that follows the protocol is never called out of sync, and the ledger ends empty.
    #[test]
    fn a_faithful_server_always_settles(batches in proptest::collection::vec(
        (proptest::collection::vec(0_u8..4, 0..6), proptest::option::of(0_usize..6)), 1..6,
    )) {
        let mut ledger = Ledger::default();
        let mut replies = Vec::new();
        for (requests, error_at) in batches {
            let mut failed = false;
            for (index, request) in requests.iter().enumerate() {
                let (request, reply): (_, &[u8]) = match request {
                    0 => (Parse, b"1"),
                    1 => (Bind, b"2"),
                    2 => (Describe, b"tn"),
                    _ => (Execute, b"DDC"),
                };
                ledger.expect(Due::to_client(request));
                if !failed && error_at == Some(index) {
                    replies.push(b'E');
                    failed = true;
                } else if !failed {
                    replies.extend_from_slice(reply);
                }
            }
            ledger.expect_sync(Origin::Client);
            replies.push(b'Z');
        }
        for tag in replies {
            prop_assert_eq!(ledger.settle(tag, &mut Settled::default()), Verdict::Forward);
        }
        prop_assert!(ledger.is_empty());
    }

    #[test]
    fn no_order_of_tags_panics(tags in proptest::collection::vec(any::<u8>(), 0..50)) {
        let mut ledger = ledger(&[Parse, Bind, Execute, CopyEnd, Sync, Query]);
        settle_all(&mut ledger, &tags);
    }
}

#[test]
fn what_follows_the_sync_after_an_error_is_not_skipped() {
    let mut ledger = ledger(&[Bind, Execute]);
    settle_all(&mut ledger, b"2E");
    assert!(ledger.is_skipping());
    ledger.expect_sync(Origin::Client);
    assert!(!ledger.is_skipping());
    ledger.expect(Due::to_client(Bind));
    ledger.expect_sync(Origin::Client);
    assert!(!settle_all(&mut ledger, b"Z2Z").contains(&Verdict::OutOfSync));
    assert!(ledger.is_settled());
}
