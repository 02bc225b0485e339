#!/usr/bin/env python3
"""Changes the code of the protocol, the agent's works and the conductor in one place at a time, and asks the tests.

A change that no test notices is printed as a survivor, and the exit code is 1 unless docs/mutants.md explains it. Outcomes are kept in
target/mutants/outcomes.tsv, so a run that was cut goes on where it was; remove the file to begin anew.

  scripts/mutants.py [--list] [--sample N] [--seed S] [FILE...]
"""

import argparse
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target/mutants"
TREE = WORK / "tree"
OUTCOMES = WORK / "outcomes.tsv"
PAGE = ROOT / "docs/mutants.md"

# What decides about a migration, and what carries it out.
FILES = ["executor/src/step.rs", "executor/src/admit.rs", "executor/src/admit/*.rs", "executor/src/agent/*.rs",
         "executor/src/conductor.rs", "executor/src/conductor/*.rs"]

# The quickest that may notice comes first. Those with real guests are left out: what only they notice is noticed too late.
STAGES = [["--lib"], ["--test", "model"], ["--test", "migrations"]]

# A mutant that runs longer than any of the tests does is one that never ends: it is noticed.
SECONDS_MAX = 600

OPERATORS = [(r" == ", " != "), (r" != ", " == "), (r" && ", " || "), (r" \|\| ", " && "), (r" < ", " <= "), (r" <= ", " < "),
             (r" > ", " >= "), (r" >= ", " > "), (r"\bif !", "if "), (r"(?<!!)\bmatches!\(", "!matches!(")]
GUARD = re.compile(r" if (?!let )[^{}]+? =>")
STATEMENT = re.compile(r"^\s+(?!let |return|Ok|Err|use |//).*(\.await\?|\.push\(.*\)|\.insert\(.*\)|\.extend\(.*\)|\)\?);$")


def mutants_of(path):
    """Every change of one file: line number, the line as it is, the line instead."""
    lines = (ROOT / path).read_text().splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip() == "#[cfg(test)]":
            return
        if line.strip().startswith("//"):
            continue
        instead = [line[:at.start()] + new + line[at.end():] for old, new in OPERATORS for at in re.finditer(old, line)]
        instead += [GUARD.sub(f" if {word} =>", line, count=1) for word in ("true", "false") if GUARD.search(line)]
        if STATEMENT.match(line):
            instead.append("")
        for new in instead:
            yield number, line, new


def all_mutants(globs):
    for glob in globs:
        for path in sorted(ROOT.glob(glob)):
            if path.name != "tests.rs":
                for number, old, new in mutants_of(path.relative_to(ROOT)):
                    yield str(path.relative_to(ROOT)), number, old, new


def cargo(arguments):
    unoptimised = [f"--config=profile.release.package.{name}.opt-level=0" for name in ("decant-schema", "decant-executor")]
    environment = {"CARGO_TARGET_DIR": str(WORK / "build"), "CARGO_INCREMENTAL": "1", **os.environ}
    command = ["cargo", *arguments, "--release", "--quiet", "-p", "decant-executor", *unoptimised]
    try:
        done = subprocess.run(command, cwd=TREE, env=environment, timeout=SECONDS_MAX, capture_output=True)
        return done.returncode == 0
    except subprocess.TimeoutExpired:
        return False


def outcome_of(path, number, new):
    """What the tests say of one mutant."""
    file = TREE / path
    original = file.read_text()
    lines = original.splitlines()
    lines[number - 1] = new
    file.write_text("\n".join(lines) + "\n")
    try:
        for stage in STAGES:
            if not cargo(["test", "--no-run", *stage]):
                return "no program"
            if not cargo(["test", *stage]):
                return "noticed by " + stage[-1].lstrip("-")
        return "survives"
    finally:
        file.write_text(original)


def copy_tree():
    shutil.rmtree(TREE, ignore_errors=True)
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    for name in names:
        (TREE / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, TREE / name, follow_symlinks=False)


def key(mutant):
    path, number, old, new = mutant
    return f"{path}\t{number}\t{old.strip()}\t{new.strip() or '(left out)'}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", nargs="*", default=FILES)
    asked = parser.parse_args()
    mutants = list(all_mutants(asked.files))
    if asked.sample is not None and asked.sample < len(mutants):
        mutants = random.Random(asked.seed).sample(mutants, asked.sample)
    if asked.list:
        print("\n".join(key(mutant) for mutant in mutants))
        return 0
    copy_tree()
    if not all(cargo(["test", *stage]) for stage in STAGES):
        sys.exit("the tests fail without any change, or take too long")
    known = dict(line.rsplit("\t", 1) for line in OUTCOMES.read_text().splitlines()) if OUTCOMES.exists() else {}
    with OUTCOMES.open("a") as kept:
        for mutant in mutants:
            if key(mutant) not in known:
                path, number, _, new = mutant
                known[key(mutant)] = outcome_of(path, number, new)
                print(f"{key(mutant)}\t{known[key(mutant)]}", file=kept, flush=True)
                print(f"{known[key(mutant)]}: {path}:{number}: {new.strip() or '(left out)'}", flush=True)
    came = [known[key(mutant)] for mutant in mutants]
    explained = PAGE.read_text()
    unexplained = [mutant for mutant in mutants
                   if known[key(mutant)] == "survives" and f"`{mutant[3].strip() or mutant[2].strip()}`" not in explained]
    print({outcome: came.count(outcome) for outcome in sorted(set(came))})
    for path, number, old, new in unexplained:
        print(f"survives, unexplained: {path}:{number}: `{old.strip()}` as `{new.strip() or '(left out)'}`")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
