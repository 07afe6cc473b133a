//! What the scrub does next: asked-for blobs, the pass that goes on, the one that is due, or nothing; never how one is hashed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mcr_metadata::{BeginScrubPass, EndScrubPass, ScrubPass, ScrubSurvey};
use tokio::time::Instant;

use super::chores::Chores;
use super::examine::{Examined, FILE_COSTS};
use super::pace::Pace;
use super::state::ScrubActivity;
use super::sweep::{Batch, Candidate, Sweep};
use crate::blocking::Blocking;
use crate::error::Error;
use crate::registry::Registry;

/// How often it looks whether a read asked for a blob, or something is due.
const LOOK: Duration = Duration::from_secs(2);

/// How often it looks whether the volume is back.
const AWAY: Duration = Duration::from_secs(1);

/// How long it rests when the database does not answer.
const AFTER_ERROR: Duration = Duration::from_secs(5);

/// How long it rests before it tries again what could not be read.
const AGAIN: Duration = Duration::from_secs(600);

/// The least time between passes, whatever the configuration says.
const LEAST_AGE: Duration = Duration::from_millis(500);

/// Blobs that were asked for and are taken from the list at once.
const ASKED: usize = 64;

/// A walk over all rows may take this part of the time: one in so many.
const SURVEY_SHARE: u32 = 1000;

/// How old a survey may become.
const SURVEY_MIN: Duration = Duration::from_secs(15);
const SURVEY_MAX: Duration = Duration::from_secs(3600);

/// What cannot be read and is named in the log, in a pass; more of it is only counted.
const NAMED_MAX: usize = 1000;

/// How long the log is silent about a trouble that stays the same.
const SAID_FOR: Duration = Duration::from_secs(600);

/// What the loop does after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another turn after this time.
    Wait(Duration),
    /// It ends.
    Stopped,
}

/// How a look at what was asked for ended.
enum Asked {
    /// Nothing is left on the list.
    Done,
    /// More of it comes when the pass had its turn.
    More,
    /// The turn ends.
    Ends(Next),
}

/// The scrub's own state; what must not be lost is in the database.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) registry: Registry,
    /// A door of its own: a disk that hangs must not take places from those who answer.
    pub(super) blocking: Blocking,
    pub(super) pace: Pace,
    pub(super) chores: Chores,
    sweep: Option<Sweep>,
    /// The newest pass, once the database was asked.
    newest: Option<Option<ScrubPass>>,
    surveyed: Option<Surveyed>,
    again_at: Instant,
    /// Bytes hashed so far, as they are paid for.
    pub(super) spent: u64,
    /// Bytes of asked-for blobs that the pass has not had as much of: these come from it only as fast as it goes on.
    owed: u64,
    /// What was named as unreadable since the pass began.
    named: HashSet<String>,
    /// What the log said last of why it cannot go on, and when.
    said: Option<(String, Instant)>,
}

/// A survey, and when another is worth its price.
#[derive(Debug, Clone, Copy)]
struct Surveyed {
    survey: ScrubSurvey,
    until: Instant,
}

