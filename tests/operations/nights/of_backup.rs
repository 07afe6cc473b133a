//! The page about backups, on a registry with a configuration file; never what a backup is made of.

use mcr_tests::{Options, Server, ports, pull};

use crate::page::Night;
use crate::scene::{self, REPOSITORY, TAG};

use super::says;

pub(crate) fn backup_restore(night: &mut Night) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mcr.toml");
    let data = home.path().display();
    let text = format!(
        "[server]\nlisten_addr = \"{}\"\n[database]\npath = \"{data}/mcr.db\"\n[storage]\nlayers_path = \
         \"{data}/layers\"\nuploads_path = \"{data}/uploads\"\n[auth]\nmode = \"none\"\n",
        ports::free()
    );
    std::fs::write(&file, text).unwrap();
    let options = Options { config: Some(file.clone()), data: Some(home.path().to_owned()), ..Options::default() };
    let mut server = Server::with(options);
    let _ = scene::sound_image(&server.client());
    let backup = night.home().join("backup");
    night.set("CONFIG", &file).set("DATA", home.path()).set("BACKUP", &backup).set("URL", server.url());

    says(&night.run("Back up"), &["backups/mcr-", "new blobs", "whole: every blob in it was hashed just now"]);
    assert!(backup.join("keys/mcr.toml").is_file() && backup.join("keys/audit-key.pem").is_file());
    says(&night.run("Prove it"), &["is whole: 1 tag"]);
    let _ = scene::another_image(&server.client(), "later", 77);
    let _ = server.stop();
    // The disk with the registry is lost.
    for lost in ["mcr.db", "mcr.db-wal", "mcr.db-shm"] {
        let _ = std::fs::remove_file(home.path().join(lost));
    }
    std::fs::remove_dir_all(home.path().join("layers")).unwrap();
    std::fs::remove_dir_all(home.path().join("backups")).unwrap();
    says(&night.run("Restore"), &["nothing was changed", "brought back", "restored; start the server: mcrsrv server"]);
    server.restart();
    let _ = pull::assert_whole(&server.client(), REPOSITORY, TAG);
    assert_eq!(pull::assert_all_whole(&server.client()), 1);
    says(&night.run("Verify"), &["ok"]);
}
