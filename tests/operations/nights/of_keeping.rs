//! Pages about what keeps and what deletes: the scrub, snapshots, plans, garbage collection; never damage.

use mcr_tests::{Blob, Image, Options, Random, Server, pull, push};

use super::says;
use crate::page::Night;
use crate::scene;

/// A server with something in it where everybody may do everything, and its address.
fn open(night: &mut Night, options: Options) -> Server {
    let server = Server::with(options);
    let _ = scene::sound_image(&server.client());
    night.set("URL", server.url());
    server
}

pub(crate) fn scrub_late(night: &mut Night) {
    let _server = open(night, Options::default());
    says(&night.run("First look"), &["mcr_scrub_bytes_total", "\"activity\"", "\"behind\""]);
    says(&night.run("Verify"), &["mcr_scrub_bytes_total"]);
}

pub(crate) fn backup_stale(night: &mut Night) {
    let server = open(night, Options::default());
    says(&night.run("First look"), &["there never was one", "ok"]);
    says(&night.run("Mend"), &["/backups/mcr-"]);
    says(&night.run("Verify"), &["sound", "mcr_snapshot_last_success_timestamp 1"]);
    assert!(server.data().join("backups").is_dir());
}

pub(crate) fn deletion_plan_waiting(night: &mut Night) {
    let home = tempfile::tempdir().unwrap();
    let (file, at) = (home.path().join("mcr.toml"), home.path().display());
    let text = format!(
        "[server]\nlisten_addr = \"127.0.0.1:0\"\n[database]\npath = \"{at}/mcr.db\"\n[storage]\nlayers_path = \
         \"{at}/layers\"\nuploads_path = \"{at}/uploads\"\n[auth]\nmode = \"none\"\n[[retention.rule]]\nrepositories = \
         [\"team/**\"]\nkeep_last = 1\n"
    );
    std::fs::write(&file, text).unwrap();
    let options = Options { config: Some(file), data: Some(home.path().to_owned()), ..Options::default() };
    let server = open(night, options);
    let random = &mut Random::new(92);
    for tag in ["v1", "v2", "v3"] {
        push::image(&server.client(), "team/app", tag, &Image::random(random, 1, 100));
    }
    let begun = server.client().post("/v1/retention/run").expect(202).json();
    scene::wait_for_plan(&server.client(), begun["id"].as_str().unwrap());

    says(&night.run("First look"), &["needs_confirmation", "team/app:v1", "team/app:v2", "not among the 1"]);
    says(&night.run("Mend"), &["deleted 2 tags"]);
    says(&night.run("Verify"), &["mcr_plan_waiting{job=\"retention\"} 0"]);
    assert_eq!(pull::tags(&server.client(), "team/app"), ["v3"]);
}

pub(crate) fn garbage_collection(night: &mut Night) {
    let options = Options::default().env("MCR_GC_LEASE", "10s").env("MCR_GC_GRACE", "0s").env("MCR_GC_UNDO", "0s");
    let server = open(night, options);
    let lost = Blob::random(&mut Random::new(93), 5000);
    push::blob(&server.client(), "team/app", &lost);
    says(&night.run("First look"), &["idle: it has not run yet"]);
    says(&night.run("Cause"), &["would free"]);
    says(&night.run("Mend"), &["freed"]);
    says(&night.run("Verify"), &["idle: freed", "mcr_gc_freed_bytes_total"]);
}
