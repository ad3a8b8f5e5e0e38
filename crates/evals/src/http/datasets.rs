//! Data sets: `/api/datasets`.

use std::borrow::Cow;

use bitting_http::{
    call::Call,
    deleted::DeletedBody,
    input,
    message::{Body, NDJSON, Response, Rfc3339},
    operation::Operation,
    paging::{Listed, PageBody, PageQuery, page_too_long},
    problem::Problem,
    typed::{IfMatch, InBody, InPath, InQuery, Input, Json, MayRepeat, Output, Version, Versioned, Whole},
};
use bitting_keys::{
    app::{Principal, error::Error},
    domain::{
        expected::Expected,
        id::{ProjectId, UserId},
        key::Name,
        time::UnixMillis,
    },
};
use csv_core::{Terminator, WriterBuilder};
use futures_util::{StreamExt, TryStreamExt, future::ready, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    app::datasets::{
        ColumnChange, DatasetChange, Datasets, MAX_DESCRIPTION_CHARS, MAX_PAGE, NewDataset, NumberedRow, Rows,
    },
    domain::{
        access::{AccessLevel, Resource},
        csv,
        dataset::{Column, ColumnRole, Dataset, DatasetRow, JudgmentConfig},
        id::DatasetId,
        upload::Format,
    },
    http::shares::ResourcePath,
};

pub(crate) use crate::http::shares::{list_shares, share, unshare};

/// The data set that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DatasetPath {
    /// The data set's id.
    dataset_id: DatasetId,
}

impl ResourcePath for DatasetPath {
    fn resource(&self) -> Resource {
        Resource::Dataset(self.dataset_id)
    }
}

/// The row that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RowPath {
    /// The data set's id.
    dataset_id: DatasetId,
    /// The row's id.
    row_id: Whole<1, 9_007_199_254_740_991>,
}

/// The column that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ColumnPath {
    /// The data set's id.
    dataset_id: DatasetId,
    /// The column's name.
    column: String,
}

/// A column to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewColumn")]
pub(crate) struct NewColumnBody {
    /// Its name, which no other column of the data set has.
    name: Name,
    /// The purpose of the column.
    #[serde(default)]
    role: ColumnRole,
}

/// A column.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Column")]
pub(crate) struct ColumnBody {
    /// Its name.
    name: Name,
    /// The purpose of the column.
    role: ColumnRole,
}

impl From<&Column> for ColumnBody {
    fn from(column: &Column) -> Self {
        Self { name: column.name.clone(), role: column.role }
    }
}

/// A data set.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Dataset")]
pub(crate) struct DatasetBody {
    /// Its id.
    public_id: DatasetId,
    /// Its name.
    name: Name,
    /// A description for people.
    description: Option<String>,
    /// Its columns, in their order.
    columns: Vec<ColumnBody>,
    /// The judgments that people give about its rows.
    judgments: Vec<JudgmentConfig>,
    /// The number of its rows.
    row_count: i64,
    /// The user whose it is.
    user_id: Option<UserId>,
    /// The project whose it is.
    project_id: Option<ProjectId>,
    /// The time of creation.
    created_at: Rfc3339,
    /// The time of the last change.
    updated_at: Rfc3339,
}

impl Listed for DatasetBody {
    fn cursor(&self) -> String {
        self.public_id.to_string()
    }
}

impl DatasetBody {
    fn new(dataset: Dataset) -> Self {
        Self {
            public_id: dataset.id,
            name: dataset.name,
            description: dataset.description,
            columns: dataset.columns.iter().map(ColumnBody::from).collect(),
            judgments: dataset.judgments,
            row_count: dataset.row_count,
            user_id: dataset.user_id,
            project_id: dataset.project_id,
            created_at: Rfc3339(dataset.created_at),
            updated_at: Rfc3339(dataset.updated_at),
        }
    }
}

