//! The accounts every registry of the suites has, and their passwords; never what they may do.

use std::path::Path;
use std::process::Command;

use crate::identity::{Identity, Person};
use crate::random::Random;
use crate::{process, tools};

/// An administrator.
pub const ADMIN: &str = "alice";
/// A person with the role `user`.
pub const USER: &str = "ursula";
/// Another one.
pub const OTHER: &str = "otto";
/// A person with the role `guest`.
pub const GUEST: &str = "gustav";
/// A machine.
pub const MACHINE: &str = "ci-bot";

/// All of them.
pub const NAMES: [&str; 5] = [ADMIN, USER, OTHER, GUEST, MACHINE];

/// The UUID by which the identity service knows the account.
pub(super) fn subject(name: &str) -> String {
    let number = NAMES.iter().position(|other| *other == name).unwrap_or(NAMES.len());
    format!("5f0e6c9a-0000-4000-8000-00000000000{number}")
}

/// A password for each.
#[derive(Debug)]
pub(super) struct Passwords(Vec<(&'static str, String)>);

impl Passwords {
    /// New ones, so that a log can be searched for them.
    pub(super) fn draw() -> Self {
        let mut random = Random::announced("passwords");
        let draw = |name| (name, format!("pw-{name}-{:016x}", random.bits()));
        Self(NAMES.map(draw).into())
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.iter().map(|(_, password)| password.clone()).collect()
    }

    #[track_caller]
    pub(super) fn of(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(other, _)| *other == name);
        &found.unwrap_or_else(|| panic!("no account {name}")).1
    }

    /// Writes a password file, as people do: with `htpasswd`.
    pub(super) fn write(&self, file: &Path) {
        std::fs::write(file, "").expect("a password file");
        for (name, password) in &self.0 {
            // Cost 5 instead of what one would take: many tests start a registry.
            let mut command: Command = tools::command("htpasswd");
            let _ = process::run(command.args(["-bB", "-C", "5"]).arg(file).args([*name, password])).ok();
        }
    }

    /// Tells the identity service of them.
    pub(super) fn teach(&self, identity: &Identity) {
        for (name, password) in &self.0 {
            let (kind, roles) = match *name {
                ADMIN => ("human", vec!["admin"]),
                GUEST => ("human", vec!["guest"]),
                MACHINE => ("system", Vec::new()),
                _ => ("human", vec!["user"]),
            };
            let password = (kind == "human").then(|| password.clone());
            identity.add(Person { name: (*name).to_owned(), password, kind, roles, subject: subject(name) });
        }
    }
}
