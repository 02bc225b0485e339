//! What the command line prints, and how it exits: each transcript is a script and what was on the screen.
//!
//! A transcript runs in a copy of `transcripts/fleets`. `make bless` writes them again; the change is then reviewed as
//! a diff. `[..]` stands for what differs from run to run.

#[test]
fn the_command_line_says_what_its_transcripts_say() {
    trycmd::TestCases::new()
        .env("LC_ALL", "C.UTF-8")
        // A plan that a slow machine's clock cut short would be another plan.
        .env("DECANT_TIME_LIMIT", "1h")
        .env("NO_COLOR", "1")
        .env("HOME", "/nonexistent")
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .case("tests/transcripts/*.trycmd");
}
