//! Tests of the schema itself: strict tables, restricting keys, and that the database refuses what must not be.

use rusqlite::{Connection, params};

use super::{APPLICATION_ID, MIGRATIONS, SCHEMA};
use crate::testing::{Bed, blob_descriptor, image, index};

#[test]
fn every_table_is_strict() {
    let bed = Bed::new();
    let loose = bed.count(
        "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND strict = 0",
    );
    assert_eq!(loose, 0);
    assert_eq!(bed.count("SELECT application_id FROM pragma_application_id"), APPLICATION_ID);
    assert_eq!(bed.count("SELECT user_version FROM pragma_user_version"), SCHEMA);
    assert_eq!(bed.count("SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
}

#[test]
fn every_table_is_described_and_no_other() {
    let page = include_str!("../../../../docs/on-disk-format.md");
    let (_, page) = page.split_once("\n## The database\n").unwrap();
    let (page, _) = page.split_once("\n### The audit chain\n").unwrap();
    let mut described: Vec<&str> =
        page.lines().filter_map(|line| Some(line.strip_prefix("**`")?.split_once("`**")?.0)).collect();
    described.sort_unstable();
    let bed = Bed::new();
    let connection = bed.sql();
    let mut statement = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
        .unwrap();
    let names: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(described, names);
    let mut left_out = Vec::new();
    for name in names {
        let columns = format!("SELECT name FROM pragma_table_info('{name}')");
        let mut statement = connection.prepare(&columns).unwrap();
        let (_, about) = page.split_once(&format!("\n**`{name}`**")).unwrap();
        let about = about.split("\n**`").next().unwrap();
        for column in statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap) {
            if !about.contains(&format!("`{column}`")) {
                left_out.push(format!("{name}.{column}"));
            }
        }
    }
    assert_eq!(left_out, Vec::<String>::new());
}

#[test]
fn every_key_that_leads_to_content_restricts() {
    let bed = Bed::new();
    let connection = bed.sql();
    let mut statement = connection
        .prepare(
            "SELECT DISTINCT t.name || ' -> ' || k.\"table\" || ' ' || k.on_delete
             FROM pragma_table_list t JOIN pragma_foreign_key_list(t.name) k
             WHERE t.schema = 'main' ORDER BY 1",
        )
        .unwrap();
    let keys: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        keys,
        [
            // A manifest's own edges and bytes go with it.
            "edges -> manifests CASCADE",
            "edges -> manifests RESTRICT",
            "edges -> repository_blobs RESTRICT",
            "manifest_contents -> manifests CASCADE",
            // When it was pulled is of no use without it.
            "manifest_pulls -> manifests CASCADE",
            "manifests -> repositories RESTRICT",
            "plan_steps -> plans CASCADE",
            "repository_blobs -> blobs RESTRICT",
            "repository_blobs -> repositories RESTRICT",
            "tag_history -> repositories RESTRICT",
            "tags -> manifests RESTRICT",
        ]
    );
}

/// A repository with a tagged index over one image.
fn filled() -> Bed {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c", "l"], &[], 1);
    bed.pushed("a/b", &index(&[image.descriptor()]), &["v1"], 2);
    bed
}

fn refused(connection: &Connection, sql: &str) {
    let error = connection.execute_batch(sql).expect_err(sql);
    assert!(error.to_string().contains("constraint failed"), "{sql}: {error}");
}

