//! Which change is on. This file goes into the copy of the crate that `decant-mutants` has rewritten.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

const COUNT_MAX: usize = 1 << 14;

static CHOSEN: LazyLock<usize> =
    LazyLock::new(|| env::var("DECANT_MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0));

static PASSED: LazyLock<Option<Vec<AtomicBool>>> = LazyLock::new(|| {
    env::var_os("DECANT_MUTANTS_PASSED").map(|_| (0..COUNT_MAX).map(|_| AtomicBool::new(false)).collect())
});

/// Whether this change is on: none but `DECANT_MUTANT`. The number of each that is asked for is added to the file
/// `DECANT_MUTANTS_PASSED`, where there is one.
pub fn on(number: usize) -> bool {
    if let Some(passed) = &*PASSED
        && !passed[number].swap(true, Ordering::Relaxed)
    {
        let path = env::var_os("DECANT_MUTANTS_PASSED").expect("it was there");
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file to write to");
        file.write_all(format!("{number}\n").as_bytes()).expect("room for a line");
    }
    *CHOSEN == number
}
