//! API tokens and ended logins as rows; never a secret, nor what a token allows.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;

use crate::Metadata;
use crate::audit::{self, Audit};
use crate::error::Error;
use crate::job::{Done, Write, job};
use crate::rows::Actor;
use crate::sql;

/// How long a token that ended is kept for the list, in milliseconds.
const KEEP_ENDED_MS: i64 = 90 * 24 * 3_600_000;

/// Ended logins that one write clears away.
const CLEARED: i64 = 1000;

/// A token that an account made for its programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its name in what is presented; public.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The account's name.
    pub owner: String,
    /// What rules know the account by.
    pub subject: String,
    /// The kind of account.
    pub account_type: String,
    /// The account's roles when it made the token.
    pub roles: Vec<String>,
    /// Names of actions.
    pub actions: Vec<String>,
    /// Patterns of repository names.
    pub repositories: Vec<String>,
    /// SHA-256 of the secret, as lower-case hex.
    pub secret_hash: String,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it ends, in Unix milliseconds.
    pub expires_at_ms: i64,
    /// When it was last used, to a minute, in Unix milliseconds.
    pub last_used_at_ms: Option<i64>,
    /// When it was revoked, in Unix milliseconds.
    pub revoked_at_ms: Option<i64>,
}

/// Make a token.
#[derive(Clone, Debug)]
pub struct CreateToken {
    /// The token.
    pub token: TokenRow,
    /// Tokens in force that one account may have.
    pub most_of_owner: usize,
    /// Tokens there may be.
    pub most: usize,
    /// Who asks.
    pub actor: Actor,
}

/// What became of a [`CreateToken`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenOutcome {
    /// It is made. Tokens of these ids ended long ago and are forgotten.
    Created {
        /// What was forgotten.
        forgotten: Vec<String>,
    },
    /// The account has as many as it may.
    TooManyOfOwner,
    /// There are as many as there may be.
    TooMany,
}

/// Revoke a token.
#[derive(Clone, Debug)]
pub struct RevokeToken {
    /// Which.
    pub id: String,
    /// Who asks.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

struct UseToken {
    id: String,
    at_ms: i64,
}

/// End a login before its time.
#[derive(Clone, Debug)]
pub struct RevokeSession {
    /// Its number.
    pub jti: String,
    /// When it would have ended, in Unix milliseconds.
    pub until_ms: i64,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

struct ClearSessions {
    at_ms: i64,
}

impl Metadata {
    /// Every token, revoked and expired ones included.
    ///
    /// # Errors
    /// `Corrupt` for a row whose lists are none; else whatever the files answer.
    pub fn api_tokens(&self) -> Result<Vec<TokenRow>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, owner, subject, account_type, roles, actions, repositories, secret_hash,
                        created_at, expires_at, last_used_at, revoked_at
                 FROM api_tokens",
            )?;
            let mut rows = statement.query([])?;
            let mut tokens = Vec::new();
            while let Some(row) = rows.next()? {
                let id: String = row.get(0)?;
                let list = |column: usize| sql::read_list(row, column, || format!("API token {id}"));
                tokens.push(TokenRow {
                    name: row.get(1)?,
                    owner: row.get(2)?,
                    subject: row.get(3)?,
                    account_type: row.get(4)?,
                    roles: list(5)?,
                    actions: list(6)?,
                    repositories: list(7)?,
                    secret_hash: row.get(8)?,
                    created_at_ms: row.get(9)?,
                    expires_at_ms: row.get(10)?,
                    last_used_at_ms: row.get(11)?,
                    revoked_at_ms: row.get(12)?,
                    id,
                });
            }
            Ok(tokens)
        })
    }

    /// Makes a token, and forgets those that ended long ago.
    pub fn create_token(&self, request: CreateToken, done: Done<TokenOutcome>) {
        self.submit(job(request, done));
    }

    /// Revokes a token; `done` learns whether there was one in force.
    pub fn revoke_token(&self, request: RevokeToken, done: Done<bool>) {
        self.submit(job(request, done));
    }

    /// Notes that a token was used.
    pub fn use_token(&self, id: String, at_ms: i64, done: Done<()>) {
        self.submit(job(UseToken { id, at_ms }, done));
    }

    /// The logins that were ended and would not have ended by themselves at `at_ms`, with when they will.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn revoked_sessions(&self, at_ms: i64) -> Result<Vec<(String, i64)>, Error> {
        self.readers.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT jti, until FROM revoked_sessions WHERE until > ?1")?;
            let rows = statement.query_map([at_ms], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Ends a login.
    pub fn revoke_session(&self, request: RevokeSession, done: Done<()>) {
        self.submit(job(request, done));
    }

    /// Clears away some logins that have ended by themselves; `done` learns how many.
    pub fn clear_sessions(&self, at_ms: i64, done: Done<usize>) {
        self.submit(job(ClearSessions { at_ms }, done));
    }
}

