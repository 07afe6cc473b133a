//! `mcrsrv` with a configuration file: what it takes, what it refuses, the rules of `[[integrity.rule]]`.

use std::path::{Path, PathBuf};

use mcr_tests::server::mcrsrv;
use mcr_tests::{Client, Image, Index, Options, Random, Server, process, pull, push, tls};

/// A directory with a file that serves plain HTTP on loopback, and `more` at its end.
fn configuration(more: &str) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mcr.toml");
    let data = home.path().display();
    let text = format!(
        "[server]\nlisten_addr = \"127.0.0.1:0\"\n[database]\npath = \"{data}/mcr.db\"\n\
         [storage]\nlayers_path = \"{data}/layers\"\nuploads_path = \"{data}/uploads\"\n[auth]\nmode = \"none\"\n{more}"
    );
    std::fs::write(&file, text).unwrap();
    (home, file)
}

fn serve(home: &Path, file: &Path) -> Server {
    Server::with(Options { config: Some(file.to_owned()), data: Some(home.to_owned()), ..Options::default() })
}

#[test]
fn a_configured_server_serves() {
    let (home, file) = configuration("");
    let server = serve(home.path(), &file);
    push::image(&server.client(), "a", "v1", &Image::random(&mut Random::new(141), 1, 100));
    let _ = pull::assert_whole(&server.client(), "a", "v1");
}

#[test]
fn an_immutable_tag_stays_where_it_is() {
    let (home, file) = configuration("[[integrity.rule]]\nrepositories = [\"a\"]\nimmutable_tags = \"v[0-9.]+\"\n");
    let server = serve(home.path(), &file);
    let client = server.client();
    let random = &mut Random::new(142);
    let [one, two] = [(); 2].map(|()| Image::random(random, 1, 100));
    push::image(&client, "a", "v1", &one);
    push::blobs_of(&client, "a", &two);
    let _ = push::put_image(&client, "a", "v1", &two).expect_error(403, "DENIED");
    let _ = push::put_image(&client, "a", "v1", &one).expect(201);
    let _ = client.delete("/v2/a/manifests/v1").expect_error(403, "DENIED");
    let _ = client.delete(&format!("/v2/a/manifests/{}", one.digest())).expect_error(403, "DENIED");
    let _ = push::put_image(&client, "a", "latest", &two).expect(201);
    let _ = push::put_image(&client, "a", "latest", &one).expect(201);
    assert_eq!(client.get("/v2/a/manifests/v1").expect(200).digest(), *one.digest());
    // Other repositories are not meant.
    push::image(&client, "b", "v1", &one);
    push::image(&client, "b", "v1", &two);
}

#[test]
fn a_broken_file_is_refused_with_key_line_and_what_was_expected() {
    for (more, words) in [
        ("[server2]\nx = 1\n", vec!["server2"]),
        ("[integrity]\nverify_on_reed = \"off\"\n", vec!["verify_on_reed"]),
        ("[integrity]\nverify_on_read = \"sometimes\"\n", vec!["verify_on_read", "stale"]),
        ("[gc]\ngrace = \"soon\"\n", vec!["grace"]),
    ] {
        let (_home, file) = configuration(more);
        for subcommand in ["check-config", "server"] {
            let output = process::run(mcrsrv().args([subcommand, "--config"]).arg(&file));
            assert_eq!(output.code, Some(1), "{output:?}");
            for word in &words {
                assert!(output.stderr.contains(word), "{word}: {output:?}");
            }
        }
    }
}

#[test]
fn a_mode_of_logins_says_what_it_lacks() {
    for (mode, words) in [("htpasswd", vec!["htpasswd_file", "admins"]), ("mcias", vec!["server_url"])] {
        let (_home, file) = configuration("");
        let text = std::fs::read_to_string(&file).unwrap().replace("\"none\"", &format!("\"{mode}\""));
        std::fs::write(&file, text).unwrap();
        let output = process::run(mcrsrv().args(["server", "--config"]).arg(&file));
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(words.iter().all(|word| output.stderr.contains(word)), "{output:?}");
    }
}

#[test]
fn check_config_shows_what_is_in_force_and_where_it_came_from() {
    let (_home, file) = configuration("[integrity]\nfresh_for = \"2h\"\n");
    let mut command = mcrsrv();
    command.args(["check-config", "--config"]).arg(&file).env("MCR_LOG_LEVEL", "debug");
    let output = process::run(&mut command).ok();
    let text = output.all();
    for word in ["fresh_for", "2h", "MCR_LOG_LEVEL", "mcr.toml"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn init_writes_what_serves_and_changes_nothing_the_second_time() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mcr/mcr.toml");
    let init = |more: &[&str]| {
        let mut command = mcrsrv();
        command.args(["init", "--config"]).arg(&file).args(more);
        process::run(command.current_dir(home.path()))
    };
    let refused = init(&["--auth", "none", "--admin", "ann"]).failed();
    assert!(refused.stderr.contains("--admin needs accounts"), "{refused:?}");
    assert!(!file.exists());
    let first = init(&["--admin", "ann"]).ok();
    assert!(first.all().contains("mcrsrv server --config"), "the next command: {first:?}");
    let text = first.text();
    let password = text.split("user: ann password: ").nth(1).and_then(|rest| rest.split(' ').next().map(str::to_owned));
    let password = password.unwrap_or_else(|| panic!("a password, shown once: {first:?}"));
    let written = mcr_tests::damage::tree(home.path());
    let again = init(&["--admin", "ann"]).ok();
    assert!(!again.all().contains("password"), "{again:?}");
    assert!(mcr_tests::damage::tree(home.path()) == written);
    let _ = process::run(mcrsrv().args(["check-config", "--config"]).arg(&file)).ok();
    let options = Options { config: Some(file), plain: false, ..Options::default() };
    let options = options.env("MCR_SERVER_LISTEN_ADDR", "127.0.0.1:0").env("MCR_SERVER_GRPC_ADDR", "");
    let mut command = options.command(home.path());
    let mut server = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    let _ = std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stdout.take().unwrap()), &mut line);
    let address = line.strip_prefix("mcrsrv ready https://").and_then(|rest| rest.trim_end().parse().ok());
    let trust = tls::trusting(&home.path().join("mcr/certs/cert.pem"));
    let stranger = address.map(|address| Client::new(address, Some(trust)));
    let answers =
        stranger.map(|client| [client.get("/v2/").status, client.with_basic("ann", &password).get("/v2/").status]);
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(answers, Some([401, 200]), "{line:?}");
}

#[test]
fn a_cold_start_of_an_index_pulls_whole_from_a_configured_server() {
    let (home, file) = configuration("[integrity]\nverify_on_read = \"always\"\n");
    let mut server = serve(home.path(), &file);
    let index = Index::random(&mut Random::new(143), 200_000);
    push::index(&server.client(), "a", "v1", &index);
    let _ = server.stop();
    server.restart();
    let _ = pull::assert_whole(&server.client(), "a", "v1");
}