impl Runner {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            blocking: Blocking::new(1),
            pace: Pace::new(registry.parts.settings.scrub.rate),
            chores: Chores::new(),
            sweep: None,
            newest: None,
            surveyed: None,
            again_at: Instant::now(),
            spent: 0,
            owed: 0,
            named: HashSet::new(),
            said: None,
            registry,
        }
    }

    /// Whether anything is to be hashed at all.
    pub(super) fn is_on(&self) -> bool {
        let settings = &self.registry.parts.settings.scrub;
        settings.rate > 0 && !settings.full_pass.is_zero()
    }

    /// Does what comes next, for about a second or one large blob.
    pub(super) async fn turn(&mut self) -> Next {
        let scrub = Arc::clone(&self.registry.parts);
        if self.registry.volume_present().is_err() {
            scrub.scrub.set_activity(ScrubActivity::Waiting);
            return Next::Wait(AWAY);
        }
        let chores = self.do_chores().await;
        if !self.is_on() {
            scrub.scrub.set_activity(ScrubActivity::Off);
        }
        let worked = match chores {
            Ok(Next::Stopped) => return Next::Stopped,
            Ok(Next::Wait(_)) if !self.is_on() => return Next::Wait(LOOK),
            Ok(Next::Wait(_)) => self.work().await,
            Err(error) => Err(error),
        };
        worked.unwrap_or_else(|error| {
            self.complain(error.to_string());
            Next::Wait(AFTER_ERROR)
        })
    }

    /// What was asked for, about a second of it; then as much of the pass as that cost, so that neither waits for ever.
    async fn work(&mut self) -> Result<Next, Error> {
        let mut more = false;
        if self.owed == 0 {
            let (mut batch, before) = (Batch::new(None), self.spent);
            let asked = self.asked_for(&mut batch).await;
            self.write_down(batch).await?;
            self.owed = self.spent.saturating_sub(before);
            match asked? {
                Asked::Ends(next) => return Ok(next),
                Asked::More => more = true,
                Asked::Done => {}
            }
        }
        if self.sweep.is_none() {
            self.begin_if_due().await?;
        }
        let Some(sweep) = &self.sweep else {
            self.owed = 0;
            self.registry.parts.scrub.set_activity(ScrubActivity::Idle);
            return Ok(Next::Wait(if more { Duration::ZERO } else { self.rest() }));
        };
        let (mut batch, before) = (Batch::new(Some(sweep.pass)), self.spent);
        self.registry.parts.scrub.set_activity(ScrubActivity::Running);
        let next = self.go_on(&mut batch).await;
        self.write_down(batch).await?;
        self.owed = self.owed.saturating_sub(self.spent.saturating_sub(before));
        match next? {
            Some(next) => Ok(next),
            None => self.end().await,
        }
    }

    /// What reads asked for, for about a second.
    async fn asked_for(&mut self, batch: &mut Batch) -> Result<Asked, Error> {
        let metadata = Arc::clone(&self.registry.parts.metadata);
        let asked = self.blocking.run(move || metadata.scrub_requested(ASKED)).await??;
        let is_full = asked.len() == ASKED;
        for blob in asked {
            if batch.is_full() {
                return Ok(Asked::More);
            }
            match self.blob(&blob, batch).await {
                Examined::Stopped => return Ok(Asked::Ends(Next::Stopped)),
                Examined::Away => return Ok(Asked::Ends(Next::Wait(AWAY))),
                Examined::Right | Examined::Damaged => {}
                // Another read may ask for it again; until then it is no list that never ends.
                Examined::Past | Examined::Unreadable => {
                    let digest = blob.digest.clone();
                    let caches = Arc::clone(&self.registry.parts.caches);
                    let writes = &self.registry.parts.writes;
                    let after = move |&(): &()| caches.blob_changed(&blob.digest);
                    writes.durable(|m, done| m.forget_scrub_request(digest, done), after).await?;
                }
            }
        }
        Ok(if is_full { Asked::More } else { Asked::Done })
    }

    /// Goes on with the walk. None: it is at its end.
    async fn go_on(&mut self, batch: &mut Batch) -> Result<Option<Next>, Error> {
        while let Some(candidate) = self.candidate().await? {
            let examined = match &candidate {
                Candidate::Manifest(manifest) => self.manifest(*manifest, batch).await,
                Candidate::Blob(blob) => self.blob(blob, batch).await,
                Candidate::Unfit(row) => self.pass_by(row),
            };
            match examined {
                Examined::Stopped => return Ok(Some(Next::Stopped)),
                Examined::Away => {
                    if let Some(sweep) = &mut self.sweep {
                        sweep.put_back(candidate);
                    }
                    return Ok(Some(Next::Wait(AWAY)));
                }
                Examined::Unreadable => {
                    if let Some(sweep) = &mut self.sweep {
                        sweep.unreadable += 1;
                    }
                }
                Examined::Right | Examined::Damaged | Examined::Past => {}
            }
            if batch.is_full() {
                return Ok(Some(Next::Wait(Duration::ZERO)));
            }
        }
        Ok(None)
    }

    async fn candidate(&mut self) -> Result<Option<Candidate>, Error> {
        loop {
            let now = self.registry.parts.clock.now_ms();
            let Some(sweep) = &mut self.sweep else { return Ok(None) };
            if let Some(candidate) = sweep.take() {
                return Ok(Some(candidate));
            }
            if sweep.reaches_beyond(now) {
                self.end_sweep_at(now).await?;
                continue;
            }
            let (metadata, asks) = (Arc::clone(&self.registry.parts.metadata), sweep.asks(now));
            let page = self.blocking.run(move || asks.read(&metadata)).await??;
            if !sweep.fill(page) {
                return Ok(None);
            }
        }
    }

    /// The clock was ahead when the pass began, so that it would cover what it hashes itself, and never end: it covers
    /// what was hashed before now, also after a restart.
    async fn end_sweep_at(&mut self, now_ms: i64) -> Result<(), Error> {
        let Some(sweep) = &mut self.sweep else { return Ok(()) };
        sweep.end_at(now_ms);
        if !sweep.again {
            tracing::warn!(pass = sweep.pass, "scrub: the clock was set back: the pass begins now");
            let (writes, begin) = (&self.registry.parts.writes, BeginScrubPass { at_ms: now_ms });
            let pass = writes.durable(|m, done| m.begin_scrub_pass(begin, done), |_| ()).await?;
            self.newest = Some(Some(pass));
        }
        Ok(())
    }

    /// Writes down what hashed right; a restart does the rest again.
    async fn write_down(&self, batch: Batch) -> Result<(), Error> {
        let Some(record) = batch.end(self.registry.parts.clock.now_ms()) else { return Ok(()) };
        let caches = Arc::clone(&self.registry.parts.caches);
        let digests: Vec<_> = record.blobs.iter().map(|hash| hash.digest.clone()).collect();
        let after = move |&(): &()| digests.iter().for_each(|digest| caches.blob_changed(digest));
        self.registry.parts.writes.durable(|m, done| m.record_scrub(record, done), after).await
    }

    /// The walk is at its end: so is the pass, also where something could not be read.
    async fn end(&mut self) -> Result<Next, Error> {
        let Some(sweep) = self.sweep.take() else { return Ok(Next::Wait(LOOK)) };
        let end =
            EndScrubPass { id: sweep.pass, unreadable: sweep.unreadable, at_ms: self.registry.parts.clock.now_ms() };
        let ended = self.registry.parts.writes.durable(|m, done| m.end_scrub_pass(end, done), |()| ()).await;
        // Whatever was written is asked for anew: an end that was not written leaves the pass open.
        (self.newest, self.surveyed) = (None, None);
        ended?;
        if !sweep.again {
            self.named.clear();
        }
        let newest = self.newest().await?;
        if let Some(pass) = newest.filter(|_| !sweep.again) {
            let seconds = pass.ended_at_ms.unwrap_or(pass.started_at_ms).saturating_sub(pass.started_at_ms) / 1000;
            tracing::info!(
                blobs = pass.blobs,
                manifests = pass.manifests,
                bytes = pass.bytes,
                findings = pass.findings,
                unreadable = pass.unreadable,
                seconds,
                "scrub: a pass is complete"
            );
        }
        let survey = self.survey().await?;
        self.again_at = Instant::now() + AGAIN.min(self.due_age(&survey) / 4);
        Ok(Next::Wait(Duration::ZERO))
    }

    /// Begins the pass that is due or goes on with the one that has not ended.
    async fn begin_if_due(&mut self) -> Result<(), Error> {
        let newest = self.newest().await?;
        if let Some(open) = newest.as_ref().filter(|pass| pass.ended_at_ms.is_none()) {
            self.sweep = Some(Sweep::new(open));
            return Ok(());
        }
        if self.surveyed.is_some_and(|kept| kept.until <= Instant::now()) || self.is_due(newest.as_ref()) {
            self.surveyed = None;
        }
        let _kept = self.survey().await?;
        if self.is_due(newest.as_ref()) {
            let at_ms = self.registry.parts.clock.now_ms();
            let writes = &self.registry.parts.writes;
            let begin = BeginScrubPass { at_ms };
            let pass = writes.durable(|m, done| m.begin_scrub_pass(begin, done), |_| ()).await?;
            tracing::info!(pass = pass.id, "scrub: a pass begins");
            self.sweep = Some(Sweep::new(&pass));
            self.newest = Some(Some(pass));
        } else if let Some(left) = newest.filter(|pass| pass.unreadable > 0 && self.again_at <= Instant::now())
            && left.started_at_ms <= self.registry.parts.clock.now_ms()
        {
            self.sweep = Some(Sweep::new(&left));
        }
        Ok(())
    }

    async fn newest(&mut self) -> Result<Option<ScrubPass>, Error> {
        if let Some(known) = &self.newest {
            return Ok(known.clone());
        }
        let metadata = Arc::clone(&self.registry.parts.metadata);
        let newest = self.blocking.run(move || metadata.scrub_passes(1)).await??.pop();
        self.newest = Some(newest.clone());
        Ok(newest)
    }

    async fn survey(&mut self) -> Result<ScrubSurvey, Error> {
        if let Some(kept) = &self.surveyed {
            return Ok(kept.survey);
        }
        let (began, metadata) = (Instant::now(), Arc::clone(&self.registry.parts.metadata));
        let now = self.registry.parts.clock.now_ms();
        let survey = self.blocking.run(move || metadata.scrub_survey(FILE_COSTS, now)).await??;
        // What is pushed from now on is due after that time at the earliest.
        let keep = (began.elapsed() * SURVEY_SHARE).clamp(SURVEY_MIN, SURVEY_MAX).min(self.due_age(&survey));
        self.surveyed = Some(Surveyed { survey, until: Instant::now() + keep });
        let behind = self.behind(&survey);
        if let Some(news) = self.registry.parts.scrub.surveyed(survey, behind) {
            tracing::warn!("scrub: {news}");
        }
        Ok(survey)
    }

    /// How long a pass over everything takes at the pace.
    fn takes(&self, survey: &ScrubSurvey) -> Duration {
        let rate = u128::from(self.registry.parts.settings.scrub.rate.max(1));
        let millis = u128::from(survey.cost.saturating_add(survey.manifest_bytes)) * 1000 / rate;
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    fn behind(&self, survey: &ScrubSurvey) -> Option<String> {
        let (takes, full_pass) = (self.takes(survey), self.registry.parts.settings.scrub.full_pass);
        (takes > full_pass).then(|| {
            format!(
                "at [scrub] rate a pass over everything takes {} h, longer than full_pass ({} h): raise one of them",
                takes.as_secs().div_ceil(3600),
                full_pass.as_secs() / 3600
            )
        })
    }

    /// How old the oldest hash is when a pass begins: so that all are hashed again before they are `full_pass` old.
    fn due_age(&self, survey: &ScrubSurvey) -> Duration {
        let full_pass = self.registry.parts.settings.scrub.full_pass;
        let ahead = (full_pass / 5).max(self.takes(survey).saturating_mul(5) / 4);
        full_pass.saturating_sub(ahead).max(LEAST_AGE)
    }

    /// When the next pass begins, in Unix milliseconds; none where there is nothing, or that is not known.
    fn due_at(&self, newest: Option<&ScrubPass>) -> Option<i64> {
        let survey = self.surveyed.as_ref()?.survey;
        // What could not be read in the last pass is older than that one, and waits for the next.
        // One that began later than now began by a clock that was ahead, which says nothing of when that was.
        let now = self.registry.parts.clock.now_ms();
        let began = newest.map(|pass| pass.started_at_ms).filter(|at| *at <= now);
        let oldest = survey.oldest_hashed_at_ms?.max(began.unwrap_or(i64::MIN));
        let age = i64::try_from(self.due_age(&survey).as_millis()).unwrap_or(i64::MAX);
        Some(oldest.saturating_add(age))
    }

    fn is_due(&self, newest: Option<&ScrubPass>) -> bool {
        self.due_at(newest).is_some_and(|at| at <= self.registry.parts.clock.now_ms())
    }

    /// How long nothing has to be done.
    fn rest(&self) -> Duration {
        let newest = self.newest.as_ref().and_then(Option::as_ref);
        let until = self.due_at(newest).map_or(i64::MAX, |at| at.saturating_sub(self.registry.parts.clock.now_ms()));
        Duration::from_millis(u64::try_from(until).unwrap_or(0).max(10)).min(LOOK)
    }

    /// Whether a line of the log shall name what cannot be read: each once in a pass.
    pub(super) fn shall_name(&mut self, what: &str) -> bool {
        self.named.len() < NAMED_MAX && self.named.insert(what.to_owned())
    }

    /// Says why it cannot go on, unless that was said a moment ago.
    fn complain(&mut self, error: String) {
        if self.said.as_ref().is_none_or(|(said, at)| *said != error || at.elapsed() >= SAID_FOR) {
            tracing::warn!(error, "scrub: it cannot go on now, and tries again");
            self.said = Some((error, Instant::now()));
        }
    }
}
