//! Builds the lab guest of `guest/` into the library, so that `decant demo` and the tests need no file beside them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

const SOURCES: [&str; 4] = ["boot.S", "machine.c", "disk.c", "payload.c"];

/// A bare 32-bit machine: no library, no position independence, nothing that needs set-up before the first instruction.
const FLAGS: [&str; 13] = [
    "-m32",
    "-march=i686",
    "-mno-sse",
    "-O2",
    "-ffreestanding",
    "-fno-pic",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,-m,elf_i386,--build-id=none,-z,noexecstack",
    "-Wl,-T,payload.ld",
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=../guest");
    println!("cargo::rerun-if-env-changed=DECANT_GUEST_CC");
    let Some(out) = env::var_os("OUT_DIR") else { return Err(io::Error::other("cargo did not set OUT_DIR")) };
    let payload = PathBuf::from(out).join("payload.elf");
    if let Err(reason) = compile(&payload) {
        // A machine without a 32-bit x86 compiler still gets everything but the lab, which then says so.
        println!("cargo::warning=no lab guest, `decant demo` will not run: {reason}");
        fs::write(&payload, b"")?;
    }
    Ok(())
}

fn compile(payload: &Path) -> Result<(), String> {
    let compiler = env::var("DECANT_GUEST_CC").unwrap_or_else(|_| "gcc".to_owned());
    let output = Command::new(&compiler)
        .current_dir("../guest")
        .args(FLAGS)
        .arg("-o")
        .arg(payload)
        .args(SOURCES)
        .output()
        .map_err(|error| format!("{compiler}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).replace('\n', "; ")) }
}
