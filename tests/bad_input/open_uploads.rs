//! Ten thousand upload sessions that nobody continues; never their content.

use mcr_tests::push::{location, open_upload, with_query};
use mcr_tests::{Blob, damage, memory};

use crate::raw;
use crate::watched::Watched;

/// How many there are.
const SESSIONS: usize = 10_000;
/// Clients that open and end them.
const CLIENTS: usize = 4;
/// What the server may hold more for all of them, in KiB.
const MEMORY_KIB: u64 = 32 * 1024;
/// How many files it may hold open for them: sessions in hand are bounded, whatever there is on disk.
const FILES: usize = 400;

#[test]
fn ten_thousand_open_uploads_cost_little_and_can_be_ended() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let pid = watched.server.pid();
    let before = memory::resident_kib(pid);
    let sessions = std::sync::Mutex::new(Vec::with_capacity(SESSIONS));
    let clients: Vec<usize> = (0..CLIENTS).collect();
    raw::at_once(&clients, |number| {
        let client = client.fresh();
        for count in 0..SESSIONS / CLIENTS {
            let mut session = open_upload(&client, &format!("rude/open{number}"));
            // Some get bytes, so that the server has had them in hand.
            if count % 5 == 0 {
                session = location(&client.request("PATCH", &session).body(b"some").call().expect(202));
            }
            sessions.lock().unwrap().push(session);
        }
    });
    let sessions = sessions.into_inner().unwrap();
    assert_eq!(damage::uploads(watched.server.data()).len(), 2 * SESSIONS);
    let (held, files) = (memory::resident_kib(pid), memory::open_files(pid));
    assert!(held <= before + MEMORY_KIB, "{before} KiB before, {held} KiB with {SESSIONS} sessions");
    assert!(files <= FILES, "{files} files are open");
    // Each still works: it says how far it is, takes bytes, becomes a blob.
    let one = &sessions[SESSIONS / 2];
    let status = client.get(one).expect(204);
    let _ = client.request("PATCH", &location(&status)).body(b"more").call().expect(202);
    let last = open_upload(&client, "rude/last");
    let blob = Blob::new(b"the last of them".to_vec());
    let _ = client.put(&with_query(&last, &format!("digest={}", blob.digest)), &blob.bytes).expect(201);
    let (ended, kept) = sessions.split_at(SESSIONS - 100);
    let shares: Vec<&[String]> = ended.chunks(SESSIONS / CLIENTS).collect();
    raw::at_once(&shares, |share| {
        let client = client.fresh();
        for session in *share {
            let _ = client.delete(session).expect(204);
        }
    });
    watched.assert_uploads(kept.len());
    // A restart knows those that are left, and no others.
    watched.server.kill();
    watched.server.restart();
    let client = watched.server.client();
    let _ = client.get(&ended[0]).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    for session in kept {
        let _ = client.get(session).expect(204);
        let _ = client.delete(session).expect(204);
        let _ = client.delete(session).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    watched.assert_uploads(0);
    watched.assert_unharmed();
}
