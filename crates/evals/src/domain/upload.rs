//! Reading an upload piece by piece: CSV (RFC 4180), a JSON array of objects, or JSON Lines. However large
//! it is, no more of it is held than the row that is being read.

use bitting_keys::domain::{json_input, key::Name};
use csv_core::{ReadFieldResult, Reader as CsvReader};
use serde_json::Value;

use crate::domain::{
    csv,
    dataset::{Cells, ColumnRole, Columns, DatasetRow, MAX_ROW_BYTES, MAX_ROWS},
};

/// The form of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, the names of the columns in the first line.
    Csv,
    /// An array of objects.
    Json,
    /// An object on each line.
    JsonLines,
}

/// A fault of an upload, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The row, from 1; 0 is the line with the columns' names.
    pub row: i64,
    /// The column, if one can be named.
    pub column: Option<String>,
    /// The fault, for people.
    pub message: String,
}

/// Reads one upload.
pub struct Upload {
    /// The rest of a byte order mark that may still come.
    mark: &'static [u8],
    columns: Columns,
    rows: i64,
    source: Source,
}

enum Source {
    Csv(Box<Csv>),
    Json(Json),
}

struct Csv {
    reader: CsvReader,
    quotes: Quotes,
    /// The row in which the last quoted field begins.
    quoted_row: i64,
    field: Vec<u8>,
    record: Vec<Value>,
    bytes: usize,
    /// The columns' ids in the order of the file, once its first line was read.
    header: Option<Vec<u32>>,
}

/// The place of the last byte in a field of CSV. The reader takes faults of quotes without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// Before a field.
    Before,
    /// In a field without quotes.
    Without,
    /// In a field between quotes.
    Between,
    /// At a quote in such a field: it ends, or another follows and both stand for one.
    AtQuote,
}

/// Splits an array, or lines, into the texts of the rows; serde reads those.
struct Json {
    lines: bool,
    place: Place,
    depth: usize,
    in_string: bool,
    escaped: bool,
    text: Vec<u8>,
}

#[derive(PartialEq, Eq)]
enum Place {
    Before,
    Within,
    Behind,
}

impl Upload {
    /// The beginning of an upload.
    pub fn new(format: Format) -> Self {
        let json = |lines| {
            let place = if lines { Place::Within } else { Place::Before };
            Source::Json(Json { lines, place, depth: 0, in_string: false, escaped: false, text: Vec::new() })
        };
        let source = match format {
            Format::Csv => Source::Csv(Box::new(Csv {
                reader: CsvReader::new(),
                quotes: Quotes::Before,
                quoted_row: 0,
                field: Vec::new(),
                record: Vec::new(),
                bytes: 0,
                header: None,
            })),
            Format::Json => json(false),
            Format::JsonLines => json(true),
        };
        Self { mark: "\u{feff}".as_bytes(), columns: Columns::default(), rows: 0, source }
    }

    /// Takes the next bytes; puts the rows that they complete into `rows`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn push(&mut self, bytes: &[u8], rows: &mut Vec<Cells>) -> Result<(), BadRow> {
        let mut bytes = bytes;
        while let (Some((expected, mark)), Some((byte, rest))) = (self.mark.split_first(), bytes.split_first()) {
            let marks = expected == byte;
            self.mark = if marks { mark } else { &[] };
            bytes = if marks { rest } else { bytes };
        }
        match &mut self.source {
            Source::Csv(csv) => {
                let mut rest = bytes;
                // Without input the reader would take it for the end.
                while !rest.is_empty() {
                    let read = csv.read(rest, &mut self.columns, &mut self.rows, rows)?;
                    rest = rest.get(read..).unwrap_or_default();
                }
            }
            Source::Json(json) => {
                for byte in bytes {
                    if let Some(text) = json.take(*byte, self.rows)? {
                        self.rows += 1;
                        rows.push(parse(&text, &mut self.columns, self.rows)?);
                    }
                }
            }
        }
        Ok(())
    }

    /// The end of the upload; gives its columns and how many rows it had.
    ///
    /// # Errors
    /// A fault at its end.
    pub fn finish(mut self, rows: &mut Vec<Cells>) -> Result<(Columns, i64), BadRow> {
        match &mut self.source {
            Source::Csv(csv) => {
                // The first end completes a last line without a line break, the second is the end itself.
                for _ in 0..2 {
                    csv.read(&[], &mut self.columns, &mut self.rows, rows)?;
                }
                csv.check_closed()?;
                if csv.header.is_none() {
                    return Err(bad(0, "the file is empty: its first line must name the columns"));
                }
            }
            Source::Json(json) => {
                if let Some(text) = json.end(self.rows)? {
                    self.rows += 1;
                    rows.push(parse(&text, &mut self.columns, self.rows)?);
                }
            }
        }
        Ok((self.columns, self.rows))
    }
}

