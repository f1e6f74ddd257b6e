//! A terminal of its own for a program. It gives no answers: whatever the program asks, it reads the end of input.

use std::io;

#[cfg(unix)]
pub(super) use unix::spawn;

/// Columns and rows: what programs take for the size of a terminal of which they know nothing.
#[cfg(unix)]
const SIZE: (u16, u16) = (80, 24);

#[cfg(unix)]
mod unix {
    use std::pin::Pin;
    use std::process::Stdio;
    use std::task::{Context, Poll, ready};
    use std::time::Duration;

    use pty_process::{Pty, Size};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio::process::Command;

    use super::{SIZE, io};
    use crate::process::spawn::Spawned;

    /// The longest time that a program waits for it.
    const BETWEEN_ANSWERS: Duration = Duration::from_secs(1);

    /// Control-D.
    const END_OF_INPUT: &[u8] = &[4];

    /// Starts a program in a session with a terminal. Its input is a pipe, of which the gate reads.
    pub(in crate::process) fn spawn(command: Command) -> io::Result<Spawned> {
        let other = |error: pty_process::Error| match error {
            pty_process::Error::Io(error) => error,
            other => io::Error::other(other),
        };
        let (terminal, side) = pty_process::open().map_err(other)?;
        let (columns, rows) = SIZE;
        terminal.resize(Size::new(rows, columns)).map_err(other)?;
        let command = pty_process::Command::from(command).stdin(Stdio::piped());
        let child = command.spawn(side).map_err(other)?;
        Ok(Spawned {
            child,
            out: Some(Box::new(Screen {
                terminal,
                answers: tokio::time::interval(BETWEEN_ANSWERS),
            })),
            err: None,
        })
    }

    /// The output of a program on its terminal.
    struct Screen {
        terminal: Pty,
        /// When the end of input is typed: a program that asks for a password throws away what was typed before.
        answers: tokio::time::Interval,
    }

    impl AsyncRead for Screen {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            while self.answers.poll_tick(cx).is_ready() {
                // What is full already, or closed, wants no more.
                let written = AsyncWrite::poll_write(Pin::new(&mut self.terminal), cx, END_OF_INPUT);
                drop(written);
            }
            match ready!(Pin::new(&mut self.terminal).poll_read(cx, buffer)) {
                // So Linux says that no program has it open any more.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                    Poll::Ready(Ok(()))
                }
                read => Poll::Ready(read),
            }
        }
    }
}

#[cfg(not(unix))]
pub(super) fn spawn(_: tokio::process::Command) -> io::Result<super::Spawned> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "`pty: true` needs a Unix system",
    ))
}
