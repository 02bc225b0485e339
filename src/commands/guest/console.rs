//! `decant guest console`: a guest's serial line, at a terminal or as a log.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use decant_executor::layout::CopyFolder;

use super::known;
use crate::cli;
use crate::commands::site;
use crate::error::{Exit, Failure};
use crate::interrupt::or_interrupted;
use crate::output;

/// Ctrl-]: what telnet and virsh detach by; no shell and no editor uses it.
const DETACH: u8 = 0x1d;

/// How often a log is looked at for more: soon enough for a person.
const FOLLOW_PAUSE: Duration = Duration::from_millis(100);

/// How much of a log is kept in hand at once, bytes.
const CHUNK: usize = 64 << 10;

pub(super) fn run(args: &cli::Console) -> Result<Exit, Failure> {
    let (instance, host) = known(&args.site, &args.instance)?;
    let copy = site::hosts(&args.site, &[host.clone()].into())?.copy(&host, &instance)?;
    let failed = |error: io::Error| Failure::environment(format!("read the console of {instance}"), error);
    if args.print {
        return pass_on(&mut open(&copy)?).map_err(failed).map(|()| Exit::Done);
    }
    match attach_to(&copy) {
        Some(stream) => attach(stream).map_err(failed)?,
        None => or_interrupted(move || {
            follow(open(&copy)?).map_err(|error| Failure::environment("follow the console", error))
        })?,
    }
    Ok(Exit::Done)
}

fn open(copy: &CopyFolder) -> Result<File, Failure> {
    let path = copy.console();
    File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::input("INSTANCE", "it has not said anything here yet", "start it first"),
        _ => Failure::environment(format!("read {}", path.display()), error),
    })
}

/// Its serial line, if it is a socket somebody listens at.
fn attach_to(copy: &CopyFolder) -> Option<UnixStream> {
    copy.connect_to_console().ok()
}

/// Both ways until somebody detaches or the guest ends.
fn attach(stream: UnixStream) -> io::Result<()> {
    output::note("Attached; Ctrl-] detaches.");
    let _raw = Raw::terminal()?;
    let (mut says, mut hears) = (stream.try_clone()?, stream);
    thread::spawn(move || {
        // An end of what is typed, a detaching and a line that broke all end the connection, and with it the other way.
        let _ended = type_into(&mut hears);
        let _gone = hears.shutdown(Shutdown::Both);
    });
    pass_on(&mut says)
}

fn type_into(line: &mut UnixStream) -> io::Result<()> {
    let mut typed = [0; 256];
    loop {
        let count = io::stdin().lock().read(&mut typed)?;
        let keys = &typed[..count];
        match keys.iter().position(|key| *key == DETACH) {
            Some(at) => return line.write_all(&keys[..at]),
            None if keys.is_empty() => return Ok(()),
            None => line.write_all(keys)?,
        }
    }
}

/// What is there of it, as it is.
fn pass_on(from: &mut impl Read) -> io::Result<()> {
    let (mut said, mut out) = (vec![0; CHUNK], io::stdout().lock());
    loop {
        match from.read(&mut said) {
            Ok(0) => return out.flush(),
            Ok(count) => out.write_all(&said[..count]).and_then(|()| out.flush())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn follow(mut log: File) -> io::Result<()> {
    log.seek(SeekFrom::Start(0))?;
    loop {
        pass_on(&mut log)?;
        thread::sleep(FOLLOW_PAUSE);
    }
}

/// A terminal that passes every key on; as it was before once this is dropped.
struct Raw(Option<String>);

impl Raw {
    fn terminal() -> io::Result<Self> {
        if !io::stdin().is_terminal() {
            return Ok(Self(None));
        }
        let before = stty(&["-g"])?;
        stty(&["raw", "-echo"])?;
        Ok(Self(Some(before.trim().to_owned())))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // Nobody is left to tell if the terminal is gone.
            let _ = stty(&[before]);
        }
    }
}

fn stty(words: &[&str]) -> io::Result<String> {
    let said = Command::new("stty").args(words).stdin(Stdio::inherit()).output()?;
    if said.status.success() {
        return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
    }
    Err(io::Error::other(String::from_utf8_lossy(&said.stderr).trim().to_owned()))
}
