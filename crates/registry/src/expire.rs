//! Ending upload sessions that nobody continues; never a blob.

use std::sync::Arc;
use std::time::Duration;

use mcr_blobs::UploadId;

use crate::error::Error;
use crate::registry::Registry;
use crate::sessions::MAX_SESSIONS;

/// How often sessions are looked through.
const EVERY: Duration = Duration::from_secs(60);
/// Below the reserve, sessions idle for so long go first (contract section 9).
const IDLE_MS: i64 = 3_600_000;

/// The loop that ends old sessions; ends when the registry closes.
pub(crate) async fn expire(registry: Registry) {
    loop {
        tokio::select! {
            () = registry.parts.volume.stopped() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        registry.expire_quietly().await;
    }
}

impl Registry {
    /// Ends every session past its time, at set times and with each run of the collector. What cannot be done is logged:
    /// the next look does it.
    pub(crate) async fn expire_quietly(&self) {
        match self.expire_uploads().await {
            Ok(0) => {}
            Ok(ended) => tracing::info!(ended, "upload sessions expired"),
            Err(error) => tracing::warn!(%error, "upload sessions could not be looked through"),
        }
    }

    /// Ends every session past its time; says how many.
    async fn expire_uploads(&self) -> Result<usize, Error> {
        let registry = self.clone();
        let old = self.parts.blocking.run(move || registry.expired()).await??;
        let mut ended = 0;
        for id in old {
            // A session somebody is writing to is not idle, whatever its file says.
            let mut held = self.parts.sessions.take(&id).await?;
            *held = None;
            let (blobs, asked) = (Arc::clone(&self.parts.blobs), id.clone());
            if self.parts.blocking.run(move || blobs.cancel_upload(&asked)).await?? {
                self.parts.sessions.end(&id);
                ended += 1;
            }
        }
        Ok(ended)
    }

    fn expired(&self) -> Result<Vec<UploadId>, Error> {
        let now = self.parts.clock.now_ms();
        let ttl = i64::try_from(self.parts.settings.upload_ttl.as_millis()).unwrap_or(i64::MAX);
        let allowed = if self.parts.volume.below_reserve() { ttl.min(IDLE_MS) } else { ttl };
        let uploads = self.parts.blobs.list_uploads(MAX_SESSIONS)?;
        Ok(uploads
            .into_iter()
            .filter(|(_, info)| info.last_write_ms.saturating_add(allowed) < now)
            .map(|(id, _)| id)
            .collect())
    }
}