impl Csv {
    /// Reads as far as one field; gives how many bytes that took.
    fn read(
        &mut self,
        input: &[u8],
        columns: &mut Columns,
        count: &mut i64,
        rows: &mut Vec<Cells>,
    ) -> Result<usize, BadRow> {
        let mut buffer = [0; 4096];
        let (result, read, written) = self.reader.read_field(input, &mut buffer);
        self.check_quotes(input.get(..read).unwrap_or_default(), *count + i64::from(self.header.is_some()))?;
        self.field.extend_from_slice(buffer.get(..written).unwrap_or_default());
        self.bytes += written;
        if self.bytes > MAX_ROW_BYTES {
            self.check_closed()?;
            return Err(too_long(*count + i64::from(self.header.is_some())));
        }
        if let ReadFieldResult::Field { record_end } = result {
            let field = String::from_utf8(std::mem::take(&mut self.field));
            self.record.push(match field {
                Ok(text) if text.is_empty() && self.header.is_some() => Value::Null,
                Ok(text) => Value::String(csv::read(text)),
                Err(_) => {
                    let column = columns.iter().nth(self.record.len()).map(|column| column.name.as_str().to_owned());
                    let row = *count + i64::from(self.header.is_some());
                    return Err(BadRow { row, column, message: "is not UTF-8".to_owned() });
                }
            });
            if record_end {
                self.bytes = 0;
                self.end_record(columns, count, rows)?;
            }
        }
        Ok(read)
    }

    /// Follows the quotes of a row.
    fn check_quotes(&mut self, bytes: &[u8], row: i64) -> Result<(), BadRow> {
        for byte in bytes {
            self.quotes = match (self.quotes, byte) {
                (Quotes::Between, b'"') => Quotes::AtQuote,
                (Quotes::Between, _) | (Quotes::AtQuote, b'"') => Quotes::Between,
                (_, b',' | b'\n' | b'\r') => Quotes::Before,
                (Quotes::Before, b'"') => {
                    self.quoted_row = row;
                    Quotes::Between
                }
                (Quotes::AtQuote, _) => {
                    return Err(bad(
                        row,
                        "has text behind a closing quote; a quote in a quoted field is written twice",
                    ));
                }
                (Quotes::Before | Quotes::Without, _) => Quotes::Without,
            };
        }
        Ok(())
    }

    /// Checks that no field is left open.
    fn check_closed(&self) -> Result<(), BadRow> {
        if self.quotes == Quotes::Between {
            return Err(bad(self.quoted_row, "has a quote that is never closed"));
        }
        Ok(())
    }

    fn end_record(&mut self, columns: &mut Columns, count: &mut i64, rows: &mut Vec<Cells>) -> Result<(), BadRow> {
        let record = std::mem::take(&mut self.record);
        let Some(header) = &self.header else {
            let names = record.into_iter().enumerate().map(|(index, name)| {
                let name = name.as_str().unwrap_or_default().to_owned();
                let at = |message: String| BadRow { row: 0, column: Some(name.clone()), message };
                let name = Name::try_from(name.clone()).map_err(|why| at(format!("column {}: {why}", index + 1)))?;
                columns.add(name, ColumnRole::default()).map_err(at)
            });
            self.header = Some(names.collect::<Result<_, _>>()?);
            return Ok(());
        };
        *count += 1;
        check_count(*count)?;
        if record.len() != header.len() {
            return Err(bad(*count, format!("has {} fields, and the first line has {}", record.len(), header.len())));
        }
        let cells = header.iter().copied().zip(record);
        rows.push(cells.filter(|(_, value)| !value.is_null()).collect());
        Ok(())
    }
}

