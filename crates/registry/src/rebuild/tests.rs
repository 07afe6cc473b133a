//! Tests of making a registry again.

#![expect(clippy::disallowed_methods, reason = "tests look at files behind the registry's back")]

use std::path::Path;

use mcr_access::{Catalog, Pull, Push};
use mcr_oci::{Reference, media_type};

use super::*;
use crate::journal::line::{self, Begin, Bytes, Op};
use crate::testing::{Bed, admin, name, tag, user};
use crate::{Error, PushManifest, Settings};

/// A registry whose journal is written and whose database is gone.
struct Lost {
    clock: Clock,
    directory: tempfile::TempDir,
}

/// What was told, as lines.
type News = Vec<String>;

impl Lost {
    async fn of(bed: Bed) -> Self {
        let Bed { registry, clock, directory } = bed;
        registry.close().await;
        let lost = Self { clock, directory };
        lost.lose();
        lost
    }

    fn lose(&self) {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.directory.path().join(format!("mcr.db{end}")));
        }
    }

    fn request(&self) -> RebuildRequest {
        let root = self.directory.path();
        let paths = Paths { database: root.join("mcr.db"), layers: root.join("layers"), uploads: root.join("uploads") };
        RebuildRequest { paths, deep: false, dry_run: false, replace: false, accept_default_policy: true }
    }

    fn again(&self, request: &RebuildRequest) -> Result<(RebuildReport, News), RebuildError> {
        let mut news = News::new();
        let report = rebuild(request, &self.clock, Disk::real(), &mut |told| {
            news.push(match told {
                RebuildNews::Journal(said) => said,
                RebuildNews::LeftOut { repository, tag, findings, .. } => {
                    let kinds: Vec<&str> = findings.iter().map(|finding| finding.kind.as_str()).collect();
                    format!("{repository}:{tag} {}", kinds.join(" "))
                }
            });
        })?;
        Ok((report, news))
    }

    fn made(&self) -> RebuildReport {
        let (report, news) = self.again(&self.request()).unwrap();
        assert_eq!(news, News::new());
        assert!(report.is_whole(), "{report:?}");
        report
    }

    fn open(self) -> Bed {
        Bed::again(self.directory, self.clock)
    }

    fn journal(&self) -> PathBuf {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.directory.path().join("layers/journal"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1);
        files.remove(0)
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.directory.path().join("layers/sha256").join(&digest.hex()[..2]).join(digest.hex())
    }
}

impl Bed {
    /// Starts the journal as the watch does.
    async fn with_journal() -> Bed {
        let bed = Bed::new();
        bed.steps().await;
        bed
    }

    async fn steps(&self) {
        while !self.registry.journal_state().complete || self.registry.journal_state().lag_rows > 0 {
            self.registry.journal_for_tests().await;
        }
    }

    async fn index(&self, repository: &str, children: &[(&Digest, usize)], tagged: &str) -> Digest {
        let children: Vec<serde_json::Value> = children
            .iter()
            .map(|(digest, size)| json!({ "mediaType": media_type::OCI_MANIFEST, "digest": digest.as_str(), "size": size }))
            .collect();
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children });
        let push = PushManifest {
            reference: Reference::Tag(tag(tagged)),
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            bytes: index.to_string().into(),
            tags: Vec::new(),
        };
        self.registry.push_manifest(&self.permit::<Push>(&admin(), repository), push).await.unwrap().digest
    }

    async fn size(&self, repository: &str, tagged: &str) -> usize {
        self.read(repository, tagged).await.unwrap().len()
    }

    async fn read(&self, repository: &str, tagged: &str) -> Result<Vec<u8>, Error> {
        let permit = self.permit::<Pull>(&admin(), repository);
        let stored = self.registry.manifest(&permit, Reference::Tag(tag(tagged)), crate::Reading::Get).await?;
        Ok(stored.manifest.bytes.to_vec())
    }

    async fn tags(&self, repository: &str) -> Vec<String> {
        let permit = self.permit::<Pull>(&admin(), repository);
        self.registry.tags(&permit, None, Some(100)).await.map(|page| page.tags).unwrap_or_default()
    }
}

