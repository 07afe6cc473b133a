//! Where a registry lies, for commands beside or instead of its server; never its lock.

use std::path::{Path, PathBuf};

use clap::Args;
use mcr_registry::Paths;

use crate::cli::Failure;
use crate::config::{self, Config, Environment, Sources};
use crate::dev::{self, Layout};

/// Which registry is meant.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Place {
    /// Configuration file of the registry; may be repeated, a later one wins
    #[arg(long, value_name = "FILE", conflicts_with = "dev")]
    pub config: Vec<PathBuf>,
    /// The registry of `server --dev`
    #[arg(long)]
    pub dev: bool,
    /// With --dev: its data directory
    #[arg(long, value_name = "DIR", default_value = "./srv", requires = "dev")]
    pub data: PathBuf,
}

impl Place {
    /// Whether a registry was named at all.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.dev || !self.config.is_empty()
    }

    /// The registry's configuration.
    ///
    /// # Errors
    /// Wrong usage where none was named; what is wrong with it, a line each.
    pub fn load(&self) -> Result<Config, Failure> {
        if self.dev {
            let layout = Layout::of(&self.data)
                .map_err(|error| Failure::refused(format!("the working directory cannot be used: {error}")))?;
            let options = dev::Options { listen: None, grpc_listen: None, plain_http: false, anonymous: false };
            return Ok(config::load(dev::sources(&layout, &options, Environment::of_process()))?.config);
        }
        if self.config.is_empty() {
            let line = "which registry? Give --config FILE, or --dev [--data DIR]".to_owned();
            return Err(Failure { code: 2, lines: vec![line] });
        }
        Ok(config::load(Sources::of_files(self.config.clone(), Environment::of_process()))?.config)
    }

    /// How the registry's server is started, for whoever is told to.
    #[must_use]
    pub fn server_command(&self) -> String {
        if self.dev {
            return format!("mcrsrv server --dev --data {}", self.data.display());
        }
        let files: Vec<String> = self.config.iter().map(|file| format!("--config {}", file.display())).collect();
        format!("mcrsrv server {}", files.join(" "))
    }
}

/// The places that a configuration names.
#[must_use]
pub fn paths(config: &Config) -> Paths {
    Paths {
        database: config.database.path.clone(),
        layers: config.storage.layers_path.clone(),
        uploads: config.storage.uploads_path.clone(),
    }
}

/// Refuses a directory for copies that lies in the registry's own, or holds them.
///
/// # Errors
/// Naming both.
pub fn refuse_inside(directory: &Path, paths: &Paths) -> Result<PathBuf, Failure> {
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| Failure::refused(format!("{}: {error}", path.display())))
    };
    let directory = absolute(directory)?;
    for own in [&paths.layers, &paths.uploads] {
        let own = absolute(own)?;
        if directory.starts_with(&own) || own.starts_with(&directory) {
            return Err(Failure::refused(format!(
                "{} and {}, which the registry uses, lie one in the other; give another directory, best on another disk",
                directory.display(),
                own.display()
            )));
        }
    }
    Ok(directory)
}
