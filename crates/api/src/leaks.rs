//! Leaked keys: reports, and the format by which scanners find keys.

use base64::prelude::{BASE64_STANDARD, Engine};
use bitting_http::{
    body,
    call::Call,
    input,
    message::Response,
    problem::Problem,
    typed::{InBody, Json},
};
use bitting_keys::{
    app::{
        error::Error,
        leaks::{LeakedText, MAX_TEXTS},
        sessions::Client,
    },
    domain::key_text::{CHECKSUM_LENGTH, SECRET_LENGTH},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The maximum size of a report, in bytes.
pub(crate) const MAX_BYTES: usize = 128 * 1024;

/// A report of leaked keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LeakReport")]
pub(crate) struct LeakReportBody {
    /// The keys, at most 1,000. Other texts are ignored.
    keys: LeakedKeys,
    /// The address of the place where they were found.
    url: Option<Url>,
}

/// The texts of a report.
#[derive(Deserialize)]
#[serde(try_from = "Vec<String>")]
struct LeakedKeys(Vec<String>);

impl TryFrom<Vec<String>> for LeakedKeys {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, Self::Error> {
        if texts.is_empty() || texts.len() > MAX_TEXTS {
            return Err(format!("must have 1 to {MAX_TEXTS} texts"));
        }
        Ok(Self(texts))
    }
}

bitting_keys::json_schema!(LeakedKeys, "LeakedKeys", {
    "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": MAX_TEXTS,
});

/// The address of the place of a leak.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Url(String);

impl Url {
    const MAX_CHARS: usize = 500;
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.chars().count() > Self::MAX_CHARS || text.chars().any(char::is_control) {
            return Err(format!("must have at most {} characters, without control characters", Self::MAX_CHARS));
        }
        Ok(Self(text))
    }
}

bitting_keys::json_schema!(Url, "LeakUrl", { "type": "string", "maxLength": Url::MAX_CHARS });

/// The receipt of a report. It is the same whether the texts were keys or not.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LeakReceipt")]
pub(crate) struct LeakReceiptBody {
    /// The number of texts that were received.
    received: usize,
}

/// Reports keys that you have found in public. Anybody may, without a key. Each organization decides whether its leaked
/// keys are revoked, which is the default, disabled, or only recorded in its audit log. The answer is always the same.
pub(crate) async fn report(
    call: &Call<'_>,
    InBody(LeakReportBody { keys: LeakedKeys(keys), url }): InBody<LeakReportBody>,
) -> Result<Json<LeakReceiptBody, 202>, Problem> {
    let client = client(call);
    call.app.count_leak_report(client.ip.as_deref()).await?;
    let received = keys.len();
    let url = url.map(|Url(url)| url);
    let texts: Vec<LeakedText> = keys.into_iter().map(|text| LeakedText { text, url: url.clone() }).collect();
    call.app.report_leaks(&texts, "report", &client).await?;
    Ok(Json(LeakReceiptBody { received }))
}

fn client(call: &Call<'_>) -> Client {
    let header = |name: &str| call.request.header(name).map(str::to_owned);
    Client {
        request_id: call.request_id.to_owned(),
        ip: header("cf-connecting-ip"),
        country: None,
        user_agent: header("user-agent").unwrap_or_default(),
    }
}

/// A key that GitHub's secret scanning has found.
#[derive(Deserialize)]
struct GithubLeakBody {
    /// The text.
    token: String,
    /// The name of its type.
    r#type: String,
    /// The address of the place where it was found.
    url: Option<String>,
}

/// The verdict on a text of a report.
#[derive(Serialize)]
struct GithubVerdictBody {
    /// The SHA-256 of the text, in base64.
    token_hash: String,
    /// The type from the report.
    token_type: String,
    /// True for the text of a key, or of a secret that a key had.
    label: GithubLabel,
}

/// A verdict.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum GithubLabel {
    /// The text is or was a key.
    TruePositive,
    /// The text is no key.
    FalsePositive,
}