#[tokio::test]
async fn what_was_there_is_there_again_and_what_was_deleted_is_not() {
    let bed = Bed::with_journal().await;
    let one = bed.push("demo/app", "one", "1").await;
    let two = bed.push("demo/app", "two", "2").await;
    let sizes = (bed.size("demo/app", "1").await, bed.size("demo/app", "2").await);
    bed.index("demo/app", &[(&one, sizes.0), (&two, sizes.1)], "both").await;
    bed.push("demo/app", "two", "moved").await;
    bed.push("demo/app", "one", "moved").await;
    bed.push("demo/gone", "one", "1").await;
    bed.registry.delete_repository(&bed.global(), &name("demo/gone")).await.unwrap();
    bed.push("team/deep/er", "three", "3").await;
    let both = bed.read("demo/app", "both").await.unwrap();
    let lost = Lost::of(bed).await;
    let report = lost.made();
    assert_eq!((report.repositories, report.tags, report.manifests, report.blobs), (2, 5, 4, 3));
    let bed = lost.open();
    assert_eq!(bed.tags("demo/app").await, ["1", "2", "both", "moved"]);
    assert_eq!(bed.read("demo/app", "both").await.unwrap(), both);
    assert_eq!(bed.size("demo/app", "moved").await, sizes.0);
    assert_eq!(bed.tags("demo/gone").await, Vec::<String>::new());
    assert_eq!(bed.told("snapshot_restored").await.len(), 1);
    // Its journal is a new one, of what is there.
    bed.steps().await;
    let lost = Lost::of(bed).await;
    assert!(lost.journal().ends_with("0000000002-0000000001.jsonl"));
    assert_eq!(lost.made().tags, 5);
}

#[tokio::test]
async fn a_tag_that_is_not_whole_is_left_out_and_named() {
    let bed = Bed::with_journal().await;
    for content in ["gone", "cut!", "whole", "rots"] {
        bed.push("demo/app", content, &content[..3]).await;
    }
    let sizes = (bed.size("demo/app", "gon").await, bed.size("demo/app", "who").await);
    let digest = |content: &str| Digest::sha256(content.as_bytes());
    let (gone, whole) = (bed.read("demo/app", "gon").await.unwrap(), bed.read("demo/app", "who").await.unwrap());
    let (gone, whole) = (Digest::sha256(&gone), Digest::sha256(&whole));
    bed.index("demo/app", &[(&gone, sizes.0), (&whole, sizes.1)], "index").await;
    let lost = Lost::of(bed).await;
    std::fs::remove_file(lost.blob(&digest("gone"))).unwrap();
    std::fs::write(lost.blob(&digest("cut!")), "cut").unwrap();
    std::fs::write(lost.blob(&digest("rots")), "rotS").unwrap();
    let (report, news) = lost.again(&RebuildRequest { dry_run: true, ..lost.request() }).unwrap();
    assert_eq!((report.tags, report.left_out), (2, 3));
    let missing = "blob-missing";
    let expected = ["demo/app:cut blob-truncated".to_owned()]
        .into_iter()
        .chain(["gon", "index"].map(|tag| format!("demo/app:{tag} {missing}")));
    assert_eq!(news, expected.collect::<Vec<_>>());
    assert!(!lost.request().paths.database.exists(), "a dry run makes nothing");
    let (report, news) = lost.again(&RebuildRequest { deep: true, ..lost.request() }).unwrap();
    assert_eq!((report.tags, report.left_out, report.manifests_left_out), (1, 4, 4));
    assert!(news.contains(&"demo/app:rot blob-corrupt".to_owned()), "{news:?}");
    let bed = lost.open();
    assert_eq!(bed.tags("demo/app").await, ["who"]);
}

