//! One file of the page as an answer: compressed where the browser can read that, and not sent again where it has it.

use std::io::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};

use ahash::AHashMap;
use axum::body::{Body, Bytes};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, StatusCode};
use rust_embed::EmbeddedFile;
use sha2::{Digest as _, Sha256};

use super::{bare, pack};

/// What is compressed stays so, under the hash of its content: the files of one binary, each once. A debug build reads
/// them from the folder, and one that was edited has another hash.
static COMPRESSED: LazyLock<Mutex<ByContent>> = LazyLock::new(Mutex::default);
type ByContent = AHashMap<([u8; 32], Coding), Bytes>;

/// Files as they are sent, by path: those that there are, and the parts of the packs below.
static READY: LazyLock<Mutex<AHashMap<String, Asset>>> = LazyLock::new(Mutex::default);

/// The pages whose files come in packs.
const PACKED: [&str; 1] = ["room"];

/// A file as it is sent.
#[derive(Clone)]
pub(super) struct Asset {
    content: Bytes,
    hash: [u8; 32],
}

impl Asset {
    /// The file at this path below `/assets/`, where there is one; `read` reads a file of the page.
    pub(super) fn find(path: &str, read: &impl Fn(&str) -> Option<EmbeddedFile>) -> Option<Self> {
        let lock = || READY.lock().unwrap_or_else(PoisonError::into_inner);
        // A debug build reads the folder each time: what was edited is seen at once.
        if !cfg!(debug_assertions)
            && let Some(known) = lock().get(path)
        {
            return Some(known.clone());
        }
        let content = content(path, read)?;
        let hash = Sha256::digest(&content).into();
        let asset = Self { content, hash };
        lock().insert(path.to_owned(), asset.clone());
        Some(asset)
    }
}

fn content(path: &str, read: &impl Fn(&str) -> Option<EmbeddedFile>) -> Option<Bytes> {
    let text = |path: &str| String::from_utf8(read(path)?.data.into_owned()).ok();
    let kind = path.rsplit('.').next();
    if let Some((page, file)) = pack::parts(path).filter(|(page, _)| PACKED.contains(page)) {
        let packed = match kind {
            Some("js") => pack::script(page, file, &text),
            Some("css") => pack::style(file, &text),
            _ => return None,
        };
        return packed.ok().map(Bytes::from);
    }
    match kind {
        Some("js") => text(path).map(|source| Bytes::from(bare::script(&source))),
        Some("css") => text(path).map(|source| Bytes::from(bare::style(&source))),
        _ => read(path).map(|file| Bytes::from(file.data.into_owned())),
    }
}

/// How the bytes of an answer are written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
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
    let coding = Coding::for_request(request);
    let tag = tag(&asset.hash, coding);
    let known = has(request, &tag);
    let body = match known {
        true => Bytes::new(),
        false => compressed(coding, asset),
    };
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
    // Asked again each time, answered with 304: a new version is seen at once.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn tag(hash: &[u8; 32], coding: Coding) -> String {
    let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let suffix = coding.name().map(|name| format!("-{name}"));
    format!("\"{hash}{}\"", suffix.unwrap_or_default())
}

fn compressed(coding: Coding, Asset { content, hash }: &Asset) -> Bytes {
    let lock = || COMPRESSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lock().get(&(*hash, coding)) {
        return known.clone();
    }
    let bytes = match coding {
        Coding::Plain => return content.clone(),
        Coding::Gzip => gzip(content),
        Coding::Brotli => brotli(content),
    };
    lock().insert((*hash, coding), bytes.clone());
    bytes
}

fn gzip(content: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(content).and_then(|()| encoder.finish());
    Bytes::from(written.expect("writing to a `Vec` does not fail"))
}

fn brotli(content: &[u8]) -> Bytes {
    const BUFFER: usize = 4096;
    const BEST: u32 = 11;
    const WINDOW_BITS: u32 = 22;
    let mut out = brotli::CompressorWriter::new(Vec::new(), BUFFER, BEST, WINDOW_BITS);
    out.write_all(content)
        .expect("writing to a `Vec` does not fail");
    // This ends the stream.
    Bytes::from(out.into_inner())
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
    fn what_is_compressed_reads_as_it_was() {
        let content = Bytes::from("rooms ".repeat(1000));
        let asset = Asset {
            content: content.clone(),
            hash: [7; 32],
        };
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Gzip] {
            let bytes = compressed(coding, &asset);
            assert!(bytes.len() < content.len() / 10);
            let mut read = Vec::new();
            let done = match coding {
                Coding::Brotli => brotli::BrotliDecompress(&mut &*bytes, &mut read).map(|()| 0),
                _ => flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut read),
            };
            done.expect("it is whole");
            assert_eq!(read, content);
        }
    }
}
