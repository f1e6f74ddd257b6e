//! Errors of models and their clients, and their consequences: retry, fall back, or end.

use std::path::PathBuf;
use std::time::Duration;

use dad_core::{Redactor, Usage};
use dad_definition::Problems;

/// Why a model gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A name that is not `provider/model` and not in `.dhenara/models.yaml`.
    #[error("`{name}` is not a known model; write `provider/model`{}", near(nearest))]
    UnknownModel {
        /// The name.
        name: String,
        /// The most similar name there is.
        nearest: Option<String>,
    },
    /// A provider that no catalogue declares.
    #[error(
        "the provider `{provider}` of `{model}` is not known{}; known are {known}",
        near(nearest)
    )]
    UnknownProvider {
        /// The model's whole name.
        model: String,
        /// The part before the slash.
        provider: String,
        /// The providers there are.
        known: String,
        /// The most similar name of a model there is.
        nearest: Option<String>,
    },
    /// No key for a provider that wants one.
    #[error("there is no API key for `{provider}`")]
    NoCredentials {
        /// The provider.
        provider: String,
        /// The line to write, and the file.
        hint: String,
    },
    /// A file of the project says that a model answers elsewhere than its provider does, and the key is the user's.
    #[error(
        "`{model}` would be asked at `{address}`, {}, with the key {key}: a file of the project does not decide where that \
         key goes",
        of_project(*has_own_certificates)
    )]
    KeyNotAllowed {
        /// The model.
        model: String,
        /// The server: scheme, host and port.
        address: String,
        /// The place of the key, in words.
        key: String,
        /// The credentials file of the project.
        file: PathBuf,
        /// The provider, as the credentials file names it.
        provider: String,
        /// Whether the server may prove by certificates of the project that it is the provider's.
        has_own_certificates: bool,
    },
    /// The provider reported an error.
    #[error("`{model}` {}: {body}{}{}", status_words(*status), origin_note(code.as_deref(), request_id.as_deref()), pause_note(*retry_after))]
    Status {
        /// The model.
        model: String,
        /// The HTTP status, or the one that the error in an answer stands for; 200 where it stands for none.
        status: u16,
        /// The provider's message, else the beginning of the body.
        body: String,
        /// The provider's word for the kind of error.
        code: Option<String>,
        /// The provider's id of the request, by which its support finds it.
        request_id: Option<String>,
        /// The pause that the provider asked for.
        retry_after: Option<Duration>,
        /// Whether a quota is used up that no pause refills.
        is_exhausted: bool,
        /// The consumption; `None` if an answer had begun whose tokens are not known.
        usage: Option<Usage>,
    },
    /// The call was not made, because the provider asked for a longer pause than a step waits.
    #[error("`{model}` was not called: its provider asked not to be called for another {}", dad_core::format_duration(*pause))]
    RateLimited {
        /// The model.
        model: String,
        /// The rest of the pause.
        pause: Duration,
    },
    /// The provider sent the call elsewhere, where it was not made: neither key nor prompt are for another address.
    #[error(
        "`{model}` answered with HTTP status {status}, a redirect to `{location}`, which is not followed"
    )]
    Redirected {
        /// The model.
        model: String,
        /// The HTTP status.
        status: u16,
        /// The address of the redirect.
        location: String,
    },
    /// The provider could not be reached.
    #[error("`{model}` could not be reached: {reason}")]
    Connection {
        /// The model.
        model: String,
        /// The cause.
        reason: String,
    },
    /// The connection broke after the call was made: what it took is not known.
    #[error("the answer of `{model}` was cut: {reason}")]
    Cut {
        /// The model.
        model: String,
        /// The cause.
        reason: String,
    },
    /// It took longer than the call may take.
    #[error("`{model}` did not answer within {}", dad_core::format_duration(*limit))]
    TimedOut {
        /// The model.
        model: String,
        /// The limit.
        limit: Duration,
    },
    /// The server sent nothing for longer than a client waits for the next byte.
    #[error("`{model}` sent nothing for as long as `idle_timeout` allows")]
    Silent {
        /// The model.
        model: String,
    },
    /// The request cannot be made to this provider.
    #[error("`{model}` cannot be asked: {reason}")]
    Request {
        /// The model.
        model: String,
        /// Which option does not fit, and why.
        reason: String,
    },
    /// The request is larger than the model's context window.
    #[error(
        "`{model}` cannot be asked: the request has {tokens} tokens at least, and its window {window}; the largest parts \
         are {parts}"
    )]
    TooLarge {
        /// The model.
        model: String,
        /// The smallest number of tokens that it may have.
        tokens: u64,
        /// The largest number of tokens that the model takes.
        window: u64,
        /// Its largest parts, in words.
        parts: String,
    },
    /// The answer is not one.
    #[error("the answer of `{model}` cannot be used: {reason}")]
    Answer {
        /// The model.
        model: String,
        /// The problem.
        reason: String,
        /// The consumption, if it is reported.
        usage: Option<Usage>,
        /// Whether the same request may be answered otherwise.
        may_differ: bool,
    },
    /// The answer does not end.
    #[error("the answer of `{model}` is longer than {mib} MiB and was not read to its end")]
    TooLong {
        /// The model.
        model: String,
        /// The largest size.
        mib: u64,
    },
    /// A run without network was given a client that may open connections.
    #[error("no model is asked over a network in this run, and its client of models may open connections")]
    Offline,
    /// A run that is replayed has no answer for a request.
    #[error("`{}` holds no answer to what `{path}` asks{}", run.display(), reported(nearest))]
    NotInRun {
        /// The run directory.
        run: PathBuf,
        /// The step that asks.
        path: String,
        /// The step with the most similar request, and the differences to it.
        nearest: Option<(String, String)>,
    },
    /// The model gave no answer in the run that is replayed.
    #[error("`{model}` gave no answer when this was recorded: {reason}")]
    FailedInRun {
        /// The model.
        model: String,
        /// The recorded error.
        reason: String,
    },
    /// A cassette has no answer for a call.
    #[error("`{}` holds no answer for call {number} of `{path}`", cassette.display())]
    NotRecorded {
        /// The directory of recorded exchanges.
        cassette: PathBuf,
        /// The step that asks.
        path: String,
        /// Its call, from 1.
        number: u32,
    },
    /// A list of models with problems, each with its place.
    #[error(transparent)]
    Catalog(#[from] Problems),
    /// A file that cannot be read as what it should be.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The problem, and its place.
        reason: String,
    },
}