#[tokio::test]
async fn damaged_lines_are_counted_and_the_others_hold() {
    let bed = Bed::with_journal().await;
    bed.push("demo/app", "one", "1").await;
    bed.push("demo/app", "two", "2").await;
    let lost = Lost::of(bed).await;
    let path = lost.journal();
    let text = std::fs::read_to_string(&path).unwrap();
    let torn = format!("{text}{{\"n\":99,\"op\":\"unt");
    std::fs::write(&path, &torn).unwrap();
    let (report, _) = lost.again(&RebuildRequest { dry_run: true, ..lost.request() }).unwrap();
    assert!(report.is_whole(), "a torn end tells of nobody's push: {report:?}");
    // The tag of the first push.
    let damaged = text.replacen("\"op\":\"tag\"", "\"op\":\"taG\"", 1);
    std::fs::write(&path, damaged).unwrap();
    let (report, news) = lost.again(&RebuildRequest { dry_run: true, ..lost.request() }).unwrap();
    assert_eq!((report.damaged_lines, report.tags, report.manifests), (1, 1, 2));
    assert!(news[0].contains("1 damaged or missing lines"), "{news:?}");
    let missing: String =
        text.lines().filter(|line| !line.contains("\"op\":\"tag\"")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, missing).unwrap();
    let (report, _) = lost.again(&RebuildRequest { dry_run: true, ..lost.request() }).unwrap();
    assert_eq!((report.damaged_lines, report.tags), (2, 0));
}

#[tokio::test]
async fn what_must_not_be_done_is_refused_and_changes_nothing() {
    let bed = Bed::with_journal().await;
    bed.push("demo/app", "one", "1").await;
    let Bed { registry, clock, directory } = bed;
    registry.close().await;
    let lost = Lost { clock, directory };
    assert!(matches!(lost.again(&lost.request()), Err(RebuildError::Usable(_))));
    let (report, _) = lost.again(&RebuildRequest { replace: true, ..lost.request() }).unwrap();
    assert!(report.kept.is_some_and(|kept| kept.exists()));
    lost.lose();
    // As a start leaves it that is refused.
    drop(mcr_metadata::Metadata::open(&lost.request().paths.database, mcr_metadata::Options::default()).unwrap());
    lost.made();
    lost.lose();
    let text = std::fs::read_to_string(lost.journal()).unwrap();
    let marker = lost.directory.path().join("layers/mcr-registry-id");
    let id = std::fs::read_to_string(&marker).unwrap();
    std::fs::write(&marker, "00112233445566778899aabbccddeeff\n").unwrap();
    let error = lost.again(&lost.request()).unwrap_err();
    assert!(matches!(error, RebuildError::NoJournal { .. }), "{error}");
    // Without a marker the journal's word holds.
    std::fs::remove_file(&marker).unwrap();
    assert_eq!(lost.made().registry_id, id.trim());
    assert_eq!(std::fs::read_to_string(&marker).unwrap(), id);
    lost.lose();
    assert!(text.contains("\"format\":1"));
    std::fs::remove_file(lost.journal()).unwrap();
    assert!(matches!(lost.again(&lost.request()), Err(RebuildError::NoJournal { .. })));
    assert!(!Path::new(&lost.request().paths.database).exists());
}

#[tokio::test]
async fn it_serves_administrators_alone_until_there_is_a_rule() {
    let bed = Bed::with_journal().await;
    bed.push("demo/app", "one", "1").await;
    let lost = Lost::of(bed).await;
    lost.again(&RebuildRequest { accept_default_policy: false, ..lost.request() }).unwrap();
    let bed = lost.open();
    let ann = user("ann");
    assert_eq!(bed.tags("demo/app").await, ["1"]);
    let refusal = bed.registry.permit::<Pull>(&ann, &name("demo/app")).unwrap_err();
    assert!(refusal.to_string().contains("policy rules are lost"), "{refusal}");
    assert!(bed.registry.permit_global::<Catalog>(&ann).is_err());
    let why = bed.registry.may_write().unwrap_err();
    assert!(matches!(&why, Error::ReadOnly(why) if why.contains("policy")), "{why:?}");
    assert!(bed.registry.read_only_state().reason.is_some_and(|why| why.contains("policy")));
    // Also after a restart.
    let bed = bed.reopen(Settings::default()).await;
    assert!(bed.registry.permit::<Pull>(&ann, &name("demo/app")).is_err());
    let health = bed.registry.health().await;
    assert!(health.degraded.iter().any(|told| told.contains("policy rules are lost")), "{health:?}");
    // Who looked first and says then that the rules of a new registry will do, need not say that it may be replaced.
    bed.registry.journal_for_tests().await;
    let Bed { registry, clock, directory } = bed;
    registry.close().await;
    let looked = Lost { clock, directory };
    let refused = looked.again(&RebuildRequest { accept_default_policy: false, ..looked.request() });
    assert!(matches!(refused, Err(RebuildError::Usable(_))), "{refused:?}");
    looked.again(&looked.request()).unwrap();
    assert!(matches!(looked.again(&looked.request()), Err(RebuildError::Usable(_))));
    let bed = looked.open();
    assert_eq!(bed.tags("demo/app").await, ["1"]);
    assert!(bed.registry.permit::<Pull>(&ann, &name("demo/app")).is_ok());
    bed.registry.may_write().unwrap();
}

