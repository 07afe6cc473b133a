//! Real Prometheus and Alertmanager from Debian's packages, on the shipped files with their times shortened; never a
//! rule of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use mcr_tests::process::Daemon;
use mcr_tests::{Client, tools};
use serde_json::Value;
use tempfile::TempDir;

use mcr_tests::ports;

/// How long an alert may take to fire or to clear; with the shortened times it takes seconds.
const LIMIT: Duration = Duration::from_secs(90);

/// What is scraped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Targets {
    /// `mcrsrv`, or a port where nothing is.
    pub(crate) server: SocketAddr,
    /// `mcrctl probe --listen`, or a port where nothing is.
    pub(crate) probe: SocketAddr,
    /// A Pushgateway: then the variants of the example are taken in.
    pub(crate) pushgateway: Option<SocketAddr>,
}

impl Targets {
    /// Nothing but a probe.
    pub(crate) fn probe(probe: SocketAddr) -> Self {
        Self { server: ports::free(), probe, pushgateway: None }
    }

    /// Nothing but a server.
    pub(crate) fn server(server: SocketAddr) -> Self {
        Self { server, probe: ports::free(), pushgateway: None }
    }

    /// Nothing at all.
    pub(crate) fn none() -> Self {
        Self::probe(ports::free())
    }
}

/// Both programs.
#[derive(Debug)]
pub(crate) struct Stack {
    _home: TempDir,
    prometheus: Client,
    alertmanager: Client,
    _daemons: [Daemon; 2],
}

impl Stack {
    /// Starts both on the shipped examples.
    pub(crate) fn watching(targets: Targets) -> Self {
        let home = tempfile::Builder::new().prefix("mcr-test-stack-").tempdir().unwrap();
        let [prometheus, alertmanager] = [(); 2].map(|()| ports::free());
        configure(home.path(), targets, prometheus, alertmanager);
        let place = |name: &str| home.path().join(name).display().to_string();

        let mut command = tools::command("prometheus-alertmanager");
        command.arg(format!("--config.file={}", place("alertmanager.yml")));
        command.arg(format!("--storage.path={}", place("alertmanager")));
        command.args([&format!("--web.listen-address={alertmanager}"), "--cluster.listen-address="]);
        let first = Daemon::start(command.current_dir(home.path()), home.path().join("alertmanager.log"));

        let mut command = tools::command("prometheus");
        command.arg(format!("--config.file={}", place("prometheus.yml")));
        command.arg(format!("--storage.tsdb.path={}", place("data")));
        // An alert whose first message came too early, or whose text changed, is told again at once.
        command.arg("--rules.alert.resend-delay=1s");
        command.arg(format!("--web.listen-address={prometheus}"));
        let second = Daemon::start(command.current_dir(home.path()), home.path().join("prometheus.log"));

        let mut daemons = [first, second];
        let clients = [alertmanager, prometheus].map(|address| Client::new(address, None));
        for (daemon, client) in daemons.iter_mut().zip(&clients) {
            let ready = || client.request("GET", "/-/ready").send().is_ok_and(|answer| answer.status == 200);
            daemon.wait_ready("Prometheus or Alertmanager", ready);
        }
        let [alertmanager, prometheus] = clients;
        Self { _home: home, prometheus, alertmanager, _daemons: daemons }
    }

    /// Its URL, as `promtool` wants it.
    pub(crate) fn prometheus(&self) -> String {
        format!("http://{}", self.prometheus.address())
    }

    /// What the Alertmanager holds under the name `alert` now.
    pub(crate) fn alerts(&self, alert: &str) -> Vec<Value> {
        let answer = self.alertmanager.get("/api/v2/alerts").expect(200).json();
        let alerts = answer.as_array().unwrap().iter();
        alerts.filter(|each| each["labels"]["alertname"] == alert).cloned().collect()
    }

