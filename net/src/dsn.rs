//! The words about TLS in a connection string, which the driver knows only some of: they are taken out, and the rest
//! is left as it is.

use tenancy::TlsMode;

/// What a connection string says about TLS, by libpq's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsWords {
    /// `sslmode`. libpq's `allow` and `prefer` are refused: they go on in clear when somebody in between says no.
    pub mode: Option<TlsMode>,
    /// `sslrootcert`: the file with the authorities' certificates.
    pub ca_file: Option<String>,
}

/// Why a connection string cannot be used. Never repeats any of it: every part may be a misplaced password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DsnError {
    /// Its form is neither that of a URL nor of `key=value` pairs.
    #[error("it is not a connection string")]
    Malformed,
    /// Its `sslmode` is none of ours.
    #[error("its sslmode is none of disable, require, verify-ca and verify-full")]
    Mode,
}

/// Takes the words about TLS out of a connection string, and returns the rest with them.
///
/// # Errors
/// See [`DsnError`].
pub fn without_tls(text: &str) -> Result<(String, TlsWords), DsnError> {
    let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    if is_url { from_url(text) } else { from_pairs(text) }
}

impl TlsWords {
    /// Is this one of the words? Then it is taken in.
    fn take(&mut self, key: &str, value: &str) -> Result<bool, DsnError> {
        match key {
            "sslmode" => self.mode = Some(value.parse().map_err(|_unknown| DsnError::Mode)?),
            "sslrootcert" => self.ca_file = Some(value.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn from_url(text: &str) -> Result<(String, TlsWords), DsnError> {
    let mut words = TlsWords::default();
    let Some((front, query)) = text.split_once('?') else { return Ok((text.to_owned(), words)) };
    let mut kept = Vec::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !words.take(key, &percent_decoded(value)?)? {
            kept.push(pair);
        }
    }
    let rest = if kept.is_empty() { front.to_owned() } else { format!("{front}?{}", kept.join("&")) };
    Ok((rest, words))
}

/// RFC 3986 §2.1.
fn percent_decoded(text: &str) -> Result<String, DsnError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = after.split_at_checked(2).ok_or(DsnError::Malformed)?;
        let digits = std::str::from_utf8(digits).map_err(|_| DsnError::Malformed)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| DsnError::Malformed)?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| DsnError::Malformed)
}

/// `key = value` pairs with blanks between, values perhaps in single quotes, backslashes before what is meant as it is
/// (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE>).
fn from_pairs(text: &str) -> Result<(String, TlsWords), DsnError> {
    let (mut words, mut kept) = (TlsWords::default(), Vec::new());
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or(DsnError::Malformed)?;
        let after = after.trim_start();
        let (value, length) = value(after)?;
        let end = rest.len() - after.len() + length;
        let (pair, following) = rest.split_at_checked(end).ok_or(DsnError::Malformed)?;
        if !words.take(key.trim(), &value)? {
            kept.push(pair);
        }
        rest = following.trim_start();
    }
    Ok((kept.join(" "), words))
}

/// The value that `text` begins with, and how long it is written.
fn value(text: &str) -> Result<(String, usize), DsnError> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => value.push(chars.next().ok_or(DsnError::Malformed)?.1),
            '\'' if quoted => return Ok((value, at + 1)),
            _ if !quoted && char.is_whitespace() => return Ok((value, at)),
            _ => value.push(char),
        }
    }
    if quoted { Err(DsnError::Malformed) } else { Ok((value, text.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (String, Option<TlsMode>, Option<String>) {
        let (rest, words) = without_tls(text).unwrap();
        (rest, words.mode, words.ca_file)
    }

    #[test]
    fn a_url_keeps_all_but_the_words_about_tls() {
        let text =
            "postgres://u:p@h/d?sslmode=verify-full&connect_timeout=3&sslrootcert=%2Fetc%2Fca%20file.pem";
        let rest = "postgres://u:p@h/d?connect_timeout=3".to_owned();
        assert_eq!(split(text), (rest, Some(TlsMode::VerifyFull), Some("/etc/ca file.pem".to_owned())));
        let rest = "postgresql://h/d".to_owned();
        assert_eq!(split("postgresql://h/d?sslmode=disable"), (rest, Some(TlsMode::Disable), None));
        let plain = "postgres://u:a%3Fb@h/d";
        assert_eq!(split(plain), (plain.to_owned(), None, None));
    }

    #[test]
    fn pairs_keep_all_but_the_words_about_tls_however_they_are_written() {
        let text = r"host=h  sslmode = 'verify-ca' password='a b\' sslmode=require' sslrootcert=/a\ b user=u";
        let (rest, words) = without_tls(text).unwrap();
        assert_eq!(rest, r"host=h password='a b\' sslmode=require' user=u");
        assert_eq!(words, TlsWords { mode: Some(TlsMode::VerifyCa), ca_file: Some("/a b".to_owned()) });
        assert_eq!(split("").0, "");
    }

    #[test]
    fn what_goes_on_in_clear_is_refused_and_so_is_what_cannot_be_read() {
        for text in ["host=h sslmode=prefer", "postgres://h/d?sslmode=allow", "sslmode="] {
            assert_eq!(without_tls(text), Err(DsnError::Mode), "{text}");
        }
        for text in ["host", "host='h", r"host=h\", "postgres://h/d?sslrootcert=%g1"] {
            assert_eq!(without_tls(text), Err(DsnError::Malformed), "{text}");
        }
    }
}