impl Write for CreateToken {
    type Answer = TokenOutcome;

    fn apply(&self, tx: &Connection) -> Result<TokenOutcome, Error> {
        let (token, at_ms) = (&self.token, self.token.created_at_ms);
        let mut statement = tx.prepare_cached(
            "DELETE FROM api_tokens WHERE min(expires_at, coalesce(revoked_at, expires_at)) < ?1 RETURNING id",
        )?;
        let forgotten = statement.query_map([at_ms.saturating_sub(KEEP_ENDED_MS)], |row| row.get(0))?;
        let forgotten: Vec<String> = forgotten.collect::<Result<_, _>>()?;
        let count = |sql: &str, values: &[&dyn rusqlite::ToSql]| -> Result<usize, Error> {
            let held: i64 = tx.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
            Ok(usize::try_from(held).unwrap_or(usize::MAX))
        };
        let own = "SELECT count(*) FROM api_tokens WHERE subject = ?1 AND revoked_at IS NULL AND expires_at > ?2";
        if count(own, &[&token.subject, &at_ms])? >= self.most_of_owner {
            return Ok(TokenOutcome::TooManyOfOwner);
        }
        if count("SELECT count(*) FROM api_tokens", &[])? >= self.most {
            return Ok(TokenOutcome::TooMany);
        }
        insert(tx, token)?;
        let details = json!({
            "id": token.id, "name": token.name, "owner": token.owner, "actions": token.actions,
            "repositories": token.repositories, "expires_at_ms": token.expires_at_ms,
        });
        audit::append(tx, Audit { details, ..Audit::by(&self.actor, "token_created", at_ms) })?;
        Ok(TokenOutcome::Created { forgotten })
    }
}

fn insert(tx: &Connection, token: &TokenRow) -> Result<(), Error> {
    tx.prepare_cached(
        "INSERT INTO api_tokens (id, name, owner, subject, account_type, roles, actions, repositories, secret_hash,
                                 created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        token.id,
        token.name,
        token.owner,
        token.subject,
        token.account_type,
        sql::list(&token.roles),
        sql::list(&token.actions),
        sql::list(&token.repositories),
        token.secret_hash,
        token.created_at_ms,
        token.expires_at_ms,
    ])?;
    Ok(())
}

impl Write for RevokeToken {
    type Answer = bool;

    fn apply(&self, tx: &Connection) -> Result<bool, Error> {
        let revoked: Option<(String, String)> = tx
            .prepare_cached(
                "UPDATE api_tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL RETURNING name, owner",
            )?
            .query_row(params![self.id, self.at_ms], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((name, owner)) = revoked else {
            return Ok(false);
        };
        let details = json!({ "id": self.id, "name": name, "owner": owner });
        audit::append(tx, Audit { details, ..Audit::by(&self.actor, "token_revoked", self.at_ms) })?;
        Ok(true)
    }

    fn is_frugal(&self, _answer: &bool) -> bool {
        true
    }
}

impl Write for UseToken {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        tx.prepare_cached("UPDATE api_tokens SET last_used_at = ?2 WHERE id = ?1 AND coalesce(last_used_at, 0) < ?2")?
            .execute(params![self.id, self.at_ms])?;
        Ok(())
    }
}

impl Write for RevokeSession {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        clear(tx, self.at_ms)?;
        tx.prepare_cached(
            "INSERT INTO revoked_sessions (jti, until) VALUES (?1, ?2)
             ON CONFLICT (jti) DO UPDATE SET until = max(until, excluded.until)",
        )?
        .execute(params![self.jti, self.until_ms])?;
        Ok(())
    }

    fn is_frugal(&self, _answer: &()) -> bool {
        true
    }
}

impl Write for ClearSessions {
    type Answer = usize;

    fn apply(&self, tx: &Connection) -> Result<usize, Error> {
        clear(tx, self.at_ms)
    }

    fn is_frugal(&self, _answer: &usize) -> bool {
        true
    }
}

fn clear(tx: &Connection, at_ms: i64) -> Result<usize, Error> {
    let cleared = tx
        .prepare_cached(
            "DELETE FROM revoked_sessions
             WHERE jti IN (SELECT jti FROM revoked_sessions WHERE until <= ?1 ORDER BY until LIMIT ?2)",
        )?
        .execute([at_ms, CLEARED])?;
    Ok(cleared)
}

#[cfg(test)]
mod tests;
