//! Paths with names that people typed.

/// Joins segments to a path below `/v1`. What could end a segment or begin a query is escaped, so a
/// name typed wrongly is answered with "not found" and never reaches another resource.
#[must_use]
pub fn path(segments: &[&str]) -> String {
    segments.iter().fold("/v1".to_owned(), |path, segment| path + "/" + &escape(segment))
}

pub(crate) fn escape(text: &str) -> String {
    // A segment of dots alone would climb.
    let dots_alone = text.bytes().all(|byte| byte == b'.');
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && !dots_alone) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_name_stays_within_its_segment() {
        assert_eq!(path(&["tenants", "acme", "credentials"]), "/v1/tenants/acme/credentials");
        assert_eq!(path(&["tenants", "../regions?x"]), "/v1/tenants/..%2Fregions%3Fx");
        assert_eq!(path(&["tenants", ".."]), "/v1/tenants/%2E%2E");
    }
}