fn reported(nearest: &Option<(String, String)>) -> String {
    match nearest {
        Some((step, differences)) => {
            format!("; the most similar request is that of `{step}`:\n{differences}")
        }
        None => "; it holds none like it".to_owned(),
    }
}

fn status_words(status: u16) -> String {
    match status {
        200 => "reported an error".to_owned(),
        status => format!("answered with HTTP status {status}"),
    }
}

/// The provider's word for an error, and its id of the request.
fn origin_note(code: Option<&str>, request_id: Option<&str>) -> String {
    let request = request_id.map(|id| format!("request {id}"));
    let parts: Vec<String> = code.map(str::to_owned).into_iter().chain(request).collect();
    if parts.is_empty() {
        return String::new();
    }
    format!(" ({})", parts.join(", "))
}

const fn of_project(has_own_certificates: bool) -> &'static str {
    if has_own_certificates {
        "where the `ca_file` of the project lets any server pass for the provider's own"
    } else {
        "which is not the provider's own server"
    }
}

fn pause_note(pause: Option<Duration>) -> String {
    let reported = |pause| {
        format!(
            "; it asked not to be called for {}",
            dad_core::format_duration(pause)
        )
    };
    pause.map(reported).unwrap_or_default()
}

fn near(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map(|name| format!(", did you mean `{name}`?"))
        .unwrap_or_default()
}

