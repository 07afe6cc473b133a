//! The example configurations of Prometheus and Alertmanager, as their own programs read them; never running ones.

use std::path::Path;

use mcr_tests::{process, tools};

/// A copy of `monitoring/` with what is commented out as a variant taken in.
fn with_variants(home: &Path) {
    let monitoring = tools::repository_root().join("monitoring");
    for file in ["alerts.yml", "prometheus.yml", "alertmanager.yml"] {
        let text = std::fs::read_to_string(monitoring.join(file)).unwrap();
        let lines: Vec<&str> = text
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| rest.starts_with("  ")).unwrap_or(line))
            .collect();
        std::fs::write(home.join(file), lines.join("\n")).unwrap();
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
