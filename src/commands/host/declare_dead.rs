//! `decant host declare-dead`: a proof, the name typed once more, and the record of both.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::process::Command;
use std::thread;

use decant_executor::apply::declare_dead;
use decant_schema::id::HostName;
use decant_schema::migration::DeathProof;

use crate::cli::{DeclareDead, Proof};
use crate::commands::{select::Names, site};
use crate::error::{Exit, Failure};
use crate::interrupt::or_interrupted;
use crate::output;

pub(super) fn run(args: &DeclareDead) -> Result<Exit, Failure> {
    let store = site::store(&args.site.store)?;
    let host = known_host(&store, &args.host)?;
    typed_back(&host, args.yes_it_is_dead.as_deref())?;
    let proof = prove(&args.proof)?;
    // One that is not here is not asked: that is what it is dead for.
    let drivers = site::hosts_here(&args.site)?.drivers()?;
    let declaring = declare_dead(&store, &host, proof, drivers.get(&host));
    let death = site::run("declare the host dead", site::BEGINS_AGAIN, declaring)?;
    output::print(&format!(
        "{death}\nIts part of every migration counts as done. When it is back, its stale copies are put aside before anything \
         starts there.\n"
    ))?;
    Ok(Exit::Done)
}

fn known_host(store: &Path, name: &str) -> Result<HostName, Failure> {
    let fleet = site::stored_fleet(store)?;
    let mut names = Names::of(&fleet);
    let host = names.host("HOST", name);
    names.finish()?;
    // Without a host there was an error.
    Ok(host.unwrap_or_else(|| name.into()))
}

/// Whoever is wrong about this loses a disk: the name is asked for twice.
fn typed_back(host: &HostName, typed: Option<&str>) -> Result<(), Failure> {
    let typed = match typed {
        Some(typed) => typed.to_owned(),
        None if io::stdin().is_terminal() => ask(host)?,
        None => {
            let remedy = format!("say so: --yes-it-is-dead {host}");
            return Err(Failure::input("the request", "nobody is there to type the host's name once more", remedy));
        }
    };
    if typed == host.as_str() {
        return Ok(());
    }
    Err(Failure::input("the request", format!("{typed:?} is not {host}"), "type the name of the host that is dead"))
}

fn ask(host: &HostName) -> Result<String, Failure> {
    output::note(&format!("A guest that still runs on {host} and is started elsewhere destroys its disk."));
    output::note("Type the name of the host that is dead:");
    or_interrupted(|| {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        read.map_err(|error| Failure::environment("read the host's name", error))?;
        Ok(line.trim().to_owned())
    })
}

fn prove(proof: &Proof) -> Result<DeathProof, Failure> {
    if let Some(command) = &proof.power_status {
        let answer = read_back(command, "off")?;
        return Ok(DeathProof::PowerOff { command: command.clone(), answer });
    }
    if let Some(command) = &proof.storage_fence {
        let answer = read_back(command, "fenced")?;
        return Ok(DeathProof::StorageFence { command: command.clone(), answer });
    }
    if let Some(lease) = proof.watchdog_lease {
        output::note("waiting until its watchdog's lease has run out");
        // A monotonic clock: one that is set meanwhile does not shorten it.
        or_interrupted(move || {
            thread::sleep(lease.0);
            Ok(())
        })?;
        let lease_ms = u64::try_from(lease.0.as_millis()).unwrap_or(u64::MAX);
        return Ok(DeathProof::WatchdogLease { lease_ms });
    }
    // The command line lets nobody through without one of the four.
    let by = proof.word_of.clone().unwrap_or_default();
    if by.trim().is_empty() {
        return Err(Failure::input("--word-of", "nobody is named", "give your name"));
    }
    Ok(DeathProof::Word { by })
}

/// Runs a command, and returns what it said if its last word is the one that proves it.
fn read_back(command: &str, proves: &str) -> Result<String, Failure> {
    let asked = command.to_owned();
    let output = or_interrupted(move || {
        let output = Command::new("sh").args(["-c", &asked]).output();
        output.map_err(|error| Failure::environment("run the command that proves it", error))
    })?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let last = said.split_whitespace().next_back().unwrap_or_default().trim_end_matches(['.', '!']);
    if output.status.success() && last.eq_ignore_ascii_case(proves) {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let problem = match (output.status.success(), complaint.is_empty()) {
        (true, _) => format!("`{command}` reads back {said:?}, which does not end in `{proves}`"),
        (false, true) => format!("`{command}` failed with {}", output.status),
        (false, false) => format!("`{command}` failed with {}: {complaint}", output.status),
    };
    Err(Failure::input("the proof", problem, "see to the host first; one that may still run is not dead"))
}
