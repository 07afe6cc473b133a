//! Rows of plans and their steps: begun, filled, moved on, settled, listed, forgotten; never what a step does.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::json;

use crate::Metadata;
use crate::audit::{self, Audit};
use crate::error::Error;
use crate::job::{Done, Write, job};
use crate::plan_rows::{
    AddPlanSteps, CreatePlan, MAX_STEPS_A_WRITE, MovePlan, PlanJob, PlanProgress, PlanQuery, PlanRecord, PlanState,
    PlanStep, SettleSteps, Settled, StepAction, StepState,
};
use crate::sql;

const PLAN: &str = "id, job, state, dry_run, actor, created_at, started_at, ended_at, expires_at, reason, settings, \
                    totals, progress";
const STEP: &str = "position, action, repository, tag, digest, bytes, reason, state, detail";

impl Metadata {
    /// Begins a plan, in state `planning`. `done` learns false where one of the same job is being planned or applied.
    pub fn create_plan(&self, request: CreatePlan, done: Done<bool>) {
        self.submit(job(request, done));
    }

    /// Adds steps to a plan that is being planned.
    pub fn add_plan_steps(&self, request: AddPlanSteps, done: Done<()>) {
        self.submit(job(request, done));
    }

    /// Brings a plan into another state, and tells the audit trail. `done` gets the plan as it is then; none where
    /// there is no such plan, or it is in none of the states that it may come from.
    pub fn move_plan(&self, request: MovePlan, done: Done<Option<PlanRecord>>) {
        self.submit(job(request, done));
    }

    /// Writes down what became of steps.
    pub fn settle_steps(&self, request: SettleSteps, done: Done<()>) {
        self.submit(job(request, done));
    }

    /// Forgets some of what plans there are beyond `keep` ended ones, the oldest first, in one small write. `done`
    /// learns whether there is more to forget.
    pub fn forget_plans(&self, keep: usize, done: Done<bool>) {
        self.submit(job(ForgetPlans(keep), done));
    }

    /// A plan.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn plan(&self, id: &str) -> Result<Option<PlanRecord>, Error> {
        self.readers.read(|connection| find(connection, id))
    }

    /// Plans, the newest first.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn plans(&self, query: &PlanQuery) -> Result<Vec<PlanRecord>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {PLAN} FROM plans
                 WHERE (?1 IS NULL OR job = ?1) AND (?2 IS NULL OR state = ?2)
                   AND (?3 IS NULL OR (created_at, id) < ((SELECT created_at FROM plans WHERE id = ?3), ?3))
                 ORDER BY created_at DESC, id DESC LIMIT ?4"
            ))?;
            let of = (query.job.map(PlanJob::as_str), query.state.map(PlanState::stored));
            let mut rows = statement.query(params![of.0, of.1, query.after, sql::limit(query.limit)])?;
            collect(&mut rows, plan_row)
        })
    }

    /// The plans that are being planned, wait or are being applied, the oldest first.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn open_plans(&self) -> Result<Vec<PlanRecord>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {PLAN} FROM plans WHERE state IN ('planning', 'waiting', 'running') ORDER BY created_at, id"
            ))?;
            let mut rows = statement.query([])?;
            collect(&mut rows, plan_row)
        })
    }

    /// The plan of a job that ended last, having been applied or given up.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn last_plan(&self, of: PlanJob) -> Result<Option<PlanRecord>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {PLAN} FROM plans WHERE job = ?1 AND state IN ('done', 'failed') AND dry_run = 0
                 ORDER BY ended_at DESC, created_at DESC LIMIT 1"
            ))?;
            let found = statement.query_row([of.as_str()], |row| Ok(plan_row(row))).optional()?;
            found.transpose()
        })
    }

    /// Steps of a plan behind `after` (0: from the first), in the order of execution; of one state, if one is given.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn plan_steps(
        &self,
        plan: &str,
        after: u64,
        state: Option<StepState>,
        limit: usize,
    ) -> Result<Vec<PlanStep>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {STEP} FROM plan_steps
                 WHERE plan_id = ?1 AND position > ?2 AND (?3 IS NULL OR state = ?3) ORDER BY position LIMIT ?4"
            ))?;
            let state = state.map(StepState::as_str);
            let mut rows = statement.query(params![plan, sql::size(after), state, sql::limit(limit)])?;
            collect(&mut rows, step_row)
        })
    }

    /// The last `limit` steps of one action that were done, the newest first: what a run did before it was killed.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn last_steps_done(&self, plan: &str, action: StepAction, limit: usize) -> Result<Vec<PlanStep>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {STEP} FROM plan_steps
                 WHERE plan_id = ?1 AND state = 'done' AND action = ?2 ORDER BY position DESC LIMIT ?3"
            ))?;
            let mut rows = statement.query(params![plan, action.as_str(), sql::limit(limit)])?;
            collect(&mut rows, step_row)
        })
    }
}

