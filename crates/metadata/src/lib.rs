//! Rows: repositories, manifests, edges, tags and their history, blobs, findings, audit. The one home of SQL; never a file's meaning, HTTP or a policy.
//!
//! Reads run on the calling thread, each in a short transaction of its own. Writes are queued to one thread, which
//! puts waiting ones into one transaction and answers them when it is durable; what they check inside it is the
//! last word, since nobody else writes.

mod adopt;
mod api_tokens;
mod audit;
mod audit_chain;
mod audit_list;
mod before_migrating;
mod blobs;
mod bury;
mod catalog;
mod closed;
mod closure;
mod collect;
mod collect_links;
mod collect_plan;
mod collect_requests;
mod commit;
mod connection;
mod damage;
mod delete;
mod delete_repository;
mod edges;
mod error;
mod findings;
mod followers;
mod id_set;
mod job;
mod journal_rows;
mod judge;
mod links;
mod manifests;
mod migrate;
mod plan_rows;
mod plans;
mod policy_rules;
mod probe;
mod probe_list;
mod probe_rows;
mod pulled;
mod read_only;
mod readers;
mod rebuild;
mod reconcile_rows;
mod references;
mod referrers;
mod repeats;
mod repositories;
mod repository_list;
mod requests;
mod retention_rows;
mod revive;
mod room;
mod rows;
mod scrub;
mod snapshot;
mod snapshot_folder;
mod snapshot_name;
mod snapshot_read;
mod snapshot_rows;
mod sql;
mod staging;
mod states;
mod summary;
mod switch;
mod tagging;
mod tags;
mod undo_rows;
mod wal;
mod writer;

use std::path::Path;
use std::sync::Arc;

pub use adopt::{AdoptBlobs, AdoptManifest, AdoptedBlob, IMPORT, LinkBlobs, TagOrigin};
pub use api_tokens::{CreateToken, RevokeSession, RevokeToken, TokenOutcome, TokenRow};
pub use audit::AuditEvent;
pub use audit_chain::{AuditAnchor, AuditCheck, AuditPrefix, is_chain_hash};
pub use audit_list::{AuditPage, AuditQuery, AuditRow};
pub use bury::{Buried, BuryManifest, BuryOutcome, BuryTag, MAX_BURIED, Skip};
pub use closure::{MAX_CLOSURE_BYTES, MAX_CLOSURE_MANIFESTS};
pub use collect_plan::{Candidate, CollectSearch, UntaggedManifest, Waiting, Why};
pub use collect_requests::{
    BlobStep, Due, FilesStay, ManifestStep, Removal, RemoveBlobs, RemoveManifests, RemovedManifests,
};
pub use damage::MAX_DAMAGE;
pub use delete::MAX_HOLDERS;
pub use delete_repository::{DeleteRepository, RepositoryOutcome};
pub use error::Error;
pub use followers::is_follower;
pub use job::Done;
pub use journal_rows::{AuditPosition, JournalEvent, JournalManifest, JournalTag, TrailPlace};
pub use judge::{BadBlob, IncompleteTag, Judge, KeptBlob};
pub use migrate::SCHEMA;
pub use plan_rows::{
    AddPlanSteps, CreatePlan, MAX_STEPS_A_WRITE, MovePlan, NewStep, PlanJob, PlanProgress, PlanQuery, PlanRecord,
    PlanState, PlanStep, PlanTotals, SettleSteps, Settled, StartRetention, StartedRetention, StepAction, StepState,
};
pub use policy_rules::{ChangeFields, CreateRule, DeleteRule, RuleFields, RuleRow, UpdateRule};
pub use probe::{MAX_PROBE_FINDINGS, PROBE_BATCH};
pub use probe_rows::{
    BrokenTag, ProbeFinding, ProbeRun, ProbeState, ProbedTag, RecordProbeRun, RecordProbedTags, TagPage, TagQuery,
    TagReport, TagState,
};
pub use pulled::RecordPulls;
pub use read_only::{ReadOnly, StoredBlob, StoredManifest};
pub use rebuild::{DatabaseState, Rebuild, Rebuilt, database_state};
pub use reconcile_rows::ExpectedFile;
pub use repository_list::{
    MAX_TAGS_OF_MANIFEST, ManifestSummary, RepositorySummary, SummaryPage, TagChange, TagSummary,
};
pub use requests::{
    CommitManifest, CommitOutcome, Content, DeleteBlob, DeleteManifest, DeleteOutcome, DeleteTag, Holder, MountBlob,
    RecordBlob, RecordHash, RecordedBlob, RenewLease, RequestScrub, SetBlobState, SetManifestCorrupt, TagGuard,
    TagMove,
};
pub use retention_rows::{Doomed, Follows, ManifestFacts, NoteRules, RepositoryFacts, RuleState, TagFacts};
pub use revive::{
    MAX_REVIVED_LINKS, ReviveLinks, ReviveManifest, ReviveMode, ReviveOutcome, ReviveTag, Revived, Unrevivable,
};
pub use rows::{
    Actor, BlobRow, BlobState, ClosureManifest, ClosureRows, Lookup, ManifestRow, OpenFinding, Page, RecordedStat,
    ReferrerRow, Summary,
};
pub use scrub::{
    BeginScrubPass, BrokenBy, EndScrubPass, KEEP_PASSES, MAX_CLIMBED, RecordScrub, ReturnBlob, ScrubAsk, ScrubBlob,
    ScrubCursor, ScrubManifest, ScrubPass, ScrubSurvey, Scrubbed, StoredBytes, UnfitBlob, latest_known,
};
pub use snapshot::{TakenSnapshot, take_snapshot};
pub use snapshot_folder::{MAX_SNAPSHOTS, SnapshotFile, SnapshotFolder};
pub use snapshot_read::Snapshot;
pub use snapshot_rows::{BookSnapshot, SnapshotRow};
pub use staging::{NotSwitched, Restored, Staging, audit_head_of};
pub use undo_rows::{Deletes, LostTag, Tombstone, UndoPage};
pub use writer::WRITE_QUEUE;

use job::Job;
use readers::Readers;
use repeats::Repeats;
use writer::Writer;

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections that read, each with a page cache of 1 MiB. They are opened when first needed.
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { readers: 3 }
    }
}

/// The registry's database: one writer, several readers.
pub struct Metadata {
    readers: Readers,
    repeats: Arc<Repeats>,
    writer: Writer,
    new: bool,
}

impl Metadata {
    /// Opens the database at `path`, makes it (for its owner alone, in a directory that exists) where it is not
    /// there, and migrates it, whole or not at all. The caller holds the lock on the data directory.
    ///
    /// # Errors
    /// `NotOurs` and `NewerSchema`, which change nothing; else whatever the files answer.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        let (connection, new) = connection::open_first(path)?;
        let repeats = Arc::new(Repeats::default());
        let writer = Writer::start(path.to_owned(), connection, Arc::clone(&repeats))?;
        Ok(Self { readers: Readers::new(path, options.readers), repeats, writer, new })
    }

    /// Whether this call of [`open`](Self::open) made the schema.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.new
    }

    /// Why the last write transaction failed, for health and metrics; none once one has succeeded again.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        self.writer.trouble()
    }

    /// Finishes what is queued, copies the write-ahead log into the database and closes it. Dropping does the same.
    pub fn close(self) {
        drop(self);
    }

    /// Queues a write, waiting for a place in the queue if it is full.
    fn submit(&self, job: Job) {
        self.writer.submit(job);
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        // Readers first: the writer's last checkpoint can then copy everything.
        self.readers.close();
        self.writer.stop();
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
