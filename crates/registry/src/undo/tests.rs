//! Tests of undo: what was deleted comes back as it was, or is refused with a reason.

use std::time::Instant;

use mcr_metadata::{BuryManifest, Deletes};
use mcr_oci::{Digest, Reference};

use crate::retention::testing::{keep_last, settings};
use crate::testing::{Bed, NOW, admin, name, system, tag};
use crate::{Error, RestoreRun, RestoredRun, Rule, Settings};

impl Bed {
    async fn undo_whole_run(&self, run: &str) -> RestoredRun {
        let what = RestoreRun { run: Some(run.to_owned()), ..RestoreRun::default() };
        self.registry.restore_run(&self.global(), what).await.unwrap()
    }

    async fn undo_all_since(&self, since_ms: i64, by: Option<&str>, dry_run: bool) -> RestoredRun {
        let by = by.map(str::to_owned);
        let what = RestoreRun { run: None, since_ms: Some(since_ms), by, dry_run };
        self.registry.restore_run(&self.global(), what).await.unwrap()
    }

    async fn remove_now(&self, repository: &str, reference: Reference) {
        let permit = self.permit(&admin(), repository);
        self.registry.delete_manifest(&permit, reference).await.unwrap();
    }

    /// Where a blob's file lies.
    fn path_of_blob(&self, content: &str) -> std::path::PathBuf {
        let digest = Digest::sha256(content.as_bytes());
        self.directory.path().join("layers").join("sha256").join(&digest.hex()[..2]).join(digest.hex())
    }
}

#[tokio::test]
async fn a_wrong_run_is_undone_with_signatures_and_referrers() {
    // Of every build: the index, three children, a signature under its tag, two referrers, one of a child. A thousand
    // tags are 500 builds; all of them take minutes to push here and stand in the long tests.
    undo_of_builds(25).await;
}

#[tokio::test]
#[ignore = "long: `make test-long` runs it"]
async fn a_wrong_run_over_1_000_tags_with_8_000_manifests_is_undone() {
    undo_of_builds(1000).await;
}

async fn undo_of_builds(builds: usize) {
    let bed = Bed::with(settings(vec![keep_last(0)]));
    for at in 0..builds {
        bed.clock.set(NOW + at as i64);
        bed.put_build("team/app", &format!("v{at}")).await;
    }
    let before = bed.state_of("team/app");
    bed.clock.advance(60_000);
    let began = Instant::now();
    let plan = bed.run_retention_now().await;
    let took = began.elapsed();
    assert_eq!(bed.state_of("team/app").manifests.len(), 0);
    assert_eq!((plan.progress.tags_removed, plan.progress.manifests_buried), (2 * builds as u64, 8 * builds as u64));
    bed.clock.advance(60_000);
    let began = Instant::now();
    let report = bed.undo_whole_run(&plan.id).await;
    println!("{builds} builds: the run took {took:?}, its undo {:?}", began.elapsed());
    assert_eq!(report.refused, []);
    assert_eq!((report.tags_restored, report.manifests_restored), (2 * builds as u64, 8 * builds as u64));
    assert_eq!(report.repositories, 1);
    assert_eq!(bed.state_of("team/app"), before, "every tag with its age, every manifest, every referrer");
    bed.check_whole("team/app").await;
    assert_eq!(bed.told("run_restored").await.len(), 1);
    // A second time there is nothing left to undo.
    assert_eq!(bed.undo_whole_run(&plan.id).await, RestoredRun::default());
}

