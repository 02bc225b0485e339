#!/usr/bin/env python3
"""Changes the code of the protocol, the agent's works and the conductor in one place at a time, and asks the tests.

A copy of the tree is rewritten so that one program holds every change, each behind a switch (`mutants/`); it is compiled once. Each
test is run once alone to see which changes it passes; each change is then put to those of the units that do, the quickest first, what
is left to those of the next program, until one fails that passes without the change. A change that no test notices is printed as a survivor, and the exit code is 1 unless docs/mutants.md
explains it.

Outcomes are kept in target/mutants/outcomes.tsv, so a run that was cut goes on where it was. What survived is asked again, what
was noticed is not: remove the file to begin anew.

  scripts/mutants.py [--list] [--jobs N] [FILE...]
"""

import argparse
import collections
import concurrent.futures
import filecmp
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target/mutants"
TREE = WORK / "tree"
OUTCOMES = WORK / "outcomes.tsv"
PAGE = ROOT / "docs/mutants.md"
CRATE = "executor/src"

# What decides about a migration, and what carries it out.
FILES = ["step.rs", "admit.rs", "admit/*.rs", "agent.rs", "agent/*.rs", "conductor.rs", "conductor/*.rs"]

# The quickest that may notice comes first. Those with real guests are left out: what only they notice is noticed too late.
STAGES = ["decant_executor", "migrations", "model"]

# What runs this much longer than it did unchanged, and so many seconds beside, never ends: it is noticed.
TIMES_MAX, SECONDS_BESIDE = 3, 10

# A change that has something grow for ever takes no more than this (bytes).
MEMORY_MAX = 6 << 30

Mutant = collections.namedtuple("Mutant", "number file line old new")


def key(mutant, nth):
    return f"{mutant.file}\t{mutant.old}\t{mutant.new}\t{nth}"


def named(mutants):
    """Each mutant by what it changes; the same text twice in a file is told apart by its place among them, as lines move."""
    seen = collections.Counter()
    by_key = {}
    for mutant in mutants:
        nth = seen[mutant[1], *mutant[3:]] = seen[mutant[1], *mutant[3:]] + 1
        by_key[key(mutant, nth)] = mutant
    return by_key


def copy_tree():
    """A copy of what git knows, as it is now; where the one before is from now on."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True)
    before = WORK / "before"
    shutil.rmtree(before, ignore_errors=True)
    if TREE.exists():
        TREE.rename(before)
    for name in names.stdout.splitlines():
        if (ROOT / name).exists():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, TREE / name, follow_symlinks=False)
    return before


def keep_times(before):
    """What is in the copy as it was before keeps its time, so that it is not compiled again; all else is of now."""
    for path in TREE.rglob("*"):
        old = before / path.relative_to(TREE)
        if path.is_file():
            same = old.is_file() and filecmp.cmp(path, old, shallow=False)
            changed = old.stat().st_mtime_ns if same else time.time_ns()
            os.utime(path, ns=(changed, changed))


def rewrite(globs):
    """Puts every change into the copy; the list of them."""
    command = ["cargo", "run", "--release", "--quiet", "-p", "decant-mutants", "--manifest-path", ROOT / "Cargo.toml", "--"]
    source = TREE / CRATE
    files = [path for glob in globs for path in sorted(source.glob(glob)) if path.name != "tests.rs"]
    names = [str(path.relative_to(source)) for path in files]
    listed = subprocess.run([*command, *names], cwd=source, check=True, capture_output=True, text=True)
    shutil.copy2(ROOT / "mutants/switch.rs", source / "mutant.rs")
    library = source / "lib.rs"
    library.write_text("#![allow(warnings)]\n" + library.read_text() + "\npub mod mutant;\n")
    (WORK / "list.tsv").write_text(listed.stdout)
    rows = (line.split("\t") for line in listed.stdout.splitlines())
    return [Mutant(int(number), file, int(line), old, new) for number, file, line, old, new in rows]


def compile_once():
    """The test programs of the copy, by name. They have a folder of their own: the compiler takes the copy for the tree itself."""
    command = ["cargo", "test", "--no-run", "--release", "-p", "decant-executor", "--lib", "--test", "migrations", "--test", "model",
               "--config", "profile.release.package.decant-schema.opt-level=0", "--message-format", "json"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(WORK / "build")}
    built = subprocess.run(command, cwd=TREE, env=environment, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        for line in built.stdout.splitlines():
            message = json.loads(line).get("message")
            if isinstance(message, dict) and message["level"] == "error":
                print(message["rendered"], file=sys.stderr)
        sys.exit("the changed copy is no program")
    artifacts = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    programs = {artifact["target"]["name"]: artifact["executable"] for artifact in artifacts if artifact.get("executable")}
    return {stage: programs[stage] for stage in STAGES}


def run(program, test, seconds_max, **environment):
    """What becomes of a test: it `passes`, `fails`, or `never ends`."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    process = subprocess.Popen([program, "--exact", test], cwd=TREE / "executor", env={**os.environ, **environment},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=limit)
    try:
        code = process.wait(seconds_max)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "never ends"
    if code == -signal.SIGTERM:
        sys.exit("somebody ended a test: nothing is concluded from that")
    return "passes" if code == 0 else "fails"


