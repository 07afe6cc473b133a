//! A registry that keeps nothing longer than it promised, its runs and its files; never a claim about one of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcr_oci::Digest;
use mcr_tests::{Blob, Client, Image, Options, Random, Response, Server, push};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a run may take.
const RUN: Duration = Duration::from_secs(30);
/// How long something may take that comes after a lease of ten seconds.
const SOON: Duration = Duration::from_secs(40);

/// A registry with a configuration of its own.
pub(crate) struct Living {
    home: TempDir,
    pub(crate) server: Server,
}

impl Living {
    /// With nothing but the shortest lease there is: 10 s.
    pub(crate) fn start() -> Self {
        Self::with("", &[])
    }

    /// With lines at the end of the configuration, and variables of the environment.
    pub(crate) fn with(more: &str, environment: &[(&str, &str)]) -> Self {
        let home = tempfile::Builder::new().prefix("mcr-test-living-").tempdir().unwrap();
        let at = home.path().display();
        let text = format!(
            "[server]\nlisten_addr = \"127.0.0.1:0\"\n[database]\npath = \"{at}/mcr.db\"\n\
             [storage]\nlayers_path = \"{at}/layers\"\nuploads_path = \"{at}/uploads\"\n[auth]\nmode = \"none\"\n{more}"
        );
        let config = home.path().join("mcr.toml");
        std::fs::write(&config, text).unwrap();
        let mut options = Options { config: Some(config), data: Some(home.path().to_owned()), ..Options::default() };
        for (name, value) in
            [("MCR_GC_SCHEDULE", "off"), ("MCR_GC_GRACE", "0s"), ("MCR_GC_LEASE", "10s"), ("MCR_GC_UNDO", "0s")]
                .iter()
                .chain(environment)
        {
            options = options.env(name, value);
        }
        Self { server: Server::with(options), home }
    }

    pub(crate) fn client(&self) -> Arc<Client> {
        self.server.client()
    }

    /// Where a blob's file is, or would be.
    pub(crate) fn file(&self, digest: &Digest) -> PathBuf {
        let hex = digest.as_str().split_once(':').unwrap().1;
        self.home.path().join("layers/sha256").join(&hex[..2]).join(hex)
    }

    /// Whether a blob's file is there. A request would renew its lease.
    pub(crate) fn holds(&self, blob: &Blob) -> bool {
        self.file(&blob.digest).exists()
    }

    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Value {
        self.client().get(target).expect(200).json()
    }

    /// Sends JSON.
    #[track_caller]
    pub(crate) fn post(&self, target: &str, body: &Value) -> Response {
        let client = self.client();
        let request = client.request("POST", target).header("Content-Type", "application/json");
        request.body(body.to_string().as_bytes()).call()
    }

    /// Runs garbage collection or retention, and gives its plan when nothing more happens to it by itself.
    #[track_caller]
    pub(crate) fn run(&self, target: &str, body: &Value) -> Value {
        let id = self.post(target, body).expect(202).json()["id"].as_str().unwrap().to_owned();
        self.settled(&id)
    }

    #[track_caller]
    pub(crate) fn collect(&self, body: &Value) -> Value {
        self.run("/v1/gc", body)
    }

    #[track_caller]
    pub(crate) fn retain(&self, body: &Value) -> Value {
        self.run("/v1/retention/run", body)
    }

    /// A plan with its steps, once it is neither made nor applied any more.
    #[track_caller]
    pub(crate) fn settled(&self, id: &str) -> Value {
        within(RUN, "a run", || {
            let plan = self.get(&format!("/v1/plans/{id}?n=1000"));
            (!["planning", "running"].contains(&plan["state"].as_str().unwrap())).then_some(plan)
        })
    }

    /// Collects again and again until `done`; every run must end well.
    #[track_caller]
    pub(crate) fn collect_until(&self, body: &Value, done: impl Fn() -> bool) -> Value {
        within(SOON, "what was to go", || {
            let plan = self.collect(body);
            assert_eq!(plan["state"], "done", "{plan}");
            done().then_some(plan).or_else(|| {
                std::thread::sleep(Duration::from_millis(300));
                None
            })
        })
    }

    /// Pushes `count` images of `length` bytes a layer as `v1`, `v2`, ….
    pub(crate) fn versions(&self, repository: &str, count: usize, length: usize, random: &mut Random) -> Vec<Image> {
        let images: Vec<Image> = (0..count).map(|_| Image::random(random, 1, length)).collect();
        for (number, image) in images.iter().enumerate() {
            push::image(&self.client(), repository, &format!("v{}", number + 1), image);
        }
        images
    }

    /// A figure of `/metrics`.
    #[track_caller]
    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        let text = self.client().get("/metrics").expect(200).text();
        let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next().unwrap().parse().ok()
    }
}

/// Waits for something, looking again and again.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The steps of a plan that do this, as `repository:tag` or by digest.
pub(crate) fn steps<'a>(plan: &'a Value, action: &str) -> Vec<&'a Value> {
    plan["steps"].as_array().unwrap().iter().filter(|step| step["action"] == action).collect()
}

/// Nothing said.
pub(crate) fn as_configured() -> Value {
    json!({})
}
