//! `decant demo`: see it work on this machine.

use crate::demo;
use crate::error::{Exit, Failure};
use crate::output;

pub(super) fn run() -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Runtime::new();
    let runtime = runtime.map_err(|error| Failure::environment("start the runtime", error))?;
    let account = runtime.block_on(demo::demo())?;
    output::print(&account.to_text())?;
    Ok(if account.is_clean() { Exit::Done } else { Exit::Environment })
}
