//! Tests of the schema itself: strict tables, restricting keys, and that the database refuses what must not be.

use rusqlite::{Connection, params};

use super::{APPLICATION_ID, SCHEMA};
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
            "manifests -> repositories RESTRICT",
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
