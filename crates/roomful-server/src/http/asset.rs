//! One file of the page as an answer: compressed where the browser can read that, and not sent again where it has it.
//!
//! The files are those of `web-packed/`, which `build.rs` has compressed and put into a table: a request finds one there
//! and negotiates. With the setting `web_dir` they are read from that folder for each request, as they are.

use std::path::{Path, PathBuf};
use std::{fs, io};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};

/// A file of the table.
struct Packed {
    path: &'static str,
    hash: [u8; 32],
    plain: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

/// In the order of their paths.
static PACKED: &[Packed] = include!(concat!(env!("OUT_DIR"), "/packed.rs"));

/// What lies below this has its content's hash in its name, and never changes.
const CHUNKS: &str = "chunks/";

/// Where the page's files come from.
#[derive(Clone)]
pub(super) enum Assets {
    /// The binary.
    Packed,
    /// A folder with their sources, which somebody is changing.
    Folder(PathBuf),
}

impl Assets {
    /// The files of this folder, or of the binary where the setting is empty.
    pub(super) fn open(web_dir: &str) -> io::Result<Self> {
        match web_dir {
            "" => Ok(Self::Packed),
            // Without links, so that a file's path can be compared with it.
            folder => fs::canonicalize(folder).map(Self::Folder),
        }
    }

    /// The file at this path below `/assets/`, where there is one.
    pub(super) fn find(&self, path: &str) -> Option<Asset> {
        match self {
            Self::Packed => {
                let found = PACKED.binary_search_by_key(&path, |file| file.path).ok()?;
                Some(Asset::packed(&PACKED[found]))
            }
            Self::Folder(folder) => Asset::read(folder, path),
        }
    }
}

/// A file as it is sent.
pub(super) struct Asset {
    hash: [u8; 32],
    plain: Bytes,
    /// With gzip and with brotli; sources are sent plain.
    compressed: Option<(&'static [u8], &'static [u8])>,
}

impl Asset {
    fn packed(file: &Packed) -> Self {
        Self {
            hash: file.hash,
            plain: Bytes::from_static(file.plain),
            compressed: Some((file.gzip, file.brotli)),
        }
    }

    /// It blocks, and is for one developer's browser.
    fn read(folder: &Path, path: &str) -> Option<Self> {
        let file = fs::canonicalize(folder.join(path)).ok()?;
        // `..` and an absolute path lead out of it.
        if !file.starts_with(folder) {
            return None;
        }
        let plain = Bytes::from(fs::read(file).ok()?);
        Some(Self {
            hash: Sha256::digest(&plain).into(),
            plain,
            compressed: None,
        })
    }

    /// These bytes, and how they are written.
    fn body(&self, wanted: Coding) -> (Coding, Bytes) {
        match (wanted, self.compressed) {
            (Coding::Gzip, Some((gzip, _))) => (wanted, Bytes::from_static(gzip)),
            (Coding::Brotli, Some((_, brotli))) => (wanted, Bytes::from_static(brotli)),
            _ => (Coding::Plain, self.plain.clone()),
        }
    }
}

/// How the bytes of an answer are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
    Brotli,
}

impl Coding {
    /// The best that `Accept-Encoding` allows; browsers name brotli where the way is encrypted, or on the same machine.
    fn for_request(request: &HeaderMap) -> Self {
        if accepts(request, "br") {
            Self::Brotli
        } else if accepts(request, "gzip") {
            Self::Gzip
        } else {
            Self::Plain
        }
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }
}

/// The answer to a request with these headers.
pub(super) fn answer(path: &str, asset: &Asset, request: &HeaderMap) -> Response {
    let (coding, content) = asset.body(Coding::for_request(request));
    let tag = tag(&asset.hash, coding);
    let known = has(request, &tag);
    let body = if known { Bytes::new() } else { content };
    let mut response = Response::new(Body::from(body));
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    if let Some(name) = coding.name().filter(|_| !known) {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    // RFC 9110, section 8.8.3.3: what is encoded differently has a tag of its own.
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static(match path.starts_with(CHUNKS) {
            true => "public, max-age=31536000, immutable",
            // Asked again each time, answered with 304: a new version is seen at once.
            false => "no-cache",
        }),
    );
    response
}

fn tag(hash: &[u8; 32], coding: Coding) -> String {
    let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let suffix = coding.name().map(|name| format!("-{name}"));
    format!("\"{hash}{}\"", suffix.unwrap_or_default())
}