/// Lists the data sets that the caller owns or that are shared with them, the newest first.
pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<PageQuery<DatasetId>>,
) -> Result<Json<PageBody<DatasetBody>>, Problem> {
    let Whole(limit) = query.limit;
    let page = Datasets::new(call.app).list(principal, query.starting_after, limit).await?;
    Ok(Json(PageBody::new(page, DatasetBody::new)))
}

/// A data set to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDataset")]
pub(crate) struct NewDatasetBody {
    /// Its name.
    name: Name,
    /// A description for people.
    #[schemars(length(max = MAX_DESCRIPTION_CHARS))]
    description: Option<String>,
    /// Its columns, in their order. Those that the rows have beside these are added.
    #[serde(default)]
    columns: Vec<NewColumnBody>,
    /// Its rows.
    #[serde(default)]
    rows: Vec<DatasetRow>,
}

/// Creates a data set with its columns and its first rows.
pub(crate) async fn create(
    call: &Call<'_>,
    principal: &Principal,
    (InBody(body), MayRepeat): (InBody<NewDatasetBody>, MayRepeat),
) -> Result<Json<DatasetBody, 201>, Problem> {
    let new = NewDataset { name: body.name, description: body.description };
    let columns = body.columns.into_iter().map(|column| (column.name, column.role)).collect();
    Ok(Json(DatasetBody::new(Datasets::new(call.app).create(principal, new, columns, body.rows).await?)))
}

/// The name of the new data set, and the format of the upload.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadQuery {
    /// The data set's name.
    name: Name,
    /// A description for people.
    #[schemars(length(max = MAX_DESCRIPTION_CHARS))]
    description: Option<String>,
    /// The format of the body.
    format: FormatName,
}

/// The form of an upload or an export: CSV with the columns' names in its first line, an array of objects,
/// or an object on each line.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum FormatName {
    Csv,
    Json,
    Jsonl,
}

/// The body, which is not read here, but by the use case, piece by piece.
pub(crate) struct UnreadBody;

impl Input for UnreadBody {
    fn read(_: &Call<'_>) -> Result<Self, Problem> {
        Ok(Self)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.upload("The rows, in the format that `format` names. A form (`multipart/…`) is refused, and no other `Content-Type` is looked at.");
        operation.problem(400);
    }
}

/// Creates a data set from a file of rows. The body is read as it arrives; the first wrong row ends the upload, and
/// nothing is stored.
pub(crate) async fn upload(
    call: &Call<'_>,
    principal: &Principal,
    (InQuery(query), UnreadBody): (InQuery<UploadQuery>, UnreadBody),
) -> Result<Json<DatasetBody, 201>, Problem> {
    let kind = call.request.header("content-type").unwrap_or_default().trim().to_ascii_lowercase();
    if kind.starts_with("multipart/") {
        return Err(Problem::Multipart);
    }
    let format = match query.format {
        FormatName::Csv => Format::Csv,
        FormatName::Json => Format::Json,
        FormatName::Jsonl => Format::JsonLines,
    };
    let pieces = match &call.request.body {
        Body::Unread(source) => source.pieces(),
        Body::Bytes(bytes) => stream::once(ready(Ok(bytes.clone()))).boxed_local(),
        Body::TooLarge(_) => stream::empty().boxed_local(),
    };
    let new = NewDataset { name: query.name, description: query.description };
    Ok(Json(DatasetBody::new(Datasets::new(call.app).upload(principal, new, format, pieces).await?)))
}

/// A data set with its first rows.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DatasetDetails")]
pub(crate) struct DetailsBody {
    #[serde(flatten)]
    about: DatasetBody,
    /// The access of the key that asks.
    access: AccessLevel,
    /// Its first rows, 10 at most.
    preview: Vec<DatasetRow>,
    /// The ids of these rows.
    preview_row_ids: Vec<i64>,
}

impl Version for DetailsBody {
    fn version(&self) -> UnixMillis {
        self.about.version()
    }
}

impl Version for DatasetBody {
    fn version(&self) -> UnixMillis {
        self.updated_at.0
    }
}

