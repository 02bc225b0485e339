//! Writes every small change of some source files into them, each behind a switch, so that one program is all mutants.
//!
//! ```text
//! decant-mutants FILE...
//! ```
//!
//! Each file is replaced by one in which every change is there and none is on: what `crate::mutant::on(n)` says decides. The
//! list of the changes goes to stdout, a line each, tab-separated: number (from 1), file, line, what, instead of what.
//! `scripts/mutants.py` does the rest, in a copy of the tree.

mod body;
mod rewrite;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use rewrite::Rewriter;

fn main() -> ExitCode {
    let mut rewriter = Rewriter::default();
    for file in env::args().skip(1) {
        if let Err(error) = rewrite(&mut rewriter, &file) {
            eprintln!("{file}: {error}");
            return ExitCode::FAILURE;
        }
    }
    for (number, mutant) in rewriter.mutants.iter().enumerate() {
        println!("{}\t{}\t{}\t{}\t{}", number + 1, mutant.file, mutant.line, mutant.old, mutant.new);
    }
    ExitCode::SUCCESS
}

fn rewrite(rewriter: &mut Rewriter, file: &str) -> Result<(), String> {
    let path = Path::new(file);
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut tree = syn::parse_file(&text).map_err(|error| error.to_string())?;
    rewriter.rewrite(file, &mut tree);
    fs::write(path, prettyplease::unparse(&tree)).map_err(|error| error.to_string())
}
