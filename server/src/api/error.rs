//! What the admin API refuses, as one closed set with one table to both protocols; never a sentence of its own.

use http::StatusCode;
use mcr_access::{Reason, Refusal};
use mcr_authentication::Denied;
use mcr_registry::Error;
use tonic::Code;

use crate::http::cursor::UnknownCursor;

/// Why a request was not done; the text is what the caller reads, the same over REST and gRPC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// A login is needed, or another one.
    #[error("{message}")]
    Unauthenticated {
        /// Which of the two.
        message: String,
        /// What is wrong with the credentials.
        fault: Fault,
    },
    /// The account may not do it.
    #[error("{0}")]
    Denied(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done as things stand: the registry is read-only, something still names it.
    #[error("{0}")]
    Refused(String),
    /// It is there already, or there are too many.
    #[error("{0}")]
    Conflict(String),
    /// The body is not said to be JSON.
    #[error("{0}")]
    MediaType(String),
    /// The request is larger than any that makes sense.
    #[error("{0}")]
    TooLarge(String),
    /// Too many logins failed.
    #[error("{message}")]
    Throttled {
        /// That they did.
        message: String,
        /// Seconds to wait.
        retry_after: u32,
    },
    /// No room for anything new.
    #[error("{0}")]
    DiskFull(String),
    /// Nothing is wrong with the request: try again.
    #[error("{message}")]
    Unavailable {
        /// Why.
        message: String,
        /// Seconds to wait.
        retry_after: u32,
    },
}

/// What is wrong with the credentials of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There are none.
    Missing,
    /// They are not right, or no longer.
    Wrong,
    /// They are right, and limited to something else.
    Narrow,
}

impl ApiError {
    /// The one table: what each is called over HTTP and over gRPC.
    #[must_use]
    pub fn codes(&self) -> (StatusCode, Code) {
        match self {
            Self::Invalid(_) => (StatusCode::BAD_REQUEST, Code::InvalidArgument),
            Self::Unauthenticated { .. } => (StatusCode::UNAUTHORIZED, Code::Unauthenticated),
            Self::Denied(_) => (StatusCode::FORBIDDEN, Code::PermissionDenied),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, Code::NotFound),
            Self::Refused(_) => (StatusCode::METHOD_NOT_ALLOWED, Code::FailedPrecondition),
            Self::Conflict(_) => (StatusCode::CONFLICT, Code::AlreadyExists),
            Self::MediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, Code::OutOfRange),
            Self::Throttled { .. } => (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted),
            Self::DiskFull(_) => (StatusCode::INSUFFICIENT_STORAGE, Code::ResourceExhausted),
            Self::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        }
    }

    /// Seconds after which to try again, where that helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Unavailable { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// Nobody logged in where somebody must.
    #[must_use]
    pub fn login_needed() -> Self {
        Self::Unauthenticated { message: Denied::Missing.to_string(), fault: Fault::Missing }
    }

    /// A refusal: to nobody in particular and to a token that was made for something else, that another login might
    /// do; else that it is not allowed. Neither tells whether the repository exists.
    #[must_use]
    pub fn refused(refusal: &Refusal, is_nobody: bool) -> Self {
        match (is_nobody, &refusal.reason) {
            (true, _) => Self::login_needed(),
            (false, Reason::Scope) => Self::Unauthenticated {
                message: format!("{refusal} with this token: it was not made for it"),
                fault: Fault::Narrow,
            },
            (false, Reason::Policy(_)) => Self::Denied(refusal.to_string()),
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NameUnknown(_)
            | Error::ManifestUnknown { .. }
            | Error::BlobUnknown { .. }
            | Error::UploadUnknown(_)
            | Error::NoSuch(_) => Self::NotFound(text),
            Error::Invalid(_)
            | Error::DigestInvalid(_)
            | Error::ManifestInvalid(_)
            | Error::SizeInvalid(_)
            | Error::BodyLost(_)
            | Error::OutOfOrder { .. }
            | Error::Incomplete(_) => Self::Invalid(text),
            Error::StillNamed { .. } | Error::ReadOnly(_) => Self::Refused(text),
            Error::Conflict(_) => Self::Conflict(text),
            Error::Denied(_) => Self::Denied(text),
            Error::DiskFull(_) => Self::DiskFull(text),
            Error::Unavailable { retry_after, .. } => Self::Unavailable { message: text, retry_after },
        }
    }
}

impl From<UnknownCursor> for ApiError {
    fn from(unknown: UnknownCursor) -> Self {
        Self::Invalid(unknown.to_string())
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        let message = denied.to_string();
        match denied {
            Denied::Missing => Self::Unauthenticated { message, fault: Fault::Missing },
            Denied::Wrong => Self::Unauthenticated { message, fault: Fault::Wrong },
            Denied::Throttled { retry_after } => Self::Throttled { message, retry_after },
            Denied::Unavailable { retry_after, .. } => Self::Unavailable { message, retry_after },
            Denied::BadRequest(_) => Self::Invalid(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_is_a_defect_of_the_server() {
        let text = || "x".to_owned();
        for error in [
            ApiError::Invalid(text()),
            ApiError::login_needed(),
            ApiError::Denied(text()),
            ApiError::NotFound(text()),
            ApiError::Refused(text()),
            ApiError::Conflict(text()),
            ApiError::MediaType(text()),
            ApiError::TooLarge(text()),
            ApiError::Throttled { message: text(), retry_after: 1 },
            ApiError::DiskFull(text()),
            ApiError::Unavailable { message: text(), retry_after: 1 },
        ] {
            let (status, code) = error.codes();
            assert!(status.is_client_error() || matches!(status.as_u16(), 503 | 507), "{error:?}");
            assert!(!matches!(code, Code::Ok | Code::Internal | Code::Unknown | Code::DataLoss), "{error:?}");
        }
    }
}
