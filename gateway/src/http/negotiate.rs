//! What form of answer a client accepts: RFC 9110 §12.5.

use super::failure::Failure;
use crate::error::Refusal;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName, HeaderValue};
use tenancy::ErrorKind;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON text, as the contract of `@neondatabase/serverless` has it.
    Json,
    /// A JSON text a line, each with one key that says what it is.
    Ndjson,
    /// A header row and rows (RFC 4180).
    Csv,
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Format {
    /// By media type; the first of those that are wanted equally is given.
    const OFFERED: [(Self, &'static str); 4] = [
        (Self::Json, "application/json"),
        (Self::Ndjson, "application/x-ndjson"),
        (Self::Ndjson, "application/ndjson"),
        (Self::Csv, "text/csv"),
    ];

    /// The one that the client wants most. JSON if it does not say.
    ///
    /// # Errors
    /// It accepts none of them.
    pub fn wanted(headers: &HeaderMap) -> Result<Self, Failure> {
        if !headers.contains_key(ACCEPT) {
            return Ok(Self::Json);
        }
        let offers = Self::OFFERED.map(|(format, media_type)| {
            (format, weight(headers, ACCEPT, |range| specificity_of(range, media_type)))
        });
        best(offers).ok_or_else(none_accepted)
    }

    /// The header's value.
    #[must_use]
    pub const fn content_type(self) -> HeaderValue {
        match self {
            Self::Json => HeaderValue::from_static("application/json"),
            Self::Ndjson => HeaderValue::from_static("application/x-ndjson"),
            Self::Csv => HeaderValue::from_static("text/csv; charset=utf-8; header=present"),
        }
    }
}

impl Encoding {
    /// The cheapest first.
    const OFFERED: [(Self, &'static str); 3] =
        [(Self::Zstd, "zstd"), (Self::Brotli, "br"), (Self::Gzip, "gzip")];

    /// The one that the client wants most; none if it accepts none.
    #[must_use]
    pub fn wanted(headers: &HeaderMap) -> Option<Self> {
        best(Self::OFFERED.map(|(encoding, name)| {
            let specificity = |range: &str| match range {
                "*" => Some(0),
                range => range.eq_ignore_ascii_case(name).then_some(1),
            };
            (encoding, weight(headers, ACCEPT_ENCODING, specificity))
        }))
    }

    /// The header's value.
    #[must_use]
    pub const fn name(self) -> HeaderValue {
        match self {
            Self::Zstd => HeaderValue::from_static("zstd"),
            Self::Brotli => HeaderValue::from_static("br"),
            Self::Gzip => HeaderValue::from_static("gzip"),
        }
    }
}

/// The first of the largest weights that are not nothing.
fn best<T: Copy, const N: usize>(offers: [(T, u16); N]) -> Option<T> {
    let most = offers.iter().map(|(_, weight)| *weight).max().filter(|most| *most > 0)?;
    offers.iter().find(|(_, weight)| *weight == most).map(|(offer, _)| *offer)
}

/// How much an offer is wanted, in thousandths: what the most specific range says that it falls into, and nothing if it
/// falls into none. `specificity` tells how closely a range fits; the closest has the largest number.
fn weight(headers: &HeaderMap, name: HeaderName, specificity: impl Fn(&str) -> Option<u8>) -> u16 {
    let values = headers.get_all(name);
    let items = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let fitting = items.filter_map(|item| {
        let (range, parameters) = item.split_once(';').unwrap_or((item, ""));
        Some((specificity(range.trim())?, quality(parameters)))
    });
    fitting.max_by_key(|(closeness, _)| *closeness).map_or(0, |(_, quality)| quality)
}

fn specificity_of(range: &str, media_type: &str) -> Option<u8> {
    if range == "*/*" {
        return Some(0);
    }
    if let Some(main) = range.strip_suffix("/*") {
        return media_type.split('/').next().is_some_and(|own| own.eq_ignore_ascii_case(main)).then_some(1);
    }
    range.eq_ignore_ascii_case(media_type).then_some(2)
}

/// `q`, in thousandths; 1 if it is not there or cannot be read.
fn quality(parameters: &str) -> u16 {
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    value.and_then(thousandths).unwrap_or(1_000)
}

/// `0`, `0.5`, `1.000`: RFC 9110 §12.4.2.
fn thousandths(value: &str) -> Option<u16> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let digits = !fraction.bytes().any(|byte| !byte.is_ascii_digit()) && fraction.len() <= 3;
    match (whole, digits) {
        ("1", true) => Some(1_000),
        ("0", true) => format!("{fraction:0<3}").parse().ok(),
        _ => None,
    }
}

fn none_accepted() -> Failure {
    Refusal::new(ErrorKind::NotAcceptable, "the client accepts no format that results come in")
        .hint("accept application/json, application/x-ndjson or text/csv")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(value).expect("a value");
        HeaderMap::from_iter([(name.parse().expect("a name"), value)])
    }

    #[test]
    fn the_format_is_the_one_wanted_most() {
        assert_eq!(Format::wanted(&HeaderMap::new()).ok(), Some(Format::Json));
        for (accept, expected) in [
            ("*/*", Some(Format::Json)),
            ("application/json", Some(Format::Json)),
            ("application/x-ndjson", Some(Format::Ndjson)),
            ("Application/NDJSON", Some(Format::Ndjson)),
            ("text/csv", Some(Format::Csv)),
            ("text/*", Some(Format::Csv)),
            ("application/*", Some(Format::Json)),
            ("text/html, */*;q=0.1", Some(Format::Json)),
            ("text/csv;q=0.5, application/x-ndjson; q=0.9", Some(Format::Ndjson)),
            ("*/*, application/json;q=0", Some(Format::Ndjson)),
            ("text/html", None),
            ("application/json;q=0", None),
        ] {
            assert_eq!(Format::wanted(&headers("accept", accept)).ok(), expected, "{accept}");
        }
    }

    #[test]
    fn who_accepts_no_format_hears_which_there_are() {
        let failure = Format::wanted(&headers("accept", "image/png")).expect_err("no pictures");
        assert_eq!(failure.status().as_u16(), 406);
    }

    #[test]
    fn the_encoding_is_the_one_wanted_most() {
        assert_eq!(Encoding::wanted(&HeaderMap::new()), None);
        for (accept, expected) in [
            ("gzip, deflate", Some(Encoding::Gzip)),
            ("gzip, deflate, br", Some(Encoding::Brotli)),
            ("gzip, deflate, br, zstd", Some(Encoding::Zstd)),
            ("*", Some(Encoding::Zstd)),
            ("br;q=0.5, gzip", Some(Encoding::Gzip)),
            ("*, zstd;q=0, br;q=0.0", Some(Encoding::Gzip)),
            ("identity", None),
            ("gzip;q=0", None),
            ("", None),
        ] {
            assert_eq!(Encoding::wanted(&headers("accept-encoding", accept)), expected, "{accept}");
        }
    }

    #[test]
    fn a_weight_has_three_digits_at_most() {
        for (value, expected) in [
            ("1", Some(1_000)),
            ("0.05", Some(50)),
            ("0.123", Some(123)),
            ("0", Some(0)),
            ("1.", Some(1_000)),
            ("0.1234", None),
            ("2", None),
            ("-1", None),
            ("0.x", None),
        ] {
            assert_eq!(thousandths(value), expected, "{value}");
        }
    }
}
