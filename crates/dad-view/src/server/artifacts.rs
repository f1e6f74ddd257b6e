//! The files of steps, byte by byte: those that a record names, and as it names them.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use dad_core::{ArtifactRef, HierarchyPath};
use dad_run::RunView;
use futures_util::stream;
use serde::Deserialize;

use super::error::ApiError;
use super::nodes::not_reached;
use super::params::{RunName, Words};
use super::state::{Shared, Viewer};

/// The bytes of a file that are in memory at a time.
const CHUNK: u64 = 256 * 1024;

#[derive(Deserialize)]
pub(super) struct File {
    path: HierarchyPath,
    name: String,
}

pub(super) async fn artifact(
    State(view): Shared,
    RunName(run): RunName,
    Words(file): Words<File>,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let path = file.path.clone();
    let step = view.in_run(run, move |index| Ok(index.step(&path)?)).await?;
    let step = step.ok_or_else(|| not_reached(&file.path))?;
    let name = file.name.clone();
    let (opened, artifact) = view
        .blocking(move |view| view.recorded(&step.view, &file.path, &name))
        .await?;
    let asked = headers.get(header::RANGE);
    let range = asked
        .map(|asked| range_of(asked, artifact.len))
        .transpose()?
        .flatten();
    let (from, to) = range.unwrap_or((0, artifact.len));
    let body = Body::from_stream(chunks(Arc::clone(&view), opened, from, to));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let own = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, own("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, attachment(&artifact.name));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        own("sandbox; default-src 'none'"),
    );
    headers.insert(header::ACCEPT_RANGES, own("bytes"));
    headers.insert(header::CONTENT_LENGTH, (to - from).into());
    if range.is_some() {
        let last = to.saturating_sub(1);
        if let Ok(value) = HeaderValue::from_str(&format!("bytes {from}-{last}/{}", artifact.len)) {
            headers.insert(header::CONTENT_RANGE, value);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

impl Viewer {
    /// Opens a file of a step, once it is certain that it is the one that was recorded.
    fn recorded(
        &self,
        run: &RunView,
        path: &HierarchyPath,
        name: &str,
    ) -> Result<(std::fs::File, ArtifactRef), ApiError> {
        let step = run.step(path);
        let artifacts = step
            .map(|step| run.artifacts(step))
            .transpose()?
            .unwrap_or_default();
        let found = artifacts.into_iter().find(|artifact| artifact.name == name);
        let artifact = found
            .ok_or_else(|| ApiError::not_found(format!("no record names a file `{name}` of `{path}`")))?;
        let file = self.checked.open(run, path, &artifact)?;
        Ok((file, artifact))
    }
}

/// The name that a browser keeps the file under: its last part, in letters that no header misreads.
fn attachment(name: &str) -> HeaderValue {
    let last = name.rsplit('/').next().unwrap_or(name);
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = last.chars().map(plain).collect();
    HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

/// The first byte that is asked for and the one behind the last; `None` for what is no range of bytes, or several.
fn range_of(asked: &HeaderValue, len: u64) -> Result<Option<(u64, u64)>, ApiError> {
    let text = asked.to_str().unwrap_or_default();
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Ok(None);
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) => (first, last.saturating_add(1).min(len)),
        (Ok(first), Err(_)) if last.is_empty() => (first, len),
        (Err(_), Ok(count)) if first.is_empty() => (len.saturating_sub(count), len),
        _ => return Ok(None),
    };
    if range.0 >= range.1 {
        let message = format!("the file has {len} bytes; `{text}` are none of them");
        return Err(ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "range", message));
    }
    Ok(Some(range))
}

/// The bytes of a file, read as the client takes them.
fn chunks(
    view: Arc<Viewer>,
    file: std::fs::File,
    from: u64,
    to: u64,
) -> impl stream::Stream<Item = std::io::Result<Bytes>> {
    stream::try_unfold((Some(file), from), move |(file, from)| {
        let view = Arc::clone(&view);
        async move {
            let Some(file) = file.filter(|_| from < to) else {
                return Ok(None);
            };
            let read = view
                .blocking(move |_| Ok(read_at(file, from, CHUNK.min(to - from))))
                .await;
            let (file, bytes) = read.map_err(|_| std::io::Error::other("the file cannot be read"))??;
            if bytes.is_empty() {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
            }
            let next = from + bytes.len() as u64;
            Ok(Some((Bytes::from(bytes), (Some(file), next))))
        }
    })
}

fn read_at(mut file: std::fs::File, from: u64, most: u64) -> std::io::Result<(std::fs::File, Vec<u8>)> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    (&mut file).take(most).read_to_end(&mut bytes)?;
    Ok((file, bytes))
}
