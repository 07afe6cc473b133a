//! The audit trail as administrators use it: looked through, exported, verified, cut off behind its age; never what is written into it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mcr_access::{Administer, GlobalPermit};
use mcr_metadata::{AuditAnchor, AuditPage, AuditPrefix, AuditQuery, AuditRow, is_chain_hash};

use crate::error::Error;
use crate::registry::Registry;
use crate::words;

/// Rows of a page at most.
pub const MAX_AUDIT_PAGE: usize = 1000;
/// Rows that a page may be told to pass over.
const MAX_OFFSET: usize = 100_000;
/// The longest filter, in characters.
const MAX_FILTER: usize = 255;
/// Rows that one write cuts off: others wait for it.
const CUT_AT_ONCE: usize = 1000;
/// How long such writes pause, so that others come first.
const CUT_PAUSE: Duration = Duration::from_millis(50);

/// Signs where the trail is cut off, and knows its own signatures.
pub trait SignAnchor: Send + Sync {
    /// The signature of a statement; none where there is no key, and then nothing is cut.
    fn sign(&self, statement: &[u8]) -> Option<String>;
    /// Whether the signature is right.
    fn verify(&self, statement: &[u8], signature: &str) -> bool;
}

/// Who signs, once that is known.
#[derive(Default)]
pub(crate) struct Signer(OnceLock<Arc<dyn SignAnchor>>);

/// What became of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCheck {
    /// Rows whose hash was computed again.
    pub rows: u64,
    /// The hash of the newest row; none while there is none.
    pub head: Option<String>,
    /// The number of that row.
    pub head_seq: i64,
    /// The first row that does not follow from the one before it, or was changed.
    pub broken_at: Option<i64>,
    /// Whether the anchor's signature is right; none while nothing was ever cut off.
    pub anchor_signed: Option<bool>,
    /// The last row that was cut off; none while nothing was.
    pub cut_up_to: Option<i64>,
    /// Where the expected hash is; none where none was given, or it is not in the chain.
    pub expected_at: Option<i64>,
    /// Whether the expected hash is in the chain; none where none was given.
    pub expected_found: Option<bool>,
    /// Whether everything holds.
    pub sound: bool,
}

/// A walk over the trail that holds one page at a time.
#[derive(Debug)]
pub struct AuditExport {
    registry: Registry,
    query: Option<AuditQuery>,
}

impl AuditExport {
    /// Some more rows; none at the end.
    ///
    /// # Errors
    /// Inability.
    pub async fn next_rows(&mut self) -> Result<Option<Vec<AuditRow>>, Error> {
        while let Some(query) = self.query.take() {
            let page = self.registry.audit_page(query.clone()).await?;
            if let Some(next) = page.next {
                self.query = Some(AuditQuery { after: Some(next), offset: 0, ..query });
            }
            if !page.events.is_empty() {
                return Ok(Some(page.events));
            }
        }
        Ok(None)
    }
}

impl Registry {
    /// A page of the trail. It may be short and still have a next one: it costs what it examines.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a filter or an offset that is too long; inability.
    pub async fn audit(&self, _permit: &GlobalPermit<Administer>, query: AuditQuery) -> Result<AuditPage, Error> {
        self.audit_page(checked(query)?).await
    }

    /// The rows a query names, all of them, a page at a time. Its `limit` says nothing.
    ///
    /// # Errors
    /// As [`audit`](Self::audit).
    pub fn audit_export(&self, _permit: &GlobalPermit<Administer>, query: AuditQuery) -> Result<AuditExport, Error> {
        let query = checked(AuditQuery { limit: MAX_AUDIT_PAGE, ..query })?;
        Ok(AuditExport { registry: self.clone(), query: Some(query) })
    }