#[tokio::test]
async fn a_tag_goes_back_where_it_was_or_where_it_is_told() {
    let bed = Bed::new();
    let one = bed.put_image("app", "one", None, &["t"]).await;
    let two = bed.put_image("app", "two", None, &["t"]).await;
    let permit = bed.permit(&admin(), "app");
    let restored = bed.registry.restore_tag(&permit, &tag("t"), None).await.unwrap();
    assert_eq!((restored.digest, restored.previous), (one.digest.clone(), Some(two.digest.clone())));
    bed.remove_now("app", Reference::Tag(tag("t"))).await;
    let restored = bed.registry.restore_tag(&permit, &tag("t"), None).await.unwrap();
    assert_eq!((restored.digest, restored.previous), (one.digest.clone(), None));
    bed.remove_now("app", Reference::Digest(two.digest.clone())).await;
    let restored = bed.registry.restore_tag(&permit, &tag("t"), Some(&two.digest)).await.unwrap();
    assert_eq!(restored.digest, two.digest);
    assert_eq!(bed.told("tag_restored").await.len(), 3);
    bed.check_whole("app").await;

    let never = Digest::sha256(b"never");
    for (asked, to) in [("t", Some(&never)), ("nothing", None)] {
        let error = bed.registry.restore_tag(&permit, &tag(asked), to).await.unwrap_err();
        assert!(matches!(error, Error::NoSuch(_)), "{error}");
    }
    bed.put_image("app", "first", None, &["first"]).await;
    assert!(matches!(bed.registry.restore_tag(&permit, &tag("first"), None).await, Err(Error::NoSuch(_))));
}

#[tokio::test]
async fn a_deleted_index_comes_back_with_its_children_and_an_immutable_tag_stays() {
    let immutable = Rule {
        repositories: vec!["**".to_owned()],
        sparse: false,
        immutable_tags: Some(Rule::tag_pattern("v.*").unwrap()),
    };
    let bed = Bed::with(Settings { rules: vec![immutable], ..Settings::default() });
    let child = bed.put_image("app", "child", None, &[]).await;
    let index = bed.put_index("app", &[&child], None, &["latest"]).await;
    let permit = bed.permit(&admin(), "app");
    bed.remove_now("app", Reference::Digest(index.digest.clone())).await;
    bed.remove_now("app", Reference::Digest(child.digest.clone())).await;
    let permit_delete = bed.permit(&admin(), "app");
    bed.registry.delete_blob(&permit_delete, &Digest::sha256(b"child")).await.unwrap();
    assert_eq!(bed.state_of("app").manifests.len(), 0);
    bed.registry.restore_tag(&permit, &tag("latest"), None).await.unwrap();
    assert_eq!(bed.state_of("app").manifests.len(), 2);
    bed.check_whole("app").await;

    bed.remove_now("app", Reference::Tag(tag("latest"))).await;
    bed.remove_now("app", Reference::Digest(index.digest.clone())).await;
    assert_eq!(bed.registry.restore_manifest(&permit, &index.digest).await.unwrap(), 1);
    assert_eq!(bed.registry.restore_manifest(&permit, &index.digest).await.unwrap(), 0);
    assert_eq!(bed.state_of("app").tags.len(), 0);

    bed.put_image("app", "a", None, &["w"]).await;
    let v1 = bed.put_image("app", "b", None, &["v1"]).await;
    let error = bed.registry.restore_tag(&permit, &tag("v1"), Some(&v1.digest)).await.unwrap();
    assert_eq!(error.previous, Some(v1.digest), "where it points already");
}

