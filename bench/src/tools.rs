//! The tools at scale: scan of large trees, probe of many tags, verify of a large image; their time and peak memory
//! beside what one would use instead. Never a server's own figures, which `run` measures.

mod child;
mod page;
mod work;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::error::Error;
use crate::{host, interrupt, versions};
use page::Page;

/// Options of `tools`.
#[derive(Debug, Args)]
pub(crate) struct Tools {
    /// Works to measure (default: all).
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Work>,
    /// Measured rounds of each work.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many times larger the second tree of `scan` is; 1 leaves it out. Ten times is 5 million files and
    /// directories, 20 GiB on ext4.
    #[arg(long, default_value_t = 10)]
    times: usize,
    /// mcrctl.
    #[arg(long, env = "MCR_BENCH_MCRCTL", default_value = "target/release/mcrctl")]
    pub(crate) mcrctl: PathBuf,
    /// mcrsrv.
    #[arg(long, env = "MCR_BENCH_MCRSRV", default_value = "target/release/mcrsrv")]
    pub(crate) mcrsrv: PathBuf,
    /// registry:2 (default: `docker-registry` in PATH).
    #[arg(long, env = "MCR_BENCH_REGISTRY2")]
    pub(crate) registry2: Option<PathBuf>,
    /// Directory on the disk to measure; a temporary directory in it holds all data.
    #[arg(long, default_value = "target")]
    scratch: PathBuf,
    /// Put the table into this page, between its markers for the tools.
    #[arg(long)]
    markdown: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Work {
    /// `scan` of 10 000 indexes over 20 000 images, and of ten times as many.
    Scan,
    /// `scan --deep` of 2 GiB of blobs, beside `sha256sum` on all cores.
    Deep,
    /// `probe` of 10 000 tags of this registry and of registry:2.
    Probe,
    /// `verify --level full` of an image of 2 GiB.
    Verify,
}

impl Work {
    const ALL: [Self; 4] = [Self::Scan, Self::Deep, Self::Probe, Self::Verify];
}

/// Measures what was asked for, prints it, and puts it into the page.
///
/// # Errors
/// What cannot be measured.
pub(crate) fn run(options: &Tools) -> Result<(), Error> {
    host::make_directory(&options.scratch)?;
    let parent = host::absolute(&options.scratch)?;
    let made = tempfile::Builder::new().prefix("mcr-bench-tools-").tempdir_in(&parent);
    let scratch = made.map_err(Error::file("create a directory in", &parent))?;
    interrupt::watch().map_err(Error::file("wait for signals in", &parent))?;
    let all = work::Works {
        mcrctl: host::absolute(&options.mcrctl)?,
        mcrsrv: host::absolute(&options.mcrsrv)?,
        registry2: crate::cli::find(options.registry2.as_deref(), "docker-registry", "--registry2")?,
        scratch: scratch.path().to_owned(),
        rounds: options.rounds.max(1),
        times: options.times.max(1),
    };
    let mut works = if options.only.is_empty() { Work::ALL.to_vec() } else { options.only.clone() };
    works.sort();
    works.dedup();
    let mut page = Page::new(&versions::today(), host::Machine::describe(scratch.path())?);
    for each in works {
        match each {
            Work::Scan => all.scan(&mut page)?,
            Work::Deep => all.deep(&mut page)?,
            Work::Probe => all.probe(&mut page)?,
            Work::Verify => all.verify(&mut page)?,
        }
    }
    print!("{}", page.text());
    options.markdown.as_deref().map_or(Ok(()), |file| page.write(file))
}
