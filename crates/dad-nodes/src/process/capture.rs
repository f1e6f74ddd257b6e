//! The output of a program, redacted and kept as far as there is room.

use dad_core::{SecretRegistry, StreamRedactor};
use dad_fs::{AppendFile, Dir};
use dad_run::layout::{STDERR, STDOUT};
use dad_runner::NodeError;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The size of an output's beginning and of its end in a result, in bytes; the log files hold all of it.
pub(super) const CAPTURE_BYTES: usize = 128 * 1024;

/// The code of an output that is too long.
pub(crate) const OUTPUT_TOO_LONG: &str = "output_too_long";

/// Files that output is streamed to.
pub(crate) struct Logs {
    pub(super) stdout: AppendFile,
    pub(super) stderr: AppendFile,
    /// Whether each ends in the midst of a line.
    pub(super) has_open_line: [bool; 2],
}

impl Logs {
    /// Those of a step, in its directory.
    pub(crate) fn of_step(dir: &Dir) -> Result<Self, NodeError> {
        Ok(Self {
            stdout: dir.append(STDOUT)?,
            stderr: dir.append(STDERR)?,
            has_open_line: [false; 2],
        })
    }

    /// Ends lines that a program has left open, so that what another one prints begins on a line of its own.
    pub(super) fn end_lines(&mut self) -> Result<(), NodeError> {
        for (log, is_open) in [&mut self.stdout, &mut self.stderr]
            .into_iter()
            .zip(self.has_open_line)
        {
            if is_open {
                log.append(b"\n")?;
            }
        }
        Ok(())
    }
}

/// Streams a pipe to its log, secrets masked, and keeps the beginning and the end.
pub(super) struct Capture<'a, P> {
    pub(super) pipe: Option<P>,
    pub(super) masked: StreamRedactor,
    pub(super) output: Output<'a>,
    /// Bytes of a character that was cut.
    pub(super) carry: Vec<u8>,
}

/// The destinations of an output.
pub(super) struct Output<'a> {
    pub(super) log: &'a mut AppendFile,
    pub(super) kept: Kept,
    /// The largest number of bytes of the log, and whether there were more.
    pub(super) longest: u64,
    is_full: bool,
}

impl<'a, P: AsyncRead + Unpin> Capture<'a, P> {
    pub(super) fn new(
        pipe: Option<P>,
        log: &'a mut AppendFile,
        longest: u64,
        secrets: &SecretRegistry,
    ) -> Self {
        Self {
            pipe,
            masked: secrets.stream(),
            output: Output {
                log,
                kept: Kept::default(),
                longest,
                is_full: false,
            },
            carry: Vec::new(),
        }
    }

    /// Reads to the end of the pipe. The part that was read stays if the rest is not waited for.
    ///
    /// # Errors
    /// [`OUTPUT_TOO_LONG`] when there is more than is kept.
    pub(super) async fn read(&mut self) -> Result<(), NodeError> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let mut buffer = vec![0; 32 * 1024];
        loop {
            let read = pipe
                .read(&mut buffer)
                .await
                .map_err(|error| NodeError::from_error("command", &error))?;
            if read == 0 {
                return Ok(());
            }
            self.carry.extend_from_slice(&buffer[..read]);
            let text = self.masked.push(&take_text(&mut self.carry));
            self.output.keep(&text)?;
            if self.output.is_full {
                return Err(NodeError::new(OUTPUT_TOO_LONG, "a program prints too much"));
            }
        }
    }

    pub(super) fn finish(mut self, whole: bool) -> Result<(String, u64), NodeError> {
        let mut last = self.masked.push(&String::from_utf8_lossy(&self.carry));
        last += &match whole {
            true => self.masked.finish(),
            false => self.masked.finish_cut(),
        };
        if !last.is_empty() && !self.output.is_full {
            self.output.keep(&last)?;
        }
        let len = self.output.kept.len;
        Ok((self.output.kept.into_text(), len))
    }
}

impl Output<'_> {
    /// Keeps a text as far as there is room, and says so behind the last that is kept.
    pub(super) fn keep(&mut self, text: &str) -> Result<(), NodeError> {
        let left = self.longest.saturating_sub(self.kept.len);
        let mut room = usize::try_from(left).unwrap_or(usize::MAX).min(text.len());
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        self.add(&text[..room])?;
        if room < text.len() {
            self.is_full = true;
            let note = format!(
                "\n… cut at {} bytes, the limit of `output_mib` …\n",
                self.kept.len
            );
            self.add(&note)?;
        }
        Ok(())
    }

    pub(super) fn add(&mut self, text: &str) -> Result<(), NodeError> {
        self.log.append(text.as_bytes())?;
        self.kept.push(text);
        Ok(())
    }
}

/// Takes all whole characters off the front; the bytes of one that was cut stay.
pub(super) fn take_text(bytes: &mut Vec<u8>) -> String {
    let whole = match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => bytes.len(),
    };
    let rest = bytes.split_off(whole);
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = rest;
    text
}

/// The beginning and the end of a text of any length.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) head: String,
    tail: std::collections::VecDeque<u8>,
    pub(super) len: u64,
}

impl Kept {
    pub(super) fn push(&mut self, text: &str) {
        self.len += text.len() as u64;
        let mut room = (2 * CAPTURE_BYTES)
            .saturating_sub(self.head.len())
            .min(text.len());
        if !self.tail.is_empty() {
            room = 0;
        }
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        self.head.push_str(&text[..room]);
        let rest = &text.as_bytes()[room..];
        self.tail
            .extend(&rest[rest.len().saturating_sub(CAPTURE_BYTES)..]);
        let surplus = self.tail.len().saturating_sub(CAPTURE_BYTES);
        self.tail.drain(..surplus);
    }

    pub(super) fn into_text(self) -> String {
        if self.tail.is_empty() {
            return self.head;
        }
        let mut cut = CAPTURE_BYTES;
        while !self.head.is_char_boundary(cut) {
            cut -= 1;
        }
        // What the head holds beyond its share belongs to the end.
        let end: Vec<u8> = self.head.as_bytes()[cut..]
            .iter()
            .copied()
            .chain(self.tail)
            .collect();
        let end = &end[end.len().saturating_sub(CAPTURE_BYTES)..];
        let end = String::from_utf8_lossy(end);
        let left_out = self.len - (cut + end.len()) as u64;
        format!(
            "{}\n… {left_out} of {} bytes left out …\n{end}",
            &self.head[..cut],
            self.len
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_output_keeps_its_beginning_and_its_end() {
        let mut kept = Kept::default();
        let line = "0123456789é\n";
        for _ in 0..100_000 {
            kept.push(line);
        }
        kept.push("the end");
        let text = kept.into_text();
        assert!(text.len() < 2 * CAPTURE_BYTES + 100, "{}", text.len());
        assert!(text.starts_with(line) && text.ends_with("the end"));
        assert!(
            text.contains("of 1300007 bytes left out"),
            "the true length is reported"
        );
        let mut short = Kept::default();
        short.push("short");
        assert_eq!(short.into_text(), "short");
    }

    #[test]
    fn a_cut_character_waits_for_its_rest() {
        let mut bytes = "aé".as_bytes()[..2].to_vec();
        assert_eq!(take_text(&mut bytes), "a");
        bytes.extend(&"é".as_bytes()[1..]);
        assert_eq!(take_text(&mut bytes), "é");
        assert!(bytes.is_empty());
    }
}
