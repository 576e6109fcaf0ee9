//! The pages, and the files that they load.

use anyhow::Context as _;
use axum::Extension;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::header::{CONNECTION, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, UPGRADE};
use http::{HeaderMap, StatusCode, Uri};
use roomful::PeerAddr;

use super::RoomPath;
use super::asset::{self, Assets};
use super::embed::frame_ancestors;
use super::error::HttpError;
use crate::protocol::ErrorCode;
use crate::status::{Access, Visitor};

/// Nothing from elsewhere, nothing inline, no markup from text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// What the operator says of the pages.
#[derive(Clone)]
pub struct Pages {
    assets: Assets,
    /// The policy of a room inside another site's page.
    embedded: HeaderValue,
    status: Access,
}

impl Pages {
    /// The pages' files are those of the binary, or of the folder `web_dir` where it is not empty. Rooms may be shown inside the
    /// pages of `embedding` sites, in the notation of `origins.allowed`; the status page is for those whom `status` lets see it.
    ///
    /// # Errors
    /// Where there is no folder `web_dir`.
    pub fn new(web_dir: &str, embedding: &[String], status: Access) -> anyhow::Result<Self> {
        let assets = Assets::open(web_dir);
        Ok(Self {
            assets: assets.with_context(|| format!("opening web_dir `{web_dir}`"))?,
            embedded: policy(&frame_ancestors(embedding)),
            status,
        })
    }

    fn file(&self, path: &str, headers: &HeaderMap) -> Response {
        let Some(asset) = self.assets.find(path) else {
            return HttpError::new(ErrorCode::NotFound, "there is no such file").into_response();
        };
        let mut response = asset::answer(path, &asset, headers);
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy("'self'"));
        response
    }
}

/// `GET /`
pub(super) async fn lobby(Extension(pages): Extension<Pages>, headers: HeaderMap) -> Response {
    pages.file("index.html", &headers)
}

/// `GET /room/{room}/`, and with `?embed` the same inside another site's page.
pub(super) async fn room(
    _: RoomPath,
    Extension(pages): Extension<Pages>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let mut response = pages.file("room.html", &headers);
    let mut query = uri.query().unwrap_or_default().split('&');
    if query.any(|pair| pair.split('=').next() == Some("embed")) {
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, pages.embedded);
    }
    response
}

/// `GET /embed.js`: what other sites put into their pages.
pub(super) async fn embed(Extension(pages): Extension<Pages>, headers: HeaderMap) -> Response {
    let mut response = pages.file("embed.js", &headers);
    // A page that is isolated from others takes only what says that it may be taken.
    response.headers_mut().insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
    response
}

/// `GET /status/`: for the operator. It holds nothing; what it shows comes over the WebSocket of the same path.
pub(super) async fn status(
    Extension(pages): Extension<Pages>,
    peer: Option<Extension<PeerAddr>>,
    headers: HeaderMap,
) -> Response {
    let peer = peer.map(|Extension(PeerAddr(peer))| peer);
    match pages.status.visitor(peer, &headers) {
        Visitor::Welcome | Visitor::NeedsToken => {
            let mut response = pages.file("status-page.html", &headers);
            response
                .headers_mut()
                .insert(CONTENT_SECURITY_POLICY, policy("'none'"));
            response
        }
        Visitor::Remote => HttpError::new(
            ErrorCode::Forbidden,
            "the status page is for a browser on the server's own machine, without a proxy: \
             the operator can open it to those with a token by status.access",
        )
        .into_response(),
        Visitor::Nobody => super::not_found().await.into_response(),
    }
}

/// `GET /status`
pub(super) async fn status_slash() -> Redirect {
    Redirect::permanent("/status/")
}

/// `GET /room/{room}`: pages have a slash at the end.
pub(super) async fn add_slash(_: RoomPath, uri: Uri) -> Redirect {
    let query = uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    Redirect::permanent(&format!("{}/{query}", uri.path()))
}

/// `GET /ws/{room}/` without an upgrade.
pub(super) async fn only_websocket() -> Response {
    let mut response = (
        StatusCode::UPGRADE_REQUIRED,
        "this path speaks WebSocket only\n",
    )
        .into_response();
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // `Upgrade` is hop by hop (RFC 9110, section 7.8).
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

/// `GET /favicon.ico`, which browsers ask for unasked.
pub(super) async fn favicon(Extension(pages): Extension<Pages>, headers: HeaderMap) -> Response {
    pages.file("favicon.svg", &headers)
}

/// `GET /assets/…`
pub(super) async fn asset(
    Path(path): Path<String>,
    Extension(pages): Extension<Pages>,
    headers: HeaderMap,
) -> Response {
    pages.file(&path, &headers)
}

/// The policy of a page that may be shown inside the pages of `frame_ancestors`.
fn policy(frame_ancestors: &str) -> HeaderValue {
    HeaderValue::try_from(format!("{POLICY}; frame-ancestors {frame_ancestors}"))
        .expect("sites are ASCII without control characters: the configuration took no others")
}
