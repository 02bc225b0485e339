//! A command as a whole process: what it took, what it weighed.

use std::process::{Command, Stdio};

/// What a process took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Wall clock, seconds.
    pub(crate) wall_s: f64,
    /// Processor time of the process and its children, seconds.
    pub(crate) cpu_s: f64,
    /// Largest resident set, MiB.
    pub(crate) resident_mb: u64,
    /// Its exit code; `None` if it was killed.
    pub(crate) exit: Option<i32>,
}

/// Runs a command under GNU time and `timeout`, and keeps what it prints away from the table.
pub(crate) fn run(program: &str, arguments: &[&str], limit_s: u64) -> std::io::Result<Cost> {
    let output = Command::new("/usr/bin/time")
        .args(["-q", "-f", "%e %U %S %M", "timeout", &limit_s.to_string(), program])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let figures: Vec<f64> =
        text.lines().last().unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect();
    let [wall_s, user_s, system_s, resident_kb] = figures[..] else {
        return Err(std::io::Error::other(format!("no figures from `time {program}`: {text}")));
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "kilobytes of a process")]
    let resident_mb = (resident_kb / 1024.0) as u64;
    Ok(Cost { wall_s, cpu_s: user_s + system_s, resident_mb, exit: output.status.code() })
}
