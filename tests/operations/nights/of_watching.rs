//! Pages about what watches a registry, and about what stands before it; never its storage.

use std::net::SocketAddr;
use std::path::Path;

use mcr_tests::Client;
use mcr_tests::process::Daemon;
use mcr_tests::tools;

use crate::page::Night;
use crate::probe;
use crate::probe::Probe;
use crate::scene::{self, REPOSITORY, TAG};
use crate::stack::{Stack, Targets};
use mcr_tests::distribution::{Distribution, self_signed};
use mcr_tests::ports;

use super::says;

pub(crate) fn integrity_probe_stale(night: &mut Night) {
    let registry = Distribution::secured();
    let _ = scene::sound_image(&registry.client());
    let probe = Probe::over(&registry);
    let address = probe.address();
    let stack = Stack::watching(Targets::probe(address));
    stack.wait_for("registry_manifest_integrity_failures == 0");
    stack.evaluations(2);
    drop(probe);
    let _ = stack.wait_firing("RegistryIntegrityProbeStale");
    night.trust(&registry.certificate()).set("URL", registry.url());
    night.set("PROMETHEUS", stack.prometheus()).set("PROBE", format!("http://{address}"));

    says(&night.run("First look"), &["job=\"registry-probe\"", "no findings"]);
    let probe = Probe::at(&registry, address);
    probe.wait_for("registry_manifest_integrity_last_run_timestamp");
    stack.wait_clear("RegistryIntegrityProbeStale");
    says(&night.run("Verify"), &["registry_manifest_integrity_last_run_timestamp ", "instance=\"registry.example\""]);
}

/// nginx before `registry`, which answers 429 for the repository as long as `limited`.
fn proxy(home: &Path, address: SocketAddr, registry: &Distribution, limited: bool) -> Daemon {
    let blobs = if limited { "location /v2/infra/ { return 429; }" } else { "" };
    let place = home.display();
    let text = format!(
        "daemon off; pid {place}/pid; error_log stderr; events {{}}\nhttp {{ access_log off; \
         client_body_temp_path {place}/b; proxy_temp_path {place}/p; fastcgi_temp_path {place}/f; \
         uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\nserver {{ listen {address} ssl; \
         ssl_certificate {place}/cert.pem; ssl_certificate_key {place}/key.pem;\n{blobs}\nlocation / {{ \
         proxy_pass {}; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https; }} }} }}\n",
        registry.url()
    );
    let file = home.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let mut command = tools::command("nginx");
    command.arg("-p").arg(home).arg("-c").arg(&file);
    let mut daemon = Daemon::start(&mut command, home.join("log"));
    let client = Client::new(address, Some(mcr_tests::tls::trusting(&home.join("cert.pem"))));
    daemon.wait_ready("nginx", || client.request("GET", "/v2/").send().is_ok_and(|answer| answer.status == 200));
    daemon
}

pub(crate) fn integrity_undetermined(night: &mut Night) {
    let registry = Distribution::start();
    let _ = scene::sound_image(&registry.client());
    let home = tempfile::tempdir().unwrap();
    self_signed(home.path());
    let address = ports::free();
    let limiting = proxy(home.path(), address, &registry, true);
    night.trust(&home.path().join("cert.pem")).set("REGISTRY", address.to_string());
    night.set("REPOSITORY", REPOSITORY).set("TAG", TAG);

    says(&night.run("First look"), &["UNDETERMINED", "unreachable", "429"]);
    drop(limiting);
    let _open = proxy(home.path(), address, &registry, false);
    says(&night.run("Verify"), &["sound: 1 index", "no findings"]);
}

pub(crate) fn scan_stale(night: &mut Night) {
    let registry = Distribution::start();
    let _ = scene::sound_image(&registry.client());
    let file = night.home().join("registry.prom");
    let mut command = probe::mcrctl();
    command.arg("scan").arg(registry.root()).arg("--textfile").arg(&file);
    let _ = mcr_tests::process::run(&mut command).ok();
    // It is two days old.
    let text = std::fs::read_to_string(&file).unwrap();
    let old: String = text
        .lines()
        .map(|line| match line.strip_prefix("registry_scan_last_run_timestamp ") {
            Some(_) => "registry_scan_last_run_timestamp 1700000000\n".to_owned(),
            None => format!("{line}\n"),
        })
        .collect();
    assert_ne!(old, text);
    std::fs::write(&file, old).unwrap();
    night.set("STORAGE", registry.root()).set("TEXTFILE", &file);

    says(&night.run("First look"), &["registry_scan_last_run_timestamp 1700000000"]);
    says(&night.run("Mend"), &["sound"]);
    let _ = night.run("Verify");
}

pub(crate) fn low_cache_hit_rate(night: &mut Night) {
    let registry = Distribution::start();
    let index = scene::sound_image(&registry.client());
    // docker-registry stands in the place of the scraped server.
    let stack = Stack::watching(Targets::server(registry.debug()));
    stack.evaluations(3);
    for image in &index.images {
        let _ = registry.client().head(&format!("/v2/{REPOSITORY}/blobs/{}", image.config.digest)).expect(200);
    }
    stack.evaluations(3);
    night.set("METRICS", format!("http://{}", registry.debug())).set("PROMETHEUS", stack.prometheus());
    let said = night.run("First look");
    says(
        &said,
        &["registry_storage_cache_total{type=\"Hit\"}", "registry_storage_cache_total{type=\"Request\"}", "=> "],
    );
}
