//! What the commands do, in plain types: no arguments, no terminal, no environment.

pub mod mock;
