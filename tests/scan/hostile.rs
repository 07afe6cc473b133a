//! Trees that somebody made to hurt a scan: findings or `unreachable`, never a panic, a hang or a step outside.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use mcr_oci::Digest;
use mcr_tests::{Image, Index, Random, process, push, tools};

use crate::registries;
use crate::scan::{mcrctl, read, scan};
use mcr_tests::distribution::{Distribution, Tree};

/// Longer than this no look at a small tree may take.
const QUICK: Duration = Duration::from_secs(10);

/// A registry with one index in `team/app` and one image in `base`.
fn small(seed: u64) -> (Distribution, Index, Image) {
    let registry = registries::start();
    let mut random = Random::new(seed);
    let (index, image) = (Index::random(&mut random, 600), Image::random(&mut random, 2, 600));
    push::index(&registry.client(), "team/app", "v1", &index);
    push::image(&registry.client(), "base", "1", &image);
    (registry, index, image)
}

fn fifo(path: &Path) {
    let _ = process::run(Command::new("mkfifo").arg(path)).ok();
}

fn replace(path: &Path, with: impl FnOnce(&Path)) {
    std::fs::remove_file(path).unwrap();
    with(path);
}

#[test]
fn fifos_devices_and_directories_are_never_waited_for() {
    let (registry, index, image) = small(61);
    let tree = registry.tree();
    let started = Instant::now();
    replace(&tree.data(&image.layers[0].digest), fifo);
    replace(&tree.layer("base", &image.layers[1].digest), fifo);
    replace(&tree.revision("team/app", index.images[0].digest()), fifo);
    replace(&tree.data(index.images[1].digest()), |path| std::fs::create_dir(path).unwrap());
    replace(&tree.current("base", "1"), |path| symlink("/dev/zero", path).unwrap());
    std::fs::create_dir_all(tree.current("base", "2").parent().unwrap()).unwrap();
    fifo(&tree.current("base", "2"));
    let _ =
        process::run(Command::new("cp").arg("-r").arg(tree.tag("team/app", "v1")).arg(tree.tag("team/app", "v2"))).ok();
    for words in [vec![registry.root().as_os_str()], vec![OsStr::new("--deep"), registry.root().as_os_str()]] {
        let scan = scan(words);
        assert_eq!(scan.code, Some(1), "{scan:#?}");
        let kinds: Vec<String> = scan.found().into_iter().map(|(kind, _)| kind).collect();
        for kind in ["link-orphan", "manifest-unlinked", "manifest-missing", "tag-dangling", "unreachable"] {
            assert!(kinds.iter().any(|found| found == kind), "{kind}: {scan:#?}");
        }
    }
    assert!(started.elapsed() < QUICK, "{:?}", started.elapsed());
}

#[test]
fn symbolic_links_are_followed_inside_and_not_outside() {
    let (registry, index, image) = small(62);
    let tree = registry.tree();
    let outside = tempfile::tempdir().unwrap();
    // Inside: the layer's bytes lie elsewhere in the tree.
    let data = tree.data(&image.layers[0].digest);
    let moved = registry.root().join("docker/registry/v2/elsewhere");
    std::fs::rename(&data, &moved).unwrap();
    symlink("../../../../elsewhere", &data).unwrap();
    scan([registry.root()]).expect_sound();
    // Outside: what lies there is not looked at, although it is right.
    let data = tree.data(&image.layers[1].digest);
    std::fs::rename(&data, outside.path().join("bytes")).unwrap();
    symlink(outside.path().join("bytes"), &data).unwrap();
    let found = scan([registry.root()]);
    assert_eq!(found.code, Some(3), "{found:#?}");
    assert!(found.one("unreachable")["detail"].as_str().unwrap().contains("leads out of the tree"));
    // In a circle: it can never be served.
    replace(&tree.data(index.images[0].digest()), |path| symlink("data", path).unwrap());
    let repositories = registry.root().join("docker/registry/v2/repositories");
    symlink("..", repositories.join("team/loop")).unwrap();
    symlink("/", repositories.join("root")).unwrap();
    let found = scan([registry.root()]);
    assert_eq!(found.one("manifest-missing")["digest"], index.images[0].digest().as_str());
    assert!(found.findings().iter().all(|finding| finding["repository"] != "root"), "{found:#?}");
    // A whole directory of blobs that leads out.
    let blobs = registry.root().join("docker/registry/v2/blobs/sha256");
    std::fs::rename(&blobs, outside.path().join("sha256")).unwrap();
    symlink(outside.path().join("sha256"), &blobs).unwrap();
    assert!(scan([registry.root()]).found().iter().any(|(kind, _)| kind == "unreachable"));
}

#[test]
fn random_bytes_in_links_and_manifests_are_findings() {
    let mut random = Random::announced("random bytes");
    let (registry, index, image) = small(63);
    let tree = registry.tree();
    let files: Vec<PathBuf> = vec![
        tree.current("base", "1"),
        tree.current("team/app", "v1"),
        tree.revision("team/app", index.digest()),
        tree.revision("base", image.digest()),
        tree.layer("base", &image.config.digest),
        tree.data(index.digest()),
        tree.data(image.digest()),
        tree.data(&image.layers[0].digest),
    ];
    let whole: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    for _ in 0..25 {
        let at = random.below(files.len());
        let length = random.below(300);
        let bytes = random.bytes(length);
        std::fs::write(&files[at], &bytes).unwrap();
        let found = scan([registry.root()]);
        assert_eq!(found.code, Some(1), "{:?} {bytes:?} {found:#?}", files[at]);
        std::fs::write(&files[at], &whole[at]).unwrap();
    }
    scan([registry.root()]).expect_sound();
}

