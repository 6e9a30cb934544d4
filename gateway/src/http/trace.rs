//! Whose request a statement is, for those who look at the server: a comment behind its text.
//!
//! Nothing goes into the comment but what is made of letters, digits, hyphens, dots and underscores, so nobody can end it
//! and go on in SQL. It has no quotes either, as other such comments have: behind a string that is not ended they would end
//! it. It stands behind the statement, where it moves no position that an error names; what an error says of it is
//! taken out again.

use hyper::HeaderMap;
use std::borrow::Cow;
use std::fmt::Write;
use uuid::Uuid;

/// Where clients say what a request is part of (<https://www.w3.org/TR/trace-context/>).
const TRACEPARENT: &str = "traceparent";

/// What a request is part of: the header `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    parent: u64,
    flags: u8,
}

impl TraceParent {
    /// Reads the header. One that cannot be read is as good as none (W3C Trace Context §3.2.2.5).
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        Self::parse(value.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace) = (hexadecimal(parts.next()?, 2)?, hexadecimal(parts.next()?, 32)?);
        let (parent, flags) = (hexadecimal(parts.next()?, 16)?, hexadecimal(parts.next()?, 2)?);
        // Later versions may have more parts, this one has not.
        let is_read = version != 0xff && (version != 0 || parts.next().is_none());
        let parent = u64::try_from(parent).ok()?;
        let flags = u8::try_from(flags).ok()?;
        (is_read && trace != 0 && parent != 0).then_some(Self { trace, parent, flags })
    }

    /// The trace's id, as it is written.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The id of what has sent the request, as it is written.
    #[must_use]
    pub fn parent_id(&self) -> String {
        format!("{:016x}", self.parent)
    }

    /// The header for what the request does in its turn; `span` is the request.
    #[must_use]
    pub fn of_child(&self, span: u64) -> String {
        format!("00-{:032x}-{span:016x}-{:02x}", self.trace, self.flags)
    }
}

fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let is_written_so = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == digits && text.bytes().all(is_written_so)).then(|| u128::from_str_radix(text, 16).ok())?
}

/// The id of a request as a span of its trace: half of what names it anyway.
#[must_use]
pub fn span_of(request: Uuid) -> u64 {
    request.as_u64_pair().1
}

/// What a comment takes at most: a request's id, a slug, and a traceparent.
const COMMENT_BYTES: usize = 192;

/// The comment behind a statement.
#[must_use]
pub fn comment(tenant: &str, request: Uuid, trace: Option<TraceParent>) -> String {
    let mut comment = String::with_capacity(COMMENT_BYTES);
    write!(comment, " /*request:{}", request.hyphenated()).expect("a text takes every text");
    for (key, value) in [
        ("tenant", Some(Cow::Borrowed(tenant))),
        ("traceparent", trace.map(|trace| Cow::Owned(trace.of_child(span_of(request))))),
    ] {
        if let Some(value) = value.filter(|value| value.bytes().all(is_harmless)) {
            write!(comment, ",{key}:{value}").expect("a text takes every text");
        }
    }
    comment.push_str("*/");
    comment
}

const fn is_harmless(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_the_standard_has_it() {
        let read = TraceParent::parse(GOOD).expect("the standard's own example");
        assert_eq!(read.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(read.parent_id(), "00f067aa0ba902b7");
        assert_eq!(read.of_child(0xab), "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ab-01");
        for later in [GOOD.replacen("00", "cc", 1), GOOD.replacen("00", "cc", 1) + "-more"] {
            assert_eq!(TraceParent::parse(&later), Some(read), "{later}");
        }
        for bad in [
            "",
            "00",
            &GOOD.replacen("00", "ff", 1),
            &GOOD.to_uppercase(),
            &format!("{GOOD}-more"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn of_two_traceparents_neither_counts() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert!(TraceParent::of(&headers).is_some());
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert!(TraceParent::of(&headers).is_none());
    }

    #[test]
    fn the_comment_names_tenant_and_request() {
        let request = Uuid::from_u128(0x1234);
        assert_eq!(
            comment("acme", request, None),
            " /*request:00000000-0000-0000-0000-000000001234,tenant:acme*/"
        );
        let traced = comment("acme", request, TraceParent::parse(GOOD));
        let of_child = "traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000001234-01*/";
        assert!(traced.ends_with(of_child), "{traced}");
    }

    proptest! {
        #[test]
        fn nobody_ends_the_comment(tenant in "\\PC{0,40}") {
            let comment = comment(&tenant, Uuid::nil(), None);
            prop_assert_eq!(comment.matches("*/").count(), 1);
            prop_assert!(comment.ends_with("*/") && comment.matches("/*").count() == 1);
            prop_assert!(!comment.contains(['\'', '"', '$', '\\']));
        }
    }
}