/// Takes a report of GitHub's secret scanning, which signs it, and tells which texts are keys. What happens to them is
/// the same as for other reports.
pub(crate) async fn report_from_github(call: &Call<'_>) -> Result<Response, Problem> {
    let client = client(call);
    call.app.count_leak_report(client.ip.as_deref()).await?;
    let header = |name: &str| call.request.header(name).unwrap_or_default();
    let (key_id, signature) = (header("github-public-key-identifier"), header("github-public-key-signature"));
    if !call.app.is_from_github(key_id, signature, body::bytes(call.request)?).await? {
        return Err(UNSIGNED.into());
    }
    let leaks: Vec<GithubLeakBody> = input::body(call.request)?;
    if leaks.len() > MAX_TEXTS {
        return Err(Error::invalid_request(format!("The report has more than {MAX_TEXTS} keys")).into());
    }
    let texts = leaks.iter().map(|leak| LeakedText {
        text: leak.token.clone(),
        url: leak.url.as_ref().map(|url| url.chars().filter(|at| !at.is_control()).take(Url::MAX_CHARS).collect()),
    });
    let texts: Vec<LeakedText> = texts.collect();
    let are_keys = call.app.are_keys(&texts).await?;
    call.app.report_leaks(&texts, "github", &client).await?;
    let verdict = |(leak, is_key): (GithubLeakBody, bool)| GithubVerdictBody {
        token_hash: BASE64_STANDARD.encode(Sha256::digest(leak.token)),
        token_type: leak.r#type,
        label: if is_key { GithubLabel::TruePositive } else { GithubLabel::FalsePositive },
    };
    let verdicts: Vec<GithubVerdictBody> = leaks.into_iter().zip(are_keys).map(verdict).collect();
    Ok(Response::json(200, &verdicts))
}

const UNSIGNED: Error = Error::Forbidden {
    code: "invalid_signature",
    message: "The report is not signed by GitHub. Other reports go to POST /v1/leaks.",
};

/// The format of keys, for programs that search for leaked ones.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyFormat")]
pub(crate) struct KeyFormatBody {
    /// The first word of every key.
    brand: String,
    /// A regular expression that matches every key.
    pattern: String,
    /// A text that every key contains.
    keyword: String,
    /// The checksum at the end of every key, by which a scanner can tell a key from a text that looks like one.
    checksum: &'static str,
    /// The address that takes reports of leaked keys.
    report_url: String,
    /// A rule for gitleaks, in TOML.
    gitleaks: String,
    /// A detector for trufflehog, in YAML.
    trufflehog: String,
}

/// Returns the format of this service's keys, the address for reports of leaked ones, and rules for scanners.
pub(crate) async fn get_format(call: &Call<'_>, (): ()) -> Result<Json<KeyFormatBody>, Problem> {
    let brand = call.app.config.brand.as_str();
    let origin = &call.request.origin;
    let pattern = format!(
        r"\b{brand}_(?:[a-z][a-z0-9]{{0,15}}_)?(?:pat|org|proj|sk)_[0-9A-Za-z]{{{}}}\b",
        SECRET_LENGTH + CHECKSUM_LENGTH
    );
    let keyword = format!("{brand}_");
    Ok(Json(KeyFormatBody {
        brand: brand.to_owned(),
        gitleaks: format!(
            "[[rules]]\nid = \"{brand}-api-key\"\ndescription = \"API key of {origin}\"\nregex = '''{pattern}'''\n\
             keywords = [\"{keyword}\"]\n"
        ),
        trufflehog: format!(
            "detectors:\n  - name: {brand}-api-key\n    keywords:\n      - {keyword}\n    regex:\n      key: '{pattern}'\n"
        ),
        pattern,
        keyword,
        checksum: "The last 6 characters are the CRC-32 of all before them, as a number in base 62 with the digits 0-9, \
                   A-Z, a-z.",
        report_url: format!("{origin}/v1/leaks"),
    }))
}
