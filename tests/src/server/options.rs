//! How a server is started: flags, environment, configuration file; never the running process.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a test chooses. The default is plain HTTP where everyone is admin, on data of its own.
#[derive(Clone, Debug)]
pub struct Options {
    /// Plain HTTP instead of TLS with a certificate the server makes.
    pub plain: bool,
    /// Everyone is admin, instead of Basic with the printed password.
    pub anonymous: bool,
    /// The data directory; `None`: one that goes with the server.
    pub data: Option<PathBuf>,
    /// A configuration file: then `--config` instead of `--dev`.
    pub config: Option<PathBuf>,
    /// The certificate that clients trust; `None`: the one that a `--dev` server makes for itself.
    pub trust: Option<PathBuf>,
    /// Variables of the environment, such as `MCR_FAULTS`. Without `MCR_PROBE_SCHEDULE` the server does not probe
    /// itself.
    pub environment: Vec<(String, String)>,
    /// Further arguments.
    pub arguments: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            plain: true,
            anonymous: true,
            data: None,
            config: None,
            trust: None,
            environment: Vec::new(),
            arguments: Vec::new(),
        }
    }
}

impl Options {
    /// TLS and the admin's password, as `--dev` is without further flags.
    #[must_use]
    pub fn secured() -> Self {
        Self { plain: false, anonymous: false, ..Self::default() }
    }

    /// The default with `MCR_FAULTS` set to `spec`, and without a scrub: the fault is for what the test asks for.
    #[must_use]
    pub fn faulty(spec: &str) -> Self {
        Self::default().env("MCR_SCRUB_FULL_PASS", "0s").env("MCR_FAULTS", spec)
    }

    /// With a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// On this data directory.
    #[must_use]
    pub fn at(mut self, data: &Path) -> Self {
        self.data = Some(data.to_owned());
        self
    }

    /// The command line on `data`.
    #[must_use]
    pub fn command(&self, data: &Path) -> Command {
        let mut command = mcrsrv();
        command.arg("server");
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        } else {
            command.arg("--dev").arg("--data").arg(data);
            command.args(["--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"]);
            command.args(self.plain.then_some("--plain-http"));
            command.args(self.anonymous.then_some("--anonymous"));
        }
        command.args(&self.arguments);
        // A server that looks at itself meets damage before the test does: suites that want it say so.
        command.env("MCR_PROBE_SCHEDULE", "off");
        let variables = self.environment.iter().map(|(name, value)| (name, value));
        command.envs(variables);
        command
    }
}

/// `mcrsrv` without arguments, in an environment that holds none of the suites' own variables.
#[must_use]
pub fn mcrsrv() -> Command {
    let mut command = Command::new(binary("mcrsrv"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("MCR_") || text == "PORT" || text.starts_with("PORT_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Where our own program `name` is: in `MCR_BIN_DIR`, else beside the running test.
///
/// # Panics
/// Where it is in neither: `make test` builds it first.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let chosen = std::env::var_os("MCR_BIN_DIR").map(PathBuf::from);
    let directory = chosen.unwrap_or_else(|| {
        let test = std::env::current_exe().expect("a test knows itself");
        // target/debug/deps/oci_api-… stands below target/debug.
        let deps = test.parent().expect("it lies in a directory");
        deps.parent().expect("that lies in one too").to_owned()
    });
    let path = directory.join(name);
    assert!(
        path.is_file(),
        "{} is not there: build it first (cargo build -p mcr-server -p mcr-ctl, or make test)",
        path.display()
    );
    path
}
