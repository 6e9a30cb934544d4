use super::*;
use config::PreparedConfig;
use std::sync::Arc;

fn text(body: &[u8]) -> Text<'_> {
    Text { body, context: None }
}

fn intern(cache: &StatementCache, body: &[u8]) -> Arc<Statement> {
    cache.intern(text(body), cache.hash(text(body))).expect("there is room")
}

fn bounded(adjust: impl FnOnce(&mut PreparedConfig)) -> StatementCache {
    let mut settings = PreparedConfig::default();
    adjust(&mut settings);
    StatementCache::new(PreparedMemory::new(settings))
}

fn add(server: &mut ServerStatements, statement: &Arc<Statement>, bounds: &PreparedConfig) -> usize {
    let evicted = std::iter::from_fn(|| server.in_the_way_of(statement, bounds)).count();
    server.add(statement, 0);
    evicted
}

#[test]
fn equal_texts_are_one_statement_and_others_are_not() {
    let cache = StatementCache::default();
    let first = intern(&cache, b"select 1\0\0\0");
    assert!(Arc::ptr_eq(&first, &intern(&cache, b"select 1\0\0\0")));
    assert_ne!(first.server_name(), intern(&cache, b"select 2\0\0\0").server_name());
    let elsewhere = Text { body: b"select 1\0\0\0", context: Some("a") };
    let other = cache.intern(elsewhere, cache.hash(elsewhere)).expect("there is room");
    assert_ne!(first.server_name(), other.server_name());
    let own = cache.unshared(text(b"select 1\0\0\0")).expect("there is room");
    assert_ne!(first.server_name(), own.server_name());
}

#[test]
fn two_texts_with_one_hash_are_two_statements() {
    let cache = StatementCache::default();
    let mut server = ServerStatements::default();
    let first = cache.intern(text(b"first\0"), 7).expect("there is room");
    let second = cache.intern(text(b"second\0"), 7).expect("there is room");
    assert_ne!(first.id(), second.id());
    for statement in [&first, &second] {
        server.add(statement, 0);
    }
    assert_eq!(server.find(text(b"first\0"), 7).map(|found| found.id()), Some(first.id()));
    assert!(server.find(text(b"second\0"), 7).is_none());
    assert!(cache.returning(text(b"third\0"), 7, || true).is_none());
}

#[test]
fn a_text_is_kept_when_it_comes_a_second_time() {
    let cache = StatementCache::default();
    for (body, returns) in [(b"a\0", false), (b"b\0", false), (b"a\0", true), (b"a\0", true)] {
        assert_eq!(cache.returning(text(body), cache.hash(text(body)), || true).is_some(), returns);
    }
    assert_eq!(cache.process().statements(), 1);
}

#[test]
fn a_full_pool_forgets_what_was_unused_longest_and_never_what_is_in_use() {
    let cache = bounded(|settings| settings.bytes_per_pool_max = 16 * 1024);
    let kept = intern(&cache, b"kept\0");
    let mut popular = intern(&cache, b"popular\0").id();
    for number in 0..1000 {
        intern(&cache, format!("select {number}\0").as_bytes());
        let again = intern(&cache, b"popular\0").id();
        assert_eq!(std::mem::replace(&mut popular, again), again, "{number}");
    }
    assert!(cache.bytes() <= 16 * 1024 && cache.process().forgotten.get() > 900);
    assert!(Arc::ptr_eq(&kept, &intern(&cache, b"kept\0")));
    let in_use: Vec<_> = (0..)
        .map_while(|number: u32| {
            let body = format!("in use {number}\0");
            cache.intern(text(body.as_bytes()), cache.hash(text(body.as_bytes())))
        })
        .collect();
    assert!(!in_use.is_empty() && cache.intern(text(b"one more\0"), 1).is_none());
    drop(in_use);
    assert!(cache.intern(text(b"one more\0"), 1).is_some());
}

#[test]
fn all_pools_share_the_processs_bound_and_give_back_what_they_took() {
    let process = PreparedMemory::new(PreparedConfig { bytes_max: 1024, ..PreparedConfig::default() });
    let first = StatementCache::new(Arc::clone(&process));
    let second = StatementCache::new(Arc::clone(&process));
    let _held = first.intern(text(&[b'a'; 700]), 1).expect("there is room");
    assert!(second.intern(text(&[b'b'; 700]), 1).is_none());
    assert_eq!((process.statements(), process.bytes()), (1, text(&[b'a'; 700]).cost()));
    drop((_held, first));
    assert_eq!((process.statements(), process.bytes()), (0, 0));
    assert!(second.intern(text(&[b'b'; 700]), 1).is_some());
}