impl Json {
    /// Takes a byte; gives the text of the row that it ends. `row` is the number of the last one.
    fn take(&mut self, byte: u8, row: i64) -> Result<Option<Vec<u8>>, BadRow> {
        let blank = byte.is_ascii_whitespace();
        match self.place {
            Place::Before | Place::Behind if blank => return Ok(None),
            Place::Before if byte == b'[' => {
                self.place = Place::Within;
                return Ok(None);
            }
            Place::Before => return Err(bad(0, "must be a JSON array of objects")),
            Place::Behind => return Err(bad(row, "there is more text after the end of the array")),
            Place::Within => {}
        }
        if self.lines {
            if byte == b'\n' {
                return Ok(self.row());
            }
        } else if !self.in_string {
            match byte {
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' if self.depth > 0 => self.depth -= 1,
                b']' => {
                    self.place = Place::Behind;
                    let text = self.row();
                    // `[]` has no row, but `[{},]` lacks one.
                    return if text.is_none() && row > 0 { Err(bad(row + 1, "is missing")) } else { Ok(text) };
                }
                b',' if self.depth == 0 => {
                    return self.row().map(Some).ok_or_else(|| bad(row + 1, "is missing"));
                }
                b'"' => self.in_string = true,
                _ => {}
            }
        } else if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.in_string = false;
        }
        if blank && self.text.is_empty() {
            return Ok(None);
        }
        self.text.push(byte);
        if self.text.len() > MAX_ROW_BYTES { Err(too_long(row + 1)) } else { Ok(None) }
    }

    /// The text since the last row, if there is any.
    fn row(&mut self) -> Option<Vec<u8>> {
        let text = std::mem::take(&mut self.text);
        (!text.trim_ascii().is_empty()).then_some(text)
    }

    fn end(&mut self, row: i64) -> Result<Option<Vec<u8>>, BadRow> {
        if self.lines {
            return Ok(self.row());
        }
        match self.place {
            Place::Behind => Ok(None),
            Place::Before => Err(bad(0, "must be a JSON array of objects")),
            Place::Within => Err(bad(row + 1, "the array does not end")),
        }
    }
}

fn parse(text: &[u8], columns: &mut Columns, row: i64) -> Result<Cells, BadRow> {
    check_count(row)?;
    let read: DatasetRow = json_input::read(text).map_err(|error| bad(row, error.to_string()))?;
    if let Some(error) = json_input::oversized(text) {
        return Err(BadRow { row, column: Some(error.path.clone()), message: error.message("field") });
    }
    columns.to_cells(read, true).map_err(|message| bad(row, message))
}

fn check_count(row: i64) -> Result<(), BadRow> {
    if row > MAX_ROWS { Err(bad(row, format!("a data set has at most {MAX_ROWS} rows"))) } else { Ok(()) }
}

fn too_long(row: i64) -> BadRow {
    bad(row, format!("has more than {MAX_ROW_BYTES} bytes"))
}

