//! Who calls a function of the admin API, and what they may; never a protocol.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap};
use mcr_access::{Account, Action, Administer, GlobalPermit, Identity, Permit, Refusal};
use mcr_authentication::Peer;
use mcr_oci::RepositoryName;

use super::ApiError;
use crate::http::challenge::is_nobody;
use crate::http::edge::Edge;
use crate::http::service::identify;

/// A caller. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    /// The server.
    pub edge: Arc<Edge>,
    /// Who it is.
    pub identity: Identity,
    /// From where.
    pub peer: Peer,
    /// The Bearer token that came with the request, for who logs out.
    pub bearer: Option<Arc<str>>,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Caller {
    /// Finds out who sends a request with these headers.
    ///
    /// # Errors
    /// [`ApiError`]: credentials that are wrong, or cannot be checked now.
    pub async fn known(edge: &Arc<Edge>, peer: Peer, headers: &HeaderMap) -> Result<Self, ApiError> {
        let identity = identify(edge, &peer, headers).await?;
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = header
            .and_then(|header| header.split_once(' '))
            .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then(|| Arc::from(token.trim())));
        Ok(Self { edge: Arc::clone(edge), identity, peer, bearer })
    }

    /// Somebody of whom nothing is asked, for what is open to all.
    #[must_use]
    pub fn nobody(edge: &Arc<Edge>, peer: Peer) -> Self {
        let address = peer.address.map(|address| Arc::from(address.to_string()));
        let identity = Identity::of(Account::anonymous(), None, address);
        Self { edge: Arc::clone(edge), identity, peer, bearer: None }
    }

    /// A permit for `A` in a repository.
    ///
    /// # Errors
    /// [`ApiError::Denied`], or [`ApiError::Unauthenticated`] where another login might be allowed it.
    pub fn permit<A: Action>(&self, repository: &RepositoryName) -> Result<Permit<A>, ApiError> {
        self.edge.registry.permit::<A>(&self.identity, repository).map_err(|refusal| self.refuse(&refusal))
    }

    /// A permit for `A`, an action without a place.
    ///
    /// # Errors
    /// As [`Caller::permit`].
    pub fn permit_global<A: Action>(&self) -> Result<GlobalPermit<A>, ApiError> {
        self.edge.registry.permit_global::<A>(&self.identity).map_err(|refusal| self.refuse(&refusal))
    }

    /// Refuses those who may not administer, before what they sent is looked at.
    ///
    /// # Errors
    /// As [`Caller::permit`].
    pub fn may_administer(&self) -> Result<(), ApiError> {
        self.permit_global::<Administer>().map(drop)
    }

    /// Refuses those who have not logged in.
    ///
    /// # Errors
    /// [`ApiError::Unauthenticated`].
    pub fn logged_in(&self) -> Result<(), ApiError> {
        if is_nobody(&self.identity) { Err(ApiError::login_needed()) } else { Ok(()) }
    }

    /// The answer to a refusal, which is logged with its rule and recorded.
    fn refuse(&self, refusal: &Refusal) -> ApiError {
        let (action, rule) = (refusal.action.as_str(), refusal.reason.text());
        let repository = refusal.repository.as_ref().map(RepositoryName::as_str);
        let nobody = is_nobody(&self.identity);
        // Whoever sent nothing is asked to log in: nobody was refused anything yet.
        if nobody && self.identity.scope().is_none() {
            tracing::debug!(action, repository, rule, "asked to log in");
        } else {
            tracing::info!(account = %refusal.account, action, repository, rule, "refused");
            self.edge.registry.record_denied(refusal, self.identity.address());
        }
        ApiError::refused(refusal, nobody)
    }
}
