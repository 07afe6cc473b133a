//! Which schema a database has, and the steps from it to ours, all in one transaction; never a query about content.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::Error;

/// The steps, oldest first. A step that has been released is never edited; the schema's number is their count.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_probe.sql"),
    include_str!("../migrations/0003_access.sql"),
    include_str!("../migrations/0004_keeping.sql"),
];

/// The newest schema this program knows.
pub const SCHEMA: i64 = MIGRATIONS.len() as i64;

/// "MCR1": SQLite keeps it in the file's header, and `file(1)` shows it.
const APPLICATION_ID: i64 = 0x4d43_5231;

/// The schema of the database behind `connection`: 0 where nothing has been made in it yet.
///
/// # Errors
/// `NotOurs` where it belongs to another program or is no database, `NewerSchema` where a newer program had it.
pub(crate) fn recognise(connection: &Connection, path: &Path) -> Result<i64, Error> {
    let not_ours = |reason: String| Error::NotOurs { path: path.display().to_string(), reason };
    let application: i64 = match connection.pragma_query_value(None, "application_id", |row| row.get(0)) {
        Ok(application) => application,
        Err(error) => {
            return Err(match Error::from(error) {
                Error::Corrupt(text) => not_ours(text),
                other => other,
            });
        }
    };
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if application == APPLICATION_ID {
        if found > SCHEMA {
            return Err(Error::NewerSchema { found, known: SCHEMA, snapshot: None });
        }
        return Ok(found);
    }
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == 0 && found == 0 && tables == 0 {
        return Ok(0);
    }
    if is_of_go(connection)? {
        return Err(not_ours(
            "it is that of the registry written in Go. Nothing was changed: keep that one running, give this one \
             directories of its own, and bring its images over with `mcrsrv import --config FILE --with-policy \
             --with-audit https://ITS-ADDRESS`"
                .to_owned(),
        ));
    }
    Err(not_ours(format!(
        "it is another program's database ({tables} tables and indexes, application id {application})"
    )))
}

/// Whether it has the tables of the registry that this one takes over from.
fn is_of_go(connection: &Connection) -> Result<bool, Error> {
    const TABLES: &str = "'repositories', 'manifests', 'tags', 'blobs', 'manifest_blobs', 'uploads', 'policy_rules', \
                          'audit_log', 'schema_migrations'";
    let sql = format!("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ({TABLES})");
    let found: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    // An early version lacks the later ones.
    Ok(found >= 6)
}

/// Brings the database to [`SCHEMA`], whole or not at all.
///
/// # Errors
/// As [`recognise`], and whatever the files answer; the database is then as it was.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    if recognise(connection, path)? == SCHEMA {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = recognise(&transaction, path)?;
    let done = usize::try_from(found).unwrap_or(0);
    for step in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests;
