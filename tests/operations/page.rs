//! A runbook page as a shell runs it: its `sh` blocks in order, with the variables it names and no others; never what
//! a page is about.
//!
//! The convention (`runbooks/README.md` tells it to readers): a block is run by `bash -euo pipefail`, later blocks see
//! the variables of earlier ones, and a first line `# exits N: why` says that its last command ends with N.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use mcr_tests::server::binary;
use mcr_tests::{process, tools};
use tempfile::TempDir;

/// One fenced block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Where it begins.
    pub(crate) line: usize,
    /// The heading it stands under.
    pub(crate) section: String,
    /// What it is written in.
    pub(crate) language: String,
    /// The commands.
    pub(crate) text: String,
}

impl Block {
    /// What its shell must end with.
    fn exits(&self) -> i32 {
        let first = self.text.lines().next().unwrap_or_default();
        let Some(rest) = first.strip_prefix("# exits ") else { return 0 };
        let (number, why) = rest.split_once(": ").expect("`# exits N: why`");
        assert!(!why.trim().is_empty(), "{self:?}");
        number.parse().expect("a number")
    }
}

/// All fenced blocks of a page.
#[track_caller]
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut section = String::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(language)) => {
                let language = language.trim().to_owned();
                open = Some(Block { line: number + 1, section: section.clone(), language, text: String::new() });
            }
            (None, None) => {
                if let Some(heading) = line.strip_prefix("### ").or_else(|| line.strip_prefix("## ")) {
                    heading.trim().clone_into(&mut section);
                }
            }
        }
    }
    assert!(open.is_none(), "a block is not closed: {open:?}");
    found
}

/// The variables that the line `Variables: …` names.
pub(crate) fn variables(text: &str) -> BTreeSet<String> {
    let line = text.lines().find(|line| line.starts_with("Variables: ")).unwrap_or_default();
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

/// A page, and the shell of the person who reads it.
pub(crate) struct Night {
    name: String,
    blocks: Vec<Block>,
    variables: BTreeSet<String>,
    environment: BTreeMap<OsString, OsString>,
    ran: BTreeSet<usize>,
    home: TempDir,
}

impl Night {
    /// Opens `runbooks/NAME`.
    #[track_caller]
    pub(crate) fn open(name: &str) -> Self {
        let text = std::fs::read_to_string(tools::repository_root().join("runbooks").join(name)).unwrap();
        let home = tempfile::Builder::new().prefix("mcr-test-night-").tempdir().unwrap();
        let mut night = Self {
            name: name.to_owned(),
            blocks: blocks(&text),
            variables: variables(&text),
            environment: BTreeMap::new(),
            ran: BTreeSet::new(),
            home,
        };
        // skopeo wants a policy; nobody's logins are there.
        let config = night.home.path().join(".config/containers");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let ours = binary("mcrctl").parent().unwrap().to_owned();
        let places = [ours, tools::cache()].into_iter().chain(std::env::split_paths(&path));
        night.environment.insert("PATH".into(), std::env::join_paths(places.chain(["/usr/sbin".into()])).unwrap());
        night.environment.insert("HOME".into(), night.home.path().into());
        night
    }

    /// What the reader put into a variable; the page must name it.
    #[track_caller]
    pub(crate) fn set(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        assert!(self.variables.contains(name), "{}: the line `Variables:` does not name {name}", self.name);
        self.environment.insert(name.into(), value.as_ref().into());
        self
    }

    /// The machine trusts this certificate.
    pub(crate) fn trust(&mut self, certificate: &std::path::Path) -> &mut Self {
        for name in ["MCR_CA_CERT", "SSL_CERT_FILE", "CURL_CA_BUNDLE"] {
            self.environment.insert(name.into(), certificate.into());
        }
        self
    }

    /// The reader has logged in: `host` in the credential file of docker, podman, skopeo and mcrctl.
    pub(crate) fn log_in(&mut self, host: &str, user: &str, password: &str) -> &mut Self {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let file = self.home.path().join("auth.json");
        std::fs::write(&file, serde_json::json!({"auths": {host: {"auth": pair}}}).to_string()).unwrap();
        self.environment.insert("REGISTRY_AUTH_FILE".into(), file.into());
        self
    }

    /// A directory of the reader's.
    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// Runs the blocks under a heading; returns what they said.
    #[track_caller]
    pub(crate) fn run(&mut self, section: &str) -> String {
        self.run_with(section, &mut |_| {})
    }

    /// The same; `before` is told which block of the section comes next, from 0, and does what the reader does between
    /// them.
    #[track_caller]
    pub(crate) fn run_with(&mut self, section: &str, before: &mut dyn FnMut(usize)) -> String {
        let unset: Vec<&String> =
            self.variables.iter().filter(|name| !self.environment.contains_key(OsStr::new(name.as_str()))).collect();
        assert!(unset.is_empty(), "{}: the test does not set {unset:?}", self.name);
        let chosen: Vec<(usize, Block)> = self.blocks.iter().cloned().enumerate().collect();
        let mut said = String::new();
        let mut nth = 0;
        for (number, block) in chosen.into_iter().filter(|(_, block)| block.section == section) {
            if block.language == "sh" {
                before(nth);
                nth += 1;
                assert!(self.ran.insert(number), "{}:{}: ran twice", self.name, block.line);
                said.push_str(&self.shell(&block));
            }
        }
        assert!(nth > 0, "{}: no `sh` block under {section:?}", self.name);
        said
    }

    fn shell(&mut self, block: &Block) -> String {
        let state = self.home.path().join("environment");
        let script = format!("trap 'env -0 >\"{}\"' EXIT\n{}", state.display(), block.text);
        let mut command = Command::new("bash");
        command.args(["-aeuo", "pipefail", "-c", &script]).env_clear().envs(&self.environment);
        command.current_dir(self.home.path());
        let output = process::run(&mut command);
        let said = output.all();
        let place = format!("runbooks/{}:{}", self.name, block.line);
        assert_eq!(output.code, Some(block.exits()), "{place}\n{}\n{said}", block.text);
        let bytes = std::fs::read(&state).unwrap();
        self.environment = bytes
            .split(|byte| *byte == 0)
            .filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='))
            .filter(|(name, _)| !["_", "SHLVL", "PWD", "OLDPWD"].contains(name) && !name.starts_with("BASH"))
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        said
    }

    /// Insists that every command of the page has been run.
    #[track_caller]
    pub(crate) fn finish(self) {
        let of_shell = self.blocks.iter().enumerate().filter(|(_, block)| block.language == "sh");
        let left: Vec<&Block> =
            of_shell.filter(|(number, _)| !self.ran.contains(number)).map(|(_, block)| block).collect();
        assert!(left.is_empty(), "{}: nobody ran {left:#?}", self.name);
    }
}