def who_passes(stage, program, jobs):
    """The tests of a program: name, seconds it takes, the changes it passes. They are run again where it was compiled again."""
    file, built = WORK / f"{stage}.json", os.stat(program).st_mtime_ns
    if file.exists():
        kept = json.loads(file.read_text())
        if kept["built"] == built:
            return kept["tests"]
    listed = subprocess.run([program, "--list", "--format", "terse"], check=True, capture_output=True, text=True).stdout
    names = [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]
    folder = WORK / "passed" / stage
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def one(test):
        began, passed = time.monotonic(), folder / test
        if run(program, test, 3600, DECANT_MUTANTS_PASSED=str(passed)) != "passes":
            sys.exit(f"{test} fails without any change")
        return test, time.monotonic() - began, [int(line) for line in passed.read_text().split()] if passed.exists() else []

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        tests = list(pool.map(one, names))
    file.write_text(json.dumps({"built": built, "tests": tests}))
    return tests


def who_notices(mutant, program, tests):
    """The first of these tests that does not pass with a change, and what becomes of it; none if all pass."""
    for test, seconds, passes in sorted(tests, key=lambda test: test[1]):
        if mutant.number not in passes:
            continue
        seconds_max = SECONDS_BESIDE + TIMES_MAX * seconds
        said = run(program, test, seconds_max, DECANT_MUTANT=str(mutant.number))
        if said == "passes":
            continue
        if run(program, test, seconds_max) != "passes":
            sys.exit(f"{test} {said} without any change too: nothing is concluded from that")
        return f"{test} {said}"
    return None


def is_explained(mutant, page):
    cells = (text.replace("|", "\\|") for text in (mutant.file, mutant.old, mutant.new))
    return "| " + " | ".join(f"`{cell}`" for cell in cells) + " |" in page


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="show the changes and end")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many are tried at once")
    parser.add_argument("files", nargs="*", default=FILES, help=f"below {CRATE}, as patterns")
    asked = parser.parse_args()
    before = copy_tree()
    mutants = named(rewrite(asked.files))
    keep_times(before)
    if asked.list:
        for mutant in mutants.values():
            print(*mutant, sep="\t")
        return 0
    programs = compile_once()
    lines = OUTCOMES.read_text().splitlines() if OUTCOMES.exists() else []
    known = dict(line.rsplit("\t", 1) for line in lines)
    left = [name for name in mutants if known.get(name, "survives").startswith("survives")]
    print(f"{len(mutants)} changes, {len(left)} to be asked", flush=True)
    passed = set()
    with OUTCOMES.open("a") as kept:
        for stage, program in programs.items():
            tests = who_passes(stage, program, asked.jobs)
            passed.update(number for _, _, passes in tests for number in passes)
            with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
                waiting = {pool.submit(who_notices, mutants[name], program, tests): name for name in left}
                for done in concurrent.futures.as_completed(waiting):
                    if notices := done.result():
                        name = waiting[done]
                        known[name] = f"noticed by {stage}: {notices}"
                        print(f"{name}\t{known[name]}", file=kept, flush=True)
                        left.remove(name)
            print(f"{stage}: {len(left)} are left", flush=True)
        for name in left:
            known[name] = "survives" if mutants[name].number in passed else "survives, no test comes by"
            print(f"{name}\t{known[name]}", file=kept)
            print(*mutants[name], known[name], sep="\t", flush=True)
    page = PAGE.read_text()
    survivors = [mutant for name, mutant in mutants.items() if known[name].startswith("survives")]
    unexplained = [mutant for mutant in survivors if not is_explained(mutant, page)]
    for outcome, count in sorted(collections.Counter(known[name].split(":")[0] for name in mutants).items()):
        print(f"{outcome}: {count}")
    print(f"explained: {len(survivors) - len(unexplained)}")
    for mutant in unexplained:
        print(f"survives, unexplained: {CRATE}/{mutant.file}:{mutant.line}: `{mutant.old}` as `{mutant.new}`")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