impl Write for CreatePlan {
    type Answer = bool;

    fn apply(&self, tx: &Connection) -> Result<bool, Error> {
        let busy = tx
            .prepare_cached("SELECT 1 FROM plans WHERE job = ?1 AND state IN ('planning', 'running')")?
            .exists([self.job.as_str()])?;
        if busy {
            return Ok(false);
        }
        tx.prepare_cached(
            "INSERT INTO plans (id, job, state, dry_run, actor, created_at, settings, totals, progress)
             VALUES (?1, ?2, 'planning', ?3, ?4, ?5, ?6, '{}', '{}')",
        )?
        .execute(params![
            self.id,
            self.job.as_str(),
            self.dry_run,
            self.actor.name,
            self.at_ms,
            self.settings.to_string()
        ])?;
        let event = match self.job {
            PlanJob::Gc => "gc_started",
            PlanJob::Retention => "retention_started",
        };
        let details = json!({ "run_id": self.id, "dry_run": self.dry_run, "settings": self.settings });
        audit::append(tx, Audit { details, ..Audit::by(&self.actor, event, self.at_ms) })?;
        Ok(true)
    }

    fn is_frugal(&self, _answer: &bool) -> bool {
        true
    }
}

impl Write for AddPlanSteps {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        let mut insert = tx.prepare_cached(
            "INSERT INTO plan_steps (plan_id, position, action, repository, tag, digest, bytes, reason, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'planned')",
        )?;
        for (position, step) in (self.first..).zip(&self.steps) {
            insert.execute(params![
                self.plan,
                sql::size(position),
                step.action.as_str(),
                step.repository,
                step.tag,
                step.digest.as_str(),
                sql::size(step.bytes),
                step.reason
            ])?;
        }
        Ok(())
    }
}

impl Write for MovePlan {
    type Answer = Option<PlanRecord>;

    fn apply(&self, tx: &Connection) -> Result<Option<PlanRecord>, Error> {
        let Some(before) = find(tx, &self.id)?.filter(|plan| self.from.contains(&plan.state)) else {
            return Ok(None);
        };
        let ended = self.to.has_ended().then_some(self.at_ms);
        let started = (self.to == PlanState::Running).then_some(self.at_ms);
        let mut totals = self.totals.clone().unwrap_or_else(|| before.totals.clone());
        if before.state == PlanState::Planning && self.totals.is_none() {
            // It was given up while it was being made: what it has written counts all the same.
            totals.steps = steps(tx, &self.id)?;
        }
        let totals = serde_json::to_string(&totals).map_err(|error| Error::invalid("totals", &error.to_string()))?;
        tx.prepare_cached(
            "UPDATE plans SET state = ?2, reason = ?3, totals = ?4, expires_at = ?5, ended_at = ?6,
                              started_at = coalesce(started_at, ?7)
             WHERE id = ?1",
        )?
        .execute(params![
            self.id,
            self.to.stored(),
            self.reason,
            totals,
            self.expires_at_ms,
            ended,
            started
        ])?;
        let after = find(tx, &self.id)?;
        if let (Some(event), Some(plan)) = (event(&before, self.to), &after) {
            let details = json!({
                "run_id": plan.id,
                "job": plan.job.as_str(),
                "reason": plan.reason,
                "totals": plan.totals,
                "progress": plan.progress,
            });
            audit::append(tx, Audit { details, ..Audit::by(&self.actor, event, self.at_ms) })?;
        }
        Ok(after)
    }

    fn is_frugal(&self, _answer: &Option<PlanRecord>) -> bool {
        true
    }
}

/// What the audit trail is told of a move.
fn event(before: &PlanRecord, to: PlanState) -> Option<&'static str> {
    match (to, before.job) {
        (PlanState::Running, _) => (before.state == PlanState::Waiting).then_some("plan_confirmed"),
        (PlanState::Discarded, _) => Some("plan_discarded"),
        (PlanState::Done, PlanJob::Gc) => Some("gc_completed"),
        (PlanState::Done, PlanJob::Retention) => Some("retention_completed"),
        (PlanState::Failed, PlanJob::Gc) => Some("gc_failed"),
        (PlanState::Failed, PlanJob::Retention) => Some("retention_failed"),
        (PlanState::Waiting, PlanJob::Gc) => Some("gc_waits"),
        (PlanState::Waiting, PlanJob::Retention) => Some("retention_waits"),
        (PlanState::Planning, _) => None,
    }
}

impl Write for SettleSteps {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        settle(tx, &self.plan, &self.settled, self.more)
    }

    fn is_frugal(&self, _answer: &()) -> bool {
        true
    }
}

