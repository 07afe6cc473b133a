//! Pushes as clients do them: which requests, in which order. Never what is pushed nor how it is timed.

use crate::{
    content::{Blob, Image, LargeBlob, MANIFEST},
    error::Error,
    http::{Body, Connection},
};

const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");

/// Pushes a blob as containerd and oras do: HEAD, POST, one PUT with the body.
pub(crate) fn blob(connection: &mut Connection, repository: &str, blob: &Blob) -> Result<(), Error> {
    let digest = blob.digest.as_str();
    let path = format!("/v2/{repository}/blobs/{digest}");
    if connection.send("HEAD", &path, &[], Body::Empty)?.status == 200 {
        return Ok(());
    }
    let session = start(connection, repository)?;
    let target = with_digest(&session, digest);
    connection.send("PUT", &target, &[OCTETS], Body::Bytes(&blob.bytes))?.require(201, || format!("PUT {target}"))?;
    Ok(())
}

/// Pushes a blob as docker, skopeo and crane do: POST, PATCH with the bytes, an empty PUT.
pub(crate) fn large_blob(connection: &mut Connection, repository: &str, blob: &LargeBlob) -> Result<(), Error> {
    let session = start(connection, repository)?;
    let write = |out: &mut dyn std::io::Write| blob.write(out);
    let patched = connection
        .send("PATCH", &session, &[OCTETS], Body::Stream(blob.length, &write))?
        .require(202, || format!("PATCH {session}"))?;
    let session = patched.location.map_or(session, |next| path_of(&next));
    let target = with_digest(&session, blob.digest.as_str());
    connection.send("PUT", &target, &[], Body::Empty)?.require(201, || format!("PUT {target}"))?;
    Ok(())
}

/// Pushes a manifest under a tag or digest.
pub(crate) fn manifest(
    connection: &mut Connection,
    repository: &str,
    reference: &str,
    media_type: &str,
    bytes: &[u8],
) -> Result<(), Error> {
    let path = format!("/v2/{repository}/manifests/{reference}");
    connection
        .send("PUT", &path, &[("Content-Type", media_type)], Body::Bytes(bytes))?
        .require(201, || format!("PUT {path}"))?;
    Ok(())
}

/// Pushes an image: its blobs, then its manifest.
pub(crate) fn image(
    connection: &mut Connection,
    repository: &str,
    reference: &str,
    image: &Image,
) -> Result<(), Error> {
    for each in &image.blobs {
        blob(connection, repository, each)?;
    }
    manifest(connection, repository, reference, MANIFEST, &image.manifest.bytes)
}

/// Starts an upload; the path of its session.
fn start(connection: &mut Connection, repository: &str) -> Result<String, Error> {
    let path = format!("/v2/{repository}/blobs/uploads/");
    let started = connection.send("POST", &path, &[], Body::Empty)?.require(202, || format!("POST {path}"))?;
    match started.location {
        Some(location) => Ok(path_of(&location)),
        None => Err(Error::Wrong { what: format!("POST {path}"), problem: "202 without a Location".to_owned() }),
    }
}

/// Path and query of a `Location`, which may be absolute.
fn path_of(location: &str) -> String {
    location
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)))
        .unwrap_or(location)
        .to_owned()
}

fn with_digest(session: &str, digest: &str) -> String {
    let joint = if session.contains('?') { '&' } else { '?' };
    format!("{session}{joint}digest={digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_absolute_and_relative() {
        assert_eq!(path_of("http://h:1/v2/a?_state=x"), "/v2/a?_state=x");
        assert_eq!(path_of("/v2/a"), "/v2/a");
        assert_eq!(with_digest("/v2/a?s=1", "sha256:00"), "/v2/a?s=1&digest=sha256:00");
        assert_eq!(with_digest("/v2/a", "sha256:00"), "/v2/a?digest=sha256:00");
    }
}
