//! What a request to `/sql` asks for: one statement, or a batch in one transaction.

use super::bounded::Bounded;
use super::failure::Failure;
use super::params;
use crate::error::Refusal;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use tenancy::ErrorKind;

/// Results as PostgreSQL's text rather than as JSON values.
pub const RAW_TEXT_OUTPUT: &str = "neon-raw-text-output";
/// Rows as arrays rather than as objects.
pub const ARRAY_MODE: &str = "neon-array-mode";
/// The isolation level of a batch.
pub const BATCH_ISOLATION_LEVEL: &str = "neon-batch-isolation-level";
/// A batch that only reads.
pub const BATCH_READ_ONLY: &str = "neon-batch-read-only";
/// A read-only, serializable batch that waits rather than fails.
pub const BATCH_DEFERRABLE: &str = "neon-batch-deferrable";

/// Bind counts parameters in 16 bits; one more is refused when it is written
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-BIND>).
const PARAMS_MAX: usize = 65_535;

/// Statements in one batch. Each costs some hundred bytes before it is sent, however short it is.
const STATEMENTS_MAX: usize = 10_000;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mode {
    /// Every value as the text that PostgreSQL sent.
    pub raw: bool,
    /// Rows as arrays.
    pub array: bool,
}

/// One statement.
#[derive(Debug)]
pub struct Statement<'a> {
    /// Its text.
    pub sql: Cow<'a, str>,
    /// Its parameters as text; `None` is NULL.
    pub params: Vec<Option<Cow<'a, str>>>,
    /// How its result is written.
    pub mode: Mode,
}

/// What a batch's transaction is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transaction {
    isolation: Option<Isolation>,
    read_only: bool,
    deferrable: bool,
}

/// A request's work.
#[derive(Debug)]
pub struct Work<'a> {
    /// The statements in order; without a transaction there is exactly one.
    pub statements: Vec<Statement<'a>>,
    /// All of them, or none.
    pub transaction: Option<Transaction>,
}

/// Isolation levels by the header's word.
const ISOLATION_LEVELS: [(&str, &str); 4] = [
    ("ReadUncommitted", "READ UNCOMMITTED"),
    ("ReadCommitted", "READ COMMITTED"),
    ("RepeatableRead", "REPEATABLE READ"),
    ("Serializable", "SERIALIZABLE"),
];

/// One of [`ISOLATION_LEVELS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Isolation {
    header: &'static str,
    sql: &'static str,
}

/// What the body may hold. Keys that we do not know are other versions' business.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    query: Option<Text<'a>>,
    #[serde(borrow)]
    params: Option<Bounded<&'a RawValue, PARAMS_MAX>>,
    #[serde(rename = "arrayMode")]
    array_mode: Option<bool>,
    #[serde(borrow)]
    queries: Option<Bounded<Query<'a>, STATEMENTS_MAX>>,
}

#[derive(Deserialize)]
struct Query<'a> {
    #[serde(borrow)]
    query: Text<'a>,
    #[serde(borrow)]
    params: Option<Bounded<&'a RawValue, PARAMS_MAX>>,
    #[serde(rename = "arrayMode")]
    array_mode: Option<bool>,
}

/// Borrowed from the body unless it has escapes; `Option<Cow>` alone would always copy.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads a request.
///
/// # Errors
/// A body that is not what the contract says, an unknown isolation level, an array nested too deeply.
pub fn parse<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Work<'a>, Failure> {
    let mode = Mode { raw: is_true(headers, RAW_TEXT_OUTPUT), array: is_true(headers, ARRAY_MODE) };
    let body: Body<'a> = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("the request's body is not valid: {error}")))?;
    match (body.query, body.queries) {
        (Some(query), _) => {
            let query = Query { query, params: body.params, array_mode: body.array_mode };
            Ok(Work { statements: vec![statement(query, mode)?], transaction: None })
        }
        (None, Some(queries)) => {
            if queries.is_over() {
                return Err(too_many_statements());
            }
            let statements: Result<_, _> =
                queries.0.into_iter().map(|query| statement(query, mode)).collect();
            Ok(Work { statements: statements?, transaction: Some(Transaction::parse(headers)?) })
        }
        (None, None) => Err(invalid("the request's body has neither a query nor queries")),
    }
}