#[test]
fn a_crowded_server_closes_the_statement_longest_unused() {
    let cache = StatementCache::default();
    let bounds = PreparedConfig { statements_per_server_max: 3, ..PreparedConfig::default() };
    let mut server = ServerStatements::default();
    let statements: Vec<_> =
        (0..4).map(|number| intern(&cache, format!("select {number}\0").as_bytes())).collect();
    for statement in &statements[..3] {
        assert_eq!(add(&mut server, statement, &bounds), 0);
    }
    assert!(server.has(&statements[0]));
    let closed = server.in_the_way_of(&statements[3], &bounds).expect("one too many");
    assert!(closed.is(&statements[1]) && closed.server_name() == statements[1].server_name());
    assert!(!server.has(&statements[1]));
    assert!(server.in_the_way_of(&statements[3], &bounds).is_none());
    server.add(&statements[3], 0);
    server.restore(closed);
    assert!(server.has(&statements[1]));
}

#[test]
fn a_servers_statements_are_bounded_in_bytes() {
    let cache = StatementCache::default();
    let bounds = PreparedConfig { bytes_per_server_max: 16 * 1024, ..PreparedConfig::default() };
    let mut server = ServerStatements::default();
    for filler in 0..10_u8 {
        let statement = intern(&cache, &vec![filler; 5 * 1024]);
        add(&mut server, &statement, &bounds);
        assert!(server.bytes() <= bounds.bytes_per_server_max);
    }
}

#[test]
fn what_is_out_of_date_is_closed_before_it_is_prepared_again() {
    let cache = StatementCache::default();
    let bounds = PreparedConfig::default();
    let mut server = ServerStatements::default();
    let statement = intern(&cache, b"select 1\0");
    server.request_begins();
    server.add(&statement, 0);
    assert_eq!(server.outdate(&statement), Standing::New);
    assert!(server.has(&statement));
    server.request_begins();
    assert!(server.has_current(&statement, 0) && !server.has_current(&statement, 1));
    assert_eq!(server.outdate(&statement), Standing::Old);
    assert!(!server.has(&statement));
    assert!(server.in_the_way_of(&statement, &bounds).is_some_and(|evicted| evicted.is(&statement)));
    assert_eq!(server.outdate(&statement), Standing::Missing);
    assert_eq!(add(&mut server, &statement, &bounds), 0);
    assert!(server.has(&statement));
}

#[test]
fn what_a_transaction_prepared_for_itself_is_out_of_date_after_it() {
    let cache = StatementCache::default();
    let mut server = ServerStatements::default();
    let (before, within) = (intern(&cache, b"select 1\0"), intern(&cache, b"select 2\0"));
    server.add(&before, 0);
    server.add(&within, 0);
    server.note_of_transaction(&within);
    server.transaction_ended(false);
    server.transaction_ended(true);
    assert!(server.has(&within), "it was not what it might have been");
    server.note_of_transaction(&within);
    server.transaction_ended(true);
    assert!(server.has(&before) && !server.has(&within));
    for _ in 0..=reading::OF_TRANSACTION_MAX {
        server.note_of_transaction(&within);
    }
    server.transaction_ended(true);
    assert!(!server.has(&before));
}

#[test]
fn a_text_that_nobody_knows_any_more_is_not_found_on_the_server() {
    let cache = bounded(|settings| settings.bytes_per_pool_max = 1024);
    let mut server = ServerStatements::default();
    let hash = cache.hash(text(b"select 1\0"));
    server.add(&intern(&cache, b"select 1\0"), 0);
    assert!(server.find(text(b"select 1\0"), hash).is_some());
    intern(&cache, &[b'x'; 700]);
    assert!(server.find(text(b"select 1\0"), hash).is_none());
}

#[test]
fn a_clients_statements_are_bounded_in_bytes() {
    let cache = StatementCache::default();
    let mut client = ClientStatements::default();
    let statement = intern(&cache, b"select 1\0\0\0");
    let bound = statement.cost() + 10;
    assert!(client.insert(b"a", Arc::clone(&statement), bound).is_ok());
    assert!(client.insert(b"b", Arc::clone(&statement), bound).is_err());
    client.remove(b"a");
    assert!(client.insert(b"b", statement, bound).is_ok());
}