#[test]
fn an_orphan_cannot_be_written_down() {
    let bed = filled();
    let connection = bed.sql();
    for sql in [
        "DELETE FROM manifests WHERE kind = 'image'",
        "DELETE FROM manifests WHERE kind = 'index'",
        "DELETE FROM repository_blobs",
        "DELETE FROM blobs",
        "DELETE FROM repositories",
        // Not into another repository either.
        "INSERT INTO repositories (id, name, created_at) VALUES (99, 'x', 0);
         INSERT INTO tags SELECT 99, 'stolen', manifest_id, 0 FROM tags",
        "UPDATE tags SET manifest_id = 4711",
        "UPDATE edges SET target_blob = 4711 WHERE target_blob IS NOT NULL",
        // A strong edge without a target, and an edge with two.
        "UPDATE edges SET target_blob = NULL, target_manifest = NULL",
        "UPDATE edges SET target_blob = 1, target_manifest = 1",
    ] {
        refused(&connection, sql);
        // A batch that failed halfway leaves no half.
        assert!(connection.is_autocommit());
    }
    assert_eq!(bed.count("SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

#[test]
fn what_nothing_names_can_be_removed_whole() {
    let bed = filled();
    let connection = bed.sql();
    connection
        .execute_batch(
            "DELETE FROM tags; DELETE FROM manifests WHERE kind = 'index'; DELETE FROM manifests;
             DELETE FROM repository_blobs; DELETE FROM blobs",
        )
        .unwrap();
    for table in ["edges", "manifest_contents", "manifests", "blobs"] {
        assert_eq!(bed.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

#[test]
fn only_a_weak_edge_may_lead_nowhere() {
    let bed = filled();
    let connection = bed.sql();
    let insert = |weak: i64| {
        connection.execute(
            "INSERT INTO edges (manifest_id, position, repository_id, kind, wants, digest, size, media_type, weak)
             SELECT id, 100 + ?1, repository_id, 'layer', 'blob', 'sha256:x', 0, '', ?1 FROM manifests LIMIT 1",
            params![weak],
        )
    };
    assert!(insert(0).is_err());
    assert_eq!(insert(1), Ok(1));
}

#[test]
fn values_of_the_wrong_kind_are_refused() {
    let bed = filled();
    let connection = bed.sql();
    refused(&connection, "UPDATE blobs SET state = 'fine'");
    refused(&connection, "UPDATE blobs SET size = -1");
    refused(&connection, "UPDATE manifests SET kind = 'list'");
    assert!(connection.execute_batch("UPDATE blobs SET size = 'large'").is_err());
}

/// Keys look their children up on every removal: without an index that is a scan of all edges.
#[test]
fn keys_and_hot_queries_use_indexes() {
    let bed = Bed::new();
    let connection = bed.sql();
    for sql in [
        "SELECT 1 FROM edges WHERE repository_id = 1 AND target_blob = 1",
        "SELECT 1 FROM edges WHERE repository_id = 1 AND target_manifest = 1",
        "SELECT 1 FROM edges WHERE repository_id = 1 AND digest = 'x' AND target_manifest IS NULL AND target_blob IS NULL",
        "SELECT 1 FROM tags WHERE repository_id = 1 AND manifest_id = 1",
        "SELECT 1 FROM repository_blobs WHERE blob_id = 1",
        "SELECT 1 FROM blobs WHERE state <> 'sound'",
        "SELECT 1 FROM manifests WHERE state <> 'sound'",
        "SELECT 1 FROM manifests WHERE repository_id = 1 AND deleted_at IS NULL",
        "SELECT digest FROM manifests WHERE repository_id = 1 AND subject = 'x' AND digest > 'y' ORDER BY digest",
        "SELECT id FROM findings WHERE closed_at IS NULL AND digest = 'x'",
        "SELECT hash FROM audit ORDER BY seq DESC LIMIT 1",
        "SELECT seq FROM audit WHERE at >= 5 ORDER BY at LIMIT 9",
        "SELECT 1 FROM probe_tags INDEXED BY probe_tags_broken WHERE state = 'broken' AND (repository, tag) > ('a', 'b') ORDER BY repository, tag",
        "SELECT 1 FROM probe_tags WHERE repository = 'a' AND tag = 'b'",
        "SELECT id FROM probe_runs WHERE id < 9 AND outcome = 'complete' ORDER BY id DESC LIMIT 1",
    ] {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan: Vec<String> = statement.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        let plan = plan.join("; ");
        let narrow = plan.contains("SEARCH") || plan.contains("unsound") || plan.starts_with("SCAN audit");
        assert!(narrow && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}

#[test]
fn descriptors_survive_in_their_edges() {
    let bed = Bed::new();
    bed.push_image("a/b", &["c", "l", "l"], &["v1"], 1);
    assert_eq!(image("c", &["l", "l"]).manifest.edges.len(), 3);
    assert_eq!(bed.count("SELECT count(*) FROM edges"), 3);
    let digest = blob_descriptor("", "l")["digest"].as_str().unwrap().to_owned();
    assert_eq!(bed.count(&format!("SELECT count(*) FROM edges WHERE digest = '{digest}' AND size = 1")), 2);
}

/// What a database of schema 1 has: ours without the later tables.
fn back_to_schema_1(bed: &Bed) {
    back_to_schema_2(bed);
    bed.sql()
        .execute_batch(
            "DROP TABLE probe_runs; DROP TABLE probe_findings; DROP TABLE probe_tags; PRAGMA user_version = 1",
        )
        .unwrap();
}

/// What a database of schema 3 has.
fn back_to_schema_3(bed: &Bed) {
    bed.sql()
        .execute_batch(
            "DROP TABLE plan_steps; DROP TABLE plans; DROP TABLE retention_rules; DROP TABLE manifest_pulls;
             DROP TABLE scrub_passes; DROP TABLE snapshots; DROP INDEX manifests_deleted; DROP INDEX manifests_by_run;
             DROP INDEX repository_blobs_by_run; PRAGMA user_version = 3",
        )
        .unwrap();
}

/// What a database of schema 2 has.
fn back_to_schema_2(bed: &Bed) {
    back_to_schema_3(bed);
    bed.sql()
        .execute_batch(
            "DROP TABLE policy_rules; DROP TABLE api_tokens; DROP TABLE revoked_sessions; DROP INDEX audit_by_time;
             PRAGMA user_version = 2",
        )
        .unwrap();
}

/// What was made by steps; SQLite's own tables come and stay by themselves.
fn schema_of(connection: &Connection) -> Vec<String> {
    let mut statement = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name")
        .unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_database_of_schema_1_is_migrated_with_what_is_in_it() {
    let bed = filled();
    back_to_schema_1(&bed);
    let first = Connection::open_in_memory().unwrap();
    first.execute_batch(MIGRATIONS[0]).unwrap();
    assert_eq!(schema_of(&bed.sql()), schema_of(&first), "it is what schema 1 was");
    let audited = bed.audited();
    let bed = bed.reopen();
    assert!(!bed.metadata.is_new());
    assert_eq!(bed.count("SELECT user_version FROM pragma_user_version"), SCHEMA);
    assert_eq!(schema_of(&bed.sql()), schema_of(&Bed::new().sql()));
    assert_eq!(bed.count("SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    assert!(bed.tagged("a/b", "v1").is_some());
    assert_eq!(bed.audited(), audited);
    assert_eq!(bed.metadata.probe_state(10).unwrap(), crate::ProbeState::default());
    let tags = bed.metadata.probed_tags(&crate::TagQuery { limit: 10, ..crate::TagQuery::default() }).unwrap().tags;
    assert_eq!(tags.len(), 1);
    assert_eq!(tags[0].state, crate::TagState::Undetermined);
}

#[test]
fn a_database_of_schema_2_is_migrated_with_what_is_in_it() {
    let bed = filled();
    back_to_schema_2(&bed);
    let second = Connection::open_in_memory().unwrap();
    second.execute_batch(&MIGRATIONS[..2].concat()).unwrap();
    assert_eq!(schema_of(&bed.sql()), schema_of(&second), "it is what schema 2 was");
    let audited = bed.audited();
    let bed = bed.reopen();
    assert!(!bed.metadata.is_new());
    assert_eq!(bed.count("SELECT user_version FROM pragma_user_version"), SCHEMA);
    assert_eq!(schema_of(&bed.sql()), schema_of(&Bed::new().sql()));
    assert_eq!(bed.count("SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    assert!(bed.tagged("a/b", "v1").is_some());
    assert_eq!(bed.audited(), audited);
    assert_eq!(bed.metadata.policy_rules().unwrap(), []);
    assert_eq!(bed.metadata.api_tokens().unwrap(), []);
    assert_eq!(bed.metadata.revoked_sessions(0).unwrap(), []);
}

#[test]
fn a_database_of_schema_3_is_migrated_with_what_is_in_it() {
    let bed = filled();
    back_to_schema_3(&bed);
    let third = Connection::open_in_memory().unwrap();
    third.execute_batch(&MIGRATIONS[..3].concat()).unwrap();
    assert_eq!(schema_of(&bed.sql()), schema_of(&third), "it is what schema 3 was");
    let audited = bed.audited();
    let bed = bed.reopen();
    assert!(!bed.metadata.is_new());
    assert_eq!(bed.count("SELECT user_version FROM pragma_user_version"), SCHEMA);
    assert_eq!(schema_of(&bed.sql()), schema_of(&Bed::new().sql()));
    assert_eq!(bed.count("SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    assert!(bed.tagged("a/b", "v1").is_some());
    assert_eq!(bed.audited(), audited);
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let bed = filled();
    back_to_schema_1(&bed);
    bed.sql().execute_batch("CREATE TABLE probe_tags (mine TEXT) STRICT").unwrap();
    let before = schema_of(&bed.sql());
    let path = bed.path();
    let Bed { metadata, directory: _kept } = bed;
    metadata.close();
    assert!(crate::Metadata::open(&path, crate::Options::default()).is_err());
    let connection = Connection::open(&path).unwrap();
    assert_eq!(schema_of(&connection), before);
    assert_eq!(connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)), Ok(1));
}
