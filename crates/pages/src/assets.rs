//! The stylesheet, the script and the icon. Their addresses change with what is in them, so that browsers may
//! keep them for ever.

use std::sync::LazyLock;

use bitting_http::{
    call::Call,
    message::{Content, Response},
    problem::Problem,
};

/// The path below which the assets are.
pub(crate) const FOLDER: &str = "/settings/assets/";

struct Asset {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset { name: "style.css", content_type: "text/css; charset=utf-8", text: include_str!("style.css") },
    Asset { name: "app.js", content_type: "text/javascript; charset=utf-8", text: include_str!("app.js") },
    Asset { name: "favicon.svg", content_type: "image/svg+xml", text: include_str!("favicon.svg") },
];

/// The assets and the names of their files: `style.0a1b2c3d.css`.
static FILES: LazyLock<Vec<(String, Asset)>> = LazyLock::new(|| {
    let file = |asset: Asset| {
        let (stem, extension) = asset.name.rsplit_once('.').unwrap_or_default();
        (format!("{stem}.{:08x}.{extension}", crc32fast::hash(asset.text.as_bytes())), asset)
    };
    ASSETS.into_iter().map(file).collect()
});

/// The path of an asset; a test asks for each.
pub(crate) fn path(name: &str) -> String {
    let file = FILES.iter().find(|(_, asset)| asset.name == name).map_or("", |(file, _)| file.as_str());
    format!("{FOLDER}{file}")
}

pub(crate) async fn get(call: &Call<'_>) -> Result<Response, Problem> {
    file(call.param("file")).ok_or(Problem::NoSuchPath)
}

/// The asset at a path, for pages that are shown where no handler can be called.
pub(crate) fn at(path: &str) -> Option<Response> {
    file(path.strip_prefix(FOLDER)?)
}

fn file(name: &str) -> Option<Response> {
    let (_, asset) = FILES.iter().find(|(file, _)| file == name)?;
    let headers = vec![
        ("Content-Type".into(), asset.content_type.to_owned()),
        ("Cache-Control".into(), "public, max-age=31536000, immutable".to_owned()),
        ("X-Content-Type-Options".into(), "nosniff".to_owned()),
    ];
    Some(Response { status: 200, headers, body: Content::Bytes(asset.text.as_bytes().to_vec()) })
}
