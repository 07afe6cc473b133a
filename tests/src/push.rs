//! Pushes as clients do them: blobs in three ways, images, indexes; never a check of what is stored.

use mcr_oci::media_type;

use crate::content::{Blob, Image, Index};
use crate::http::{Client, Failure, Response};

/// The session that a `POST …/blobs/uploads/` opened.
///
/// # Panics
/// Where the registry does not open one.
#[must_use]
#[track_caller]
pub fn open_upload(client: &Client, repository: &str) -> String {
    let answer = client.post(&format!("/v2/{repository}/blobs/uploads/"));
    location(&answer.expect(202))
}

/// The `Location` of an answer, as a target on the same server.
///
/// # Panics
/// Where there is none.
#[must_use]
#[track_caller]
pub fn location(response: &Response) -> String {
    let location = response.required("location");
    match location.split_once("://") {
        None => location.to_owned(),
        Some((_, rest)) => rest[rest.find('/').expect("a path")..].to_owned(),
    }
}

/// `target` with one more query parameter.
#[must_use]
pub fn with_query(target: &str, parameter: &str) -> String {
    let sign = if target.contains('?') { '&' } else { '?' };
    format!("{target}{sign}{parameter}")
}

/// Pushes with `POST` and one `PUT`, as containerd does.
///
/// # Errors
/// Where an answer does not come whole.
pub fn try_blob(client: &Client, repository: &str, blob: &Blob) -> Result<Response, Failure> {
    let opened = client.request("POST", &format!("/v2/{repository}/blobs/uploads/"));
    let opened = opened.body(b"").send()?;
    if opened.status != 202 {
        return Ok(opened);
    }
    let target = with_query(&location(&opened), &format!("digest={}", blob.digest));
    let put = client.request("PUT", &target).body(&blob.bytes);
    put.header("Content-Type", media_type::OCTET_STREAM).send()
}

/// Pushes with `POST` and one `PUT`, and insists on 201.
///
/// # Panics
/// Where it does not work.
#[track_caller]
pub fn blob(client: &Client, repository: &str, blob: &Blob) {
    match try_blob(client, repository, blob) {
        Ok(answer) => drop(answer.expect(201)),
        Err(failure) => panic!("{}: {failure}", blob.digest),
    }
}

/// Pushes with `POST`, one streamed `PATCH` and an empty `PUT`, as docker, skopeo and crane do.
///
/// # Panics
/// Where it does not work.
#[track_caller]
pub fn blob_streamed(client: &Client, repository: &str, blob: &Blob) -> Response {
    let session = open_upload(client, repository);
    let patched = client.request("PATCH", &session).chunked(&blob.bytes, 8000).call();
    let session = location(&patched.expect(202));
    let target = with_query(&session, &format!("digest={}", blob.digest));
    client.put(&target, b"").expect(201)
}

/// Pushes in `PATCH`es of `chunk` bytes with Content-Range, then an empty `PUT`.
///
/// # Panics
/// Where it does not work.
#[track_caller]
pub fn blob_chunked(client: &Client, repository: &str, blob: &Blob, chunk: usize) -> Response {
    let mut session = open_upload(client, repository);
    let mut start = 0;
    for bytes in blob.bytes.chunks(chunk) {
        let range = format!("{start}-{}", start + bytes.len() - 1);
        let patch = client.request("PATCH", &session).header("Content-Range", &range);
        let patched = patch.header("Content-Type", media_type::OCTET_STREAM).body(bytes).call();
        session = location(&patched.expect(202));
        start += bytes.len();
    }
    let target = with_query(&session, &format!("digest={}", blob.digest));
    client.put(&target, b"").expect(201)
}

/// `PUT`s a manifest.
///
/// # Errors
/// Where no whole answer comes.
pub fn try_manifest(
    client: &Client,
    repository: &str,
    reference: &str,
    media_type: &str,
    bytes: &[u8],
) -> Result<Response, Failure> {
    let target = format!("/v2/{repository}/manifests/{reference}");
    let put = client.request("PUT", &target).header("Content-Type", media_type);
    put.body(bytes).send()
}

/// `PUT`s a manifest.
///
/// # Panics
/// Where no whole answer comes.
#[must_use]
#[track_caller]
pub fn manifest(client: &Client, repository: &str, reference: &str, media_type: &str, bytes: &[u8]) -> Response {
    match try_manifest(client, repository, reference, media_type, bytes) {
        Ok(response) => response,
        Err(failure) => panic!("PUT {repository} {reference}: {failure}"),
    }
}

/// Pushes the blobs of an image.
///
/// # Panics
/// Where it does not work.
#[track_caller]
pub fn blobs_of(client: &Client, repository: &str, image: &Image) {
    for each in image.blobs() {
        blob(client, repository, each);
    }
}

/// Pushes an image whole under `reference`.
///
/// # Panics
/// Where it does not work.
#[track_caller]
pub fn image(client: &Client, repository: &str, reference: &str, image: &Image) {
    blobs_of(client, repository, image);
    put_image(client, repository, reference, image).expect(201);
}

/// `PUT`s the manifest of an image whose blobs are there, or not.
///
/// # Panics
/// Where no whole answer comes.
#[must_use]
#[track_caller]
pub fn put_image(client: &Client, repository: &str, reference: &str, image: &Image) -> Response {
    manifest(client, repository, reference, &image.media_type, &image.manifest.bytes)
}

/// Pushes an index whole, children by digest, under `reference`.
///
/// # Panics
/// Where it does not work.
#[track_caller]
pub fn index(client: &Client, repository: &str, reference: &str, index: &Index) {
    for each in &index.images {
        image(client, repository, each.digest().as_str(), each);
    }
    put_index(client, repository, reference, &index.manifest).expect(201);
}

/// `PUT`s an index whose children are there, or not.
///
/// # Panics
/// Where no whole answer comes.
#[must_use]
#[track_caller]
pub fn put_index(client: &Client, repository: &str, reference: &str, index: &Blob) -> Response {
    manifest(client, repository, reference, media_type::OCI_INDEX, &index.bytes)
}