#[tokio::test]
async fn what_is_damaged_or_gone_is_refused_with_a_reason_and_the_rest_comes_back() {
    let bed = Bed::with(settings(vec![keep_last(0)]));
    let whole = bed.put_image("app", "whole", None, &["whole"]).await;
    bed.put_image("app", "cut", None, &["cut"]).await;
    bed.put_image("app", "moved", None, &["moved"]).await;
    let signed = bed.put_image("app", "signed", None, &["signed"]).await;
    bed.put_image("app", "signature", Some(&signed), &[]).await;
    let plan = bed.run_retention_now().await;
    #[expect(clippy::disallowed_methods, reason = "a hand on the file system")]
    {
        std::fs::write(bed.path_of_blob("cut"), "cu").unwrap();
        std::fs::remove_file(bed.path_of_blob("signature")).unwrap();
    }
    let other = bed.put_image("app", "other", None, &["moved"]).await;
    let report = bed.undo_whole_run(&plan.id).await;
    let refused: Vec<(String, String)> = report.refused.into_iter().map(|one| (one.what, one.why)).collect();
    let of = |tagged: bool| refused.iter().filter(|(what, _)| what.contains('@') != tagged).count();
    // Two tags; the manifest of the cut one and the signature.
    assert_eq!((of(true), of(false)), (2, 2), "{refused:?}");
    let why = |what: &str| refused.iter().find(|(at, _)| at == what).unwrap().1.clone();
    assert!(
        why("app:cut").contains("blob-truncated") && why("app:cut").contains("push it again"),
        "{}",
        why("app:cut")
    );
    assert!(why("app:moved").contains(&other.digest.to_string()), "{}", why("app:moved"));
    let state = bed.state_of("app");
    assert_eq!(state.tags.keys().collect::<Vec<_>>(), ["moved", "signed", "whole"]);
    assert_eq!(state.tags["whole"].0, whole.digest);
    assert_eq!(state.tags["moved"].0, other.digest);
    bed.check_whole("app").await;
    // Healed, the rest comes as well.
    bed.push_blob("app", "cut").await;
    bed.push_blob("app", "signature").await;
    let report = bed.undo_whole_run(&plan.id).await;
    assert_eq!(report.tags_restored, 1);
    assert_eq!(bed.state_of("app").referrers.len(), 1);
    bed.check_whole("app").await;
    let permit = bed.permit(&admin(), "app");
    bed.registry.restore_tag(&permit, &tag("moved"), None).await.unwrap_err();
    let past = Digest::sha256(b"unknown");
    assert!(bed.registry.restore_manifest(&permit, &past).await.unwrap_err().to_string().contains("collected"));
}

#[tokio::test]
async fn a_repository_comes_back_with_its_unnamed_blobs_and_keeps_what_was_pushed_since() {
    let bed = Bed::new();
    bed.put_build("team/app", "v1").await;
    bed.push_blob("team/app", "a blob that nothing names").await;
    let before = bed.state_of("team/app");
    let global = bed.global();
    bed.clock.advance(1000);
    let gone = bed.registry.delete_repository(&global, &name("team/app")).await.unwrap();
    let restored = bed.registry.restore_repository(&bed.global(), &name("team/app")).await.unwrap();
    assert_eq!((restored.tags, restored.manifests, restored.blobs), (gone.tags, gone.manifests, gone.blobs));
    assert_eq!(bed.state_of("team/app"), before);
    let permit = bed.permit(&admin(), "team/app");
    let blob = Digest::sha256(b"a blob that nothing names");
    bed.registry.blob_info(&permit, &blob).await.unwrap();

    bed.clock.advance(1000);
    bed.registry.delete_repository(&bed.global(), &name("team/app")).await.unwrap();
    let new = bed.put_image("team/app", "new", None, &["v1", "new"]).await;
    let restored = bed.registry.restore_repository(&bed.global(), &name("team/app")).await.unwrap();
    assert_eq!(restored.refused.len(), 1, "{:?}", restored.refused);
    assert_eq!(restored.refused[0].what, "team/app:v1");
    let state = bed.state_of("team/app");
    assert_eq!(state.tags["v1"].0, new.digest);
    assert_eq!(state.manifests.len(), before.manifests.len() + 1);
    bed.check_whole("team/app").await;
    for unknown in ["team/app", "nobody"] {
        let error = bed.registry.restore_repository(&bed.global(), &name(unknown)).await.unwrap_err();
        assert!(matches!(error, Error::NoSuch(_)), "{error}");
    }
}

#[tokio::test]
async fn tags_of_a_repository_come_back_though_everything_they_need_was_pushed_again() {
    let bed = Bed::new();
    bed.put_image("app", "one", None, &["v1", "v2"]).await;
    let before = bed.state_of("app");
    bed.clock.advance(1000);
    bed.registry.delete_repository(&bed.global(), &name("app")).await.unwrap();
    bed.put_image("app", "one", None, &["new"]).await;
    let restored = bed.registry.restore_repository(&bed.global(), &name("app")).await.unwrap();
    assert_eq!((restored.tags, restored.manifests, restored.refused.len()), (2, 0, 0), "{restored:?}");
    let after = bed.state_of("app");
    assert_eq!((&after.tags["v1"], &after.tags["v2"]), (&before.tags["v1"], &before.tags["v2"]));
    let again = bed.registry.restore_repository(&bed.global(), &name("app")).await;
    assert!(matches!(again, Err(Error::NoSuch(_))), "{again:?}");
}

