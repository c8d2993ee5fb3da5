//! Connections: no more at once than there is room for, each with a time in which a request has to say what it wants.
//!
//! A client that says nothing, or too slowly, is left after [`HEAD`], idle ones too, and who is still greeting. Who comes when there is no room takes the
//! place of the oldest that has asked for nothing that it may, and waits where there is none.

use axum::Router;
use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How long the head of a request may take, and a connection be without one.
const HEAD: Duration = Duration::from_secs(30);
/// Connections at once. Each may have a child with two pipes, and descriptors are a thousand in most places.
pub const MOST: usize = 256;
/// How long to wait when no connection can be taken, as where descriptors have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from.
pub enum Place {
    /// A port, and who speaks TLS there.
    Tcp(TcpListener, Option<TlsAcceptor>),
    /// A socket of the file system.
    Unix(UnixListener),
}

/// Connections by their age, each with whether it has asked for something that it may ask for.
#[derive(Default)]
struct Known(VecDeque<(Arc<AtomicBool>, AbortHandle)>);

impl Known {
    /// Leaves the oldest that has asked for nothing, or for nothing that it may: it has no more right to stay than who comes now.
    fn displace(&mut self) {
        self.0.retain(|(_, task)| !task.is_finished());
        let idle = self.0.iter().position(|(admitted, _)| !admitted.load(Ordering::Relaxed));
        if let Some((_, task)) = idle.and_then(|at| self.0.remove(at)) {
            task.abort();
        }
    }

    fn add(&mut self, admitted: Arc<AtomicBool>, task: AbortHandle) {
        if self.0.len() >= 2 * MOST {
            self.0.retain(|(_, task)| !task.is_finished());
        }
        self.0.push_back((admitted, task));
    }
}

/// Takes connections and answers what comes by them; it does not end.
pub async fn serve(place: Place, router: Router) {
    let (room, mut known) = (Arc::new(Semaphore::new(MOST)), Known::default());
    loop {
        if room.available_permits() == 0 {
            known.displace();
        }
        // Nobody closes it.
        let Ok(taken) = Arc::clone(&room).acquire_owned().await else { return };
        let (router, admitted) = (router.clone(), Arc::new(AtomicBool::new(false)));
        let flag = Arc::clone(&admitted);
        let accepted = match &place {
            Place::Tcp(listener, tls) => listener.accept().await.map(|(stream, _)| {
                // Small answers are not to wait for more.
                let _ = stream.set_nodelay(true);
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, router, flag).await,
                        // Who cannot greet, or does not in time, hears no more.
                        Some(tls) => {
                            if let Ok(Ok(stream)) = timeout(HEAD, tls.accept(stream)).await {
                                answer(stream, router, flag).await;
                            }
                        }
                    }
                    drop(taken);
                })
            }),
            Place::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                tokio::spawn(async move {
                    answer(stream, router, flag).await;
                    drop(taken);
                })
            }),
        };
        match accepted {
            Ok(task) => known.add(admitted, task.abort_handle()),
            // The client has gone before it was its turn.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Answers what comes by one connection until it ends. How it ended is said by what was asked.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    admitted: Arc<AtomicBool>,
) {
    let inner = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        // Until it is known that it may not: what goes on is not to be displaced.
        admitted.store(true, Ordering::Relaxed);
        let (answered, admitted) = (inner.call(request), Arc::clone(&admitted));
        async move {
            let response = answered.await;
            let refused = |status: StatusCode| matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            if response.as_ref().is_ok_and(|response| refused(response.status())) {
                admitted.store(false, Ordering::Relaxed);
            }
            response
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let _ = builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}