#[tokio::test]
async fn a_rule_opens_it() {
    let bed = Bed::with_journal().await;
    bed.push("demo/app", "one", "1").await;
    let lost = Lost::of(bed).await;
    lost.again(&RebuildRequest { accept_default_policy: false, ..lost.request() }).unwrap();
    let (bed, ann) = (lost.open(), user("ann"));
    bed.registry.create_rule(&bed.global(), crate::testing::pull_rule("x")).await.unwrap();
    assert!(bed.registry.permit::<Pull>(&ann, &name("demo/app")).is_ok());
    bed.registry.may_write().unwrap();
    let bed = bed.reopen(Settings::default()).await;
    bed.registry.may_write().unwrap();
}

/// Lines of a generation, numbered and summed, behind its first one.
fn generation(lost: &Lost, id: &str, number: u64, continues: bool, ops: &[Op]) {
    let begin = Begin {
        format: line::FORMAT,
        registry: id.to_owned(),
        generation: number,
        segment: 1,
        complete: false,
        continues,
        dumped: None,
        before: 0,
        seq: 1,
        hash: String::new(),
        at: String::new(),
    };
    let mut bytes = Vec::new();
    for (op, n) in [Op::Begin(begin)].iter().chain(ops).zip(1..) {
        bytes.extend(line::write(n, op).unwrap());
    }
    let file = format!("layers/journal/{number:010}-0000000001.jsonl");
    std::fs::write(lost.directory.path().join(file), bytes).unwrap();
}

/// Manifests whose blobs are there, to tell of.
struct Stored(Vec<Vec<u8>>);

impl Stored {
    fn digest(&self, which: usize) -> String {
        Digest::sha256(&self.0[which]).as_str().to_owned()
    }

    fn push(&self, repository: &str, which: usize) -> Op {
        Op::Push {
            repository: repository.to_owned(),
            digest: self.digest(which),
            media_type: media_type::OCI_MANIFEST.to_owned(),
            pushed_at: 1,
            sparse: false,
            bytes: Bytes(self.0[which].clone()),
        }
    }

    fn tag(&self, repository: &str, tag: &str, which: usize) -> Op {
        let (repository, tag, digest) = (repository.to_owned(), tag.to_owned(), self.digest(which));
        Op::Tag { repository, tag, digest, moved_at: 1 }
    }
}

fn untag(repository: &str, tag: &str) -> Op {
    Op::Untag { repository: repository.to_owned(), tag: tag.to_owned() }
}

impl Lost {
    /// Puts these generations in the place of all: number, whether it continues the one before, what it tells.
    fn tells(&self, id: &str, generations: &[(u64, bool, &[Op])]) {
        let journal = self.directory.path().join("layers/journal");
        std::fs::remove_dir_all(&journal).unwrap();
        std::fs::create_dir(&journal).unwrap();
        for (number, continues, ops) in generations {
            generation(self, id, *number, *continues, ops);
        }
    }