fn statement(query: Query<'_>, mode: Mode) -> Result<Statement<'_>, Failure> {
    let params =
        query.params.unwrap_or_default().0.into_iter().map(params::to_text).collect::<Result<_, _>>()?;
    let mode = Mode { array: query.array_mode.unwrap_or(mode.array), ..mode };
    Ok(Statement { sql: query.query.0, params, mode })
}

impl Transaction {
    fn parse(headers: &HeaderMap) -> Result<Self, Failure> {
        let isolation = match headers.get(BATCH_ISOLATION_LEVEL) {
            None => None,
            Some(value) => {
                let level = ISOLATION_LEVELS.iter().find(|(word, _)| value.as_bytes() == word.as_bytes());
                let Some((header, sql)) = level else {
                    return Err(invalid(
                        "Neon-Batch-Isolation-Level is none of ReadUncommitted, ReadCommitted, RepeatableRead \
                         and Serializable",
                    ));
                };
                Some(Isolation { header, sql })
            }
        };
        Ok(Self {
            isolation,
            read_only: is_true(headers, BATCH_READ_ONLY),
            deferrable: is_true(headers, BATCH_DEFERRABLE),
        })
    }

    /// The statement that begins it; `read_only` if the whole request may only read.
    #[must_use]
    pub fn begin(&self, read_only: bool) -> String {
        let mut sql = String::from("BEGIN");
        if let Some(isolation) = self.isolation {
            sql.push_str(" ISOLATION LEVEL ");
            sql.push_str(isolation.sql);
        }
        for (wanted, words) in [(self.read_only || read_only, " READ ONLY"), (self.deferrable, " DEFERRABLE")]
        {
            if wanted {
                sql.push_str(words);
            }
        }
        sql
    }

    /// Says in the response which of the headers were heeded.
    pub fn echo(&self, headers: &mut HeaderMap) {
        if let Some(isolation) = self.isolation {
            headers.insert(BATCH_ISOLATION_LEVEL, HeaderValue::from_static(isolation.header));
        }
        for (heeded, name) in [(self.read_only, BATCH_READ_ONLY), (self.deferrable, BATCH_DEFERRABLE)] {
            if heeded {
                headers.insert(name, HeaderValue::from_static("true"));
            }
        }
    }
}

/// The contract's one way to say yes.
fn is_true(headers: &HeaderMap, name: &str) -> bool {
    headers.get(name).is_some_and(|value| value.as_bytes() == b"true")
}

fn too_many_statements() -> Failure {
    let message = format!("a batch has at most {STATEMENTS_MAX} statements");
    Refusal::new(ErrorKind::TooLarge, message).hint("send several batches").into()
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Failure {
    Refusal::new(ErrorKind::ProtocolViolation, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::StatusCode;

    fn headers(values: &[(&'static str, &'static str)]) -> HeaderMap {
        values
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_single_statement_with_and_without_parameters() {
        let body = br#"{"query":"select $1","params":["a\nb",2,null],"unknown":[1]}"#;
        let work = parse(&headers(&[(ARRAY_MODE, "true")]), body).expect("a good request");
        let statement = &work.statements[0];
        assert_eq!(statement.sql, "select $1");
        assert!(matches!(statement.sql, Cow::Borrowed(_)));
        assert_eq!(statement.params, [Some("a\nb".into()), Some("2".into()), None]);
        assert_eq!(statement.mode, Mode { raw: false, array: true });
        assert!(work.transaction.is_none());
        for body in [&br#"{"query":""}"#[..], br#"{"query":"","params":null}"#] {
            assert!(parse(&HeaderMap::new(), body).expect("no parameters").statements[0].params.is_empty());
        }
    }

    #[test]
    fn a_querys_own_array_mode_wins() {
        let body = br#"{"queries":[{"query":"a","arrayMode":false},{"query":"b"}]}"#;
        let work =
            parse(&headers(&[(ARRAY_MODE, "true"), (RAW_TEXT_OUTPUT, "true")]), body).expect("a batch");
        let modes: Vec<_> = work.statements.iter().map(|statement| statement.mode).collect();
        assert_eq!(modes, [Mode { raw: true, array: false }, Mode { raw: true, array: true }]);
        assert_eq!(work.transaction, Some(Transaction::default()));
    }

    #[test]
    fn a_batchs_headers_shape_its_transaction_and_are_echoed() {
        let asked = headers(&[
            (BATCH_ISOLATION_LEVEL, "Serializable"),
            (BATCH_READ_ONLY, "true"),
            (BATCH_DEFERRABLE, "true"),
        ]);
        let transaction = Transaction::parse(&asked).expect("good headers");
        assert_eq!(transaction.begin(false), "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE");
        let mut echoed = HeaderMap::new();
        transaction.echo(&mut echoed);
        assert_eq!(echoed, asked);
    }

    #[test]
    fn only_the_word_true_is_true() {
        let asked = headers(&[(BATCH_READ_ONLY, "TRUE"), (BATCH_DEFERRABLE, "1")]);
        let transaction = Transaction::parse(&asked).expect("not heeded");
        assert_eq!(transaction.begin(false), "BEGIN");
        assert_eq!(transaction.begin(true), "BEGIN READ ONLY");
        let mut echoed = HeaderMap::new();
        transaction.echo(&mut echoed);
        assert!(echoed.is_empty());
    }

    #[test]
    fn a_batch_is_bounded() {
        let batch = |count| format!(r#"{{"queries":[{}]}}"#, vec![r#"{"query":""}"#; count].join(","));
        let parsed =
            |count| parse(&HeaderMap::new(), batch(count).as_bytes()).map(|work| work.statements.len());
        assert_eq!(parsed(STATEMENTS_MAX).ok(), Some(STATEMENTS_MAX));
        let failure = parsed(STATEMENTS_MAX + 5).expect_err("too many");
        assert_eq!(failure.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn what_is_no_request_is_a_400() {
        for body in
            [&b"select 1"[..], b"{}", br#"{"query":1}"#, br#"{"queries":[{}]}"#, b"{\"query\":\"\xff\"}"]
        {
            let failure = parse(&HeaderMap::new(), body).expect_err("not a request");
            assert_eq!(failure.status(), StatusCode::BAD_REQUEST);
        }
        assert!(Transaction::parse(&headers(&[(BATCH_ISOLATION_LEVEL, "serializable")])).is_err());
    }
}