fn bad(row: i64, message: impl Into<String>) -> BadRow {
    BadRow { row, column: None, message: message.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{BadRow, Cells, Columns, Format, MAX_ROW_BYTES, Upload};

    /// Reads an upload in pieces of this many bytes.
    fn read(format: Format, bytes: &[u8], piece: usize) -> Result<(Columns, Vec<Cells>), BadRow> {
        let (mut upload, mut rows) = (Upload::new(format), Vec::new());
        for piece in bytes.chunks(piece) {
            upload.push(piece, &mut rows)?;
        }
        let (columns, count) = upload.finish(&mut rows)?;
        assert_eq!(rows.len(), usize::try_from(count).unwrap());
        Ok((columns, rows))
    }

    #[test]
    fn upload_reads_the_same_however_it_comes_in_pieces() {
        let csv = "\u{feff}question,answer\r\n\"a, \"\"b\"\"\nc\",Zürich\r\n\r\n,2\r\nx,";
        let json = r#" [ {"question": "a, \"b\"\nc", "answer": "Zürich"}, {"answer": "2"},{"question":"x"} ] "#;
        let lines = "{\"question\": \"a, \\\"b\\\"\\nc\", \"answer\": \"Zürich\"}\n\n {\"answer\": \"2\"}\r\n{\"question\":\"x\"}";
        for (format, text) in [(Format::Csv, csv), (Format::Json, json), (Format::JsonLines, lines)] {
            for piece in [1, 2, 3, 7, 1000] {
                let (columns, rows) = read(format, text.as_bytes(), piece).unwrap();
                let rows: Vec<_> = rows.into_iter().map(|cells| columns.to_row(cells)).collect();
                let expected = json!([
                    { "question": "a, \"b\"\nc", "answer": "Zürich" },
                    { "question": null, "answer": "2" },
                    { "question": "x", "answer": null },
                ]);
                assert_eq!(json!(rows), expected, "{format:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn bad_upload_is_told_with_its_row_and_column() {
        let unclosed = format!("a\n\"{}", "x".repeat(MAX_ROW_BYTES + 1));
        let long = format!("a\n{}\n", "x".repeat(MAX_ROW_BYTES + 1));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
        for (format, bytes, row, part) in [
            (Format::Csv, b"" as &[u8], 0, "empty"),
            (Format::Csv, b"a,a\n1,2\n", 0, "already"),
            (Format::Csv, b"a,\n1,2\n", 0, "column 2"),
            (Format::Csv, b"a,b\n1,2\n1,2,3\n", 2, "3 fields"),
            (Format::Csv, b"a,b\n1,2\n1", 2, "1 fields"),
            (Format::Csv, b"a,b\n1,\xff\n", 1, "UTF-8"),
            (Format::Csv, b"q,a\nhi,\"unclosed\nyo,3\nha,4\n", 1, "never closed"),
            (Format::Csv, b"q,a\nhi,2\nyo,\"", 2, "never closed"),
            (Format::Csv, b"q,\"a\n1,2\n", 0, "column 2"),
            (Format::Csv, unclosed.as_bytes(), 1, "never closed"),
            (Format::Csv, b"q,a\nhi,\"a\"b\n", 1, "behind a closing quote"),
            (Format::Csv, b"q,a\nhi,\"a\" \n", 1, "behind a closing quote"),
            (Format::Json, b"[{\"a\":1},{\"a\":18446744073709551617}]", 2, "64 bits"),
            (Format::JsonLines, b"{\"a\":{\"b\":[-9223372036854775809]}}", 1, "64 bits"),
            (Format::Csv, long.as_bytes(), 1, "bytes"),
            (Format::Json, b"", 0, "array"),
            (Format::Json, b"{\"a\":1}", 0, "array"),
            (Format::Json, b"[{\"a\":1}", 1, "does not end"),
            (Format::Json, b"[{\"a\":1},{\"a\":2}", 2, "does not end"),
            (Format::Json, b"[{\"a\":1},]", 2, "missing"),
            (Format::Json, b"[,]", 1, "missing"),
            (Format::Json, b"[{\"a\":1}] x", 1, "after the end"),
            (Format::Json, b"[{\"a\":1},7]", 2, "object"),
            (Format::Json, b"[{\"a\":1} {\"a\":2}]", 1, "column 9"),
            (Format::JsonLines, b"{\"a\":1}\nnull\n", 2, "object"),
            (Format::JsonLines, b"{\"a\":1}\n{\"a\":}\n", 2, "column 6"),
            (Format::JsonLines, b"{\"a\":1,\"a\":2}\n", 1, "twice"),
            (Format::JsonLines, b"{\"\":1}\n", 1, "blank"),
            (Format::JsonLines, deep.as_bytes(), 1, "nested"),
        ] {
            let error = read(format, bytes, 5).unwrap_err();
            let text = String::from_utf8_lossy(bytes);
            assert!(error.row == row && error.message.contains(part), "{text}: {error:?}");
        }
        let error = read(Format::Csv, b"a,b\n1,\xff\n", 9).unwrap_err();
        assert_eq!(error.column.as_deref(), Some("b"));
    }
}
