//! Pages about who comes in: logins, rules, the identity service, the certificate; never about what is stored.

use std::time::{Duration, Instant};

use mcr_tests::accounts::{ADMIN, Mode, Registry, USER};
use mcr_tests::identity::Mood;

use crate::page::Night;
use crate::scene::REPOSITORY;

use super::says;

/// A reader who has logged in as the administrator.
fn log_in(night: &mut Night, registry: &Registry) {
    night.trust(&registry.issuer().certificate());
    night.log_in(&registry.authority(), ADMIN, &registry.password(ADMIN));
    night.set("URL", registry.server().url());
}

pub(crate) fn login_and_permission_problems(night: &mut Night) {
    let registry = Registry::start(Mode::Htpasswd);
    log_in(night, &registry);
    night.set("REGISTRY", registry.authority()).set("REPOSITORY", REPOSITORY);
    night.set("ACCOUNT", USER).set("PASSWORD", registry.password(USER));
    night.set("HTPASSWD", registry.home().join("htpasswd"));
    let refused = mcr_tests::push::try_blob(&registry.account(USER), REPOSITORY, &mcr_tests::Blob::new("x")).unwrap();
    assert_eq!(refused.status, 403, "{refused:?}");

    says(&night.run("Is it the registry?"), &["ok", "realm=\"https://"]);
    says(&night.run("Is it the login?"), &["login_failed", USER]);
    says(&night.run("Is it a rule?"), &["policy_deny", "refused: no rule allows it", "created rule", "allowed: rule"]);
    says(&night.run("Is it the image?"), &["off"]);

    // The other password counts within a moment, and the rule holds.
    let client = registry.nobody().with_basic(USER, &format!("another-{}", registry.password(USER)));
    let start = Instant::now();
    while client.get("/v2/").status != 200 {
        assert!(start.elapsed() < Duration::from_secs(30), "the new password is never taken");
        std::thread::sleep(Duration::from_millis(200));
    }
    mcr_tests::push::blob(&client, REPOSITORY, &mcr_tests::Blob::new("x"));
}

pub(crate) fn identity_service_down(night: &mut Night) {
    let registry = Registry::start(Mode::Mcias);
    log_in(night, &registry);
    night.set("IDENTITY", registry.identity().url());
    let authorities = night.home().join("authorities.pem");
    let pem = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    std::fs::write(&authorities, pem(registry.issuer().certificate()) + &pem(registry.identity().ca())).unwrap();
    night.trust(&authorities);
    registry.identity().down();
    // Somebody meets it first: the registry asks only for those who log in.
    let start = Instant::now();
    while registry.admin().get("/v2/").status != 503 {
        assert!(start.elapsed() < Duration::from_secs(60), "it answers although the service is away");
        std::thread::sleep(Duration::from_millis(500));
    }

    says(&night.run("First look"), &["mcr_auth_identity_up 0", "503"]);
    registry.identity().up();
    registry.identity().mood(Mood::Well);
    says(&night.run("Verify"), &["REPOSITORY", "mcr_auth_identity_up 1"]);
}

pub(crate) fn certificate_expiring(night: &mut Night) {
    let registry = Registry::start(Mode::Htpasswd);
    log_in(night, &registry);
    let tls = registry.home().join("tls");
    let new = night.home().join("new");
    std::fs::create_dir(&new).unwrap();
    let issued = registry.issuer().issue(&["127.0.0.1", "localhost"], &new);
    std::fs::rename(&issued.certificate, new.join("cert.pem")).unwrap();
    std::fs::rename(&issued.key, new.join("key.pem")).unwrap();
    night.set("REGISTRY", registry.authority()).set("NEW", &new);
    night.set("CERT", tls.join("cert.pem")).set("KEY", tls.join("key.pem"));

    says(&night.run("First look"), &["notAfter="]);
    let _ = night.run("Mend");
    // It is taken when it is seen.
    let serial = |path: &std::path::Path| {
        let mut openssl = std::process::Command::new("openssl");
        mcr_tests::process::run(openssl.args(["x509", "-noout", "-serial", "-in"]).arg(path)).ok().text()
    };
    let expected = serial(&new.join("cert.pem"));
    let served = || {
        let line = format!(
            "openssl s_client -connect {} </dev/null 2>/dev/null | openssl x509 -noout -serial",
            registry.authority()
        );
        mcr_tests::process::run(std::process::Command::new("sh").args(["-c", &line])).text()
    };
    let start = Instant::now();
    while served() != expected {
        assert!(start.elapsed() < Duration::from_secs(60), "the new certificate is never served");
        std::thread::sleep(Duration::from_millis(200));
    }
    says(&night.run("Verify"), &["ok"]);
}
