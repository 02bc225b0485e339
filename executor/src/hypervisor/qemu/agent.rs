//! The agent in a guest (QEMU Guest Agent Protocol), as far as it shows that its guest lives: it is asked to say a number.
//!
//! The channel is a socket beside the copy's files. What comes from it was written by a guest, so no more than an answer's
//! length is read, and nothing but that number counts.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;
use uuid::Uuid;

use crate::layout::{CopyFolder, SocketPath};

/// The channel's socket, in the copy's folder.
pub(super) const SOCKET: &str = "agent.sock";

/// The name by which an agent finds its channel in the guest.
pub const CHANNEL: &str = "org.qemu.guest_agent.0";

/// How long an agent may take to answer: one that lives takes milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The most that is read of a channel, bytes: answers to others that were never fetched may come first.
const READ_MAX: u64 = 64 << 10;

/// No byte of UTF-8: it ends whatever half a message came before, both ways (guest-sync-delimited).
const DELIMITER: u8 = 0xFF;

/// Why the agent of a guest has not answered; none if it has.
pub(super) async fn silence(copy: &CopyFolder) -> Option<String> {
    match timeout(ANSWER_MAX, answers(copy)).await {
        Ok(Ok(true)) => None,
        Ok(Ok(false)) => Some("its agent says something else than it was asked for".to_owned()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Some("its machine has no channel for an agent".to_owned())
        }
        Ok(Err(error)) => Some(format!("its agent cannot be asked: {error}")),
        Err(_) => Some("its agent does not answer".to_owned()),
    }
}

/// Whether the agent says the number it was asked for.
async fn answers(copy: &CopyFolder) -> io::Result<bool> {
    let socket = SocketPath::of(&copy.path(), SOCKET)?;
    let mut stream = UnixStream::connect(socket.path()).await?;
    // Nobody else's: an answer that an earlier client did not fetch has another.
    let number = Uuid::now_v7().as_u64_pair().1 >> 32;
    let order = json!({ "execute": "guest-sync-delimited", "arguments": { "id": number } });
    stream.write_all(&[DELIMITER]).await?;
    stream.write_all(format!("{order}\n").as_bytes()).await?;
    let mut channel = BufReader::new(stream.take(READ_MAX));
    loop {
        let mut message = Vec::new();
        if channel.read_until(b'\n', &mut message).await? == 0 {
            return Ok(false);
        }
        let begins = message.iter().rposition(|byte| *byte == DELIMITER).map_or(0, |at| at + 1);
        let answer: Option<Value> = serde_json::from_slice(&message[begins..]).ok();
        if answer.is_some_and(|answer| answer["return"] == number) {
            return Ok(true);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use tokio::io::AsyncWriteExt;
    use tokio::net::UnixListener;

    use super::*;
    use crate::hypervisor::qemu::scripted::copy;

    /// QEMU's own agent, listening where the channel of a guest would be.
    struct Agent(Child);

    impl Agent {
        fn at(copy: &CopyFolder) -> Option<Self> {
            let (socket, state) = (copy.join(SOCKET), copy.path());
            let mut agent = Command::new("qemu-ga");
            agent.args(["--method", "unix-listen", "--path"]).arg(&socket).arg("--statedir").arg(&state);
            let agent = agent.env("PATH", "/usr/bin:/usr/sbin").stdin(Stdio::null()).stderr(Stdio::null()).spawn();
            let agent = match agent {
                Ok(agent) => Self(agent),
                Err(error) => {
                    println!("skipped: qemu-ga cannot be run: {error}");
                    return None;
                }
            };
            let end = Instant::now() + Duration::from_secs(60);
            while !socket.exists() {
                assert!(Instant::now() < end, "it does not listen");
                std::thread::sleep(Duration::from_millis(10));
            }
            Some(agent)
        }
    }

    impl Drop for Agent {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[tokio::test]
    async fn an_agent_that_runs_shows_that_its_guest_lives_every_time_it_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copy(folder.path());
        let silent = silence(&copy).await.unwrap();
        assert!(silent.contains("no channel"), "{silent}");
        let Some(agent) = Agent::at(&copy) else { return };
        for _ in 0..3 {
            assert_eq!(silence(&copy).await, None);
        }
        drop(agent);
        let silent = silence(&copy).await.unwrap();
        assert!(silent.contains("cannot be asked"), "{silent}");
    }

    #[tokio::test]
    async fn a_channel_nobody_reads_and_one_that_says_anything_are_no_signs_of_life() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copy(folder.path());
        let listener = UnixListener::bind(copy.join(SOCKET)).unwrap();
        assert_eq!(silence(&copy).await.unwrap(), "its agent does not answer");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // It hangs up on whoever reads no further.
                while stream.write_all(b"{\"return\": 7}\n").await.is_ok() {}
            }
        });
        assert_eq!(silence(&copy).await.unwrap(), "its agent says something else than it was asked for");
    }
}