    async fn audit_page(&self, query: AuditQuery) -> Result<AuditPage, Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        Ok(self.parts.blocking.run(move || metadata.audit(&query)).await??)
    }

    /// Computes the whole chain again, and says whether a head that was written down elsewhere is in it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no hash; inability. A broken chain is an answer.
    pub async fn verify_audit(
        &self,
        _permit: &GlobalPermit<Administer>,
        expect_head: Option<&str>,
    ) -> Result<AuditCheck, Error> {
        if let Some(hash) = expect_head.filter(|hash| !is_chain_hash(hash)) {
            let hash = words::excerpt(hash);
            return Err(Error::Invalid(format!("expect_head: must be 64 hex digits, not `{hash}`")));
        }
        let (metadata, expected) = (Arc::clone(&self.parts.metadata), expect_head.map(str::to_owned));
        let seen = self.parts.walking.run(move || metadata.verify_audit(expected.as_deref())).await??;
        let anchor_signed = seen.anchor.as_ref().map(|anchor| {
            let statement = anchor.statement(self.parts.volume.registry_id());
            self.parts.signer.0.get().is_some_and(|signer| signer.verify(&statement, &anchor.signature))
        });
        let expected_found = expect_head.map(|_| seen.expected_at.is_some());
        Ok(AuditCheck {
            sound: seen.broken_at.is_none() && anchor_signed != Some(false) && expected_found != Some(false),
            rows: seen.rows,
            head: seen.head,
            head_seq: seen.head_seq,
            broken_at: seen.broken_at,
            cut_up_to: seen.anchor.map(|anchor| anchor.seq),
            expected_at: seen.expected_at,
            anchor_signed,
            expected_found,
        })
    }

    /// Says who signs where the trail is cut off. Only the first call counts; without one nothing is ever cut.
    pub fn set_anchor_signer(&self, signer: Arc<dyn SignAnchor>) {
        drop(self.parts.signer.0.set(signer));
    }

    /// Writes the head of the chain into the log, so that it stands outside of the database too.
    pub(crate) async fn log_audit_head(&self) -> Result<(), Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        if let Some((seq, hash)) = self.parts.blocking.run(move || metadata.audit_head()).await?? {
            tracing::info!(seq, hash, "audit chain head");
        }
        Ok(())
    }

    /// Cuts off what is older than `[audit] keep`, in small steps; says how many rows went.
    pub(crate) async fn age_audit(&self) -> Result<u64, Error> {
        let Some(keep) = self.parts.settings.audit_keep else { return Ok(0) };
        let before_ms = self.parts.clock.now_ms().saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        let mut gone = 0;
        loop {
            let metadata = Arc::clone(&self.parts.metadata);
            let prefix = self.parts.blocking.run(move || metadata.audit_prefix(before_ms, CUT_AT_ONCE)).await??;
            let (seq, hash) = match prefix {
                AuditPrefix::None => return Ok(gone),
                AuditPrefix::UpTo { seq, hash } => (seq, hash),
                AuditPrefix::Broken { seq } => {
                    tracing::error!(
                        seq,
                        "the audit chain is broken at this row: nothing is cut off behind its age, since that would hide it"
                    );
                    return Ok(gone);
                }
            };
            let mut anchor = AuditAnchor { seq, hash, at_ms: self.parts.clock.now_ms(), signature: String::new() };
            let statement = anchor.statement(self.parts.volume.registry_id());
            let Some(signature) = self.parts.signer.0.get().and_then(|signer| signer.sign(&statement)) else {
                tracing::warn!("nobody signs for the audit trail: rows older than [audit] keep stay");
                return Ok(gone);
            };
            anchor.signature = signature;
            let cut = self.parts.writes.durable(|m, done| m.cut_audit(anchor, done), |_| ()).await?;
            if cut == 0 {
                return Ok(gone);
            }
            gone += cut;
            tokio::time::sleep(CUT_PAUSE).await;
        }
    }
}

fn checked(query: AuditQuery) -> Result<AuditQuery, Error> {
    for (field, text) in [("event", &query.event), ("actor", &query.actor), ("repository", &query.repository)] {
        if let Some(text) = text {
            words::text(field, text, MAX_FILTER)?;
        }
    }
    if query.offset > MAX_OFFSET {
        return Err(Error::Invalid(format!("offset: must be at most {MAX_OFFSET}; go on from the last event instead")));
    }
    let limit = query.limit.clamp(1, MAX_AUDIT_PAGE);
    Ok(AuditQuery { limit, ..query })
}

#[cfg(test)]
mod tests;
