//! Feeds one target with what libFuzzer thinks of.
#![no_main]

use nostr_nests_fuzz::TARGETS;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (_, target) = TARGETS.iter().find(|(name, _)| *name == env!("CARGO_BIN_NAME")).expect("each has its name");
    target(data);
});
