//! Errors of the interface: a status, and a document that says what happened and what helps.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dad_core::ErrorInfo;
use dad_project::ProjectError;
use dad_run::{RunError, RunErrorKind, SetupError};
use serde_json::{Value, json};

/// A request that is not answered as it was meant.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    info: ErrorInfo,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            info: ErrorInfo::new(code, message),
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.info.hint = Some(hint.into());
        self
    }

    /// The error as the answer to a request says it.
    pub(super) fn document(&self) -> Value {
        json!({ "error": self.info })
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request", message)
    }

    /// An answer that no page could show.
    pub(super) fn too_long(message: String) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_long", message)
    }

    /// A request that is to change something.
    pub(super) fn only_read() -> Self {
        let message = "this address is only read";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "request", message)
    }

    /// There is no such step, file or address.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// A panic of the server, whose message the hook has printed.
    pub(super) fn bug() -> Self {
        let message = "the server has a bug: this should never happen";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", message)
            .hint("please report it, with what the server printed")
    }
}

impl From<RunError> for ApiError {
    fn from(error: RunError) -> Self {
        let is_missing = matches!(
            error.setup(),
            Some(SetupError::UnknownRun { .. } | SetupError::NoRuns { .. } | SetupError::Step(_))
        );
        let status = match error.kind() {
            _ if is_missing => StatusCode::NOT_FOUND,
            RunErrorKind::Usage | RunErrorKind::Refused | RunErrorKind::Damage => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self {
            status,
            info: error.to_info(),
        }
    }
}

impl From<ProjectError> for ApiError {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::Run(error) => error.into(),
            error => Self {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                info: error.to_info(),
            },
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.document())).into_response()
    }
}
