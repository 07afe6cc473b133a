//! The two repairs of a distribution tree: first a plan, then each change after one more look; never a third one.

use std::collections::BTreeSet;

use mcr_oci::{Algorithm, Digest, Finding, FindingKind, MANIFEST_MAX, Manifest};

use super::Opened;
use super::links::{self, Link};
use super::store::data_name;
use crate::io::{self, Answer, Content, Directory, FileStat, Owner};
use crate::report::{Action, Outcome, Repaired};
use crate::settings::Repair;

/// One change that would help.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Planned {
    action: Action,
    repository: String,
    digest: Digest,
}

/// Why a change was not made.
enum Unmade {
    NotNeeded(String),
    Failed(String),
}

/// The changes that these findings call for, each once.
pub(crate) fn plan(findings: &[Finding], repair: Repair) -> BTreeSet<Planned> {
    let planned = |finding: &Finding| {
        let action = match finding.kind {
            FindingKind::LinkOrphan if repair.links => Action::RemoveLink,
            FindingKind::ManifestUnlinked if repair.revisions => Action::WriteRevision,
            _ => return None,
        };
        Some(Planned { action, repository: finding.repository.clone()?, digest: finding.digest.clone()? })
    };
    findings.iter().filter_map(planned).collect()
}

impl Planned {
    fn directory(&self) -> String {
        let (algorithm, hex) = (self.digest.algorithm(), self.digest.hex());
        let kind = match self.action {
            Action::RemoveLink => "_layers",
            Action::WriteRevision => "_manifests/revisions",
        };
        format!("repositories/{}/{kind}/{algorithm}/{hex}", self.repository)
    }

    fn told(&self, opened: &Opened, outcome: Outcome, detail: Option<String>) -> Repaired {
        let inside = String::from_utf8_lossy(opened.v2.below_root());
        let below = inside.trim_start_matches('.').trim_matches('/');
        let directory = self.directory();
        let path = if below.is_empty() { format!("{directory}/link") } else { format!("{below}/{directory}/link") };
        Repaired {
            action: self.action,
            repository: self.repository.clone(),
            digest: self.digest.clone(),
            path,
            outcome,
            detail,
        }
    }

    /// What it would be, without a change.
    pub(crate) fn only_told(&self, opened: &Opened) -> Repaired {
        self.told(opened, Outcome::Planned, None)
    }

    /// Makes the change, if it is still needed.
    pub(crate) fn make(&self, opened: &Opened) -> Repaired {
        let made = match self.action {
            Action::RemoveLink => self.remove_link(opened),
            Action::WriteRevision => self.write_revision(opened),
        };
        match made {
            Ok(()) => self.told(opened, Outcome::Done, None),
            Err(Unmade::NotNeeded(why)) => self.told(opened, Outcome::NotNeeded, Some(why)),
            Err(Unmade::Failed(why)) => self.told(opened, Outcome::Failed, Some(why)),
        }
    }

    fn remove_link(&self, opened: &Opened) -> Result<(), Unmade> {
        let directory = there(opened.tree.directory(&opened.v2, self.directory().as_bytes()))?;
        let link = links::read(&opened.tree, &directory, b"link");
        let target = match &link {
            Link::To(target) => target,
            Link::Damaged(_) => &self.digest,
            Link::Absent => return Err(Unmade::NotNeeded("the link is gone".to_owned())),
            Link::Unreachable(why) => return Err(Unmade::Failed(why.clone())),
        };
        match bytes(opened, target) {
            Answer::There(_) => return Err(Unmade::NotNeeded("its bytes are there".to_owned())),
            Answer::Absent | Answer::Odd(_) => {}
            other => return Err(Unmade::Failed(other.reason())),
        }
        opened.tree.remove(&directory, b"link").map_err(failed)
    }

    fn write_revision(&self, opened: &Opened) -> Result<(), Unmade> {
        let name = format!("blobs/{}/{}", self.digest.algorithm(), data_name(&self.digest));
        match there(opened.tree.read(&opened.v2, name.as_bytes(), MANIFEST_MAX))? {
            Content::TooLong(size) => return Err(Unmade::Failed(format!("{size} bytes are no manifest"))),
            Content::Bytes(bytes) => {
                let computed = Digest::of(self.digest.algorithm(), &bytes);
                if computed != self.digest {
                    return Err(Unmade::Failed(format!("its bytes hash to {computed}")));
                }
                Manifest::parse(&bytes, None).map_err(|error| Unmade::Failed(error.to_string()))?;
            }
        }
        let (algorithm, hex) = (self.digest.algorithm(), self.digest.hex());
        let revisions = self.revisions(opened, algorithm)?;
        let owner = Owner::of(&revisions).map_err(failed)?;
        match links::read(&opened.tree, &revisions, format!("{hex}/link").as_bytes()) {
            Link::Absent | Link::Damaged(_) => {}
            Link::To(_) => return Err(Unmade::NotNeeded("the link is there".to_owned())),
            Link::Unreachable(why) => return Err(Unmade::Failed(why)),
        }
        opened.tree.make_directory(&revisions, hex.as_bytes(), owner).map_err(failed)?;
        let directory = there(opened.tree.directory(&revisions, hex.as_bytes()))?;
        io::replace(&directory, "link", self.digest.as_str().as_bytes(), owner).map_err(failed)
    }

    /// The directory of the revisions of an algorithm; made where a repository has none.
    fn revisions(&self, opened: &Opened, algorithm: Algorithm) -> Result<Directory, Unmade> {
        let name = format!("repositories/{}/_manifests", self.repository);
        let mut here = there(opened.tree.directory(&opened.v2, name.as_bytes()))?;
        for part in ["revisions", algorithm.as_str()] {
            let owner = Owner::of(&here).map_err(failed)?;
            opened.tree.make_directory(&here, part.as_bytes(), owner).map_err(failed)?;
            here = there(opened.tree.directory(&here, part.as_bytes()))?;
        }
        Ok(here)
    }
}

fn bytes(opened: &Opened, digest: &Digest) -> Answer<FileStat> {
    let name = format!("blobs/{}/{}", digest.algorithm(), data_name(digest));
    opened.tree.stat(&opened.v2, name.as_bytes())
}

fn there<T>(answer: Answer<T>) -> Result<T, Unmade> {
    match answer {
        Answer::There(value) => Ok(value),
        Answer::Absent => Err(Unmade::NotNeeded("it is gone".to_owned())),
        other => Err(Unmade::Failed(other.reason())),
    }
}

fn failed(error: rustix::io::Errno) -> Unmade {
    Unmade::Failed(std::io::Error::from(error).to_string())
}
