//! `decant demo`: see it work on this machine.

use crate::demo;
use crate::error::{Exit, Failure};
use crate::output;

pub(super) fn run() -> Result<Exit, Failure> {
    let account = demo::demo()?;
    output::print(&account.to_text())?;
    Ok(if account.is_clean() { Exit::Done } else { Exit::Environment })
}
