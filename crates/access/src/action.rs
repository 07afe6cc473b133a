//! The closed set of things a caller can ask to do; never who may.

/// An action, by the name it has in rules and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `GET /v2/`.
    VersionCheck,
    /// Read manifests, blobs, tags, referrers.
    Pull,
    /// Upload blobs, put manifests and tags.
    Push,
    /// Delete tags, manifests, blobs.
    Delete,
    /// List repositories.
    Catalog,
}

impl Kind {
    /// The name of the action in policy rules, as in `registry:pull`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VersionCheck => "registry:version_check",
            Self::Pull => "registry:pull",
            Self::Push => "registry:push",
            Self::Delete => "registry:delete",
            Self::Catalog => "registry:catalog",
        }
    }

    /// The word people use for it in messages.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::VersionCheck => "check the version",
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Catalog => "list repositories",
        }
    }
}

/// An action as a type, so that a use case can only be called with the permit it needs.
pub trait Action: sealed::Sealed {
    /// The same action as a value.
    const KIND: Kind;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Action for $name {
            const KIND: Kind = Kind::$name;
        }
    )+};
}

actions! {
    /// See [`Kind::VersionCheck`].
    VersionCheck,
    /// See [`Kind::Pull`].
    Pull,
    /// See [`Kind::Push`].
    Push,
    /// See [`Kind::Delete`].
    Delete,
    /// See [`Kind::Catalog`].
    Catalog,
}
