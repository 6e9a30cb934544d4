//! Cutting what a peer sent into messages.

use pgwire::frame::{Header, peek_header};

/// Calls `each` with every whole message at the start of `stream`: header, body, and all of it. Stops where a
/// message is not all there, or has a length that none can have.
pub(crate) fn each(mut stream: &[u8], mut each: impl FnMut(Header, &[u8], &[u8])) {
    while let Ok(Some(header)) = peek_header(stream) {
        assert!(header.len >= pgwire::frame::HEADER_LEN);
        let Some((whole, rest)) = stream.split_at_checked(header.len) else {
            assert_eq!(header.body(stream), None, "a body that is not all there");
            return;
        };
        let body = header.body(stream).expect("all of it is there");
        assert_eq!(body.len(), header.body_len());
        each(header, body, whole);
        stream = rest;
    }
}

/// What a writer appends, behind something that it must leave alone.
pub(crate) fn written<E: std::fmt::Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    write(&mut out).expect("what was read can be written");
    out.strip_prefix(b"before").expect("what was there is left alone").to_vec()
}
