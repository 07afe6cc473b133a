//! From credentials to an identity, in the modes there are so far; never what that identity may do.

use std::sync::Arc;

use crate::credentials::{CheckPassword, Credentials};
use crate::identity::{AccountKind, Identity, PROBE_ACCOUNT};

/// How callers are told apart.
#[derive(Clone)]
pub struct Gate {
    mode: Mode,
    /// Checks the credential of the registry's own probe, in every mode.
    probe: Option<Arc<dyn CheckPassword>>,
}

/// Who is let in beside the probe.
#[derive(Clone)]
enum Mode {
    /// Everyone is admin.
    Open,
    /// One administrator with HTTP Basic.
    Admin(Arc<dyn CheckPassword>),
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.mode {
            Mode::Open => "Open",
            Mode::Admin(_) => "Admin",
        })
    }
}

/// Why a caller has no identity yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// No credentials were sent.
    #[error("authentication required")]
    Missing,
    /// They were not right. The text does not say which half was wrong.
    #[error("wrong account or password")]
    Wrong,
}

impl Gate {
    /// `[auth] mode = "none"` and `--anonymous`: everyone is admin. Loopback only, which the
    /// configuration enforces.
    #[must_use]
    pub fn open() -> Self {
        Self { mode: Mode::Open, probe: None }
    }

    /// `--dev`: one administrator with HTTP Basic.
    #[must_use]
    pub fn admin(passwords: Arc<dyn CheckPassword>) -> Self {
        Self { mode: Mode::Admin(passwords), probe: None }
    }

    /// The same gate, which also knows the account [`PROBE_ACCOUNT`] by `credential`.
    #[must_use]
    pub fn with_probe(self, credential: Arc<dyn CheckPassword>) -> Self {
        Self { probe: Some(credential), ..self }
    }

    /// Establishes who sends `credentials` from `address`.
    ///
    /// The name of the probe's account is its own: whoever gives it has the probe's credential or is nobody, also
    /// where everyone else is admin.
    ///
    /// # Errors
    /// [`Unauthenticated`], which the edge answers with a challenge.
    pub fn identify(
        &self,
        credentials: Option<&Credentials>,
        address: Option<String>,
    ) -> Result<Identity, Unauthenticated> {
        if let Some(given) = credentials.filter(|given| given.username == PROBE_ACCOUNT) {
            let known = self.probe.as_ref().is_some_and(|probe| probe.check(&given.username, &given.password));
            return if known { Ok(Identity::probe(address)) } else { Err(Unauthenticated::Wrong) };
        }
        match &self.mode {
            Mode::Open => Ok(Identity::new("anonymous", AccountKind::Anonymous, true, address)),
            Mode::Admin(passwords) => {
                let given = credentials.ok_or(Unauthenticated::Missing)?;
                if passwords.check(&given.username, &given.password) {
                    Ok(Identity::new(given.username.clone(), AccountKind::Human, true, address))
                } else {
                    Err(Unauthenticated::Wrong)
                }
            }
        }
    }

    /// True when callers must log in, so that `/v2/` challenges those who have not.
    #[must_use]
    pub fn needs_login(&self) -> bool {
        matches!(self.mode, Mode::Admin(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;
    impl CheckPassword for One {
        fn check(&self, username: &str, password: &str) -> bool {
            username == "admin" && password == "right"
        }
    }

    fn pair(password: &str) -> Credentials {
        Credentials { username: "admin".into(), password: password.into() }
    }

    #[test]
    fn the_admin_gate_lets_in_only_the_right_pair() {
        let gate = Gate::admin(Arc::new(One));
        assert_eq!(gate.identify(None, None), Err(Unauthenticated::Missing));
        assert_eq!(gate.identify(Some(&pair("wrong")), None), Err(Unauthenticated::Wrong));
        assert!(gate.identify(Some(&pair("right")), None).unwrap().is_admin());
    }

    #[test]
    fn the_open_gate_makes_everyone_admin() {
        assert!(Gate::open().identify(None, Some("127.0.0.1".into())).unwrap().is_admin());
        assert!(Gate::open().identify(Some(&pair("left over")), None).unwrap().is_admin());
        assert!(!Gate::open().needs_login());
    }

    struct Probe;
    impl CheckPassword for Probe {
        fn check(&self, username: &str, password: &str) -> bool {
            username == PROBE_ACCOUNT && password == "drawn"
        }
    }

    #[test]
    fn the_probe_is_known_by_its_credential_at_every_gate_and_by_nothing_else() {
        let named = |password: &str| Credentials { username: PROBE_ACCOUNT.into(), password: password.into() };
        for gate in [Gate::open(), Gate::admin(Arc::new(One))] {
            assert_eq!(gate.identify(Some(&named("drawn")), None), Err(Unauthenticated::Wrong), "no probe: {gate:?}");
            let gate = gate.with_probe(Arc::new(Probe));
            let probe = gate.identify(Some(&named("drawn")), None).unwrap();
            assert!(probe.is_probe() && !probe.is_admin(), "{gate:?}");
            assert_eq!(gate.identify(Some(&named("guessed")), None), Err(Unauthenticated::Wrong), "{gate:?}");
        }
    }

    struct Anything;
    impl CheckPassword for Anything {
        fn check(&self, _: &str, _: &str) -> bool {
            true
        }
    }

    #[test]
    fn no_account_of_that_name_gets_in_for_the_probe() {
        let gate = Gate::admin(Arc::new(Anything));
        let pair = Credentials { username: PROBE_ACCOUNT.into(), password: "right".into() };
        assert_eq!(gate.identify(Some(&pair), None), Err(Unauthenticated::Wrong));
    }
}
