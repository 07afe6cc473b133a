//! The page that leads from a registry of others to ours, with its way back; never what an import does.

use std::path::{Path, PathBuf};

use mcr_tests::process::Daemon;
use mcr_tests::{Client, Image, Index, Options, Random, Server, ports, pull, push, tools};

use super::says;
use crate::page::Night;
use crate::scene::{self, REPOSITORY, TAG};

/// A docker-registry with a configuration file that the reader edits.
struct Old {
    address: std::net::SocketAddr,
    config: PathBuf,
    daemon: Option<Daemon>,
}

impl Old {
    fn start(home: &Path) -> Self {
        let address = ports::free();
        let config = home.join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  cache:\n    blobdescriptor: inmemory\n  filesystem:\n    \
             rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n  secret: only-for-this-test\n",
            home.join("tree").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut old = Self { address, config, daemon: None };
        old.restart();
        old
    }

    fn client(&self) -> Client {
        Client::new(self.address, None)
    }

    fn restart(&mut self) {
        self.daemon = None;
        let mut command = tools::command("docker-registry");
        command.arg("serve").arg(&self.config);
        let mut daemon = Daemon::start(&mut command, self.config.with_extension("log"));
        let client = self.client();
        daemon.wait_ready("docker-registry", || client.request("GET", "/v2/").send().is_ok());
        self.daemon = Some(daemon);
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes the bytes of a blob away.
    fn lose(&self, hex: &str) {
        let directory = self.config.with_file_name("tree").join("docker/registry/v2/blobs/sha256");
        std::fs::remove_dir_all(directory.join(&hex[..2]).join(hex)).unwrap();
    }
}

fn configured(home: &Path) -> PathBuf {
    let file = home.join("mcr.toml");
    let data = home.display();
    let text = format!(
        "[server]\nlisten_addr = \"{}\"\n[database]\npath = \"{data}/mcr.db\"\n[storage]\nlayers_path = \
         \"{data}/layers\"\nuploads_path = \"{data}/uploads\"\n[auth]\nmode = \"none\"\n",
        ports::free()
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn pushed(client: &Client, tag: &str, seed: u64) -> Image {
    let image = Image::random(&mut Random::new(seed), 2, 20_000);
    push::image(client, REPOSITORY, tag, &image);
    image
}

pub(crate) fn leave_registry_2(night: &mut Night) {
    let [theirs, ours] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut old = Old::start(theirs.path());
    let _ = scene::sound_image(&old.client());
    let _ = pushed(&old.client(), "1.0", 1);
    let broken: Index = scene::another_image(&old.client(), "broken", 2);
    old.lose(broken.images[0].layers[0].digest.hex());
    let config = configured(ours.path());
    night.set("STORAGE", theirs.path().join("tree")).set("OLDCONFIG", &old.config).set("OLD", old.url());
    night.set("CONFIG", &config).set("REPOSITORY", REPOSITORY).set("TAG", TAG);
    night.set("URL", "not yet").set("NAME", "not yet");

    says(&night.run("First look"), &["blob-missing", "would import 2 of 3 tags"]);
    // The address is in the configuration; the server is started by the reader in the middle of the section.
    let text = std::fs::read_to_string(&config).unwrap();
    let address =
        text.lines().find_map(|line| line.strip_prefix("listen_addr = ")).unwrap().trim_matches('"').to_owned();
    let url = format!("http://{address}");
    night.set("URL", &url).set("NAME", &url);
    let server = std::sync::Mutex::new(None);
    let said = night.run_with("First import", &mut |block| {
        if block == 1 {
            let options =
                Options { config: Some(config.clone()), data: Some(ours.path().to_owned()), ..Options::default() };
            *server.lock().unwrap() = Some(Server::with(options));
        }
    });
    says(&said, &["imported 2 of 3 tags", "left out broken:v1", "ok", "sound"]);
    let server = server.into_inner().unwrap().unwrap();

    let later = pushed(&old.client(), "1.1", 3);
    let moved = pushed(&old.client(), "1.0", 4);
    let said = night.run_with("Make the old registry read-only", &mut |block| {
        if block == 1 {
            old.restart();
        }
    });
    says(&said, &["readonly: {enabled: true}"]);
    says(&night.run("Last import"), &["imported 1 of 4 tags", "1 moved", "left out broken:v1"]);
    says(&night.run("Verify every tag"), &["no findings", "left out broken:v1", "blob-missing"]);
    for (tag, image) in [("1.1", &later), ("1.0", &moved)] {
        assert!(pull::assert_whole(&server.client(), REPOSITORY, tag).manifests.contains(image.digest()));
    }
    says(&night.run("Switch the name"), &["ok", "sound"]);

    // Somebody pushes to the new one, and it is rolled back all the same.
    let meanwhile = pushed(&server.client(), "1.2", 5);
    let said = night.run_with("The old registry takes pushes again", &mut |block| {
        if block == 1 {
            old.restart();
        }
    });
    says(&said, &["imported 1 of 4 tags", "sound"]);
    assert!(pull::assert_whole(&old.client(), REPOSITORY, "1.2").manifests.contains(meanwhile.digest()));

    old.daemon = None;
    says(&night.run("Close the old port"), &["no findings"]);
}