/// The next thing to do after a refusal, where it is the same for all providers.
fn status_hint(status: u16) -> Option<String> {
    let hint = match status {
        401 => "check the provider's API key",
        402 => "the account has no credit left: add some, or name another model in `models`",
        403 => "the key is not allowed to ask this model: check its rights, and the region of the account",
        404 => "check the name of the model and its `base_url`",
        413 => "the request is larger than the provider takes: shorten the prompt, the context or the files",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Enough of a body to see what the provider means.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 500;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl ModelError {
    /// Without secrets, and with only the beginning of what the provider said. Masked first: what is cut before may end with
    /// a part of a secret that nothing recognises.
    pub(crate) fn masked(mut self, redactor: &Redactor) -> Self {
        let redacted = |said: &mut String| *said = shorten(&redactor.redact(said));
        match &mut self {
            Self::Status {
                body,
                code,
                request_id,
                ..
            } => {
                redacted(body);
                for said in [code, request_id].into_iter().flatten() {
                    redacted(said);
                }
            }
            Self::Answer { reason: said, .. }
            | Self::Connection { reason: said, .. }
            | Self::Cut { reason: said, .. }
            | Self::Redirected { location: said, .. } => redacted(said),
            _ => {}
        }
        self
    }

    /// The same error, of an answer that had begun: unless its tokens were reported, they are not known.
    pub(crate) fn of_begun_answer(mut self) -> Self {
        if let Self::Status { usage, .. } = &mut self {
            *usage = usage.filter(|usage| usage.total_tokens > 0);
        }
        self
    }

    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownModel { .. } => "unknown_model",
            Self::UnknownProvider { .. } => "unknown_provider",
            Self::NoCredentials { .. } => "no_credentials",
            Self::KeyNotAllowed { .. } => "key_not_allowed",
            Self::Status { status: 429, .. } | Self::RateLimited { .. } => "rate_limited",
            Self::Status { .. } => "model_status",
            Self::Redirected { .. } => "model_redirect",
            Self::Connection { .. } | Self::Cut { .. } => "model_connection",
            Self::TimedOut { .. } | Self::Silent { .. } => "model_timeout",
            Self::Offline => "offline",
            Self::Request { .. } => "model_request",
            Self::TooLarge { .. } => "context_window",
            Self::Answer { .. } => "model_answer",
            Self::TooLong { .. } => "answer_too_long",
            Self::NotRecorded { .. } | Self::NotInRun { .. } => "not_recorded",
            Self::FailedInRun { .. } => "model_failed",
            Self::Catalog(_) => "models",
            Self::Unreadable { .. } => "unreadable",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoCredentials { hint, .. } => Some(hint.clone()),
            Self::KeyNotAllowed {
                address,
                file,
                provider,
                ..
            } => {
                let host = address
                    .split_once("://")
                    .map_or(address.as_str(), |(_, host)| host);
                Some(format!(
                    "if the key is meant for this server, allow it in `dhenara/config.yaml` in your configuration \
                     directory ($XDG_CONFIG_HOME, else ~/.config):\nallow_key: [\"{host}\"]\nor write the server's own key into {}:\n{provider}:\n  \
                     api_key: …",
                    file.display()
                ))
            }
            Self::UnknownProvider { .. } => {
                Some("add the provider with its `base_url` to `.dhenara/models.yaml`".to_owned())
            }
            Self::TooLarge { .. } => Some("shorten the parts, or name a model with a larger window in `models`".to_owned()),
            Self::Redirected { .. } => Some(
                "if it is to be asked there, write that as its `base_url` into `.dhenara/models.yaml`"
                    .to_owned(),
            ),
            Self::Status {
                is_exhausted: true, ..
            } => Some("raise the quota or the credit of the account, or name another model in `models`".to_owned()),
            Self::Status { status, .. } => status_hint(*status),
            Self::Offline => Some(
                "give it a client that answers from recorded exchanges, by `Models::offline`; a re-run of it may go online"
                    .to_owned(),
            ),
            Self::Silent { .. } => Some(
                "raise `idle_timeout` in `limits` of the environment in `.dhenara/config.yaml` (600 seconds by default)"
                    .to_owned(),
            ),
            Self::TooLong { .. } => Some(
                "if it is meant to be that long, raise `answer_mib` in `limits` of the environment in `.dhenara/config.yaml`"
                    .to_owned(),
            ),
            Self::NotRecorded { .. } | Self::NotInRun { .. } => {
                Some("record the run again, with the network".to_owned())
            }
            _ => None,
        }
    }

    /// The pause that the provider asked for.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::RateLimited { pause, .. } => Some(*pause),
            _ => None,
        }
    }

    /// The consumption of the call although it failed: none where no provider was reached, and no more than a call where it
    /// was refused. `None` where it is not known, because the provider was called and does not report it.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Self::Answer { usage, .. } => *usage,
            Self::Cut { .. } | Self::TimedOut { .. } | Self::Silent { .. } | Self::TooLong { .. } => None,
            Self::Status { usage, .. } => *usage,
            Self::Redirected { .. } => Some(Usage::default().calls(1)),
            _ => Some(Usage::default()),
        }
    }

    /// Whether another model may be asked instead: everything that is a matter of this one.
    #[must_use]
    pub const fn may_fall_back(&self) -> bool {
        !matches!(
            self,
            Self::NotRecorded { .. }
                | Self::NotInRun { .. }
                | Self::Offline
                | Self::Catalog(_)
                | Self::Unreadable { .. }
                | Self::KeyNotAllowed { .. }
                | Self::TooLong { .. }
        )
    }

    /// Whether asking again may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Status {
                status, is_exhausted, ..
            } => !*is_exhausted && (matches!(*status, 408 | 409 | 429) || *status >= 500),
            Self::RateLimited { .. }
            | Self::Connection { .. }
            | Self::Cut { .. }
            | Self::TimedOut { .. }
            | Self::Silent { .. } => true,
            Self::Answer { may_differ, .. } => *may_differ,
            _ => false,
        }
    }
}
