//! Two network namespaces joined by a cable; needs root on Linux, iproute2 and iptables.

use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The server's address in each pair of them; the client has the next.
pub const SERVER: &str = "10.77.0.1";
pub const CLIENT: &str = "10.77.0.2";

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// One for the server and one for the client. Both are gone when it is dropped.
pub struct Namespaces {
    pub server: String,
    pub client: String,
}

fn run(command: &str) {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().expect(command);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Namespaces {
    pub fn new() -> Self {
        let unique = format!("{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let both = Self { server: format!("nest-{unique}-s"), client: format!("nest-{unique}-c") };
        let (server, client) = (&both.server, &both.client);
        for name in [server, client] {
            run(&format!("ip netns add {name}"));
            run(&format!("ip -n {name} link set lo up"));
        }
        run(&format!("ip -n {server} link add eth0 type veth peer name eth0 netns {client}"));
        for (name, address) in [(server, SERVER), (client, CLIENT)] {
            run(&format!("ip -n {name} addr add {address}/24 dev eth0"));
            run(&format!("ip -n {name} link set eth0 up"));
        }
        both
    }

    /// Adds a rule in the client's firewall.
    pub fn firewall(&self, rule: &str) {
        run(&format!("ip netns exec {} iptables {rule}", self.client));
    }

    /// Gives the client a way to the rest of the world, which ends at the server.
    pub fn default_route(&self) {
        run(&format!("ip -n {} route add default via {SERVER}", self.client));
    }

    /// Runs `work` as the client, on a thread of its own.
    pub fn as_client<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        let namespace = std::fs::File::open(format!("/var/run/netns/{}", self.client)).unwrap();
        std::thread::scope(|scope| {
            let inside = move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(work())
            };
            scope.spawn(inside).join().unwrap()
        })
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in [&self.server, &self.client] {
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}
