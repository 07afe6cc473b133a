//! The rows below `/v2/` and those that everybody may ask; never who asks.

use mcr_oci::media_type::OCTET_STREAM;
use mcr_tests::push;

use crate::cell::{Ask, Cell};
use crate::world::READ;

/// One cell of a row: what it is answered.
pub(crate) type Act = fn(&Cell<'_>, &str) -> String;

/// An endpoint.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// The method; of gRPC, empty.
    pub(crate) method: &'static str,
    /// The path with its places in brackets; of gRPC, service and method.
    pub(crate) path: &'static str,
    /// What tells rows of one endpoint apart.
    pub(crate) note: &'static str,
    pub(crate) act: Act,
}

impl Row {
    /// As the table names it.
    pub(crate) fn name(&self) -> String {
        let note = if self.note.is_empty() { String::new() } else { format!(" ({})", self.note) };
        format!("{} {}{note}", self.method, self.path).trim_start().to_owned()
    }
}

/// A row for each method.
pub(crate) fn each(rows: &mut Vec<Row>, methods: &[&'static str], path: &'static str, note: &'static str, act: Act) {
    rows.extend(methods.iter().map(|&method| Row { method, path, note, act }));
}

const READS: [&str; 2] = ["GET", "HEAD"];
const MANIFEST: &str = "/v2/<name>/manifests/<tag>";
const BY_DIGEST: &str = "/v2/<name>/manifests/<digest>";
const NO_TAG: &str = "/v2/<name>/manifests/<neither>";
const BLOB: &str = "/v2/<name>/blobs/<digest>";
const UPLOADS: &str = "/v2/<name>/blobs/uploads/";
const UPLOAD: &str = "/v2/<name>/blobs/uploads/<id>";

/// The rows of the OCI API.
pub(crate) fn oci() -> Vec<Row> {
    let mut rows = Vec::new();
    each(&mut rows, &READS, "/v2", "", |cell, method| cell.ask(method, "/v2", &Ask::plain()));
    each(&mut rows, &READS, "/v2/", "", |cell, method| cell.ask(method, "/v2/", &Ask::plain()));
    tokens(&mut rows);
    each(&mut rows, &READS, "/v2/_catalog", "", |cell, method| cell.ask(method, "/v2/_catalog", &Ask::plain()));
    each(&mut rows, &READS, "/v2/<name>/tags/list", "", |cell, method| {
        cell.ask(method, &format!("/v2/{READ}/tags/list"), &Ask::plain())
    });
    manifests(&mut rows);
    blobs(&mut rows);
    begin(&mut rows);
    sessions(&mut rows);
    each(&mut rows, &READS, "/v2/<name>/referrers/<digest>", "", |cell, method| {
        cell.ask(method, &format!("/v2/{READ}/referrers/{}", cell.world.image.digest()), &Ask::plain())
    });
    each(&mut rows, &["GET"], "/v2/<nothing>", "no endpoint", |cell, method| {
        cell.ask(method, &format!("/v2/{READ}/nothing"), &Ask::plain())
    });
    rows
}

fn tokens(rows: &mut Vec<Row>) {
    const SCOPE: &str = "/v2/token?service=mcr&scope=repository:base/read:pull";
    each(rows, &["GET"], "/v2/token", "", |cell, method| {
        let header = cell.hand.basic.clone().or_else(|| cell.hand.header(cell.form));
        cell.ask_with(header.as_deref(), method, SCOPE, &Ask::plain())
    });
    each(rows, &["POST"], "/v2/token", "password, or what there is as refresh token", |cell, method| {
        let form = match (&cell.hand.pair, &cell.hand.bearer) {
            (Some((name, password)), _) => format!("grant_type=password&username={name}&password={password}"),
            (None, token) => format!("grant_type=refresh_token&refresh_token={}", token.as_deref().unwrap_or("none")),
        };
        let ask = Ask::body("application/x-www-form-urlencoded", format!("{form}&service=mcr&client_id=matrix"));
        cell.ask_with(None, method, "/v2/token", &ask)
    });
}

fn manifests(rows: &mut Vec<Row>) {
    each(rows, &READS, MANIFEST, "", |cell, method| {
        cell.ask(method, &format!("/v2/{READ}/manifests/v1"), &Ask::plain())
    });
    each(rows, &READS, BY_DIGEST, "", |cell, method| {
        cell.ask(method, &format!("/v2/{READ}/manifests/{}", cell.world.image.digest()), &Ask::plain())
    });
    each(rows, &["GET", "HEAD", "PUT", "DELETE"], NO_TAG, "neither tag nor digest", |cell, method| {
        cell.ask(method, &format!("/v2/{READ}/manifests/.v1"), &Ask::plain())
    });
    each(rows, &["PUT"], MANIFEST, "", |cell, method| put_manifest(cell, method, "v1"));
    each(rows, &["PUT"], BY_DIGEST, "", |cell, method| put_manifest(cell, method, cell.world.image.digest().as_str()));
    each(rows, &["PUT"], MANIFEST, "moves the tag", |cell, method| {
        let (name, image) =
            (cell.place(), cell.world.image.changed(|manifest| manifest["annotations"]["a"] = "b".into()));
        let ask = Ask::body(&image.media_type, image.manifest.bytes);
        cell.ask(method, &format!("/v2/{name}/manifests/v1"), &ask)
    });
    each(rows, &["DELETE"], MANIFEST, "", |cell, method| {
        cell.ask(method, &format!("/v2/{}/manifests/v1", cell.place()), &Ask::plain())
    });
    each(rows, &["DELETE"], BY_DIGEST, "", |cell, method| {
        cell.ask(method, &format!("/v2/{}/manifests/{}", cell.place(), cell.world.image.digest()), &Ask::plain())
    });
    each(rows, &["PATCH"], MANIFEST, "no method of it", |cell, method| {
        cell.ask(method, &format!("/v2/{READ}/manifests/v1"), &Ask::plain())
    });
}

fn put_manifest(cell: &Cell<'_>, method: &str, reference: &str) -> String {
    let (name, image) = (cell.fresh_name(), &cell.world.image);
    cell.blobs_in(&name);
    let ask = Ask::body(&image.media_type, image.manifest.bytes.clone());
    cell.ask(method, &format!("/v2/{name}/manifests/{reference}"), &ask)
}

fn blobs(rows: &mut Vec<Row>) {
    each(rows, &READS, BLOB, "", |cell, method| {
        cell.ask(method, &format!("/v2/{READ}/blobs/{}", cell.world.image.config.digest), &Ask::plain())
    });
    each(rows, &["DELETE"], BLOB, "", |cell, method| {
        let name = cell.fresh_name();
        cell.blobs_in(&name);
        cell.ask(method, &format!("/v2/{name}/blobs/{}", cell.world.image.config.digest), &Ask::plain())
    });
}

fn begin(rows: &mut Vec<Row>) {
    each(rows, &["POST"], UPLOADS, "", |cell, method| {
        cell.ask(method, &format!("/v2/{}/blobs/uploads/", cell.fresh_name()), &Ask::plain())
    });
    each(rows, &["POST"], UPLOADS, "whole, ?digest=", |cell, method| {
        let blob = &cell.world.image.layers[0];
        let target = format!("/v2/{}/blobs/uploads/?digest={}", cell.fresh_name(), blob.digest);
        cell.ask(method, &target, &Ask::body(OCTET_STREAM, blob.bytes.clone()))
    });
    each(rows, &["POST"], UPLOADS, "?mount=&from=", |cell, method| {
        let (name, digest) = (cell.fresh_name(), &cell.world.image.config.digest);
        cell.ask(method, &format!("/v2/{name}/blobs/uploads/?mount={digest}&from={READ}"), &Ask::plain())
    });
    each(rows, &["POST"], UPLOADS, "?mount=", |cell, method| {
        let (name, digest) = (cell.fresh_name(), &cell.world.image.config.digest);
        // Only what the token is for is looked through: the challenge cannot know where the blob is.
        let scope = format!("repository:{name}:pull,push repository:{READ}:pull");
        cell.ask_for(&scope, method, &format!("/v2/{name}/blobs/uploads/?mount={digest}"), &Ask::plain())
    });
}

fn sessions(rows: &mut Vec<Row>) {
    each(rows, &["GET", "HEAD", "DELETE"], UPLOAD, "", |cell, method| {
        let session = push::open_upload(&cell.world.admin, &cell.fresh_name());
        cell.ask(method, &session, &Ask::plain())
    });
    each(rows, &["PATCH"], UPLOAD, "", |cell, method| {
        let session = push::open_upload(&cell.world.admin, &cell.fresh_name());
        cell.ask(method, &session, &Ask::body(OCTET_STREAM, "half"))
    });
    each(rows, &["PUT"], UPLOAD, "", |cell, method| {
        let session = push::open_upload(&cell.world.admin, &cell.fresh_name());
        let blob = &cell.world.image.layers[0];
        let target = push::with_query(&session, &format!("digest={}", blob.digest));
        cell.ask(method, &target, &Ask::body(OCTET_STREAM, blob.bytes.clone()))
    });
}

/// The rows that need no account.
pub(crate) fn open() -> Vec<Row> {
    let mut rows = Vec::new();
    each(&mut rows, &READS, "/v1/health", "", |cell, method| cell.ask(method, "/v1/health", &Ask::plain()));
    each(&mut rows, &READS, "/healthz", "", |cell, method| cell.ask(method, "/healthz", &Ask::plain()));
    each(&mut rows, &READS, "/readyz", "", |cell, method| cell.ask(method, "/readyz", &Ask::plain()));
    each(&mut rows, &READS, "/metrics", "from this machine", |cell, method| {
        cell.ask(method, "/metrics", &Ask::plain())
    });
    each(&mut rows, &["GET"], "/<nothing>", "no endpoint", |cell, method| cell.ask(method, "/nothing", &Ask::plain()));
    rows
}
