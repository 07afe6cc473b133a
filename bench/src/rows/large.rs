//! Push of one large blob: the time from the POST to the 201.

use std::time::Instant;

use crate::{content::LargeBlob, error::Error, host, http::Body, push, servers::Server};

const REPOSITORY: &str = "bench/large";
/// Seeds of different rows lie far apart, so that no blob occurs in two.
const SEED: u64 = 2 << 40;

/// The blob of round `number`.
pub(super) fn round(number: u64, length: u64) -> LargeBlob {
    LargeBlob::new(SEED + number, length)
}

/// Pushes it; in seconds. Afterwards it is deleted and its file removed, so that a run needs the room
/// of one blob per server.
pub(super) fn sample(server: &Server, blob: &LargeBlob) -> Result<f64, Error> {
    let mut connection = server.connect()?;
    let started = Instant::now();
    push::large_blob(&mut connection, REPOSITORY, blob)?;
    let seconds = started.elapsed().as_secs_f64();
    let path = format!("/v2/{REPOSITORY}/blobs/{}", blob.digest);
    connection
        .send("DELETE", &path, &[], Body::Empty)?
        .require(202, || format!("DELETE {path} on {}", server.kind.slug()))?;
    let removed = host::remove_large(server.data(), blob.digest.hex(), blob.length)?;
    if removed != 1 {
        return Err(Error::Wrong {
            what: format!("push of {} to {}", blob.digest, server.kind.slug()),
            problem: format!("{removed} files hold it; one should"),
        });
    }
    Ok(seconds)
}
