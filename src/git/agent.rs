//! What of an ssh agent is lent to a sandbox: the list of keys, and signatures that log in where the call goes.
//!
//! draft-ietf-sshm-ssh-agent and RFC 4252, section 7. An agent signs whatever it is given: a commit, a certificate, a login elsewhere.
//! Lent to code that nobody has read, it signs the request of a login by the user of the address, and nothing else.

const LIST: u8 = 11;
const SIGN: u8 = 13;
/// What an agent answers that does not do something.
pub const FAILURE: u8 = 5;
/// SSH_MSG_USERAUTH_REQUEST.
const LOGIN: u8 = 50;
const SERVICE: &[u8] = b"ssh-connection";
const METHODS: [&[u8]; 2] = [b"publickey", b"publickey-hostbound-v00@openssh.com"];
/// Longer than any digest that identifies a connection.
const LONGEST_SESSION: usize = 128;

/// Whether a message may be passed on to the caller's agent; `user`: who the address says that one is there.
pub fn may_pass(message: &[u8], user: Option<&str>) -> bool {
    match message.split_first() {
        Some((&LIST, rest)) => rest.is_empty(),
        Some((&SIGN, rest)) => is_login(rest, user).is_some(),
        _ => false,
    }
}

/// Reads a request to sign: the key, what is signed, and flags.
fn is_login(request: &[u8], user: Option<&str>) -> Option<()> {
    let (_key, rest) = string(request)?;
    let (data, flags) = string(rest)?;
    let (session, data) = string(data)?;
    let (&LOGIN, data) = data.split_first()? else { return None };
    let (name, data) = string(data)?;
    let (service, data) = string(data)?;
    let (method, data) = string(data)?;
    let (&1, _) = data.split_first()? else { return None };
    let fits = flags.len() == 4
        && !session.is_empty()
        && session.len() <= LONGEST_SESSION
        && service == SERVICE
        && METHODS.contains(&method)
        && user.is_none_or(|user| user.as_bytes() == name);
    fits.then_some(())
}

/// The bytes behind a length, and the rest.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parts: &[&[u8]]) -> Vec<u8> {
        parts.iter().flat_map(|part| [&(part.len() as u32).to_be_bytes(), *part].concat()).collect()
    }

    fn login(user: &[u8], service: &[u8], method: &[u8]) -> Vec<u8> {
        let mut data = written(&[&[7; 32]]);
        data.push(LOGIN);
        data.extend(written(&[user, service, method]));
        data.push(1);
        data.extend(written(&[b"ssh-ed25519", b"key"]));
        [&[SIGN][..], &written(&[b"key", &data]), &[0, 0, 0, 2]].concat()
    }

    #[test]
    fn keys_are_listed_and_logins_of_the_user_signed() {
        assert!(may_pass(&[LIST], Some("git")));
        assert!(may_pass(&login(b"git", SERVICE, METHODS[0]), Some("git")));
        assert!(may_pass(&login(b"git", SERVICE, METHODS[1]), None));
    }

    #[test]
    fn nothing_else_is_passed_on() {
        let commit = [&[SIGN][..], &written(&[b"key", b"SSHSIG\0\0\0\x03git"]), &[0; 4]].concat();
        let mut cut = login(b"git", SERVICE, METHODS[0]);
        cut.pop();
        for message in [
            vec![],
            vec![LIST, 0],
            vec![17],
            vec![19],
            vec![27, 0, 0],
            commit,
            cut,
            login(b"root", SERVICE, METHODS[0]),
            login(b"git", b"ssh-userauth", METHODS[0]),
            login(b"git", SERVICE, b"hostbased"),
        ] {
            assert!(!may_pass(&message, Some("git")), "{message:?}");
        }
    }
}
