//! Pages about a `mcrsrv`; never another registry.

use std::process::Command;
use std::time::{Duration, Instant};

use mcr_tests::mount::Tmpfs;
use mcr_tests::{Client, Image, Options, Random, Server, damage, layout, process, push};

use crate::page::Night;
use crate::scene::{self, REPOSITORY, TAG};
use mcr_tests::ports;

use super::{built, says};

fn wait_status(client: &Client, target: &str, status: u16) {
    let start = Instant::now();
    while !client.fresh().request("GET", target).send().is_ok_and(|answer| answer.status == status) {
        assert!(start.elapsed() < Duration::from_secs(60), "{target} is never {status}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub(crate) fn docker_registry_down(night: &mut Night) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mcr.toml");
    let data = home.path().display();
    let sound = format!(
        "[server]\nlisten_addr = \"{}\"\n[database]\npath = \"{data}/mcr.db\"\n[storage]\nlayers_path = \
         \"{data}/layers\"\nuploads_path = \"{data}/uploads\"\n[auth]\nmode = \"none\"\n",
        ports::free()
    );
    std::fs::write(&file, &sound).unwrap();
    let options = Options { config: Some(file.clone()), data: Some(home.path().to_owned()), ..Options::default() };
    let mut server = Server::with(options);
    let _ = scene::sound_image(&server.client());
    night.set("URL", server.url()).set("CONFIG", &file);
    let _ = server.stop();
    std::fs::write(&file, format!("{sound}[integrity]\nverify_on_reed = \"off\"\n")).unwrap();

    let _ = night.run("First look");
    says(&night.run("Cause"), &["verify_on_reed"]);
    std::fs::write(&file, &sound).unwrap();
    let _ = night.run("Mend");
    server.restart();
    says(&night.run("Verify"), &["ok", "no findings"]);
}

pub(crate) fn high_error_rate(night: &mut Night) {
    let server = Server::start();
    let _ = scene::sound_image(&server.client());
    night.set("URL", server.url());
    // The volume with the blobs goes away under the running server.
    let layers = server.data().join("layers");
    let away = server.data().join("away");
    std::fs::rename(&layers, &away).unwrap();
    std::fs::create_dir(&layers).unwrap();
    wait_status(&server.client(), "/readyz", 503);

    says(&night.run("First look"), &["layers", "route=\"readyz\",status=\"503\""]);
    std::fs::remove_dir_all(&layers).unwrap();
    std::fs::rename(&away, &layers).unwrap();
    wait_status(&server.client(), "/readyz", 200);
    says(&night.run("Verify"), &["no findings"]);
}

pub(crate) fn disk_filling(night: &mut Night) {
    let volume = Tmpfs::mount(300);
    let data = volume.path().join("srv");
    let server = Server::with(Options::default().at(&data));
    // Below the reserve of 1 GiB from the start.
    let image = Image::random(&mut Random::new(91), 1, 500);
    let refused = push::try_blob(&server.client(), REPOSITORY, &image.config).unwrap();
    assert_eq!(refused.status, 507, "{refused:?}");
    night.set("URL", server.url()).set("DATA", &data);

    says(&night.run("First look"), &["degraded", "300M", "layers"]);
    says(&night.run("Mend"), &["would free 0 B", "freed 0 B"]);
    let mut command = Command::new("mount");
    let _ = process::run(command.args(["-o", "remount,size=3g"]).arg(volume.path())).ok();
    let start = Instant::now();
    while push::try_blob(&server.client(), REPOSITORY, &image.config).unwrap().status != 201 {
        assert!(start.elapsed() < Duration::from_secs(60), "it takes pushes again by itself");
        std::thread::sleep(Duration::from_millis(100));
    }
    says(&night.run("Verify"), &["3.0G", "ok"]);
}

/// A server with a login, and a reader who has logged in.
fn secured(night: &mut Night) -> Server {
    let server = Server::with(Options::secured().env("MCR_PROBE_SCHEDULE", "* * * * * *"));
    night.trust(&server.certificate()).log_in(&server.authority(), "admin", server.password());
    night.set("REGISTRY", server.authority()).set("URL", server.url());
    night.set("REPOSITORY", REPOSITORY).set("TAG", TAG);
    server
}

pub(crate) fn push_refused(night: &mut Night) {
    let server = secured(night);
    let index = layout::real_index();
    let build = built(night, &index);
    night.set("BUILD", build);
    let _ = push::put_index(&server.client(), REPOSITORY, TAG, &index.manifest).expect(400);

    let said = night.run("First look");
    says(&said, &["mcr_push_refused_total{kind=\"manifest-missing\"} 2", index.images[0].digest().as_str()]);
    says(&server.log(), &["a push was refused"]);
    let _ = night.run("Mend");
    says(&night.run("Verify"), &["sound: 1 index"]);
}

pub(crate) fn blob_quarantined(night: &mut Night) {
    let server = secured(night);
    let index = scene::sound_image(&server.client());
    let build = built(night, &index);
    night.set("BUILD", build);
    let layer = &index.images[1].layers[0].digest;
    damage::truncate(server.data(), layer, 100);
    let _ = server.client().get(&format!("/v2/{REPOSITORY}/blobs/{layer}")).expect(404);

    let start = Instant::now();
    while !server.client().get("/metrics").expect(200).text().contains("registry_manifest_integrity_broken_tag") {
        assert!(start.elapsed() < Duration::from_secs(60), "the server's own probe sees it");
        std::thread::sleep(Duration::from_millis(100));
    }

    says(
        &night.run("First look"),
        &["mcr_quarantined_blobs 1", "found while serving", "infra/ci:latest", layer.as_str()],
    );
    let _ = night.run("Mend");
    says(&night.run("Verify"), &["sound: 1 index"]);
    assert_eq!(damage::quarantined(server.data()).len(), 1, "what was set aside stays");
}
