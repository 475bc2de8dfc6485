//! Every sentence that a person reads. The only place that names a flag.

pub mod notices;