#[tokio::test]
async fn a_run_that_goes_on_is_not_undone_beside_it() {
    let bed = Bed::with(settings(vec![keep_last(0)]));
    bed.put_image("app", "one", None, &["v1"]).await;
    let plan = bed.run_retention(crate::RetentionOptions::default()).await;
    let running = mcr_metadata::MovePlan {
        id: plan.id.clone(),
        from: vec![plan.state],
        to: mcr_metadata::PlanState::Running,
        reason: None,
        totals: None,
        expires_at_ms: None,
        actor: crate::plans::system(),
        at_ms: NOW,
    };
    bed.registry.move_plan(running).await.unwrap().unwrap();
    let what = RestoreRun { run: Some(plan.id), ..RestoreRun::default() };
    let refused = bed.registry.restore_run(&bed.global(), what.clone()).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(why) if why.contains("under way")), "{refused}");
    bed.registry.restore_run(&bed.global(), RestoreRun { dry_run: true, ..what }).await.unwrap();
}

#[tokio::test]
async fn everything_since_a_time_comes_back_of_one_account_or_of_all() {
    let bed = Bed::new();
    bed.registry
        .create_rule(
            &bed.registry.permit_global(&admin()).unwrap(),
            crate::NewRule {
                actions: vec!["push".into(), "pull".into(), "delete".into()],
                ..crate::testing::pull_rule("**")
            },
        )
        .await
        .unwrap();
    for text in ["early", "mine", "theirs", "digest", "again"] {
        bed.put_image("app", text, None, &[text]).await;
    }
    bed.remove_now("app", Reference::Tag(tag("early"))).await;
    bed.clock.set(NOW + 10_000);
    let before = bed.state_of("app");
    let ci = bed.permit(&system("ci"), "app");
    bed.registry.delete_manifest(&ci, Reference::Tag(tag("theirs"))).await.unwrap();
    bed.registry.delete_manifest(&ci, Reference::Digest(before.tags["digest"].0.clone())).await.unwrap();
    bed.remove_now("app", Reference::Digest(before.tags["mine"].0.clone())).await;
    bed.remove_now("app", Reference::Tag(tag("again"))).await;
    bed.put_image("app", "newer", None, &["again"]).await;
    let dry = bed.undo_all_since(NOW + 10_000, Some("ci"), true).await;
    assert_eq!((dry.tags_restored, dry.manifests_restored, dry.refused.len()), (2, 1, 0), "{dry:?}");
    assert_eq!(bed.state_of("app").tags.len(), 1);
    let ci = bed.undo_all_since(NOW + 10_000, Some("ci"), false).await;
    assert_eq!((ci.tags_restored, ci.manifests_restored), (2, 1));
    let all = bed.undo_all_since(NOW + 10_000, None, false).await;
    assert_eq!((all.tags_restored, all.manifests_restored, all.refused.len()), (1, 1, 0), "{all:?}");
    let after = bed.state_of("app");
    for text in ["mine", "theirs", "digest"] {
        assert_eq!(after.tags[text], before.tags[text]);
    }
    assert_ne!(after.tags["again"], before.tags["again"]);
    assert!(!after.tags.contains_key("early"));
    bed.check_whole("app").await;
    for wrong in
        [RestoreRun::default(), RestoreRun { run: Some("x".into()), since_ms: Some(0), ..RestoreRun::default() }]
    {
        assert!(matches!(bed.registry.restore_run(&bed.global(), wrong).await, Err(Error::Invalid(_))));
    }
    let unknown = RestoreRun { run: Some("x".into()), ..RestoreRun::default() };
    assert!(matches!(bed.registry.restore_run(&bed.global(), unknown).await, Err(Error::NoSuch(_))));
}

