//! Connections: no more at once than there is room for, each with a time in which a request has to say what it wants.
//!
//! A client that says nothing, or too slowly, is left after [`HEAD`], idle ones too, and who is still greeting. Who comes when there is no room waits until
//! somebody goes.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How long the head of a request may take, and a connection be without one.
const HEAD: Duration = Duration::from_secs(30);
/// Connections at once. Each may have a child with two pipes, and descriptors are a thousand in most places.
const MOST: usize = 256;
/// How long to wait when no connection can be taken, as where descriptors have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from.
pub enum Place {
    /// A port, and who speaks TLS there.
    Tcp(TcpListener, Option<TlsAcceptor>),
    /// A socket of the file system.
    Unix(UnixListener),
}

/// Takes connections and answers what comes by them; it does not end.
pub async fn serve(place: Place, router: Router) {
    let room = Arc::new(Semaphore::new(MOST));
    loop {
        // Nobody closes it.
        let Ok(taken) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = match &place {
            Place::Tcp(listener, tls) => listener.accept().await.map(|(stream, _)| {
                // Small answers are not to wait for more.
                let _ = stream.set_nodelay(true);
                let (router, tls) = (router.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, router).await,
                        // Who cannot greet, or does not in time, hears no more.
                        Some(tls) => {
                            if let Ok(Ok(stream)) = timeout(HEAD, tls.accept(stream)).await {
                                answer(stream, router).await;
                            }
                        }
                    }
                    drop(taken);
                });
            }),
            Place::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                let router = router.clone();
                tokio::spawn(async move {
                    answer(stream, router).await;
                    drop(taken);
                });
            }),
        };
        match accepted {
            Ok(()) => {}
            // The client has gone before it was its turn.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Answers what comes by one connection until it ends. How it ended is said by what was asked.
async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let _ = builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}
