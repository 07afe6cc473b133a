//! From credentials to an identity, in the modes there are so far; never what that identity may do.

use std::sync::Arc;

use crate::credentials::Credentials;
use crate::identity::{AccountKind, Identity};

/// A store of passwords, asked in constant time.
pub trait CheckPassword: Send + Sync {
    /// True when the pair is right.
    fn check(&self, username: &str, password: &str) -> bool;
}

/// How callers are told apart.
#[derive(Clone)]
pub enum Gate {
    /// `[auth] mode = "none"` and `--anonymous`: everyone is admin. Loopback only, which the
    /// configuration enforces.
    Open,
    /// `--dev`: one administrator with HTTP Basic.
    Admin(Arc<dyn CheckPassword>),
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Admin(_) => "Admin",
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
    /// Establishes who sends `credentials` from `address`.
    ///
    /// # Errors
    /// [`Unauthenticated`], which the edge answers with a challenge.
    pub fn identify(
        &self,
        credentials: Option<&Credentials>,
        address: Option<String>,
    ) -> Result<Identity, Unauthenticated> {
        match self {
            Self::Open => Ok(Identity::new("anonymous", AccountKind::Anonymous, true, address)),
            Self::Admin(passwords) => {
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
        matches!(self, Self::Admin(_))
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
        let gate = Gate::Admin(Arc::new(One));
        assert_eq!(gate.identify(None, None), Err(Unauthenticated::Missing));
        assert_eq!(gate.identify(Some(&pair("wrong")), None), Err(Unauthenticated::Wrong));
        assert!(gate.identify(Some(&pair("right")), None).unwrap().is_admin());
    }

    #[test]
    fn the_open_gate_makes_everyone_admin() {
        assert!(Gate::Open.identify(None, Some("127.0.0.1".into())).unwrap().is_admin());
        assert!(!Gate::Open.needs_login());
    }
}
