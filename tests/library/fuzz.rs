//! The targets of `fuzz/` on any Rust: their seeds, and what mutations make of them. `FUZZ_INPUTS=10000000` tries so many in
//! all. Whatever breaks a target becomes one of its seeds.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::support::current::root;
use crate::support::nest::at_once;

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// What parsers count with, look for, or do not expect.
const WORDS: [&str; 24] = [
    "-1",
    "0",
    "1e999",
    "9223372036854775807",
    "18446744073709551615",
    "253402300800",
    "null",
    "true",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\n",
    "\r\n",
    "\0",
    "%2f",
    "=",
    "\u{202e}",
    "é",
    "://",
];

/// Marsaglia's xorshift: the same inputs each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        for shift in [13, -7, 17] {
            self.0 ^= if shift > 0 { self.0 << shift } else { self.0 >> -shift };
        }
        usize::try_from(self.0 >> 16).unwrap() % end.max(1)
    }

    /// One change: a part is replaced by a word, by a part of another seed or of itself, or by other bytes.
    fn mutate(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let from = self.below(input.len() + 1);
        let to = (from + self.below(9)).min(input.len());
        let other = &seeds[self.below(seeds.len())];
        let part = match self.below(6) {
            0 => WORDS[self.below(WORDS.len())].as_bytes().to_vec(),
            1 => other[self.below(other.len())..].to_vec(),
            2 => input[self.below(from + 1)..from].to_vec(),
            3 => Vec::new(),
            4 => (0..=self.below(4)).map(|_| u8::try_from(self.below(256)).unwrap()).collect(),
            _ => input[from..to].iter().map(|byte| byte ^ (1 << self.below(8))).collect(),
        };
        input.splice(from..to, part);
        input.truncate(4096);
    }
}

#[test]
fn whatever_strangers_send_is_read_or_refused() {
    let inputs = std::env::var("FUZZ_INPUTS").map_or(11_000, |inputs| inputs.parse().unwrap());
    let each = inputs / targets::TARGETS.len();
    let manifest = fs::read_to_string(root("fuzz/Cargo.toml")).unwrap();
    at_once(&targets::TARGETS, |(name, target)| {
        assert!(manifest.contains(&format!("[[bin]]\nname = \"{name}\"\n")), "cargo fuzz does not know {name}");
        let seeds = root("fuzz/seeds").join(name);
        let mut seeds: Vec<_> = fs::read_dir(seeds).unwrap().map(|file| file.unwrap().path()).collect();
        seeds.sort();
        let seeds: Vec<_> = seeds.iter().map(|path| fs::read(path).unwrap()).collect();
        let run = |input: &[u8]| {
            let ran = catch_unwind(AssertUnwindSafe(|| target(input)));
            assert!(ran.is_ok(), "a seed for fuzz/seeds/{name}: \"{}\"", input.escape_ascii());
        };
        for seed in &seeds {
            run(seed);
        }
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut input = Vec::new();
        for _ in 0..each {
            // Most go on from where the last one led, so that several changes come together.
            if random.below(8) == 0 || input.is_empty() {
                input.clone_from(&seeds[random.below(seeds.len())]);
            }
            random.mutate(&mut input, &seeds);
            run(&input);
        }
        println!("{name}: {} inputs", each + seeds.len());
    });
}
