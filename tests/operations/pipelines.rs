//! The pipelines of `deploy/ci`: they parse, pin what they fetch, and their verify step passes a sound image and fails
//! for a broken one; never the build.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;

use mcr_oci::Digest;
use mcr_tests::server::binary;
use mcr_tests::{Image, Options, Random, Server, process, push, tools};
use serde_json::Value;

use crate::scene::{self, REPOSITORY, TAG};
use crate::yaml;
use mcr_tests::distribution::Distribution;

/// The tag that stands for a commit.
const COMMIT: &str = "0123abcd";

const FILES: [&str; 3] = ["woodpecker.yml", "github-actions.yml", "gitlab-ci.yml"];

/// The verify step of a pipeline: its lines, and the variables the file gives it.
struct Step {
    file: &'static str,
    script: String,
    variables: Vec<String>,
}

fn document(file: &str) -> Value {
    yaml::of_repository(&format!("deploy/ci/{file}"))
}

fn lines(value: &Value) -> String {
    let lines: Vec<&str> = value.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    lines.join("\n")
}

fn keys(values: &[&Value]) -> Vec<String> {
    values.iter().flat_map(|value| value.as_object().unwrap().keys().cloned()).collect()
}

fn named<'a>(steps: &'a Value, name: &str) -> &'a Value {
    steps.as_array().unwrap().iter().find(|step| step["name"] == name).unwrap()
}

fn step(file: &'static str) -> Step {
    let document = document(file);
    let (script, variables) = match file {
        "woodpecker.yml" => {
            let step = named(&document["steps"], "verify");
            let ci = vec!["CI_COMMIT_SHA".to_owned()];
            (lines(&step["commands"]), [keys(&[&step["environment"]]), ci].concat())
        }
        "github-actions.yml" => {
            let step = named(&document["jobs"]["build-image"]["steps"], "Verify");
            let ci = vec!["GITHUB_SHA".to_owned()];
            (step["run"].as_str().unwrap().to_owned(), [keys(&[&document["env"], &step["env"]]), ci].concat())
        }
        "gitlab-ci.yml" => {
            let job = &document["verify"];
            let ci = vec!["CI_COMMIT_SHA".to_owned()];
            (lines(&job["script"]), [keys(&[&document["variables"], &job["variables"]]), ci].concat())
        }
        other => panic!("{other}"),
    };
    assert!(script.contains(" verify "), "{file}: {script}");
    Step { file, script, variables }
}

/// Serves `bytes` to every GET, on a thread that ends with the process.
fn release(bytes: Arc<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
            while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
            let _ = stream.write_all(&bytes);
        }
    });
    address
}

/// What a runner puts into the environment of the step.
struct Runner {
    values: BTreeMap<String, String>,
    certificate: std::path::PathBuf,
}

impl Runner {
    fn of(registry: &str, certificate: std::path::PathBuf, login: (&str, &str)) -> Self {
        let program = Arc::new(std::fs::read(binary("mcrctl")).unwrap());
        let digest = Digest::sha256(&program).hex().to_owned();
        let address = release(program);
        let values = [
            ("REGISTRY", registry),
            ("REPOSITORY", REPOSITORY),
            ("MCRCTL_URL", &format!("http://{address}/mcrctl-linux-amd64")),
            ("MCRCTL_SHA256", &digest),
            ("MCR_USERNAME", login.0),
            ("MCR_PASSWORD", login.1),
            ("CI_COMMIT_SHA", COMMIT),
            ("GITHUB_SHA", COMMIT),
        ];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { values, certificate }
    }

    fn with(&self, name: &str, value: &str) -> Self {
        let mut values = self.values.clone();
        values.insert(name.to_owned(), value.to_owned());
        Self { values, certificate: self.certificate.clone() }
    }

