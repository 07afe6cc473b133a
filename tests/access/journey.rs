//! One way through logging in, pushing, pulling and logging out, for every program, in both modes, over TLS under a
//! private authority, with anonymous pulls forbidden and allowed.

use std::time::{Duration, Instant};

use mcr_tests::accounts::{GUEST, MACHINE, Mode, Registry, Setup, USER};
use mcr_tests::process::Output;
use mcr_tests::{pull, world};

use crate::programs::{self, Crane, Ctr, Docker, Helm, Place, Podman, Program, Skopeo};

/// Insists that it failed, and said why in a word a user understands.
#[track_caller]
fn refused(output: Output) {
    let output = output.failed();
    let text = output.all().to_lowercase();
    let words = [
        "invalid username/password",
        "unauthorized",
        "denied",
        "forbidden",
        "401",
        "403",
        "authentication required",
        "authorization failed",
    ];
    assert!(words.iter().any(|word| text.contains(word)), "the reason is not said: {output:?}");
}

/// The tag under which the program's pushes are found, to look at them from outside.
#[track_caller]
fn assert_held(registry: &Registry, repository: &str) {
    let admin = registry.admin();
    let tags = pull::tags(&admin, repository);
    assert_eq!(tags.len(), 1, "{repository}: {tags:?}");
    let _ = pull::assert_whole(&admin, repository, &tags[0]);
}

fn journey(registry: &Registry, program: &dyn Program) {
    let [public, private, wanted] = ["public/deep/app", "private/app", "machines/app"];
    if registry.mode() == Mode::Htpasswd {
        // There people may pull and list; pushing is given.
        let _ = registry.allow(USER, &["push"], "**");
    }
    let password = registry.password(USER);
    let start = Instant::now();
    refused(program.push(private));
    // A program that does not understand the refusal tries again and again: docker for a minute.
    assert!(start.elapsed() < Duration::from_secs(25), "refused after {:?}", start.elapsed());
    let wrong = program.log_in(USER, "not-the-password");
    if program.login_asks() {
        refused(wrong);
    } else {
        refused(program.push(private));
    }
    let _ = program.log_in(USER, &password).ok();
    for repository in [public, private] {
        let _ = program.push(repository).ok();
        assert_held(registry, repository);
        let _ = program.pull(repository).ok();
    }
    program.log_out();
    // Nothing is open to everybody: nobody pulls.
    refused(program.pull(public));
    let _ = registry.open_to_all("public/**");
    let _ = program.pull(public).ok();
    refused(program.pull(private));
    // What is there already need not be pushed, so programs that look first would go away content.
    refused(program.push("public/new/app"));
    // A guest may log in, and do what everybody may who logged in: nothing.
    let _ = program.log_in(GUEST, &registry.password(GUEST)).ok();
    refused(program.pull(private));
    program.log_out();
    // A machine may what a rule gives it: in mode mcias its password is a token of the identity service.
    let _ = program.log_in(MACHINE, &registry.password(MACHINE)).ok();
    refused(program.push(wanted));
    let _ = registry.allow(MACHINE, &["pull", "push"], "machines/*");
    let _ = program.push(wanted).ok();
    let _ = program.pull(wanted).ok();
    refused(program.push(private));
    program.log_out();
    registry.assert_nothing_secret_logged();
    registry.assert_audit_sound();
}

macro_rules! journeys {
    ($($name:ident: $mode:expr, $make:expr;)+) => {$(
        #[test]
        fn $name() {
            let registry = Registry::start($mode);
            let place = Place { authority: registry.authority(), trust: registry.trust() };
            let Some(program) = programs::made($make, &place) else { return };
            journey(&registry, &program);
        }
    )+};
}

journeys! {
    skopeo_with_a_password_file: Mode::Htpasswd, |place| Some(Skopeo::new(place));
    skopeo_with_the_identity_service: Mode::Mcias, |place| Some(Skopeo::new(place));
    podman_with_a_password_file: Mode::Htpasswd, |place| Some(Podman::new(place));
    podman_with_the_identity_service: Mode::Mcias, |place| Some(Podman::new(place));
    crane_with_a_password_file: Mode::Htpasswd, Crane::new;
    crane_with_the_identity_service: Mode::Mcias, Crane::new;
    helm_with_a_password_file: Mode::Htpasswd, Helm::new;
    helm_with_the_identity_service: Mode::Mcias, Helm::new;
    ctr_with_a_password_file: Mode::Htpasswd, |place| Some(Ctr::new(place));
    ctr_with_the_identity_service: Mode::Mcias, |place| Some(Ctr::new(place));
}

/// Docker takes any certificate on loopback: only at another address does it show whom it trusts.
fn docker(mode: Mode) {
    let setup = Setup::default().on(&format!("{}:0", world::ADDRESS)).named(world::ADDRESS);
    let registry = Registry::with(mode, &setup);
    let port = registry.server().client().address().port();
    let place = Place { authority: format!("{}:{port}", world::NAME), trust: registry.trust() };
    let docker = Docker::new(&place);
    let unknown = docker.log_in(USER, &registry.password(USER)).failed();
    assert!(unknown.all().contains("x509"), "{unknown:?}");
    docker.trust();
    journey(&registry, &docker);
}

#[test]
fn docker_with_a_password_file() {
    if world::enter("journey::docker_with_a_password_file") {
        docker(Mode::Htpasswd);
    }
}

#[test]
fn docker_with_the_identity_service() {
    if world::enter("journey::docker_with_the_identity_service") {
        docker(Mode::Mcias);
    }
}
