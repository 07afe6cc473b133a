//! What a run found, as data: kept as JSON, shown by `report`.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    host::{self, Machine},
    rows::{Amounts, Row},
    servers::{Kind, Transport},
};

/// A whole run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    /// UTC date it began.
    pub(crate) date: String,
    /// The command that made it.
    pub(crate) command: String,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// What each program says of its version.
    pub(crate) versions: BTreeMap<String, String>,
    /// Measured rounds per row.
    pub(crate) pairs: usize,
    /// How much each sample did.
    pub(crate) amounts: Amounts,
    /// Its phases.
    pub(crate) phases: Vec<Phase>,
}

/// All rows over one transport, each server one process from first to last.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Phase {
    /// The transport.
    pub(crate) transport: Transport,
    /// Servers in column order.
    pub(crate) servers: Vec<Kind>,
    /// Rows in the order they ran.
    pub(crate) rows: Vec<Measured>,
    /// Peak resident memory in MiB over all of it.
    pub(crate) peak_memory_mib: BTreeMap<Kind, f64>,
}

/// One row's samples.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// The row.
    pub(crate) row: Row,
    /// Samples of each server, one per round, in the row's unit.
    pub(crate) samples: BTreeMap<Kind, Vec<f64>>,
    /// The share of the processors that other programs took during each sample of any server, from 0 to 1.
    pub(crate) others: Vec<f64>,
}

impl Measured {
    /// The samples of a server; empty if it was not measured.
    pub(crate) fn of(&self, kind: Kind) -> &[f64] {
        self.samples.get(&kind).map_or(&[], Vec::as_slice)
    }
}

impl Results {
    /// The share of the processors that other programs took, of every sample.
    pub(crate) fn others(&self) -> Vec<f64> {
        let rows = self.phases.iter().flat_map(|phase| &phase.rows);
        rows.flat_map(|row| row.others.iter().copied()).collect()
    }

    /// Reads a file `save` wrote.
    pub(crate) fn load(path: &Path) -> Result<Results, Error> {
        serde_json::from_str(&host::read(path)?)
            .map_err(|error| Error::Results { path: path.to_path_buf(), problem: error.to_string() })
    }

    /// Writes them as JSON.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Results { path: path.to_path_buf(), problem: error.to_string() })?;
        text.push('\n');
        host::write(path, text.as_bytes())
    }
}
