//! What the tests of retention and undo share: pushing graphs, running retention to its end, and the state of a repository as one value.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mcr_metadata::{PlanRecord, PlanState, PlanStep};
use mcr_oci::{Digest, Reference, media_type};
use serde_json::{Value, json};

use crate::testing::{Bed, admin, name, tag};
use crate::{PushManifest, RetentionOptions, RetentionRule, Settings};

/// A manifest as others name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Put {
    pub(crate) digest: Digest,
    pub(crate) descriptor: Value,
}

/// Everything a client can see of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// Tags with where they point and when they moved.
    pub(crate) tags: BTreeMap<String, (Digest, i64)>,
    /// Live manifests.
    pub(crate) manifests: BTreeSet<Digest>,
    /// Referrers of each of them.
    pub(crate) referrers: BTreeMap<Digest, BTreeSet<Digest>>,
}

/// A rule for every repository that keeps so many tags.
pub(crate) fn keep_last(last: u32) -> RetentionRule {
    RetentionRule {
        repositories: vec!["**".to_owned()],
        keep_last: Some(last),
        keep_within: None,
        keep_pulled_within: None,
        keep_tags: None,
        delete_untagged_after: None,
    }
}

pub(crate) fn settings(rules: Vec<RetentionRule>) -> Settings {
    Settings { retention: rules, ..Settings::default() }
}

impl Bed {
    /// Pushes a manifest under tags; without one, by digest.
    pub(crate) async fn put_manifest(&self, repository: &str, manifest: &Value, tags: &[&str]) -> Put {
        let bytes = Bytes::from(manifest.to_string());
        let digest = Digest::sha256(&bytes);
        let kind = manifest["mediaType"].as_str().unwrap().to_owned();
        let descriptor = json!({ "mediaType": kind, "digest": digest.as_str(), "size": bytes.len() });
        let push = PushManifest {
            reference: Reference::Digest(digest.clone()),
            media_type: Some(kind),
            bytes,
            tags: tags.iter().map(|text| tag(text)).collect(),
        };
        self.registry.push_manifest(&self.permit(&admin(), repository), push).await.unwrap();
        Put { digest, descriptor }
    }

    /// An image of one layer, about a subject if one is given.
    pub(crate) async fn put_image(&self, repository: &str, content: &str, subject: Option<&Put>, tags: &[&str]) -> Put {
        let digest = self.push_blob(repository, content).await;
        let blob = |kind: &str| json!({ "mediaType": kind, "digest": digest.as_str(), "size": content.len() });
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": blob("application/vnd.oci.image.config.v1+json"),
            "layers": [blob("application/octet-stream")],
        });
        if let Some(subject) = subject {
            manifest["subject"] = subject.descriptor.clone();
            manifest["artifactType"] = json!("application/x-signature");
        }
        self.put_manifest(repository, &manifest, tags).await
    }

    pub(crate) async fn put_index(
        &self,
        repository: &str,
        children: &[&Put],
        subject: Option<&Put>,
        tags: &[&str],
    ) -> Put {
        let children: Vec<Value> = children.iter().map(|child| child.descriptor.clone()).collect();
        let mut manifest = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children });
        if let Some(subject) = subject {
            manifest["subject"] = subject.descriptor.clone();
        }
        self.put_manifest(repository, &manifest, tags).await
    }

    /// A build as clients make it: an index of two platforms and an attestation, with a signature under a tag named
    /// after the index and one that refers to it.
    pub(crate) async fn put_build(&self, repository: &str, version: &str) -> Put {
        let amd = self.put_image(repository, &format!("{version} amd64"), None, &[]).await;
        let arm = self.put_image(repository, &format!("{version} arm64"), None, &[]).await;
        let mut attestation = self.put_image(repository, &format!("{version} attestation"), None, &[]).await;
        attestation.descriptor["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
        let index = self.put_index(repository, &[&amd, &arm, &attestation], None, &[version]).await;
        let follower = format!("{}.sig", index.digest.as_str().replace(':', "-"));
        self.put_image(repository, &format!("{version} cosign"), None, &[&follower]).await;
        let referrer = self.put_image(repository, &format!("{version} referrer"), Some(&index), &[]).await;
        self.put_image(repository, &format!("{version} of the referrer"), Some(&referrer), &[]).await;
        self.put_image(repository, &format!("{version} sbom of a child"), Some(&amd), &[]).await;
        index
    }

    /// Runs retention to its end, and gives the plan.
    pub(crate) async fn run_retention(&self, options: RetentionOptions) -> PlanRecord {
        let id = self.registry.start_retention(&self.global(), options).await.unwrap();
        self.plan_ended(&id).await
    }

    /// The plan, once it is neither made nor applied any more.
    pub(crate) async fn plan_ended(&self, id: &str) -> PlanRecord {
        let under_way = [PlanState::Planning, PlanState::Running];
        for _ in 0..60_000 {
            let plan = self.registry.plan(&self.global(), id).await.unwrap();
            if !under_way.contains(&plan.state) && !self.registry.parts.runs.is_running(plan.job) {
                return plan;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        panic!("the run does not end");
    }

    pub(crate) async fn run_retention_now(&self) -> PlanRecord {
        let plan = self.run_retention(RetentionOptions { confirmed: true, ..RetentionOptions::default() }).await;
        assert_eq!(plan.state, PlanState::Done, "{:?}", plan.reason);
        plan
    }

    pub(crate) async fn plan_lines(&self, id: &str) -> Vec<PlanStep> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let (steps, next) = self.registry.plan_steps(&self.global(), id, after, 1000).await.unwrap();
            all.extend(steps);
            let Some(next) = next else { return all };
            after = next;
        }
    }

    pub(crate) fn state_of(&self, repository: &str) -> State {
        let metadata = &self.registry.parts.metadata;
        let repository = name(repository);
        let tags = metadata.tag_summaries(&repository, None, usize::MAX).unwrap().unwrap_or_default();
        let manifests = metadata.manifest_summaries(&repository, None, usize::MAX).unwrap().unwrap_or_default();
        let mut state = State {
            tags: tags.into_iter().map(|tag| (tag.name, (tag.digest, tag.moved_at_ms))).collect(),
            manifests: manifests.into_iter().map(|manifest| manifest.digest).collect(),
            referrers: BTreeMap::new(),
        };
        for digest in &state.manifests {
            let referrers = metadata.referrers(&repository, digest, None, None, usize::MAX).unwrap();
            let referrers: BTreeSet<Digest> = referrers.into_iter().map(|row| row.digest).collect();
            if !referrers.is_empty() {
                state.referrers.insert(digest.clone(), referrers);
            }
        }
        state
    }

    /// Asserts that every listed tag, and every live manifest, can be pulled whole.
    pub(crate) async fn check_whole(&self, repository: &str) {
        let state = self.state_of(repository);
        let permit = self.permit(&admin(), repository);
        let tags = state.tags.keys().map(|text| Reference::Tag(tag(text)));
        let references: Vec<Reference> = tags.chain(state.manifests.iter().cloned().map(Reference::Digest)).collect();
        for reference in references {
            let report = self.registry.examine(&permit, &reference).await.unwrap().report;
            assert!(report.is_sound(), "{reference}: {:?}", report.findings);
        }
    }
}
