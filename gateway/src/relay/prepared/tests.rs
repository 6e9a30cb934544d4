use super::*;

#[test]
fn equal_texts_are_one_statement_and_others_are_not() {
    let cache = StatementCache::default();
    let first = cache.intern(b"select 1\0\0\0");
    assert!(Arc::ptr_eq(&first, &cache.intern(b"select 1\0\0\0")));
    assert_ne!(first.server_name(), cache.intern(b"select 2\0\0\0").server_name());
}

#[test]
fn a_full_pool_forgets_what_no_client_uses() {
    let cache = StatementCache::default();
    let kept = cache.intern(b"kept\0");
    let text_len = POOL_BYTES_MAX / 4;
    for filler in 0..6_u8 {
        let _unused = cache.intern(&vec![filler; text_len]);
    }
    assert!(cache.known.lock().expect("no panic holds it").bytes <= POOL_BYTES_MAX);
    assert!(Arc::ptr_eq(&kept, &cache.intern(b"kept\0")));
}

#[test]
fn a_crowded_server_closes_the_statement_longest_unused() {
    let cache = StatementCache::default();
    let mut server = ServerStatements::default();
    let statements: Vec<_> =
        (0..=PER_SERVER_MAX).map(|n| cache.intern(format!("select {n}\0").as_bytes())).collect();
    for statement in &statements[..PER_SERVER_MAX] {
        assert!(server.crowded_out_by(statement).is_none());
        server.add(statement);
    }
    assert!(server.has(&statements[0]));
    let closed = server.crowded_out_by(&statements[PER_SERVER_MAX]).expect("one too many");
    assert_eq!(closed.server_name(), statements[1].server_name());
    assert!(!server.has(&closed));
    assert!(server.crowded_out_by(&statements[PER_SERVER_MAX]).is_none());
}

#[test]
fn a_servers_statements_are_bounded_in_bytes() {
    let cache = StatementCache::default();
    let mut server = ServerStatements::default();
    for filler in 0..10_u8 {
        let statement = cache.intern(&vec![filler; PER_SERVER_BYTES_MAX / 3]);
        while server.crowded_out_by(&statement).is_some() {}
        server.add(&statement);
        assert!(server.bytes <= PER_SERVER_BYTES_MAX);
    }
}

#[test]
fn a_clients_statements_are_bounded_in_bytes() {
    let cache = StatementCache::default();
    let mut client = ClientStatements::default();
    let statement = cache.intern(b"select 1\0\0\0");
    assert!(client.insert(b"a", Arc::clone(&statement), 200).is_ok());
    assert!(client.insert(b"b", Arc::clone(&statement), 200).is_err());
    client.remove(b"a");
    assert!(client.insert(b"b", statement, 200).is_ok());
}
