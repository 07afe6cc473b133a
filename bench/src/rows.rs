//! The rows of the table: what each work is, what it is measured in and what it has to reach.
//! How a work is done stands in the files beside.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    servers::{Kind, Server},
    wrk::Wrk,
};

mod index;
mod large;
mod pull;
mod small;

pub(crate) use pull::Pull;
pub(crate) use small::Tagged;
pub(crate) use small::{round as small_images, sample as push_small};

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Row {
    /// GET a manifest by tag, 32 connections.
    Manifest,
    /// GET a 1 MiB blob, 16 connections.
    Blob1m,
    /// GET a 64 MiB blob, 4 connections.
    Blob64m,
    /// Push one 1 GiB blob.
    PushBlob,
    /// Push many small images, 16 clients.
    PushImages,
    /// PUT an index over 32 children of 20 layers each.
    PutIndex,
}

/// What a row's samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Requests per second.
    RequestsPerSecond,
    /// Bytes per second.
    BytesPerSecond,
    /// Images per second.
    ImagesPerSecond,
    /// Seconds; less is better.
    Seconds,
    /// Milliseconds; less is better.
    Milliseconds,
}

impl Unit {
    /// Whether a smaller figure is the better one.
    pub(crate) fn less_is_better(self) -> bool {
        matches!(self, Unit::Seconds | Unit::Milliseconds)
    }
}

/// What our figure has to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// At least this many times as good as that server.
    Times(f64, Kind),
    /// Under this many of the row's unit.
    Under(f64),
}

impl Row {
    /// All, in the order they are run and shown.
    pub(crate) const ALL: [Row; 6] =
        [Row::Manifest, Row::Blob1m, Row::Blob64m, Row::PushBlob, Row::PushImages, Row::PutIndex];

    /// A short name for progress lines.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Row::Manifest => "manifest",
            Row::Blob1m => "blob1m",
            Row::Blob64m => "blob64m",
            Row::PushBlob => "push-blob",
            Row::PushImages => "push-images",
            Row::PutIndex => "put-index",
        }
    }

    /// What the samples are.
    pub(crate) fn unit(self) -> Unit {
        match self {
            Row::Manifest => Unit::RequestsPerSecond,
            Row::Blob1m | Row::Blob64m => Unit::BytesPerSecond,
            Row::PushBlob => Unit::Seconds,
            Row::PushImages => Unit::ImagesPerSecond,
            Row::PutIndex => Unit::Milliseconds,
        }
    }

    /// What our figure has to reach.
    pub(crate) fn goal(self) -> Goal {
        match self {
            Row::Manifest => Goal::Times(4.0, Kind::Distribution),
            Row::Blob1m => Goal::Times(1.7, Kind::Distribution),
            Row::Blob64m => Goal::Times(0.8, Kind::Nginx),
            Row::PushBlob => Goal::Times(1.2, Kind::Distribution),
            Row::PushImages => Goal::Times(2.0, Kind::Distribution),
            Row::PutIndex => Goal::Under(5.0),
        }
    }

    /// Whether `kind` can do this work.
    pub(crate) fn suits(self, kind: Kind) -> bool {
        kind.is_registry() || matches!(self, Row::Manifest | Row::Blob1m | Row::Blob64m)
    }
}

/// How much each sample does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Amounts {
    /// Seconds of each GET sample.
    pub(crate) seconds: u32,
    /// MiB of the large push.
    pub(crate) push_mib: u64,
    /// Images of each sample of small pushes.
    pub(crate) images: usize,
    /// PUTs of each sample of indexes.
    pub(crate) indexes: usize,
}

/// A row with its content made, ready to be sampled.
pub(crate) enum Work {
    /// One of the GET rows.
    Pull(Row, Pull),
    /// The large push.
    Large(u64),
    /// The small images.
    Small(usize),
    /// The indexes over their children.
    Index(index::Children, usize),
}

/// What one round pushes: the same to every server, made before any clock runs.
pub(crate) enum Round {
    /// Nothing.
    Pull,
    /// A blob.
    Large(crate::content::LargeBlob),
    /// Images.
    Small(Vec<Tagged>),
    /// Indexes.
    Index(Vec<crate::content::Blob>),
}

impl Work {
    /// Makes the content of `row`.
    pub(crate) fn new(row: Row, amounts: &Amounts) -> Work {
        match row {
            Row::Manifest | Row::Blob1m | Row::Blob64m => Work::Pull(row, Pull::new()),
            Row::PushBlob => Work::Large(amounts.push_mib << 20),
            Row::PushImages => Work::Small(amounts.images),
            Row::PutIndex => Work::Index(index::Children::new(), amounts.indexes),
        }
    }

    /// Brings what the work presumes to a server, and checks that it is there.
    pub(crate) fn seed(&self, server: &Server) -> Result<(), Error> {
        match self {
            Work::Pull(_, pull) => pull.seed(server),
            Work::Large(_) | Work::Small(_) => Ok(()),
            Work::Index(children, _) => children.seed(server),
        }
    }

    /// Makes round `number`.
    pub(crate) fn round(&self, number: u64) -> Round {
        match self {
            Work::Pull(..) => Round::Pull,
            Work::Large(length) => Round::Large(large::round(number, *length)),
            Work::Small(count) => Round::Small(small::round(number, *count)),
            Work::Index(children, count) => Round::Index(children.round(number, *count)),
        }
    }

    /// Takes one sample, in the row's unit.
    pub(crate) fn sample(&self, round: &Round, server: &Server, wrk: &Wrk, amounts: &Amounts) -> Result<f64, Error> {
        match (self, round) {
            (Work::Pull(row, pull), _) => pull.sample(*row, server, wrk, amounts.seconds),
            (_, Round::Large(blob)) => large::sample(server, blob),
            (_, Round::Small(images)) => small::sample(server, images),
            (_, Round::Index(indexes)) => index::sample(server, indexes),
            (_, Round::Pull) => Ok(0.0),
        }
    }
}
