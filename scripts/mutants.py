#!/usr/bin/env python3
"""Changes the code of the protocol, the agent's works and the conductor in one place at a time, and asks the tests.

A copy of the tree is rewritten so that one program holds every change, each behind a switch (`mutants/`); it is compiled once. Each
test is run once alone to see which changes it passes; a change is then put to those that do, until one fails. A change that no test
notices is printed as a survivor, and the exit code is 1 unless docs/mutants.md explains it.

Outcomes are kept in target/mutants/outcomes.tsv, so a run that was cut goes on where it was. What survived is asked again, what
was noticed is not: remove the file to begin anew.

  scripts/mutants.py [--list] [--jobs N] [FILE...]
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import threading
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
TIMES_MAX, SECONDS_BESIDE = 3, 20

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
    """A copy of what git knows, as it is now; what has not changed keeps its time, so that it is not compiled again."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True)
    shutil.rmtree(TREE, ignore_errors=True)
    for name in names.stdout.splitlines():
        if (ROOT / name).exists():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, TREE / name, follow_symlinks=False)


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


def run(program, tests, seconds_max, **environment):
    """Whether all these tests of one program pass. The first that fails ends the others."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    process = subprocess.Popen([program, "--exact", "--test-threads", "1", *tests], cwd=TREE / "executor", text=True,
                               env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               start_new_session=True, preexec_fn=limit)
    late = threading.Timer(seconds_max, os.killpg, [process.pid, signal.SIGKILL])
    late.start()
    passed = 0
    try:
        for line in process.stdout:
            passed += line.rstrip().endswith("... ok")
            if line.rstrip().endswith("... FAILED"):
                break
    finally:
        late.cancel()
        if process.poll() is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait()
    if process.returncode == -signal.SIGTERM:
        sys.exit("somebody ended a test: nothing is concluded from that")
    return passed == len(tests)


def who_passes(programs, jobs):
    """For each program its tests: name, seconds it takes, the changes it passes."""
    asked = []
    for stage, program in programs.items():
        listed = subprocess.run([program, "--list", "--format", "terse"], check=True, capture_output=True, text=True).stdout
        asked += [(stage, line.removesuffix(": test")) for line in listed.splitlines() if line.endswith(": test")]
    folder = WORK / "passed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def one(item):
        number, (stage, test) = item
        began, file = time.monotonic(), folder / str(number)
        if not run(programs[stage], [test], 3600, DECANT_MUTANTS_PASSED=str(file)):
            sys.exit(f"{test} fails without any change")
        numbers = {int(line) for line in file.read_text().split()} if file.exists() else set()
        return stage, test, time.monotonic() - began, numbers

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, enumerate(asked)))


def outcome_of(mutant, programs, tests):
    """What the tests say of one mutant."""
    asked = 0
    for stage in STAGES:
        mine = sorted((seconds, test) for of, test, seconds, passes in tests if of == stage and mutant.number in passes)
        asked += len(mine)
        seconds_max = SECONDS_BESIDE + TIMES_MAX * sum(seconds for seconds, _ in mine)
        if mine and not run(programs[stage], [test for _, test in mine], seconds_max, DECANT_MUTANT=str(mutant.number)):
            return f"noticed by {stage}"
    return "survives" if asked else "survives, no test comes by"


def is_explained(mutant, page):
    cells = (text.replace("|", "\\|") for text in (mutant.file, mutant.old, mutant.new))
    return "| " + " | ".join(f"`{cell}`" for cell in cells) + " |" in page


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="show the changes and end")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many are tried at once")
    parser.add_argument("files", nargs="*", default=FILES, help=f"below {CRATE}, as patterns")
    asked = parser.parse_args()
    copy_tree()
    mutants = named(rewrite(asked.files))
    if asked.list:
        for mutant in mutants.values():
            print(*mutant, sep="\t")
        return 0
    programs = compile_once()
    tests = who_passes(programs, asked.jobs)
    lines = OUTCOMES.read_text().splitlines() if OUTCOMES.exists() else []
    known = dict(line.rsplit("\t", 1) for line in lines)
    left = [name for name in mutants if known.get(name, "survives").startswith("survives")]
    left.sort(key=lambda name: name in known)
    print(f"{len(mutants)} changes, {len(left)} to be asked; {len(tests)} tests", flush=True)
    with OUTCOMES.open("a") as kept, concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        waiting = {pool.submit(outcome_of, mutants[name], programs, tests): name for name in left}
        for done in concurrent.futures.as_completed(waiting):
            name = waiting[done]
            known[name] = done.result()
            print(f"{name}\t{known[name]}", file=kept, flush=True)
            if known[name].startswith("survives"):
                print(*mutants[name], known[name], sep="\t", flush=True)
    page = PAGE.read_text()
    survivors = [mutant for name, mutant in mutants.items() if known[name].startswith("survives")]
    unexplained = [mutant for mutant in survivors if not is_explained(mutant, page)]
    for outcome, count in sorted(collections.Counter(known[name] for name in mutants).items()):
        print(f"{outcome}: {count}")
    print(f"explained: {len(survivors) - len(unexplained)}")
    for mutant in unexplained:
        print(f"survives, unexplained: {CRATE}/{mutant.file}:{mutant.line}: `{mutant.old}` as `{mutant.new}`")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
