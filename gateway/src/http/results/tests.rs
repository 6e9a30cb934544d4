use super::*;
use pgwire::backend::{data_row, row_description};
use serde_json::{Value, json};

const RAW_ARRAYS: Mode = Mode { raw: true, array: true };
const OBJECTS: Mode = Mode { raw: false, array: false };

fn results(format: Format, batch: bool, modes: &[Mode], bytes_max: usize) -> Results {
    Results::new(format, batch, modes.to_vec(), Bounds { bytes_max, row_bytes_max: 1_000 })
}

fn description(columns: &[(&str, u32)]) -> Vec<u8> {
    let mut body = u16::try_from(columns.len()).expect("few").to_be_bytes().to_vec();
    for (name, oid) in columns {
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"\0\0\0\0\x07\0\x02");
        body.extend_from_slice(&oid.to_be_bytes());
        body.extend_from_slice(b"\0\x04\xff\xff\xff\xff\0\0");
    }
    body
}

fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).expect("few").to_be_bytes().to_vec();
    for value in values {
        let length = value.map_or(-1, |value| i32::try_from(value.len()).expect("short"));
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(value.unwrap_or_default());
    }
    body
}

/// Writes one result with these columns and rows.
fn write(results: &mut Results, columns: &[(&str, u32)], rows: &[&[Option<&[u8]>]], tag: &[u8]) {
    results.columns(row_description(&description(columns)).expect("good")).expect("fits");
    for values in rows {
        results.row(data_row(&row(values)).expect("good")).expect("fits");
    }
    results.complete(tag).expect("fits");
}

fn text(mut results: Results) -> String {
    results.finish();
    String::from_utf8(results.take(0)).expect("text")
}

fn parsed(results: Results) -> Value {
    serde_json::from_str(&text(results)).expect("JSON")
}

#[test]
fn a_single_result_has_the_contracts_form() {
    let mut results = results(Format::Json, false, &[RAW_ARRAYS], 10_000);
    write(&mut results, &[("n", 23)], &[&[Some(b"42")], &[None]], b"SELECT 2");
    let expected = json!({
        "fields": [{"name": "n", "dataTypeID": 23, "tableID": 7, "columnID": 2, "dataTypeSize": 4,
                    "dataTypeModifier": -1, "format": "text"}],
        "rows": [["42"], [null]], "command": "SELECT", "rowCount": 2, "rowAsArray": true,
    });
    assert_eq!(parsed(results), expected);
}

#[test]
fn in_objects_the_last_column_of_a_name_wins() {
    let mut results = results(Format::Json, false, &[OBJECTS], 10_000);
    let columns = [("a", 23), ("b\"", 25), ("a", 16)];
    write(&mut results, &columns, &[&[Some(b"1"), Some(b"x"), Some(b"t")]], b"SELECT 1");
    assert_eq!(parsed(results)["rows"], json!([{"a": true, "b\"": "x"}]));
}

#[test]
fn a_batch_holds_its_results_in_order() {
    let mut batch = results(Format::Json, true, &[RAW_ARRAYS, OBJECTS], 10_000);
    for tag in [&b"CREATE TABLE"[..], b"INSERT 0 3"] {
        batch.no_columns().expect("fits");
        batch.complete(tag).expect("fits");
    }
    let expected = json!({"results": [
        {"fields": [], "rows": [], "command": "CREATE", "rowCount": null, "rowAsArray": true},
        {"fields": [], "rows": [], "command": "INSERT", "rowCount": 3, "rowAsArray": false},
    ]});
    assert_eq!(parsed(batch), expected);
    assert_eq!(parsed(results(Format::Json, true, &[], 100)), json!({"results": []}));
}

#[test]
fn by_lines_each_line_says_what_it_is() {
    let mut results = results(Format::Ndjson, true, &[OBJECTS, RAW_ARRAYS], 10_000);
    write(&mut results, &[("end", 23)], &[&[Some(b"1")], &[Some(b"2")]], b"SELECT 2");
    results.no_columns().expect("fits");
    results.complete(b"DELETE 7").expect("fits");
    let text = text(results);
    assert!(text.ends_with('\n'));
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!(lines[0]["fields"][0]["name"], "end");
    let expected = [
        json!({"row": {"end": 1}}),
        json!({"row": {"end": 2}}),
        json!({"complete": {"command": "SELECT", "rowCount": 2}}),
        json!({"fields": [], "rowAsArray": true}),
        json!({"complete": {"command": "DELETE", "rowCount": 7}}),
        json!({"end": {"results": 2}}),
    ];
    assert_eq!(lines[1..], expected);
}

