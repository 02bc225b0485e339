//! A client of QEMU's machine protocol (QMP): one JSON command a line, answered in order, events in between.
//!
//! QEMU serves one client at a time and lets a second one wait without a word, so a client is made for one call of
//! the driver and dropped with it, and every wait has an end.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::layout::SocketPath;

/// QEMU answers at once unless its disk is stuck; beyond this the guest is not in our hands.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Why QEMU did not do what it was told.
#[derive(Debug, Error)]
pub(super) enum QmpError {
    /// The command was understood and refused.
    #[error("{command}: {detail}")]
    Refused {
        command: String,
        /// QEMU's name for the kind of error, as `GenericError`.
        class: String,
        detail: String,
    },
    /// The connection ended, or never was.
    #[error("speak to qemu: {0}")]
    Lost(#[from] io::Error),
    /// No answer in time.
    #[error("{command}: no answer within {} s", ANSWER_MAX.as_secs())]
    Silent { command: String },
    /// An answer that is not the protocol.
    #[error("{command}: unexpected answer {answer}")]
    Garbled { command: String, answer: String },
}

/// A connection to one guest's QEMU.
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to the socket `name` in `folder`, however long the folder's path is.
    pub(super) async fn connect(folder: &Path, name: &str) -> Result<Self, QmpError> {
        let socket = SocketPath::of(folder, name)?;
        let stream = BufReader::new(UnixStream::connect(socket.path()).await?);
        let mut qmp = Self { stream };
        let silent = |_| QmpError::Silent { command: "greeting".to_owned() };
        let greeting = timeout(ANSWER_MAX, qmp.read()).await.map_err(silent)??;
        if greeting.get("QMP").is_none() {
            return Err(QmpError::Garbled { command: "greeting".to_owned(), answer: greeting.to_string() });
        }
        qmp.execute("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Runs a command and returns its answer; events before it are dropped.
    pub(super) async fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        self.within(command, async |qmp| Ok(qmp.stream.get_mut().write_all(line.as_bytes()).await?)).await
    }

    /// Gives QEMU a file of ours under a name that later commands use as `fd:name`.
    pub(super) async fn give(&mut self, name: &str, file: BorrowedFd<'_>) -> Result<(), QmpError> {
        let line = format!("{}\n", json!({ "execute": "getfd", "arguments": { "fdname": name } }));
        let send = async |qmp: &mut Self| Ok(send_with(qmp.stream.get_ref(), line.as_bytes(), file).await?);
        self.within("getfd", send).await.map(drop)
    }

    async fn within(
        &mut self,
        command: &str,
        send: impl AsyncFnOnce(&mut Self) -> Result<(), QmpError>,
    ) -> Result<Value, QmpError> {
        let silent = |_| QmpError::Silent { command: command.to_owned() };
        timeout(ANSWER_MAX, async {
            send(self).await?;
            self.answer(command).await
        })
        .await
        .map_err(silent)?
    }

    async fn answer(&mut self, command: &str) -> Result<Value, QmpError> {
        loop {
            let mut message = self.read().await?;
            if let Some(answer) = message.get_mut("return") {
                return Ok(answer.take());
            }
            if let Some(error) = message.get("error") {
                let text = |name| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let (class, detail) = (text("class"), text("desc"));
                return Err(QmpError::Refused { command: command.to_owned(), class, detail });
            }
        }
    }

    async fn read(&mut self) -> Result<Value, QmpError> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(QmpError::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let garbled = |_| QmpError::Garbled { command: "reading".to_owned(), answer: line.clone() };
        serde_json::from_str(&line).map_err(garbled)
    }
}

/// Sends bytes together with a file descriptor; QEMU connects the two by their order.
async fn send_with(stream: &UnixStream, bytes: &[u8], file: BorrowedFd<'_>) -> io::Result<()> {
    let files = [file];
    let sent = stream
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            ancillary.push(SendAncillaryMessage::ScmRights(&files));
            Ok(sendmsg(stream.as_fd(), &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?)
        })
        .await?;
    // The command is far shorter than a socket's buffer; a part of it would leave the protocol out of step.
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    /// A QEMU that answers from a script, one line for each line it reads.
    async fn scripted(folder: &Path, answers: &'static [&'static str]) {
        let listener = UnixListener::bind(folder.join("qmp.sock")).unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            stream.get_mut().write_all(b"{\"QMP\": {}}\n").await.unwrap();
            for answer in answers {
                stream.read_line(&mut String::new()).await.unwrap();
                stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }

    #[tokio::test]
    async fn events_before_the_answer_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let answer = "{\"event\": \"STOP\"}\n{\"return\": {\"status\": \"running\"}}\n";
        scripted(folder.path(), Box::leak(Box::new(["{\"return\": {}}\n", answer]))).await;
        let mut qmp = Qmp::connect(folder.path(), "qmp.sock").await.unwrap();
        assert_eq!(qmp.execute("query-status", json!({})).await.unwrap()["status"], "running");
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_words_and_an_end_of_the_line_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such job\"}}\n";
        scripted(folder.path(), Box::leak(Box::new(["{\"return\": {}}\n", refusal]))).await;
        let mut qmp = Qmp::connect(folder.path(), "qmp.sock").await.unwrap();
        let error = qmp.execute("job-complete", json!({})).await.unwrap_err();
        assert_eq!(error.to_string(), "job-complete: no such job");
        assert!(matches!(qmp.execute("quit", json!({})).await, Err(QmpError::Lost(_))));
    }
}