#[test]
fn a_sparse_manifest_of_five_gibibytes_is_invalid_and_not_read() {
    let (registry, _, image) = small(64);
    Tree::cut(&registry.tree().data(image.digest()), 5 << 30);
    let started = Instant::now();
    let found = scan([registry.root()]);
    found.expect(&[("manifest-invalid", image.digest())]);
    assert!(found.one("manifest-invalid")["detail"].as_str().unwrap().starts_with("5368709120 bytes"));
    assert!(started.elapsed() < QUICK);
}

#[test]
fn bytes_that_hash_right_and_are_no_manifest_are_invalid() {
    let (registry, _, _) = small(65);
    let bytes = b"{\"schemaVersion\":2}";
    let digest = Digest::sha256(bytes);
    let tree = registry.tree();
    for (path, content) in [
        (tree.data(&digest), &bytes[..]),
        (tree.revision("base", &digest), digest.as_str().as_bytes()),
        (tree.current("base", "odd"), digest.as_str().as_bytes()),
    ] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    scan([registry.root()]).expect(&[("manifest-invalid", &digest)]);
}

#[test]
fn odd_names_are_told_and_never_taken_for_content() {
    let (registry, _, image) = small(66);
    let tree = registry.tree();
    let odd =
        |directory: PathBuf| std::fs::create_dir_all(directory.join(OsStr::from_bytes(b"\xff\x1b[31m\n"))).unwrap();
    let repositories = registry.root().join("docker/registry/v2/repositories");
    odd(repositories.clone());
    odd(tree.repository("base").join("_layers/sha256"));
    odd(tree.repository("base").join("_manifests/revisions/sha256"));
    odd(registry.root().join("docker/registry/v2/blobs/sha256"));
    odd(registry.root().join(format!("docker/registry/v2/blobs/sha256/{}", &image.digest().hex()[..2])));
    scan([registry.root()]).expect_sound();
    odd(tree.repository("base").join("_manifests/tags"));
    let found = scan([registry.root()]);
    assert_eq!(found.code, Some(1));
    let _ = found.one("tag-dangling");
    let said = crate::scan::text([registry.root()]);
    assert!(!said.stdout.contains(&0x1b), "{said:?}");
}

#[test]
fn folders_without_permission_are_unreachable() {
    let (registry, index, image) = small(67);
    let tree = registry.tree();
    let home = registry.root().parent().unwrap();
    let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    open(home, 0o755);
    let program = home.join("mcrctl");
    process::install(&mcr_tests::server::binary("mcrctl"), &program);
    // As somebody whom modes hold back, which the user of the tests may not be.
    let as_nobody = |root: &Path| {
        let state = tempfile::tempdir().unwrap();
        let mut command = tools::command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        command.arg(&program).args(["--json", "scan"]).arg(root).env("XDG_STATE_HOME", state.path());
        read(&process::run(&mut command))
    };
    as_nobody(registry.root()).expect_sound();
    let closed = tree.data(&image.layers[0].digest).parent().unwrap().to_owned();
    open(&closed, 0);
    let found = as_nobody(registry.root());
    assert_eq!(found.code, Some(3), "{found:#?}");
    assert!(found.one("unreachable")["detail"].as_str().unwrap().contains("ermission denied"));
    open(&closed, 0o755);
    for closed in [
        tree.repository("team"),
        tree.repository("base").join("_layers"),
        tree.repository("base").join("_manifests/tags"),
    ] {
        open(&closed, 0);
        let found = as_nobody(registry.root());
        assert_eq!(found.code, Some(3), "{closed:?} {found:#?}");
        assert!(found.found().iter().all(|(kind, _)| kind == "unreachable"), "{found:#?}");
        open(&closed, 0o755);
    }
    // Beside a real finding it is that one that counts.
    let unlinked = tree.revision("team/app", index.images[0].digest());
    std::fs::remove_file(unlinked).unwrap();
    open(&closed, 0);
    assert_eq!(as_nobody(registry.root()).code, Some(1));
    open(&closed, 0o755);
    let whole = registry.root().join("docker");
    open(&whole, 0);
    let state = tempfile::tempdir().unwrap();
    let mut command = tools::command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&program);
    let said = process::run(command.arg("scan").arg(registry.root()).env("XDG_STATE_HOME", state.path()));
    assert_eq!(said.code, Some(3), "{said:?}");
    open(&whole, 0o755);
}

#[test]
fn a_tree_that_goes_away_underneath_is_no_crash() {
    let (registry, _, _) = small(68);
    let copies = tempfile::tempdir().unwrap();
    let mut random = Random::announced("vanishing");
    for number in 0..6 {
        let copy = copies.path().join(number.to_string());
        let _ = process::run(Command::new("cp").arg("-r").arg(registry.root()).arg(&copy)).ok();
        let delay = Duration::from_micros(random.below(30_000) as u64);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(delay);
                let _ = std::fs::remove_dir_all(&copy);
            });
            let state = tempfile::tempdir().unwrap();
            let output = process::run(mcrctl(state.path()).arg("scan").arg(&copy));
            assert!(output.code.is_some_and(|code| [0, 1, 3].contains(&code)), "{output:?}");
            assert!(!output.stderr.contains("panicked"), "{output:?}");
        });
    }
}
