//! Results in the client's format, written as they arrive: a row is copied once, from the server's message into the
//! part of the body that is taken next.
//!
//! What is written here is bounded by whoever takes it, and by one row. A body may not grow past its bound as a whole
//! either, also when its beginning has long been sent.

mod csv;
mod json;

use super::failure::ErrorBody;
use super::fault::WriteFailure;
use super::negotiate::Format;
use super::request::Mode;
use pgwire::backend::{DataRow, RowDescription};

/// What most results fit into.
const BODY_BYTES: usize = 1024;

/// How much there may be of a result.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The largest body, in bytes.
    pub bytes_max: usize,
    /// The largest row, in bytes: as the server sends it, and as it is written, which may be six times as much.
    pub row_bytes_max: usize,
}

/// The body of a response in the making.
pub struct Results {
    body: Vec<u8>,
    /// Bytes of it that were taken.
    taken: usize,
    bounds: Bounds,
    format: Format,
    batch: bool,
    modes: std::vec::IntoIter<Mode>,
    mode: Mode,
    columns: Vec<Column>,
    rows: u64,
    results: u64,
}

struct Column {
    /// The name as a JSON text.
    name: Vec<u8>,
    type_oid: u32,
    /// An object has one value of a name: the last, as JavaScript has it.
    shadowed: bool,
}

impl Results {
    /// An empty body for statements with these modes.
    #[must_use]
    pub fn new(format: Format, batch: bool, modes: Vec<Mode>, bounds: Bounds) -> Self {
        let mut body = Vec::with_capacity(BODY_BYTES);
        if batch && format == Format::Json {
            body.extend_from_slice(b"{\"results\":[");
        }
        Self {
            body,
            taken: 0,
            bounds,
            format,
            batch,
            modes: modes.into_iter(),
            mode: Mode::default(),
            columns: Vec::new(),
            rows: 0,
            results: 0,
        }
    }

    /// How much there may be of it.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Bytes that wait to be taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Nothing waits to be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// The format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// What there is of the body and was not taken yet. `room`: about how much the next part will have.
    pub fn take(&mut self, room: usize) -> Vec<u8> {
        self.taken = self.taken.saturating_add(self.body.len());
        std::mem::replace(&mut self.body, Vec::with_capacity(room))
    }

    /// The next statement's columns are known.
    ///
    /// # Errors
    /// See [`WriteFailure`].
    pub fn columns(&mut self, description: RowDescription<'_>) -> Result<(), WriteFailure> {
        self.begin();
        match self.format {
            Format::Json | Format::Ndjson => {
                json::fields(&mut self.body, &mut self.columns, description)?;
                if !self.mode.array {
                    json::shadow(&mut self.columns);
                }
            }
            Format::Csv => csv::header(&mut self.body, &mut self.columns, description)?,
        }
        self.begin_rows()
    }

    /// The next statement has no columns.
    ///
    /// # Errors
    /// See [`WriteFailure`].
    pub fn no_columns(&mut self) -> Result<(), WriteFailure> {
        self.begin();
        self.begin_rows()
    }

    /// A row.
    ///
    /// # Errors
    /// See [`WriteFailure`].
    pub fn row(&mut self, row: DataRow<'_>) -> Result<(), WriteFailure> {
        let Bounds { bytes_max, row_bytes_max } = self.bounds;
        let body_max = bytes_max.saturating_sub(self.taken);
        let row_end = self.body.len().saturating_add(row_bytes_max);
        match self.write_row(row, body_max.min(row_end)) {
            Err(WriteFailure::TooLarge) if row_end < body_max => {
                Err(WriteFailure::RowTooLarge { bytes_max: row_bytes_max })
            }
            written => written,
        }
    }

    fn write_row(&mut self, row: DataRow<'_>, body_max: usize) -> Result<(), WriteFailure> {
        let (columns, mode) = (&self.columns, self.mode);
        match self.format {
            Format::Json => {
                if self.rows > 0 {
                    self.body.push(b',');
                }
                json::row(&mut self.body, columns, mode, row, body_max)?;
            }
            Format::Ndjson => {
                self.body.extend_from_slice(b"{\"row\":");
                json::row(&mut self.body, columns, mode, row, body_max)?;
                self.body.extend_from_slice(b"}\n");
            }
            Format::Csv => csv::row(&mut self.body, columns.len(), row, body_max)?,
        }
        self.rows += 1;
        self.check_size()
    }

    /// The statement has ended; `tag` is the server's, such as `INSERT 0 1`, empty for an empty query.
    ///
    /// # Errors
    /// See [`WriteFailure`].
    pub fn complete(&mut self, tag: &[u8]) -> Result<(), WriteFailure> {
        let tag = utf8(tag)?;
        match self.format {
            Format::Json => {
                self.body.extend_from_slice(b"],");
                json::command(&mut self.body, tag);
                json::row_as_array(&mut self.body, self.mode);
            }
            Format::Ndjson => {
                self.body.extend_from_slice(b"{\"complete\":{");
                json::command(&mut self.body, tag);
                self.body.extend_from_slice(b"}}\n");
            }
            Format::Csv => {}
        }
        self.check_size()
    }

    /// All statements have ended well, and so has their transaction.
    pub fn finish(&mut self) {
        match self.format {
            Format::Json if self.batch => self.body.extend_from_slice(b"]}"),
            Format::Ndjson => json::end(&mut self.body, self.results),
            Format::Json | Format::Csv => {}
        }
    }

    /// Ends a body that was begun with an error in place of the rest, where the format can tell one from a result.
    /// `false`: it cannot.
    pub fn fail(&mut self, error: &ErrorBody) -> bool {
        if self.format != Format::Ndjson {
            return false;
        }
        // What was written of a row that is too large has no room kept for it.
        self.body = Vec::new();
        json::error(&mut self.body, error);
        true
    }

    fn begin(&mut self) {
        if self.results > 0 && self.format == Format::Json {
            self.body.push(b',');
        }
        self.results += 1;
        self.rows = 0;
        self.columns.clear();
        self.mode = self.modes.next().unwrap_or_default();
        if self.format != Format::Csv {
            self.body.extend_from_slice(b"{\"fields\":[");
        }
    }

    fn begin_rows(&mut self) -> Result<(), WriteFailure> {
        match self.format {
            Format::Json => self.body.extend_from_slice(b"],\"rows\":["),
            Format::Ndjson => {
                self.body.push(b']');
                json::row_as_array(&mut self.body, self.mode);
                self.body.push(b'\n');
            }
            Format::Csv => {}
        }
        self.check_size()
    }

    fn check_size(&self) -> Result<(), WriteFailure> {
        let all = self.taken.saturating_add(self.body.len());
        if all > self.bounds.bytes_max { Err(WriteFailure::TooLarge) } else { Ok(()) }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, WriteFailure> {
    std::str::from_utf8(bytes).map_err(|_invalid| WriteFailure::NotUtf8)
}

#[cfg(test)]
mod tests;
