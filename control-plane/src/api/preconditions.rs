//! `ETag` and `If-Match`: a change made on top of what the client has read, or not at all.

use super::problem::{Problem, ProblemKind};
use axum::http::header::IF_MATCH;
use axum::http::{HeaderMap, HeaderValue};

/// The tag of a version.
pub(super) fn etag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits in quotes are a legal header value")
}

/// The version that the client has read, if it says. `*` matches any, which is what leaving it out does.
pub(super) fn expected_version(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version =
        text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|digits| digits.parse().ok());
    version.map(Some).ok_or_else(|| {
        Problem::new(ProblemKind::InvalidHeader)
            .detail("If-Match is not one of our tags")
            .hint("send the ETag of the tenant as it stands, with its quotes")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<i64>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, text.parse().unwrap());
        expected_version(&headers)
    }

    #[test]
    fn a_tag_reads_back() {
        assert_eq!(read(etag(42).to_str().unwrap()).unwrap(), Some(42));
        assert_eq!(read("*").unwrap(), None);
        assert_eq!(expected_version(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn other_tags_are_refused_rather_than_ignored() {
        for text in ["42", "W/\"42\"", "\"abc\"", "\"1\", \"2\""] {
            assert_eq!(read(text).unwrap_err().kind(), ProblemKind::InvalidHeader, "{text}");
        }
    }
}
