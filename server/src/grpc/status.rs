//! An error of the API as a status of gRPC, with the same sentence; never another table than `ApiError::codes`.

use tonic::Status;
use tonic::metadata::{MetadataMap, MetadataValue};

use crate::api::ApiError;

/// The status; where trying again helps, `retry-after` says when.
pub(super) fn of(error: &ApiError) -> Status {
    let mut metadata = MetadataMap::new();
    if let Some(seconds) = error.retry_after() {
        metadata.insert("retry-after", MetadataValue::from(seconds));
    }
    Status::with_metadata(error.codes().1, error.to_string(), metadata)
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        of(&error)
    }
}
