//! One run: phases, rows and interleaved rounds. Decides order, never what a work is nor how it shows.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    error::Error,
    host, interrupt,
    others::Others,
    results::{Measured, Phase},
    rows::{Amounts, Row, Work},
    servers::{Kind, Programs, Server, Setting, Transport},
    tls::{self, Certificate},
    wrk::Wrk,
};

/// What to run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Servers, in column order.
    pub(crate) programs: Programs,
    /// wrk.
    pub(crate) wrk: PathBuf,
    /// Rows, in order.
    pub(crate) rows: Vec<Row>,
    /// Transports, one phase each.
    pub(crate) transports: Vec<Transport>,
    /// Measured rounds per row.
    pub(crate) pairs: usize,
    /// How much each sample does.
    pub(crate) amounts: Amounts,
}

impl Plan {
    /// MiB of room the run needs: the pulled image and one large blob per server, the small images,
    /// and a margin.
    pub(crate) fn needed_mib(&self) -> u64 {
        let servers = self.programs.found.len() as u64;
        let rounds = self.pairs as u64 + 1;
        let small = self.amounts.images as u64 * rounds * 140 / 1024;
        servers * (100 + self.amounts.push_mib * 2 + small) + 1024
    }

    /// Runs all phases below `scratch`.
    pub(crate) fn run(&self, scratch: &Path) -> Result<Vec<Phase>, Error> {
        let available = host::free_mib(scratch)?;
        if available < self.needed_mib() {
            return Err(Error::Space { path: scratch.to_path_buf(), available, needed: self.needed_mib() });
        }
        self.transports.iter().map(|transport| self.phase(*transport, scratch)).collect()
    }

    fn phase(&self, transport: Transport, scratch: &Path) -> Result<Phase, Error> {
        let directory = scratch.join(transport.slug());
        let setting = Setting {
            transport,
            certificate: Certificate::make(&directory.join("certificate"))?,
            client: tls::client()?,
            directory,
        };
        let wrk = Wrk::new(self.wrk.clone(), &setting.directory)?;
        let mut servers = self
            .programs
            .found
            .iter()
            .map(|(kind, program)| Server::start(*kind, program, &setting))
            .collect::<Result<Vec<_>, _>>()?;
        let mut rows = Vec::new();
        for row in &self.rows {
            rows.push(self.row(*row, &mut servers, &wrk, &setting)?);
        }
        let mut peak_memory_mib = BTreeMap::new();
        for server in &servers {
            if let Some(mib) = server.peak_memory_mib()? {
                peak_memory_mib.insert(server.kind, mib);
            }
        }
        Ok(Phase { transport, servers: servers.iter().map(|server| server.kind).collect(), rows, peak_memory_mib })
    }

    /// Samples one row round by round: A B C, B C A, C A B, …, so that a slow moment of the machine
    /// and the place in the order fall on everybody. Round 0 warms up and is thrown away.
    fn row(&self, row: Row, servers: &mut [Server], wrk: &Wrk, setting: &Setting) -> Result<Measured, Error> {
        let work = Work::new(row, &self.amounts);
        let mut order: Vec<usize> = Vec::new();
        for (position, server) in servers.iter().enumerate() {
            if row.suits(server.kind) {
                work.seed(server)?;
                order.push(position);
            }
        }
        let mut measured = Measured { row, samples: BTreeMap::new(), others: Vec::new() };
        for number in 0..=self.pairs {
            let round = work.round(number as u64);
            for position in &order {
                let Some(server) = servers.get_mut(*position) else {
                    continue;
                };
                interrupt::check()?;
                host::settle(&setting.directory)?;
                let others = Others::watch()?;
                let sample = work.sample(&round, server, wrk, &self.amounts);
                let others = others.share()?;
                // That a server died says more than that its connection broke.
                server.check()?;
                let sample = sample?;
                progress(setting.transport, row, number, server.kind, sample, others);
                if number > 0 {
                    measured.samples.entry(server.kind).or_default().push(sample);
                    measured.others.push(others);
                }
            }
            if !order.is_empty() {
                order.rotate_left(1);
            }
        }
        Ok(measured)
    }
}

fn progress(transport: Transport, row: Row, number: usize, kind: Kind, sample: f64, others: f64) {
    let round = if number == 0 { "warm-up".to_owned() } else { format!("round {number}") };
    eprintln!(
        "{:5} {:11} {round:8} {:17} {:>12}   others {:3.0} %",
        transport.slug(),
        row.slug(),
        kind.slug(),
        crate::report::figure(row.unit(), sample),
        others * 100.0
    );
}
