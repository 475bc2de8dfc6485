//! What `nest restart ROOM --api URL --key-file PATH --check` does, from a program of your own.
//!
//! `cargo run --example restart -- https://nostrnests.com ROOM host.key`
#![allow(clippy::print_stdout, reason = "an example has no other way to show what it hears")]

use nostr_nests::{Error, Nests, Reporter, Stage, Warning};

/// Progress events arrive here.
struct Progress;

impl Reporter for Progress {
    fn step(&self, room: &str, step: Stage) {
        println!("{room}: {step:?}");
    }

    fn warning(&self, warning: &Warning) {
        println!("warning: {warning:?}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let (Some(api), Some(room), Some(key)) = (args.next(), args.next(), args.next()) else {
        println!("usage: restart API ROOM KEY_FILE");
        return Ok(());
    };
    let nests = Nests::builder().api(api).key_file(key).reporter(Progress).build()?;
    match nests.restart_and_check(&room).await {
        Ok(nest) => println!("{room} is back: {:?}", nest.endpoints),
        Err(Error::NotHost { host, .. }) => println!("{room} is the nest of {host:?}"),
        Err(Error::Unhealthy(nest)) => println!("{room} is back, and not well: {:?}", nest.check),
        Err(error) => return Err(error),
    }
    Ok(())
}