    /// Makes it again, and lists the tags of `a`, `b` and `c`. `whole` is what the report must say.
    async fn made_of_tags(&self, whole: bool) -> String {
        self.lose();
        let (report, news) = self.again(&self.request()).unwrap();
        assert_eq!((report.is_whole(), report.unfinished, news), (whole, !whole, News::new()), "{report:?}");
        let paths = self.request().paths;
        let registry = crate::Registry::open(&paths, Settings::default(), self.clock.clone(), Disk::real()).unwrap();
        let mut found = Vec::new();
        for repository in ["a", "b", "c"] {
            let permit = registry.permit::<Pull>(&admin(), &name(repository)).unwrap();
            let page = registry.tags(&permit, None, Some(100)).await;
            found.push(page.map(|page| page.tags.join(" ")).unwrap_or_default());
        }
        registry.close().await;
        found.join("; ")
    }
}

#[tokio::test]
async fn generations_that_were_cut_are_read_in_order_and_only_a_seamless_one_counts_as_whole() {
    let bed = Bed::with_journal().await;
    let id = bed.registry.parts.volume.registry_id().to_owned();
    let mut stored = Stored(Vec::new());
    for content in ["one", "two"] {
        bed.push("scratch", content, content).await;
        stored.0.push(bed.read("scratch", content).await.unwrap());
    }
    let first = [
        &[stored.push("a", 0), stored.push("a", 1), stored.tag("a", "1", 0), stored.tag("a", "2", 1)][..],
        &[stored.tag("a", "gone", 0), stored.push("b", 0), stored.tag("b", "1", 0)],
        &[stored.push("c", 0), stored.tag("c", "t", 0), Op::Complete],
    ]
    .concat();
    // It told one repository anew when it was cut, and followed what happened in all of them.
    let second = [
        stored.push("a", 0),
        stored.push("a", 1),
        stored.tag("a", "1", 0),
        untag("a", "gone"),
        Op::Forget { repository: "b".to_owned(), before: 6 },
        stored.push("c", 1),
        stored.tag("c", "t", 1),
        Op::Delete { repository: "c".to_owned(), digest: stored.digest(0) },
    ];
    let third = [stored.tag("a", "3", 0), untag("a", "2"), stored.push("b", 1), stored.tag("b", "2", 1)];
    let lost = Lost::of(bed).await;
    lost.tells(&id, &[(1, false, &first)]);
    assert_eq!(lost.made_of_tags(true).await, "1 2 gone; 1; t");
    lost.tells(&id, &[(1, false, &first), (2, true, &second)]);
    assert_eq!(lost.made_of_tags(true).await, "1 2; ; t", "one that goes on where a whole one ends lacks nothing");
    lost.tells(&id, &[(1, false, &first), (2, false, &second)]);
    assert_eq!(lost.made_of_tags(false).await, "1 2; ; t", "the same, but what lies between them is not known");
    lost.tells(&id, &[(1, false, &first), (2, true, &second), (3, false, &third)]);
    assert_eq!(lost.made_of_tags(false).await, "1 3; 2; t");
    let done = [&third[..], &[stored.push("a", 0), Op::Complete]].concat();
    lost.tells(&id, &[(1, false, &first), (2, false, &second), (3, false, &done)]);
    assert_eq!(lost.made_of_tags(true).await, "3; 2; ", "what tells everything ends what was said before it");
}

#[tokio::test]
async fn a_tag_of_an_impossible_name_is_left_out_and_told() {
    let bed = Bed::with_journal().await;
    bed.push("demo/app", "one", "1").await;
    let stored = Stored(vec![bed.read("demo/app", "1").await.unwrap()]);
    let id = bed.registry.parts.volume.registry_id().to_owned();
    let lost = Lost::of(bed).await;
    let told = [stored.push("demo/app", 0), stored.tag("demo/app", "../x", 0), stored.tag("demo/app", "good", 0)];
    lost.tells(&id, &[(1, false, &[&told[..], &[Op::Complete]].concat())]);
    let (report, news) = lost.again(&lost.request()).unwrap();
    assert_eq!((report.tags, report.damaged_lines), (1, 1));
    assert!(news[0].contains("\"../x\""), "{news:?}");
    assert_eq!(lost.open().tags("demo/app").await, ["good"]);
}