/// Returns a data set with its first rows.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(DatasetPath { dataset_id }): InPath<DatasetPath>,
) -> Result<Versioned<DetailsBody>, Problem> {
    let Rows { dataset, permission, rows, .. } = Datasets::new(call.app).get(principal, dataset_id).await?;
    let (preview_row_ids, preview) = rows.into_iter().unzip();
    Ok(Versioned(DetailsBody { about: DatasetBody::new(dataset), access: permission, preview, preview_row_ids }))
}

/// The changes to a data set. A field that is left out stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DatasetChange", extend("minProperties" = 1))]
pub(crate) struct ChangeBody {
    /// The name.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Name")]
    name: Option<Name>,
    /// The note about it; null takes it away.
    #[serde(default, deserialize_with = "input::present")]
    description: Option<Option<String>>,
    /// The judgments that people give about its rows.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Vec<JudgmentConfig>")]
    judgments: Option<Vec<JudgmentConfig>>,
}

/// Changes the name, the description or the judgments of a data set.
pub(crate) async fn change(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(DatasetPath { dataset_id }), IfMatch(expected), InBody(body)): (
        InPath<DatasetPath>,
        IfMatch,
        InBody<ChangeBody>,
    ),
) -> Result<Versioned<DatasetBody>, Problem> {
    let ChangeBody { name, description, judgments } = body;
    if name.is_none() && description.is_none() && judgments.is_none() {
        return Err(Error::invalid_request("There is nothing to change").into());
    }
    let change = DatasetChange { name, description, judgments, columns: None };
    Ok(Versioned(DatasetBody::new(Datasets::new(call.app).change(principal, dataset_id, change, expected).await?)))
}

/// Deletes a data set with its rows and its shares.
pub(crate) async fn delete(
    call: &Call<'_>,
    principal: &Principal,
    InPath(DatasetPath { dataset_id }): InPath<DatasetPath>,
) -> Result<Json<DeletedBody>, Problem> {
    Datasets::new(call.app).delete(principal, dataset_id).await?;
    Ok(Json(DeletedBody::new(call, dataset_id)))
}

async fn change_columns(
    call: &Call<'_>,
    principal: &Principal,
    dataset_id: DatasetId,
    columns: ColumnChange,
    expected: Expected,
) -> Result<DatasetBody, Problem> {
    let change = DatasetChange { columns: Some(columns), ..DatasetChange::default() };
    Ok(DatasetBody::new(Datasets::new(call.app).change(principal, dataset_id, change, expected).await?))
}

/// Adds a column to a data set. The rows that are there have no value in it.
pub(crate) async fn add_column(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(DatasetPath { dataset_id }), InBody(body)): (InPath<DatasetPath>, InBody<NewColumnBody>),
) -> Result<Json<DatasetBody, 201>, Problem> {
    Ok(Json(change_columns(call, principal, dataset_id, ColumnChange::Add(body.name, body.role), Expected::ANY).await?))
}

/// The changes to a column. A field that is left out stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ColumnChange", extend("minProperties" = 1))]
pub(crate) struct ChangeColumnBody {
    /// The name; the values stay.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Name")]
    name: Option<Name>,
    /// The purpose of the column.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "ColumnRole")]
    role: Option<ColumnRole>,
}

/// Changes the name or the role of a column.
pub(crate) async fn change_column(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(ColumnPath { dataset_id, column }), IfMatch(expected), InBody(body)): (
        InPath<ColumnPath>,
        IfMatch,
        InBody<ChangeColumnBody>,
    ),
) -> Result<Versioned<DatasetBody>, Problem> {
    if body.name.is_none() && body.role.is_none() {
        return Err(Error::invalid_request("There is nothing to change").into());
    }
    let change = ColumnChange::Change(column, body.name, body.role);
    Ok(Versioned(change_columns(call, principal, dataset_id, change, expected).await?))
}

