//! The command line: options, where programs are looked for, and the plan they make.

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::{Args, Parser, Subcommand};

use crate::{
    access, collect,
    error::Error,
    host,
    rows::{Amounts, Row},
    run::Plan,
    scan_tree::ScanTree,
    servers::{Kind, Programs, Transport},
    tools::Tools,
};

/// Where `bench/setup.sh` puts what no distribution packages.
const TOOLS: &str = ".tools/bin";

/// Side by side with what a user would pick instead.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  mcr-bench run --json results.json --markdown docs/benchmarks.md\n  \
                  mcr-bench run --plain --only manifest --only blob1m --pairs 3 --seconds 2\n  \
                  mcr-bench run --servers distribution,nginx --only blob64m --tls\n  \
                  mcr-bench render results.json --markdown docs/benchmarks.md\n  \
                  mcr-bench tools --only probe --rounds 3\n  mcr-bench scan-tree --indexes 10000 --repositories 100 target/scan-tree"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure, print the table, and keep it where asked.
    Run(Box<Run>),
    /// Show a results file again, without measuring.
    Render(Render),
    /// Measure the tools at scale, print the table, and keep it where asked.
    Tools(Tools),
    /// Measure what logins, rules and the audit trail cost.
    Access(access::Options),
    /// Measure collections of grown registries, and what pushes notice of them
    Gc(collect::Options),
    /// Write a distribution tree of any size, for measuring scans of it.
    ScanTree(ScanTree),
}

/// Options of `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Rows to run (default: all); peak memory then covers only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Row>,
    /// Servers to compare.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Kind::DEFAULT)]
    servers: Vec<Kind>,
    /// Only plain HTTP (default: both).
    #[arg(long)]
    plain: bool,
    /// Only TLS (default: both).
    #[arg(long)]
    tls: bool,
    /// Measured rounds per row; the table of record takes at least 10.
    #[arg(long, default_value_t = 10)]
    pairs: usize,
    /// Seconds of each GET sample.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Size of the large push in MiB.
    #[arg(long, default_value_t = 1024)]
    push_mib: u64,
    /// Images of each sample of small pushes.
    #[arg(long, default_value_t = 320)]
    images: usize,
    /// PUTs of each sample of indexes.
    #[arg(long, default_value_t = 50)]
    indexes: usize,
    /// Write all samples to this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Put the table into this page, between its markers.
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
    /// Directory on the disk to measure; a temporary directory in it holds all data.
    #[arg(long, default_value = "target")]
    pub(crate) scratch: PathBuf,
    /// This registry.
    #[arg(long, env = "MCR_BENCH_MCRSRV", default_value = "target/release/mcrsrv")]
    mcrsrv: PathBuf,
    /// registry:2 (default: `docker-registry` in PATH).
    #[arg(long, env = "MCR_BENCH_REGISTRY2")]
    registry2: Option<PathBuf>,
    /// distribution 3 (default: `registry` in .tools/bin or PATH).
    #[arg(long, env = "MCR_BENCH_DISTRIBUTION")]
    distribution: Option<PathBuf>,
    /// nginx (default: in PATH or /usr/sbin).
    #[arg(long, env = "MCR_BENCH_NGINX")]
    nginx: Option<PathBuf>,
    /// wrk (default: in PATH).
    #[arg(long, env = "MCR_BENCH_WRK")]
    wrk: Option<PathBuf>,
}

/// Options of `render`.
#[derive(Debug, Args)]
pub(crate) struct Render {
    /// A file that `run --json` wrote.
    pub(crate) results: PathBuf,
    /// Put the table into this page instead of printing it.
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
}

impl Run {
    /// The plan these options make, with every program found.
    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        let mut servers = self.servers.clone();
        servers.sort();
        servers.dedup();
        let mut rows = if self.only.is_empty() { Row::ALL.to_vec() } else { self.only.clone() };
        rows.sort();
        rows.dedup();
        let transports = match (self.plain, self.tls) {
            (true, false) => vec![Transport::Plain],
            (false, true) => vec![Transport::Tls],
            _ => vec![Transport::Plain, Transport::Tls],
        };
        let found =
            servers.into_iter().map(|kind| Ok((kind, self.program(kind)?))).collect::<Result<Vec<_>, Error>>()?;
        Ok(Plan {
            programs: Programs { found },
            wrk: find(self.wrk.as_deref(), "wrk", "--wrk")?,
            rows,
            transports,
            pairs: self.pairs.max(1),
            amounts: Amounts {
                seconds: self.seconds.max(1),
                push_mib: self.push_mib.max(1),
                images: self.images.max(1),
                indexes: self.indexes.max(1),
            },
        })
    }

    fn program(&self, kind: Kind) -> Result<PathBuf, Error> {
        match kind {
            Kind::Mcr => find(Some(&self.mcrsrv), "mcrsrv", "--mcrsrv"),
            Kind::Registry2 => find(self.registry2.as_deref(), "docker-registry", "--registry2"),
            Kind::Distribution | Kind::DistributionLogs => {
                find(self.distribution.as_deref(), "registry", "--distribution")
            }
            Kind::Nginx => find(self.nginx.as_deref(), "nginx", "--nginx"),
        }
    }
}

/// The absolute path of a program: the one given, else the first in our tools, PATH and /usr/sbin.
pub(crate) fn find(given: Option<&Path>, program: &'static str, flag: &'static str) -> Result<PathBuf, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories = vec![PathBuf::from(TOOLS)];
    directories.extend(env::split_paths(&path));
    directories.push(PathBuf::from("/usr/sbin"));
    let candidates = match given {
        Some(given) => vec![given.to_path_buf()],
        None => directories.into_iter().map(|directory| directory.join(program)).collect(),
    };
    candidates
        .into_iter()
        .find(|candidate| candidate.is_file())
        .map_or(Err(Error::Missing { program, flag }), |found| host::absolute(&found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_make_a_plan() {
        let cli = Cli::parse_from([
            "mcr-bench",
            "run",
            "--only",
            "blob1m,manifest",
            "--tls",
            "--servers",
            "nginx",
            "--nginx",
            "/bin/sh",
            "--wrk",
            "/bin/sh",
            "--pairs",
            "0",
        ]);
        let Command::Run(run) = cli.command else { panic!("not run") };
        let plan = run.plan().unwrap();
        assert_eq!(plan.rows, [Row::Manifest, Row::Blob1m]);
        assert_eq!(plan.transports, [Transport::Tls]);
        assert_eq!(plan.pairs, 1);
        assert_eq!(plan.programs.found.len(), 1);
    }

    #[test]
    fn a_missing_program_is_named_with_its_flag() {
        let error = find(Some(Path::new("/nowhere/mcrsrv")), "mcrsrv", "--mcrsrv").unwrap_err();
        assert!(error.to_string().contains("--mcrsrv"));
    }
}
