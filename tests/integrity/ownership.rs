//! One process owns a data directory; a second one refuses and harms nothing. Directories that do not belong together.

use mcr_tests::{Image, Options, Random, Server, damage, process, pull, push};

fn with_image() -> (Server, Image) {
    let server = Server::start();
    let image = Image::random(&mut Random::new(271), 1, 1000);
    push::image(&server.client(), "a", "v1", &image);
    (server, image)
}

#[test]
fn a_second_server_exits_1_and_names_the_first() {
    let (server, _) = with_image();
    let before = damage::settled(|| damage::tree(server.data()));
    for options in [Options::default(), Options::secured()] {
        let output = process::run(&mut options.command(server.data()));
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains(&server.pid().to_string()), "{output:?}");
        assert!(output.stderr.contains("mcrsrv server"), "{output:?}");
        assert_eq!(output.stderr.trim_end().lines().count(), 1, "one line: {output:?}");
        assert!(output.text().is_empty(), "no ready line: {output:?}");
    }
    assert!(damage::tree(server.data()) == before, "it changed something");
    let client = server.client();
    let _ = pull::assert_whole(&client, "a", "v1");
    push::image(&client, "b", "v1", &Image::random(&mut Random::new(272), 1, 1000));
    assert_eq!(pull::assert_all_whole(&client), 2);
}

#[test]
fn the_blobs_of_a_running_server_cannot_be_had_with_another_database() {
    let (server, _) = with_image();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mcr.toml");
    let data = server.data().display();
    let text = format!(
        "[server]\nlisten_addr = \"127.0.0.1:0\"\n[database]\npath = \"{}/mcr.db\"\n\
         [storage]\nlayers_path = \"{data}/layers\"\nuploads_path = \"{data}/uploads\"\n[auth]\nmode = \"none\"\n",
        home.path().display()
    );
    std::fs::write(&file, text).unwrap();
    let before = damage::settled(|| damage::tree(server.data()));
    let options = Options { config: Some(file), ..Options::default() };
    let output = process::run(&mut options.command(home.path()));
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains(&server.pid().to_string()), "{output:?}");
    assert!(damage::tree(server.data()) == before, "it changed something");
    assert_eq!(pull::assert_all_whole(&server.client()), 1);
}

#[test]
fn a_killed_server_leaves_no_lock_behind() {
    let (mut server, _) = with_image();
    for _ in 0..3 {
        server.kill();
        server.restart();
        assert_eq!(pull::assert_all_whole(&server.client()), 1);
    }
}

#[test]
fn blobs_without_their_database_are_not_started_over() {
    let (mut server, image) = with_image();
    let _ = server.stop();
    for name in ["mcr.db", "mcr.db-wal", "mcr.db-shm"] {
        let _ = std::fs::remove_file(server.data().join(name));
    }
    let blobs = damage::tree(&server.data().join("layers"));
    let output = process::run(&mut Options::default().command(server.data()));
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("restore --from-blobs"), "{output:?}");
    let path = damage::blob_path(server.data(), &image.config.digest);
    assert!(path.is_file());
    let after = damage::tree(&server.data().join("layers"));
    let lock = std::path::Path::new("mcr.lock");
    assert!(blobs.iter().all(|(name, bytes)| name == lock || after.get(name) == Some(bytes)));
}

#[test]
fn the_blobs_of_another_registry_are_refused() {
    let (mut one, _) = with_image();
    let (mut two, _) = with_image();
    let _ = (one.stop(), two.stop());
    std::fs::remove_dir_all(one.data().join("layers")).unwrap();
    std::fs::rename(two.data().join("layers"), one.data().join("layers")).unwrap();
    let output = process::run(&mut Options::default().command(one.data()));
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("restore"), "{output:?}");
}

#[test]
fn a_new_database_takes_over_a_marker_beside_which_no_blob_lies() {
    let mut server = Server::start();
    let _ = server.stop();
    for name in ["mcr.db", "mcr.db-wal", "mcr.db-shm"] {
        let _ = std::fs::remove_file(server.data().join(name));
    }
    let marker = server.data().join("layers/mcr-registry-id");
    let id = std::fs::read_to_string(&marker).unwrap();
    server.restart();
    assert_eq!(std::fs::read_to_string(&marker).unwrap(), id);
}

#[test]
fn files_and_directories_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let (server, image) = with_image();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let data = server.data();
    for directory in [data.to_owned(), data.join("layers"), data.join("uploads")] {
        assert_eq!(mode(&directory), 0o700, "{}", directory.display());
    }
    for file in [data.join("mcr.db"), damage::blob_path(data, &image.config.digest)] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_database_that_is_not_ours_is_left_alone() {
    let mut server = Server::start();
    let _ = server.stop();
    let database = server.data().join("mcr.db");
    for name in ["mcr.db", "mcr.db-wal", "mcr.db-shm"] {
        let _ = std::fs::remove_file(server.data().join(name));
    }
    std::fs::write(&database, b"this is not a database at all, only some text in its place").unwrap();
    let before = std::fs::read(&database).unwrap();
    let output = process::run(&mut Options::default().command(server.data()));
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(std::fs::read(&database).unwrap(), before);
}