    /// Runs the step as its runner does: line after line, ending at the first that fails.
    fn run(&self, step: &Step, shell: &[&str]) -> process::Output {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(tools::find(shell[0]).unwrap());
        command.args(&shell[1..]).arg(&step.script).env_clear().current_dir(home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", home.path());
        command.env("MCR_CA_CERT", &self.certificate);
        for name in &step.variables {
            let value = self.values.get(name).unwrap_or_else(|| panic!("{}: {name}?", step.file));
            command.env(name, value);
        }
        process::run(&mut command)
    }
}

const BASH: &[&str] = &["bash", "-euo", "pipefail", "-c"];
/// The shell of the small image that the step runs in.
const BUSYBOX: &[&str] = &["busybox", "sh", "-euc"];

#[test]
fn the_step_passes_a_sound_image_and_fails_for_a_broken_one() {
    let mut registry = Distribution::secured();
    let index = scene::sound_image(&registry.client());
    push::index(&registry.client(), REPOSITORY, COMMIT, &index);
    let runner = Runner::of(&registry.authority(), registry.certificate(), ("ci", "any"));
    for file in FILES {
        let step = step(file);
        for shell in [BASH, BUSYBOX] {
            let sound = runner.run(&step, shell).ok();
            assert!(sound.all().contains("sound"), "{file}: {sound:?}");
        }
    }

    // HEAD still answers 200 for what was emptied.
    let hex = scene::empty_layer(&registry, &index);
    std::thread::scope(|scope| {
        for file in FILES {
            let (runner, hex) = (&runner, &hex);
            scope.spawn(move || {
                let broken = runner.run(&step(file), BASH);
                assert_eq!(broken.code, Some(1), "{file}: {broken:?}");
                let said = broken.all();
                assert!(said.contains("INCOMPLETE") && said.contains(hex), "{file}: {broken:?}");
            });
        }
    });

    registry.stop();
    let away = runner.run(&step(FILES[0]), BASH);
    assert_eq!(away.code, Some(3), "not asked is not proven: {away:?}");
}

#[test]
fn an_index_without_its_children_fails_the_step() {
    let registry = Distribution::secured();
    let index = scene::sound_image(&registry.client());
    push::index(&registry.client(), REPOSITORY, COMMIT, &index);
    scene::unlink_children(&registry, &index);
    let runner = Runner::of(&registry.authority(), registry.certificate(), ("ci", "any"));
    for file in FILES {
        let broken = runner.run(&step(file), BUSYBOX);
        assert_eq!(broken.code, Some(1), "{file}: {broken:?}");
        assert!(broken.all().contains("manifest-missing"), "{file}: {broken:?}");
    }
}

#[test]
fn the_step_logs_in() {
    let server = Server::with(Options::secured());
    let image = Image::random(&mut Random::new(61), 1, 500);
    for tag in [TAG, COMMIT] {
        push::image(&server.client(), REPOSITORY, tag, &image);
    }
    let runner = Runner::of(&server.authority(), server.certificate(), ("admin", server.password()));
    for file in FILES {
        let _ = runner.run(&step(file), BASH).ok();
    }
    let refused = runner.with("MCR_PASSWORD", "wrong").run(&step(FILES[1]), BASH);
    assert_eq!(refused.code, Some(3), "{refused:?}");
}

#[test]
fn a_download_that_is_not_what_it_was_fails_the_step() {
    let registry = Distribution::secured();
    let index = scene::sound_image(&registry.client());
    push::index(&registry.client(), REPOSITORY, COMMIT, &index);
    let runner = Runner::of(&registry.authority(), registry.certificate(), ("ci", "any"));
    let another = runner.with("MCRCTL_SHA256", &"0".repeat(64));
    for file in FILES {
        for shell in [BASH, BUSYBOX] {
            let output = another.run(&step(file), shell).failed();
            assert!(!output.all().contains("sound"), "it was not run: {output:?}");
        }
    }
}

#[test]
fn every_pipeline_can_be_started_by_hand() {
    let woodpecker = document("woodpecker.yml");
    let events = woodpecker["when"].as_array().unwrap();
    assert!(events.iter().any(|when| when["event"] == "manual"), "{events:?}");
    let github = document("github-actions.yml");
    assert!(github["on"].as_object().unwrap().contains_key("workflow_dispatch"), "{github}");
    let gitlab = document("gitlab-ci.yml");
    for source in ["web", "api"] {
        let rule = format!("$CI_PIPELINE_SOURCE == \"{source}\"");
        let rules = gitlab["workflow"]["rules"].as_array().unwrap();
        assert!(rules.iter().any(|each| each["if"] == rule.as_str()), "{rules:?}");
    }
}

#[test]
fn what_is_fetched_is_pinned() {
    for file in FILES {
        let text = std::fs::read_to_string(tools::repository_root().join("deploy/ci").join(file)).unwrap();
        assert!(text.contains("/releases/download/v"), "{file}: a version");
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let image = line.trim_start().trim_start_matches("- ").strip_prefix("image: ");
            let image = image.or_else(|| line.split("driver-opt image=").nth(1)?.split(' ').next());
            if let Some(image) = image {
                let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{file}: {image}"));
                assert!(tag.starts_with(|letter: char| letter.is_ascii_digit() || letter == 'v'), "{file}: {image}");
                assert!(tag.contains('.'), "{file}: {image}");
            }
            if let Some((_, action)) = line.split_once("uses: ") {
                let (_, hash) = action.split_once('@').unwrap();
                assert_eq!(hash.len(), 40, "{file}: {action}: by hash, not by a tag that moves");
            }
        }
    }
}
