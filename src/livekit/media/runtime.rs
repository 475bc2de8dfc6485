//! The tokio runtime as the webrtc crate needs it here: it looks up no names, starts no threads, forgets no task, and
//! does not sleep through a wake-up.

use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, TokioRuntime,
};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The driver misses a wake-up now and then: it looks again after this long while it connects.
const EAGER: Duration = Duration::from_millis(1);
/// And after this long when all that is left is to stay connected.
const CALM: Duration = Duration::from_millis(50);

/// Handed to one peer connection; [`Host::end`] ends whatever that has started.
pub(super) struct Host {
    calm: AtomicBool,
    /// Whether all tasks are to end.
    ended: sync::watch::Sender<bool>,
    /// To the peer connection's listeners: TCP connections that we have opened.
    opened: UnboundedSender<Tcp>,
    listened: Opened,
    /// What the peer connection believes to be its own address, by family: the sockets have all of them.
    claimed: Vec<SocketAddr>,
}

/// What all listeners of a peer connection take from.
type Opened = Arc<sync::Mutex<UnboundedReceiver<Tcp>>>;

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("claimed", &self.claimed).finish_non_exhaustive()
    }
}

impl Host {
    pub fn new(claimed: Vec<SocketAddr>) -> Self {
        let (opened, listened) = unbounded_channel();
        let (calm, ended, listened) =
            (AtomicBool::default(), sync::watch::Sender::default(), Arc::new(listened.into()));
        Self { calm, ended, opened, listened, claimed }
    }

    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// Connects to a TCP candidate of the server, and returns once the peer connection has that connection. Only then is
    /// the candidate to be added: the crate drops checks for which it has no connection yet, and the next one would
    /// come an interval later.
    pub async fn open_tcp(&self, peer: SocketAddr) -> io::Result<()> {
        let stream = TcpStream::connect(peer).await?;
        stream.set_nodelay(true)?;
        let mut local = stream.local_addr()?;
        if let Some(claimed) = self.claimed.iter().find(|claimed| claimed.is_ipv4() == peer.is_ipv4()) {
            local.set_ip(claimed.ip());
        }
        let (reader, writer) = stream.into_split();
        let (first_read, registered) = oneshot::channel();
        let (reader, writer) = (sync::Mutex::new((reader, Some(first_read))), sync::Mutex::new(writer));
        // An error in either means that the peer connection has ended.
        let _ = self.opened.send(Tcp { reader, writer, local, peer });
        let _ = registered.await;
        Ok(())
    }

    pub fn end(&self) {
        self.ended.send_replace(true);
    }
}

impl Runtime for Host {
    fn spawn(&self, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        let mut ended = self.ended.subscribe();
        TokioRuntime.spawn(Box::pin(async move {
            tokio::select! {
                _ = ended.wait_for(|ended| *ended) => {}
                () = future => {}
            }
        }))
    }

    /// The crate binds to one address and would not reach what is reached from another: this one reaches everything.
    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let bound = socket.local_addr()?;
        drop(socket);
        let any = if bound.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        TokioRuntime.wrap_udp_socket(UdpSocket::bind(SocketAddr::new(any, bound.port()))?)
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        let listener = TokioRuntime.wrap_tcp_listener(listener)?;
        Ok(Arc::new(Listener { listener, opened: self.listened.clone() }))
    }

    /// Asked for when a TCP candidate is added. Its connection was handed over before, by [`Host::open_tcp`].
    fn connect_tcp(&self, _: SocketAddr) -> Boxed<'_, io::Result<Arc<dyn AsyncTcpStream>>> {
        Box::pin(pending())
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        // IPv6 addresses come without their brackets.
        let address = host.rsplit_once(':').and_then(|(ip, port)| {
            Some(SocketAddr::new(ip.trim_matches(['[', ']']).parse().ok()?, port.parse().ok()?))
        });
        let found = address.map(|address| vec![address]).ok_or_else(|| io::ErrorKind::Unsupported.into());
        Box::pin(std::future::ready(found))
    }

    fn sleep(&self, duration: Duration) -> Boxed<'static, ()> {
        let cap = if self.calm.load(Ordering::Relaxed) { CALM } else { EAGER };
        Box::pin(tokio::time::sleep(duration.min(cap)))
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn name(&self) -> &'static str {
        "nest"
    }
}

/// Hands out the connections that others open to it, and those that we have opened: a peer connection takes either.
#[derive(Debug)]
struct Listener {
    listener: Arc<dyn AsyncTcpListener>,
    opened: Opened,
}

impl AsyncTcpListener for Listener {
    fn accept(&self) -> Boxed<'_, io::Result<(Arc<dyn AsyncTcpStream>, SocketAddr)>> {
        Box::pin(async move {
            let opened = async { self.opened.lock().await.recv().await };
            tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(stream) = opened => {
                    let peer = stream.peer;
                    Ok((Arc::new(stream) as Arc<dyn AsyncTcpStream>, peer))
                }
            }
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[derive(Debug)]
struct Tcp {
    /// And whom to tell about the first read: only a connection that is registered is read.
    reader: sync::Mutex<(OwnedReadHalf, Option<oneshot::Sender<()>>)>,
    writer: sync::Mutex<OwnedWriteHalf>,
    local: SocketAddr,
    peer: SocketAddr,
}

impl AsyncTcpStream for Tcp {
    fn read<'a, 'b>(&'a self, buffer: &'b mut [u8]) -> Boxed<'b, io::Result<usize>>
    where
        'a: 'b,
    {
        Box::pin(async move {
            let (reader, first_read) = &mut *self.reader.lock().await;
            if let Some(first_read) = first_read.take() {
                let _ = first_read.send(());
            }
            reader.read(buffer).await
        })
    }

    fn write_all<'a, 'b>(&'a self, bytes: &'b [u8]) -> Boxed<'b, io::Result<()>>
    where
        'a: 'b,
    {
        Box::pin(async move { self.writer.lock().await.write_all(bytes).await })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}
