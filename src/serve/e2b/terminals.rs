//! Processes on a terminal: each is a session of the sandbox, of which this server is the one viewer and tells all others.
//!
//! The session stays where the server is killed, and ends with its sandbox; this API does not find it again.

use super::processes::{self, Begun, Ending, Process, Wanted, over};
use super::record::Sandbox;
use crate::serve::App;
use crate::serve::access::unguessable;
use crate::serve::backend::{Said, Sender};
use crate::serve::failure::{Answer, Failure};
use serde_json::{Value, json};
use std::time::Duration;

/// What stands before a terminal's name among the sandbox's sessions.
const PREFIX: &str = "e2b-pty-";
/// Sets the size before anything asks for it, says its number, and becomes the command.
const BEGIN: &str = "stty cols \"$1\" rows \"$2\" 2>/dev/null; shift 2; echo $$; exec \"$@\"";
/// What would make a viewer leave.
const LEAVE: u8 = 0x1d;
/// The most columns and rows.
const LARGEST: u64 = 1000;
/// What is typed at once.
const PIECE: usize = 32 << 10;

fn side(size: &Value, key: &str) -> Answer<u64> {
    let count = size[key].as_u64().filter(|count| (1..=LARGEST).contains(count));
    count.ok_or_else(|| Failure::bad(format!("pty: size: {key}: it is no number from 1 to {LARGEST}")))
}

/// Starts a command on a terminal of that size.
///
/// # Errors
///
/// The size is none, or the command cannot be started.
pub async fn begin(app: &App, sandbox: &Sandbox, wanted: Wanted, size: &Value) -> Answer<Begun> {
    let (columns, rows) = (side(size, "cols")?, side(size, "rows")?);
    let session = format!("{PREFIX}{}", &unguessable()?[..16]);
    let mut command = ["/bin/sh", "-c", BEGIN, "sh"].map(str::to_owned).to_vec();
    command.extend([columns.to_string(), rows.to_string(), "env".to_owned()]);
    command.extend(wanted.env.iter().map(|(name, value)| format!("{name}={value}")));
    command.extend(wanted.words);
    let mut parameters = json!({ "sandbox": sandbox.id(), "id": session, "command": command });
    if let Some(directory) = wanted.directory {
        parameters["workdir"] = Value::String(directory);
    }
    app.backend.call("pty.create", parameters).await?;
    let shown = async {
        // An image without `stty` gets its size here.
        sized(app, sandbox.id(), &session, (columns, rows)).await?;
        let attached = json!({ "sandbox": sandbox.id(), "id": session });
        let (input, mut told) = app.backend.stream("pty.attach", attached).await?;
        let (pid, rest) = processes::first_line(&mut told).await?;
        Ok((input, told, pid, rest))
    };
    match shown.await {
        Ok((input, told, pid, rest)) => {
            let limit = wanted.limit.map(Duration::from_millis);
            Ok(Begun { pid, terminal: Some(session), input, told, rest, limit })
        }
        Err(failure) => {
            remove(app, sandbox.id(), &session).await;
            Err(failure)
        }
    }
}

async fn sized(app: &App, id: &str, session: &str, (columns, rows): (u64, u64)) -> Answer<()> {
    let parameters = json!({ "sandbox": id, "id": session, "columns": columns, "rows": rows });
    app.backend.call("pty.resize", parameters).await?;
    Ok(())
}

/// Gives a terminal another size.
///
/// # Errors
///
/// The process has none, or the size is none.
pub async fn resize(app: &App, id: &str, process: &Process, size: &Value) -> Answer<()> {
    let session = process.terminal.as_deref().ok_or_else(|| Failure::bad("process: it has no terminal"))?;
    sized(app, id, session, (side(size, "cols")?, side(size, "rows")?)).await
}

/// Types.
///
/// # Errors
///
/// The terminal has gone.
pub async fn type_in(app: &App, id: &str, session: &str, (to, bytes): (&mut Sender, &[u8])) -> Answer<()> {
    for piece in bytes.chunk_by(|one, other| (*one == LEAVE) == (*other == LEAVE)) {
        if piece[0] != LEAVE {
            for piece in piece.chunks(PIECE) {
                to.write(piece).await?;
            }
            continue;
        }
        // A viewer would take it for himself.
        let (mut past, mut told) =
            app.backend.stream("session.input", json!({ "sandbox": id, "id": session, "job": 1 })).await?;
        past.write(piece).await?;
        past.end().await?;
        while let Said::Output { .. } = told.next().await? {}
    }
    Ok(())
}

/// Ends it, and what it has started. It may have gone with its sandbox.
pub async fn remove(app: &App, id: &str, session: &str) {
    let _ = app.backend.call("session.rm", json!({ "sandbox": id, "id": session })).await;
}

/// How the command on a terminal ended.
pub fn ending(result: &Value) -> Ending {
    let code = result["end"]["exit_code"].as_i64().unwrap_or(-1);
    match code {
        137 => over(-1, false, "signal: killed".to_owned()),
        143 => over(-1, false, "signal: terminated".to_owned()),
        code => over(code, true, format!("exit status {code}")),
    }
}
