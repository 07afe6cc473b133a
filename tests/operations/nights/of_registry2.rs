//! Pages about a registry:2 whose storage is damaged; never one of ours.

use crate::page::Night;
use crate::probe::Probe;
use crate::scene::{self, REPOSITORY, TAG};
use crate::stack::{Stack, Targets};
use mcr_tests::distribution::Distribution;

use super::{built, says};

pub(crate) fn manifest_integrity_failure(night: &mut Night) {
    let mut registry = Distribution::secured();
    let index = scene::sound_image(&registry.client());
    let hex = scene::empty_layer(&registry, &index);
    let probe = Probe::over(&registry);
    let stack = Stack::watching(Targets::probe(probe.address()));
    probe.wait_for("registry_manifest_integrity_broken_tag");
    let _ = stack.wait_firing("RegistryManifestIntegrityFailure");
    let build = built(night, &index);
    let aside = registry.root().with_extension("damaged");
    night.trust(&registry.certificate()).set("REGISTRY", registry.authority());
    night.set("REPOSITORY", REPOSITORY).set("TAG", TAG).set("STORAGE", registry.root());
    night.set("ASIDE", &aside).set("BUILD", build).set("PROMETHEUS", stack.prometheus());

    let said = night.run("First look");
    says(&said, &["repository=\"infra/ci\"", "tag=\"latest\"", "kind=\"blob-", "INCOMPLETE", &hex]);
    says(&night.run("Damaged bytes"), &[&format!("sha256:{hex}"), &hex]);
    assert!(!registry.tree().data_of("sha256", &hex).exists() && aside.join(&hex).join("data").is_file(), "set aside");
    registry.stop();
    registry.run();
    let _ = night.run("Push again");
    says(&night.run("Verify"), &["sound: 1 index", "no findings"]);
    stack.wait_clear("RegistryManifestIntegrityFailure");
}

pub(crate) fn orphan_index(night: &mut Night) {
    let mut registry = Distribution::secured();
    let _ = scene::another_image(&registry.client(), "app", 81);
    let index = scene::sound_image(&registry.client());
    scene::unlink_children(&registry, &index);
    let build = built(night, &index);
    night.trust(&registry.certificate()).set("REGISTRY", registry.authority());
    night.set("REPOSITORY", REPOSITORY).set("TAG", TAG).set("STORAGE", registry.root()).set("BUILD", build);

    let said = night.run("Diagnose");
    says(&said, &["manifest-missing", "GONE   sha256:", "manifest-unlinked", "bytes present"]);
    let _ = night.run("Without a build, where the bytes are present");
    let _ = mcr_tests::pull::assert_whole(&registry.client(), REPOSITORY, TAG);

    // The next night garbage collection takes the children of both, and their layers.
    registry.collect_garbage();
    let broken = mcr_tests::pull::pull_whole(&registry.client(), REPOSITORY, TAG).unwrap_err();
    assert!(broken.contains("404"), "{broken}");
    let _ = night.run("By hand");
    says(&night.run("Verify"), &["sound: 1 index"]);
    says(&night.run("Look for others"), &["app:v1", "manifest-missing"]);
}

pub(crate) fn catalog_inaccessible(night: &mut Night) {
    let mut registry = Distribution::secured();
    let _ = scene::sound_image(&registry.client());
    night.trust(&registry.certificate()).set("REGISTRY", registry.authority()).set("STORAGE", registry.root());
    // The volume is not mounted when the registry starts.
    let away = registry.root().with_extension("away");
    registry.stop();
    std::fs::rename(registry.root(), &away).unwrap();
    registry.run();

    says(&night.run("First look"), &["it lists 0 repositories", "\"repositories\":[]", "No such file"]);
    let _ = std::fs::remove_dir_all(registry.root());
    std::fs::rename(&away, registry.root()).unwrap();
    says(&night.run("Verify"), &["infra", "no findings"]);
}

pub(crate) fn scan_findings(night: &mut Night) {
    let registry = Distribution::secured();
    let index = scene::sound_image(&registry.client());
    scene::unlink_children(&registry, &index);
    let orphan = scene::orphan_link(&registry);
    night.trust(&registry.certificate()).set("REGISTRY", registry.authority()).set("STORAGE", registry.root());

    let said = night.run("First look");
    says(&said, &["manifest-unlinked", "bytes present", "link-orphan", &orphan, "tree manifest-unlinked 2"]);
    let _ = night.run("Links of manifests");
    let _ = night.run("Links of layers");
    says(&night.run("Verify"), &["sound", "no findings"]);
    let _ = mcr_tests::pull::assert_whole(&registry.client(), REPOSITORY, TAG);
}