    /// What Prometheus answers to an instant query: label sets with values.
    pub(crate) fn query(&self, expression: &str) -> Vec<Value> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.prometheus.get(&format!("/api/v1/query?query={encoded}")).expect(200).json();
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// Waits until `expression` has a result.
    #[track_caller]
    pub(crate) fn wait_for(&self, expression: &str) {
        let start = Instant::now();
        while self.query(expression).is_empty() {
            assert!(start.elapsed() < LIMIT, "nothing for {expression}; up: {:#?}", self.query("up"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the alert is in the Alertmanager; returns it.
    #[track_caller]
    pub(crate) fn wait_firing(&self, alert: &str) -> Value {
        let start = Instant::now();
        loop {
            if let Some(found) = self.alerts(alert).into_iter().next() {
                return found;
            }
            assert!(start.elapsed() < LIMIT, "{alert} does not fire; Prometheus: {:#?}", self.query("ALERTS"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the alert has gone from the Alertmanager.
    #[track_caller]
    pub(crate) fn wait_clear(&self, alert: &str) {
        let start = Instant::now();
        while !self.alerts(alert).is_empty() {
            assert!(start.elapsed() < LIMIT, "{alert} does not clear; Prometheus: {:#?}", self.query("ALERTS"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until Prometheus has evaluated all rules `times` more times.
    pub(crate) fn evaluations(&self, times: u32) {
        let expression = "sum(prometheus_rule_group_iterations_total)";
        let count = || {
            let answer = self.query(expression);
            let value = answer.first().map(|each| each["value"][1].as_str().unwrap().parse::<f64>().unwrap());
            value.unwrap_or_default()
        };
        let groups = 3.0;
        let start = Instant::now();
        let before = count();
        while count() < before + groups * f64::from(times) {
            assert!(start.elapsed() < LIMIT, "Prometheus does not go on");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// `text` with what is commented out as a variant taken in: lines that begin `#  `.
pub(crate) fn uncommented(text: &str) -> String {
    let variant = |line: &str| line.strip_prefix('#').filter(|rest| rest.starts_with("  ")).map(str::to_owned);
    text.lines().map(|line| variant(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// Exchanges `from`, which must be there, for `to`.
#[track_caller]
fn exchange(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in the shipped file any more");
    text.replace(from, to)
}

/// The shipped files with times of seconds and with the addresses of this test. Nothing else is changed: names,
/// expressions, labels and texts are those that are shipped.
fn configure(home: &Path, targets: Targets, prometheus: SocketAddr, alertmanager: SocketAddr) {
    let monitoring = tools::repository_root().join("monitoring");
    let read = |name: &str| std::fs::read_to_string(monitoring.join(name)).unwrap();
    let mut rules = read("alerts.yml");
    for waits in ["5m", "10m", "15m", "30m", "45m", "1h", "12h"] {
        rules = exchange(&rules, &format!("\n        for: {waits}\n"), "\n        for: 2s\n");
    }
    rules = exchange(&rules, "last_run_timestamp > 3600\n", "last_run_timestamp > 5\n");
    std::fs::write(home.join("alerts.yml"), rules).unwrap();

    let mut config = exchange(&read("prometheus.yml"), "interval: 30s", "interval: 1s");
    config = exchange(&config, "scheme: https", "scheme: http");
    for (shipped, here) in [
        ("127.0.0.1:9093", alertmanager),
        ("127.0.0.1:9090", prometheus),
        ("127.0.0.1:8443", targets.server),
        ("127.0.0.1:9110", targets.probe),
    ] {
        config = exchange(&config, &format!("[{shipped}]"), &format!("[{here}]"));
    }
    if let Some(pushgateway) = targets.pushgateway {
        config = uncommented(&exchange(&config, "[127.0.0.1:9091]", &format!("[{pushgateway}]")));
    }
    std::fs::write(home.join("prometheus.yml"), config).unwrap();

    let config = exchange(&read("alertmanager.yml"), "group_wait: 30s", "group_wait: 1s");
    std::fs::write(home.join("alertmanager.yml"), config).unwrap();
}