/// Removes a column and its values from a data set.
pub(crate) async fn remove_column(
    call: &Call<'_>,
    principal: &Principal,
    InPath(ColumnPath { dataset_id, column }): InPath<ColumnPath>,
) -> Result<Json<DatasetBody>, Problem> {
    Ok(Json(change_columns(call, principal, dataset_id, ColumnChange::Remove(column), Expected::ANY).await?))
}

/// The page of rows to list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowsQuery {
    /// The number of the page, from 1.
    page: Option<Whole<1, 1_000_000>>,
    /// The number of rows on a page.
    #[serde(default)]
    page_size: Whole<1, MAX_PAGE, 100>,
    /// Instead of `page`: the id of the last row of the page before. However far the page is, it is found at once.
    starting_after: Option<Whole<0, 9_007_199_254_740_991>>,
}

/// Some rows of a data set.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RowPage")]
pub(crate) struct RowPageBody {
    /// The rows.
    rows: Vec<DatasetRow>,
    /// The ids of these rows.
    row_ids: Vec<i64>,
    /// The number of rows in the data set.
    total: i64,
    /// The number of this page; null if it was asked for by a row.
    page: Option<i64>,
    /// The number of rows on a page.
    page_size: i64,
    /// The number of pages.
    total_pages: i64,
    /// True if there are more rows after these. A page that was requested by a row also ends when its rows are about
    /// 4 MB long.
    has_more: bool,
}

/// Lists the rows of a data set, by page number or after the id of a row.
pub(crate) async fn list_rows(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(DatasetPath { dataset_id }), InQuery(query)): (InPath<DatasetPath>, InQuery<RowsQuery>),
) -> Result<Json<RowPageBody>, Problem> {
    let Whole(page_size) = query.page_size;
    let (page, found) = match (query.page, query.starting_after) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid("page", "give either `page` or `starting_after`, not both").into());
        }
        (None, Some(Whole(after))) => {
            (None, Datasets::new(call.app).rows_after(principal, dataset_id, after, page_size).await?)
        }
        (page, None) => {
            let Whole(page) = page.unwrap_or_default();
            (Some(page), Datasets::new(call.app).rows(principal, dataset_id, (page - 1) * page_size, page_size).await?)
        }
    };
    if page.is_some() && found.is_cut {
        return Err(page_too_long());
    }
    let total = found.dataset.row_count;
    let (row_ids, rows) = found.rows.into_iter().unzip();
    let total_pages = (total + page_size - 1) / page_size;
    Ok(Json(RowPageBody { rows, row_ids, total, page, page_size, total_pages, has_more: found.has_more }))
}

/// Rows to be added.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewRows")]
pub(crate) struct NewRowsBody {
    /// The rows: values by the names of their columns.
    #[schemars(length(min = 1, max = 1_000))]
    rows: Vec<DatasetRow>,
}

/// The ids of some rows.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RowIdList")]
pub(crate) struct RowIdsBody {
    /// The ids.
    row_ids: Vec<i64>,
}

/// Adds rows to the end of a data set, and returns their ids.
pub(crate) async fn add_rows(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(DatasetPath { dataset_id }), InBody(body)): (InPath<DatasetPath>, InBody<NewRowsBody>),
) -> Result<Json<RowIdsBody, 201>, Problem> {
    Ok(Json(RowIdsBody { row_ids: Datasets::new(call.app).add_rows(principal, dataset_id, body.rows).await? }))
}

/// Changes the values of a row. Columns that are left out keep their values.
pub(crate) async fn change_row(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(RowPath { dataset_id, row_id: Whole(row_id) }), InBody(values)): (InPath<RowPath>, InBody<DatasetRow>),
) -> Result<Json<DatasetRow>, Problem> {
    Ok(Json(Datasets::new(call.app).change_row(principal, dataset_id, row_id, values).await?))
}

/// Removes a row.
pub(crate) async fn remove_row(
    call: &Call<'_>,
    principal: &Principal,
    InPath(RowPath { dataset_id, row_id: Whole(row_id) }): InPath<RowPath>,
) -> Result<Json<DeletedBody>, Problem> {
    let removed = Datasets::new(call.app).remove_rows(principal, dataset_id, vec![row_id]).await?;
    if removed.is_empty() { Err(Error::NotFound.into()) } else { Ok(Json(DeletedBody::new(call, row_id))) }
}