/// Writes down what became of `settled`, and adds their numbers and `more` to the plan's progress.
pub(crate) fn settle(tx: &Connection, plan: &str, settled: &[Settled], more: PlanProgress) -> Result<(), Error> {
    let mut update =
        tx.prepare_cached("UPDATE plan_steps SET state = ?3, detail = ?4 WHERE plan_id = ?1 AND position = ?2")?;
    let mut added = more;
    for step in settled {
        let state = if step.skipped.is_none() { StepState::Done } else { StepState::Skipped };
        match state {
            StepState::Skipped => added.skipped += 1,
            StepState::Done | StepState::Planned => added.done += 1,
        }
        update.execute(params![plan, sql::size(step.position), state.as_str(), step.skipped])?;
    }
    let Some(before) = find(tx, plan)? else {
        return Ok(());
    };
    write_progress(tx, plan, before.progress.plus(added))
}

/// Writes down how far a plan is.
pub(crate) fn write_progress(tx: &Connection, plan: &str, progress: PlanProgress) -> Result<(), Error> {
    let progress = serde_json::to_string(&progress).map_err(|error| Error::invalid("progress", &error.to_string()))?;
    tx.prepare_cached("UPDATE plans SET progress = ?2 WHERE id = ?1")?.execute([plan, &progress])?;
    Ok(())
}

/// How many steps a plan has: their positions begin at 1 and have no gaps.
fn steps(tx: &Connection, plan: &str) -> Result<u64, Error> {
    tx.prepare_cached("SELECT coalesce(max(position), 0) FROM plan_steps WHERE plan_id = ?1")?
        .query_row([plan], |row| Ok(sql::unsigned(row, 0)))?
}

struct ForgetPlans(usize);

impl Write for ForgetPlans {
    type Answer = bool;

    fn apply(&self, tx: &Connection) -> Result<bool, Error> {
        let oldest: Option<String> = tx
            .prepare_cached(
                "SELECT id FROM plans WHERE state IN ('done', 'failed', 'discarded')
                 ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET ?1",
            )?
            .query_row([sql::limit(self.0)], |row| row.get(0))
            .optional()?;
        let Some(oldest) = oldest else {
            return Ok(false);
        };
        let gone = tx
            .prepare_cached(
                "DELETE FROM plan_steps WHERE plan_id = ?1 AND position IN
                     (SELECT position FROM plan_steps WHERE plan_id = ?1 ORDER BY position LIMIT ?2)",
            )?
            .execute(params![oldest, sql::limit(MAX_STEPS_A_WRITE)])?;
        if gone < MAX_STEPS_A_WRITE {
            tx.prepare_cached("DELETE FROM plans WHERE id = ?1")?.execute([&oldest])?;
        }
        Ok(true)
    }

    fn is_frugal(&self, _answer: &bool) -> bool {
        true
    }
}

pub(crate) fn find(connection: &Connection, id: &str) -> Result<Option<PlanRecord>, Error> {
    let found = connection
        .prepare_cached(&format!("SELECT {PLAN} FROM plans WHERE id = ?1"))?
        .query_row([id], |row| Ok(plan_row(row)))
        .optional()?;
    found.transpose()
}

fn plan_row(row: &Row<'_>) -> Result<PlanRecord, Error> {
    let text = |column: usize| -> Result<String, Error> { Ok(row.get(column)?) };
    let job = text(1)?;
    let json = |column: usize| -> Result<(String, &'static str), Error> { Ok((text(column)?, "JSON of a plan")) };
    let (settings, what) = json(10)?;
    let (totals, progress) = (json(11)?.0, json(12)?.0);
    Ok(PlanRecord {
        id: text(0)?,
        job: PlanJob::parse(&job).ok_or_else(|| Error::invalid("a plan's job", &job))?,
        state: PlanState::read(&text(2)?)?,
        dry_run: row.get(3)?,
        actor: text(4)?,
        created_at_ms: row.get(5)?,
        started_at_ms: row.get(6)?,
        ended_at_ms: row.get(7)?,
        expires_at_ms: row.get(8)?,
        reason: row.get(9)?,
        settings: serde_json::from_str(&settings).map_err(|_| Error::invalid(what, &settings))?,
        totals: serde_json::from_str(&totals).map_err(|_| Error::invalid(what, &totals))?,
        progress: serde_json::from_str(&progress).map_err(|_| Error::invalid(what, &progress))?,
    })
}

fn step_row(row: &Row<'_>) -> Result<PlanStep, Error> {
    let (action, state): (String, String) = (row.get(1)?, row.get(7)?);
    Ok(PlanStep {
        position: sql::unsigned(row, 0)?,
        action: StepAction::read(&action)?,
        repository: row.get(2)?,
        tag: row.get(3)?,
        digest: sql::digest(row, 4)?,
        bytes: sql::unsigned(row, 5)?,
        reason: row.get(6)?,
        state: StepState::read(&state)?,
        detail: row.get(8)?,
    })
}

fn collect<T>(rows: &mut rusqlite::Rows<'_>, read: impl Fn(&Row<'_>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
