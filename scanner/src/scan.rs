//! A scan from its paths to its report: which registries, each by its layout; never how a layout is read.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use mcr_oci::Finding;

use crate::error::ScanError;
use crate::kind::{Judged, Kind};
use crate::layout::{self, Found, Layout};
use crate::report::{Information, MAX_LISTED, Registry, Repaired, Report, Scanned};
use crate::settings::{Settings, Watch};
use crate::{distribution, mcr, oci_layout};

/// Looks and repairs in turn; each round mends one more level of nested indexes.
const ROUNDS_MAX: usize = 8;

/// What looking at one registry gave.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) findings: Vec<Finding>,
    pub(crate) scanned: Scanned,
    pub(crate) information: Information,
}

/// Scans the registries at `paths`.
///
/// # Errors
/// Where a path holds no registry that is known, or cannot be looked at, or the settings do not fit what is there.
/// What cannot be looked at inside of a registry is a finding.
pub fn scan(paths: &[PathBuf], settings: &Settings, watch: &dyn Watch) -> Result<Report, ScanError> {
    let mut found = Vec::new();
    for path in paths {
        found.extend(layout::find(path, settings.layout, watch)?.found);
    }
    for name in settings.kinds.names() {
        if !found.iter().any(|found| found.name == name) {
            let names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
            return Err(ScanError::NoSuchName { name: name.to_owned(), found: names.join(", ") });
        }
    }
    if let Some(other) = found.iter().find(|found| settings.repair.wanted() && found.layout != Layout::Distribution) {
        return Err(ScanError::NothingToRepair { path: other.path.clone(), layout: other.layout.as_str() });
    }
    let mut registries = Vec::new();
    for found in found {
        registries.push(registry(&found, settings, watch)?);
    }
    let sound = registries.iter().all(|registry| registry.findings.is_empty());
    Ok(Report { registries, sound })
}

fn registry(found: &Found, settings: &Settings, watch: &dyn Watch) -> Result<Registry, ScanError> {
    let judged = settings.kinds.judge(&found.name, found.has_proxy_state);
    let (part, repaired) = match found.layout {
        Layout::Distribution => of_distribution(found, &judged, settings, watch)?,
        Layout::Mcr => (mcr::scan(found, &judged, settings, watch)?, Vec::new()),
        Layout::OciLayout => (oci_layout::scan(found, &judged, settings, watch)?, Vec::new()),
    };
    let Part { mut findings, scanned, mut information } = part;
    information.findings_not_listed = findings.len().saturating_sub(MAX_LISTED) as u64;
    findings.truncate(MAX_LISTED);
    Ok(Registry {
        name: found.name.clone(),
        path: found.path.clone(),
        layout: found.layout,
        kind: judged.kind,
        kind_reason: judged.reason,
        scanned,
        findings,
        information,
        repaired,
    })
}

fn of_distribution(
    found: &Found,
    judged: &Judged,
    settings: &Settings,
    watch: &dyn Watch,
) -> Result<(Part, Vec<Repaired>), ScanError> {
    let opened = distribution::open(found)?;
    let corrupt = if settings.deep { distribution::hash(&opened, settings, watch) } else { HashMap::new() };
    let mut part = distribution::scan(&opened, &corrupt, judged, settings);
    let mut repaired = Vec::new();
    let mut tried = BTreeSet::new();
    // A manifest that is linked again may name others that are not.
    for _ in 0..ROUNDS_MAX {
        let plan = distribution::plan(&part.findings, settings.repair);
        let fresh: Vec<_> = plan.into_iter().filter(|planned| tried.insert(planned.clone())).collect();
        if fresh.is_empty() {
            break;
        }
        if settings.repair.only_plan {
            repaired.extend(fresh.iter().map(|planned| planned.only_told(&opened)));
            break;
        }
        repaired.extend(fresh.iter().map(|planned| planned.make(&opened)));
        part = distribution::scan(&opened, &corrupt, judged, settings);
    }
    Ok((part, repaired))
}

/// Which of `workers` a name belongs to.
pub(crate) fn share(name: &[u8], workers: usize) -> usize {
    let sum = name.iter().rev().take(4).fold(0_usize, |sum, byte| sum.wrapping_mul(31) ^ usize::from(*byte));
    sum.checked_rem(workers).unwrap_or(0)
}

/// What to say where nearly all indexes lack children and nobody said what kind of registry it is.
pub(crate) fn suggestion(judged: &Judged, lacking: u64, indexes: u64) -> Option<String> {
    let nearly_all = lacking >= 3 && lacking * 10 >= indexes * 9;
    (nearly_all && !judged.was_said && judged.kind == Kind::Private).then(|| {
        format!(
            "{lacking} of {indexes} indexes lack children: if this is a pull-through cache, say --kind pull-through"
        )
    })
}