/// Rows to be removed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RemovedRows")]
pub(crate) struct RemovedRowsBody {
    /// Their ids.
    #[schemars(length(min = 1, max = 1_000))]
    row_ids: Vec<Whole<1, 9_007_199_254_740_991>>,
}

/// Removes rows, and returns the ids of those that were there.
pub(crate) async fn remove_rows(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(DatasetPath { dataset_id }), InBody(body)): (InPath<DatasetPath>, InBody<RemovedRowsBody>),
) -> Result<Json<RowIdsBody>, Problem> {
    let gone = body.row_ids.into_iter().map(|Whole(row)| row).collect();
    Ok(Json(RowIdsBody { row_ids: Datasets::new(call.app).remove_rows(principal, dataset_id, gone).await? }))
}

/// The form of an export.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    /// CSV with the columns' names in its first line, or an object on each line.
    format: ExportFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum ExportFormat {
    Csv,
    Jsonl,
}

/// All rows of a data set, piece by piece.
pub(crate) struct Export(Response);

impl Output for Export {
    fn response(self) -> Response {
        self.0
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<String>(200, "text/csv; charset=utf-8");
        let description = "On each line a row as an object of column names and values.";
        operation.another(200, NDJSON, &json!({ "type": "string", "description": description }));
    }
}

/// Exports all rows of a data set as CSV or as JSON Lines. In CSV a text that a spreadsheet would calculate has a `'`
/// before it, which an upload takes away again.
pub(crate) async fn export(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(DatasetPath { dataset_id }), InQuery(query)): (InPath<DatasetPath>, InQuery<ExportQuery>),
) -> Result<Export, Problem> {
    let (dataset, pieces) = Datasets::new(call.app).export(principal, dataset_id).await?;
    let is_csv = query.format == ExportFormat::Csv;
    let names = dataset.columns.iter().map(|column| csv::written(column.name.as_str()));
    let header = if is_csv { csv_record(&names.collect::<Vec<_>>()) } else { Vec::new() };
    let line = move |row: DatasetRow| {
        if !is_csv {
            return json_line(&row);
        }
        let fields: Vec<_> = row.0.iter().map(|(_, value)| csv_field(value)).collect();
        csv_record(&fields)
    };
    let write = move |piece: Vec<NumberedRow>| piece.into_iter().flat_map(|(_, row)| line(row)).collect::<Vec<u8>>();
    let pieces = pieces.map_ok(write).map_err(|error| format!("{error:?}"));
    let pieces = stream::once(ready(Ok(header))).chain(pieces);
    let content_type = if is_csv { "text/csv; charset=utf-8" } else { NDJSON };
    Ok(Export(Response::stream(content_type, pieces)))
}

fn json_line(row: &DatasetRow) -> Vec<u8> {
    let mut line = serde_json::to_vec(row).unwrap_or_default();
    line.push(b'\n');
    line
}

/// A record of CSV.
fn csv_record(fields: &[Cow<'_, str>]) -> Vec<u8> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).build();
    // Room for all: a quoted field has two quotes and a delimiter beside its bytes, which double if all are quotes.
    let room = fields.iter().map(|field| 2 * field.len() + 3).sum::<usize>() + 4;
    let (mut record, mut length) = (vec![0; room], 0);
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            length += writer.delimiter(record.get_mut(length..).unwrap_or_default()).1;
        }
        length += writer.field(field.as_bytes(), record.get_mut(length..).unwrap_or_default()).2;
    }
    length += writer.terminator(record.get_mut(length..).unwrap_or_default()).1;
    record.truncate(length);
    record
}

/// A value as a field: texts so that none is a formula, nothing for null, and anything else as JSON.
fn csv_field(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => csv::written(text),
        other => Cow::Owned(other.to_string()),
    }
}
