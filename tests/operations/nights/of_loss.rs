//! The page about a lost database, on a registry with a configuration file; never what its journal says.

use std::time::{Duration, Instant};

use mcr_tests::{Options, Server, ports, pull};

use crate::page::Night;
use crate::scene::{self, REPOSITORY, TAG};

use super::says;

pub(crate) fn database_lost(night: &mut Night) {
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
    night.set("CONFIG", &file).set("DATA", home.path()).set("URL", server.url());
    let _ = server.stop();
    for lost in ["mcr.db", "mcr.db-wal", "mcr.db-shm"] {
        let _ = std::fs::remove_file(home.path().join(lost));
    }
    let refused = server.try_start().unwrap_err();
    assert!(refused.contains("exit status: 1"), "{refused}");
    says(&server.log(), &["restore --from-blobs"]);

    says(&night.run("First look"), &["would restore registry", "nothing was changed"]);
    says(&night.run("Mend"), &["1 tag in 1 repository", "not recovered"]);
    server.restart();
    let closed = server.client().get("/v1/health").expect(200).text();
    assert!(closed.contains("policy rules are lost"), "{closed}");
    let _ = night.run("Open it again");
    let start = Instant::now();
    while server.client().get("/v1/health").expect(200).text().contains("policy rules are lost") {
        assert!(start.elapsed() < Duration::from_secs(20), "it stays closed");
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = pull::assert_whole(&server.client(), REPOSITORY, TAG);
    says(&night.run("Verify"), &["ok"]);
}
