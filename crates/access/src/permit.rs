//! The value that proves a decision was made; only [`crate::decide()`] makes one.

use std::marker::PhantomData;

use mcr_oci::RepositoryName;

use crate::action::Action;
use crate::identity::Identity;

/// Permission to do `A` in one repository.
///
/// Its fields are private and it has no public constructor: a use case that takes one cannot be
/// called without a decision, nor act on another repository than the one decided upon.
#[derive(Debug, Clone)]
pub struct Permit<A: Action> {
    identity: Identity,
    repository: RepositoryName,
    action: PhantomData<A>,
}

impl<A: Action> Permit<A> {
    pub(crate) fn grant(identity: Identity, repository: RepositoryName) -> Self {
        Self { identity, repository, action: PhantomData }
    }

    /// The repository it is for.
    #[must_use]
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// Who it was given to.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// Permission to do `A`, an action without a repository.
#[derive(Debug, Clone)]
pub struct GlobalPermit<A: Action> {
    identity: Identity,
    action: PhantomData<A>,
}

impl<A: Action> GlobalPermit<A> {
    pub(crate) fn grant(identity: Identity) -> Self {
        Self { identity, action: PhantomData }
    }

    /// Who it was given to.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}
