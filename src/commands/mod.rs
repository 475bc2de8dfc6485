//! What each command does, in plain types: no arguments, no terminal, no environment.

pub mod key;
