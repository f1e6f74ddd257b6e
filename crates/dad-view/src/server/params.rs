//! The words of an address: which run, and which part of it.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// The words behind the question mark, or an error that says which of them is not one.
pub(super) struct Words<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Words<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(words) = Query::from_request_parts(parts, state).await?;
        Ok(Self(words))
    }
}

/// The run in the address.
pub(super) struct RunName(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for RunName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(run) = Path::<String>::from_request_parts(parts, state).await?;
        Ok(Self(run))
    }
}