#[tokio::test]
async fn untagged_manifests_that_a_run_buried_come_back() {
    let bed = Bed::new();
    let child = bed.put_image("app", "child", None, &[]).await;
    let index = bed.put_index("app", &[&child], None, &[]).await;
    let signature = bed.put_image("app", "signature", Some(&index), &[]).await;
    let before = bed.state_of("app");
    let bury = |at_ms: i64, unreferenced_before_ms: i64| BuryManifest {
        repository: name("app"),
        digest: index.digest.clone(),
        unreferenced_before_ms,
        immutable: None,
        run_id: "run".to_owned(),
        actor: crate::plans::system(),
        at_ms,
    };
    let writes = &bed.registry.parts.writes;
    let promised = bury(NOW + 1, NOW - 1);
    let skipped = writes.durable(|m, done| m.bury_manifest(promised, done), |_| ()).await.unwrap();
    assert_eq!(skipped, mcr_metadata::BuryOutcome::Skipped(mcr_metadata::Skip::Promised));
    let due = bury(NOW + 1, NOW);
    let outcome = writes.durable(|m, done| m.bury_manifest(due, done), |_| ()).await.unwrap();
    let mcr_metadata::BuryOutcome::Buried(buried) = outcome else { panic!("{outcome:?}") };
    assert_eq!(buried.manifests.len(), 3);
    assert!(buried.manifests.contains(&signature.digest) && buried.manifests.contains(&child.digest));
    assert_eq!(bed.undo_whole_run("run").await.manifests_restored, 3);
    assert_eq!(bed.state_of("app"), before);
    bed.check_whole("app").await;
}

#[tokio::test]
async fn a_read_only_registry_undoes_and_deletes_nothing() {
    let bed = Bed::with(Settings { read_only: true, ..settings(vec![keep_last(0)]) });
    let permit = bed.permit(&admin(), "app");
    assert!(matches!(bed.registry.restore_tag(&permit, &tag("t"), None).await, Err(Error::ReadOnly(_))));
    let options = crate::RetentionOptions::default();
    assert!(matches!(bed.registry.start_retention(&bed.global(), options).await, Err(Error::ReadOnly(_))));
    assert!(matches!(bed.registry.run_scheduled_retention().await, Err(Error::ReadOnly(_))));
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_refused_and_the_rest_comes_back() {
    let bed = Bed::with(settings(vec![keep_last(0)]));
    for content in ["one", "two", "three"] {
        bed.put_image("app", content, None, &[content]).await;
    }
    let plan = bed.run_retention_now().await;
    let hidden = Digest::sha256(b"two");
    bed.hide_directory_of(&hidden, true);
    let report = bed.undo_whole_run(&plan.id).await;
    assert_eq!(report.tags_restored, 2, "{report:?}");
    let why = &report.refused.iter().find(|refused| refused.what == "app:two").unwrap().why;
    assert!(why.contains("cannot be looked at"), "{why}");
    bed.hide_directory_of(&hidden, false);
    assert_eq!(bed.undo_whole_run(&plan.id).await.tags_restored, 1);
    bed.check_whole("app").await;
}

#[tokio::test]
async fn an_undo_that_ends_early_is_told_all_the_same() {
    let bed = Bed::with(settings(vec![keep_last(0)]));
    bed.put_image("app", "one", None, &["one"]).await;
    let plan = bed.run_retention_now().await;
    let marker = bed.directory.path().join("layers/mcr-registry-id");
    #[expect(clippy::disallowed_methods, reason = "a hand on the file system")]
    std::fs::rename(&marker, marker.with_extension("away")).unwrap();
    assert!(!bed.registry.parts.volume.look_now());
    let undone = bed.registry.undo(Deletes::Run(plan.id.clone()), false, crate::plans::system()).await;
    assert!(matches!(undone, Err(Error::Unavailable { .. })));
    let is_told = async {
        loop {
            if let Some(told) = bed.told("run_restored").await.pop() {
                break told.details;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    let told = tokio::time::timeout(std::time::Duration::from_secs(20), is_told).await.expect("it is told");
    assert_eq!(told["tags"], 0);
    assert!(told["ended"].as_str().unwrap().contains("not mounted"), "{told}");
}
