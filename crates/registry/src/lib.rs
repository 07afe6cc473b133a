//! The use cases of a registry: push, pull, mount, delete, referrers, listings, health. All business, no HTTP.
//!
//! What never lives here: headers and status codes (the edge's), SQL (`mcr-metadata`'s), file calls
//! (`mcr-blobs`'). This crate owns the border between async callers and blocking work.

mod adopt;
mod api_tokens;
mod ask;
mod audit;
mod backup;
mod blob_body;
mod blob_read;
mod blocking;
mod buffers;
mod cache;
mod chores;
mod delete;
mod error;
mod examine;
mod expire;
mod gc;
mod health;
mod holds;
mod integrity;
mod journal;
mod list;
mod local_source;
mod locks;
mod logins;
mod manifest_read;
mod mount;
mod plans;
mod policy;
mod policy_admin;
mod probe;
mod pulls;
mod push;
mod read_only;
mod rebuild;
mod receive;
mod record;
mod refusal;
mod registry;
mod repositories;
mod restore;
mod retention;
mod runs;
mod scrub;
mod sessions;
mod settings;
mod snapshots;
mod start;
mod undo;
mod upload;
mod volume;
mod words;

pub use adopt::{
    AdoptedBy, Adopter, BlobTaken, IMPORT, ImportedEvent, Incoming, MAX_IMPORTED_EVENTS, MAX_ORIGINS, ManifestTaken,
    TagOrigin, TakenManifest,
};
pub use api_tokens::{
    API_TOKEN_PREFIX, ApiToken, MAX_TOKEN_LIFE_MS, MAX_TOKENS, MAX_TOKENS_OF_OWNER, NewToken, TokenRecord,
};
pub use audit::{AuditCheck, AuditExport, MAX_AUDIT_PAGE, SignAnchor};
pub use backup::{
    BackupError, CheckReport, CopyReport, CopyRequest, Judgement, MAX_REPORTED, Progress, check, copy_to,
};
pub use blob_body::BlobBody;
pub use blob_read::{BlobInfo, OpenBlob, Part};
pub use cache::CachedManifest;
pub use delete::Deleted;
pub use error::{Error, Refusal};
pub use examine::Examined;
pub use gc::{GcFigures, GcOptions, GcStatus};
pub use health::Health;
pub use journal::JournalState;
pub use list::{CatalogPage, ReferrersPage, TagsPage};
pub use locks::DigestLocks;
pub use manifest_read::{Reading, ServedManifest};
/// Rows that answers show as the database has them.
pub use mcr_metadata::{
    AuditPage, AuditQuery, AuditRow, ManifestSummary, ReferrerRow, RepositorySummary, ScrubPass, SummaryPage,
    TagChange, TagSummary,
};
/// Plans, as the database has them.
pub use mcr_metadata::{
    NewStep, PlanJob as Job, PlanProgress, PlanRecord, PlanState, PlanStep, PlanTotals, StepAction, StepState,
};
pub use plans::{PlanFilter, PlanPage, plan_sentence};
pub use policy::NameFilter;
pub use policy_admin::{MAX_RULES, NewRule, RuleChange, RuleRecord};
pub use probe::{IntegrityReport, MAX_LISTED_FINDINGS, ProbeRecord};
pub use push::{ManifestPlace, PushManifest, Pushed};
pub use read_only::ReadOnlyState;
pub use rebuild::{RebuildError, RebuildNews, RebuildReport, RebuildRequest, Tell, rebuild};
pub use receive::{Body, BodyLost, Chunk};
pub use record::LoginEvent;
pub use registry::{Counters, Registry};
pub use repositories::{DeletedRepository, MAX_LISTED, RepositoryDetail, TagDetailsPage, TagHistoryPage};
pub use restore::{Changed, NotRestored, RestoreReport, RestoreRequest, find_snapshot, restore};
pub use retention::RetentionOptions;
pub use scrub::{ScrubActivity, ScrubFigures, ScrubState};
pub use settings::{
    BackupSettings, BrokenIndex, GcSettings, RetentionRule, Rule, ScrubSettings, Settings, VerifyOnRead,
};
pub use snapshots::SnapshotRecord;
pub use start::{Paths, StartError};
pub use undo::{MAX_UNDONE_LISTED, RestoreRun, RestoredRepository, RestoredRun, RestoredTag, Unrestored};
pub use upload::{StoredUpload, UploadStatus};

#[cfg(test)]
mod testing;