#[test]
fn what_fails_by_lines_ends_with_the_error_in_place_of_the_end() {
    let mut lines = results(Format::Ndjson, false, &[OBJECTS], 10_000);
    lines.no_columns().expect("fits");
    lines.take(0);
    assert!(lines.fail(&ErrorBody::default()));
    let last: Value = serde_json::from_slice(&lines.take(0)).expect("one line");
    assert_eq!(last["error"].as_object().map(serde_json::Map::len), Some(17));
    for format in [Format::Json, Format::Csv] {
        assert!(!results(format, false, &[], 100).fail(&ErrorBody::default()));
    }
}

#[test]
fn csv_has_a_header_and_tells_null_from_nothing() {
    let mut results = results(Format::Csv, false, &[OBJECTS], 10_000);
    let rows: [&[Option<&[u8]>]; 2] = [&[Some(b"1"), Some(b"x,\"y\"")], &[None, Some(b"")]];
    write(&mut results, &[("a", 23), ("b b", 25)], &rows, b"SELECT 2");
    assert_eq!(text(results), "a,b b\r\n1,\"x,\"\"y\"\"\"\r\n,\"\"\r\n");
}

#[test]
fn the_body_is_bounded_and_never_holds_what_is_no_text() {
    for format in [Format::Json, Format::Ndjson, Format::Csv] {
        let columns = description(&[("a", 25)]);
        let mut results = results(format, false, &[RAW_ARRAYS], 200);
        results.columns(row_description(&columns).expect("good")).expect("fits");
        let large = row(&[Some(&[b'x'; 200])]);
        assert_eq!(results.row(data_row(&large).expect("good")), Err(WriteFailure::TooLarge));
        let latin1 = row(&[Some(b"\xe9")]);
        assert_eq!(results.row(data_row(&latin1).expect("good")), Err(WriteFailure::NotUtf8));
    }
}

/// A row is bounded as it is written too, however much is left of the body.
#[test]
fn a_row_that_grows_as_it_is_written_is_too_large() {
    let columns = description(&[("a", 25)]);
    let values = row(&[Some(&[1; 400])]);
    for (format, fits) in [(Format::Json, false), (Format::Ndjson, false), (Format::Csv, true)] {
        let mut results = results(format, false, &[RAW_ARRAYS], 1_000_000);
        results.columns(row_description(&columns).expect("good")).expect("fits");
        let written = results.row(data_row(&values).expect("good"));
        let refused = Err(WriteFailure::RowTooLarge { bytes_max: 1_000 });
        assert_eq!(written, if fits { Ok(()) } else { refused }, "{format:?}");
        if results.fail(&ErrorBody::default()) {
            assert!(results.take(0).capacity() < 1_000, "nothing is kept of it");
        }
    }
}

#[test]
fn what_was_taken_counts_towards_the_bound() {
    let columns = description(&[("a", 25)]);
    let mut results = results(Format::Csv, false, &[RAW_ARRAYS], 100);
    results.columns(row_description(&columns).expect("good")).expect("fits");
    let values = row(&[Some(&[b'x'; 40])]);
    for _ in 0..2 {
        results.row(data_row(&values).expect("good")).expect("fits");
        assert!(!results.take(0).is_empty() && results.is_empty());
    }
    assert_eq!(results.row(data_row(&values).expect("good")), Err(WriteFailure::TooLarge));
}

#[test]
fn a_row_has_as_many_values_as_there_are_columns() {
    for format in [Format::Json, Format::Csv] {
        for values in [&[][..], &[None, None]] {
            let mut results = results(format, false, &[OBJECTS], 10_000);
            results.columns(row_description(&description(&[("a", 25)])).expect("good")).expect("fits");
            let failed = results.row(data_row(&row(values)).expect("good"));
            assert_eq!(failed, Err(WriteFailure::Malformed));
        }
    }
}