/// Whether `Accept-Encoding` names it, by itself or by `*`, and does not weigh it with zero (RFC 9110, section 12.5.3).
fn accepts(request: &HeaderMap, wished: &str) -> bool {
    let mut any = false;
    for item in items(request, &ACCEPT_ENCODING) {
        let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameters.trim().strip_prefix("q=");
        let wanted = weight.is_none_or(|weight| weight.trim().parse().unwrap_or(0.0_f32) > 0.0);
        match coding.trim() {
            coding if coding.eq_ignore_ascii_case(wished) => return wanted,
            // Who takes anything is given what everybody can read.
            "*" => any = wanted && wished == "gzip",
            _ => {}
        }
    }
    any
}

/// Whether `If-None-Match` has this tag; it is compared weakly (RFC 9110, section 13.1.2).
fn has(request: &HeaderMap, tag: &str) -> bool {
    items(request, &IF_NONE_MATCH)
        .any(|item| item == "*" || item.strip_prefix("W/").unwrap_or(item) == tag)
}

/// The items of a header that is a list.
fn items<'a>(request: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = request.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "webmanifest") => "application/manifest+json",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn accepting(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))])
    }

    #[test]
    fn each_gets_the_best_that_they_can_read() {
        for (value, coding) in [
            ("gzip", Coding::Gzip),
            ("br, GZIP;q=0.5", Coding::Brotli),
            ("gzip, deflate, br, zstd", Coding::Brotli),
            ("br;q=0, gzip", Coding::Gzip),
            ("deflate, gzip ; q=1.0", Coding::Gzip),
            ("*", Coding::Gzip),
            ("*;q=0, gzip", Coding::Gzip),
            ("", Coding::Plain),
            ("gzip;q=0", Coding::Plain),
            ("gzip;q=0.000, *", Coding::Plain),
            ("*;q=0", Coding::Plain),
            ("gzip;q=high", Coding::Plain),
        ] {
            assert!(Coding::for_request(&accepting(value)) == coding, "{value}");
        }
        assert!(Coding::for_request(&HeaderMap::new()) == Coding::Plain);
    }

    #[test]
    fn a_tag_is_found_in_a_list_and_its_encodings_are_told_apart() {
        let plain = tag(&[0xab; 32], Coding::Plain);
        let gzip = tag(&[0xab; 32], Coding::Gzip);
        let mut request = HeaderMap::new();
        request.append(IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
        assert!(!has(&request, &plain));
        let list = HeaderValue::from_str(&format!("\"first\", W/{plain}"));
        request.append(IF_NONE_MATCH, list.expect("it is ASCII"));
        assert!(has(&request, &plain));
        assert!(!has(&request, &gzip));
    }

    #[test]
    fn every_packed_file_is_found_and_what_is_compressed_reads_as_it_was() {
        assert!(PACKED.len() > 20);
        for file in PACKED {
            let asset = Assets::Packed.find(file.path).expect("it is in the table");
            assert!(asset.hash == file.hash, "{}", file.path);
            let mut gzip = Vec::new();
            let mut read = flate2::read::GzDecoder::new(file.gzip);
            read.read_to_end(&mut gzip).expect("it is whole");
            assert!(gzip == file.plain, "{}", file.path);
            let mut brotli = Vec::new();
            brotli::BrotliDecompress(&mut &*file.brotli, &mut brotli).expect("it is whole");
            assert!(brotli == file.plain, "{}", file.path);
        }
        assert!(Assets::Packed.find("gone.js").is_none());
    }

    #[test]
    fn a_folder_gives_its_own_files_as_they_are_now_and_no_others() {
        let around = tempfile::tempdir().expect("a directory");
        let folder = around.path().join("web");
        fs::create_dir_all(folder.join("i18n")).expect("a directory");
        fs::write(around.path().join("secret.js"), "no").expect("a file");
        let assets = Assets::open(folder.to_str().expect("ASCII")).expect("it is there");
        for content in ["one", "two"] {
            fs::write(folder.join("i18n/en.js"), content).expect("a file");
            let found = assets.find("i18n/en.js").expect("it is there");
            assert_eq!(found.plain, content);
            assert!(found.body(Coding::Brotli).0 == Coding::Plain);
        }
        let absolute = around.path().join("secret.js");
        let absolute = absolute.to_str().expect("ASCII");
        for path in ["../secret.js", "i18n/../../secret.js", absolute, "i18n", ""] {
            assert!(assets.find(path).is_none(), "{path}");
        }
        assert!(Assets::open(absolute.trim_end_matches(".js")).is_err());
    }
}
