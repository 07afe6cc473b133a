//! The example configurations of Prometheus and Alertmanager, as their own programs read them; and what comes by a Pushgateway; never an alert.

use std::path::Path;

use mcr_tests::process::Daemon;
use mcr_tests::{Client, process, tools};

use crate::probe::mcrctl;
use crate::scene;
use crate::stack::{Stack, Targets, uncommented};
use mcr_tests::distribution::Distribution;
use mcr_tests::ports;

/// A copy of `monitoring/` with what is commented out as a variant taken in.
fn with_variants(home: &Path) {
    let monitoring = tools::repository_root().join("monitoring");
    for file in ["alerts.yml", "prometheus.yml", "alertmanager.yml"] {
        let text = std::fs::read_to_string(monitoring.join(file)).unwrap();
        std::fs::write(home.join(file), uncommented(&text)).unwrap();
    }
}

#[test]
fn prometheus_and_alertmanager_take_the_examples() {
    let monitoring = tools::repository_root().join("monitoring");
    let mut command = tools::command("promtool");
    let checked = process::run(command.args(["check", "config", "prometheus.yml"]).current_dir(&monitoring)).ok();
    assert!(checked.all().contains("1 rule files found"), "{checked:?}");
    let mut command = tools::command("amtool");
    let _ = process::run(command.args(["check-config", "alertmanager.yml"]).current_dir(&monitoring)).ok();
}

#[test]
fn they_take_the_variants_too() {
    let home = tempfile::tempdir().unwrap();
    with_variants(home.path());
    let text = std::fs::read_to_string(home.path().join("prometheus.yml")).unwrap();
    assert_eq!(text.matches("\n    honor_labels: true").count(), 3, "{text}");
    for job in ["docker-registry", "registry-probe-named", "pushgateway", "node"] {
        assert!(text.contains(&format!("\n  - job_name: {job}\n")), "{job}");
    }
    let mut command = tools::command("promtool");
    let _ = process::run(command.args(["check", "config", "prometheus.yml"]).current_dir(home.path())).ok();
    let mut command = tools::command("amtool");
    let _ = process::run(command.args(["check-config", "alertmanager.yml"]).current_dir(home.path())).ok();
}

#[test]
fn who_is_told_depends_on_the_severity() {
    let monitoring = tools::repository_root().join("monitoring");
    for (severity, receiver) in [("critical", "pager"), ("warning", "mail"), ("info", "mail")] {
        let mut command = tools::command("amtool");
        command.args(["config", "routes", "test", "--config.file=alertmanager.yml"]);
        let output = process::run(command.arg(format!("severity={severity}")).current_dir(&monitoring)).ok();
        assert_eq!(output.text().trim(), receiver, "{severity}");
    }
}

#[test]
fn what_is_pushed_keeps_the_instance_it_was_given() {
    let registry = Distribution::start();
    let _ = scene::sound_image(&registry.client());
    let home = tempfile::tempdir().unwrap();
    let address = ports::free();
    let mut command = tools::command("prometheus-pushgateway");
    let mut gateway = Daemon::start(command.arg(format!("--web.listen-address={address}")), home.path().join("log"));
    let client = Client::new(address, None);
    gateway.wait_ready("the Pushgateway", || client.request("GET", "/-/ready").send().is_ok());

    let place = format!("http://{address}");
    let mut command = mcrctl();
    command.args(["probe", "--once", "--addr", &registry.url(), "--pushgateway", &place]);
    let _ = process::run(command.args(["--instance", "registry.example"])).ok();
    let mut command = mcrctl();
    let _ = process::run(command.arg("scan").arg(registry.root()).args(["--pushgateway", &place])).ok();

    let stack = Stack::watching(Targets { pushgateway: Some(address), ..Targets::none() });
    stack.wait_for("registry_manifest_integrity_failures{instance=\"registry.example\"} == 0");
    stack.wait_for("registry_scan_findings{registry=\"tree\",kind=\"link-orphan\"} == 0");
    assert!(stack.query("{exported_instance!=\"\"}").is_empty(), "honor_labels");
}
