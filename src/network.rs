//! The network of a sandbox that may reach something: the device inside, and the two processes outside that serve it.
//!
//! A sandbox has one device, on which all its packets leave its network namespace. Outside, the *packet process* reads them and moves
//! their payload to and from sockets; it may make no socket of its own. The *dialer* owns the policy, resolves names, and hands over
//! sockets that are connected already. When either of them is gone the network is closed, never open.

pub mod device;
pub mod dialer;
pub mod packet;
pub mod policy;
pub mod wire;

pub use device::{device, enforcement, opens_by_path, plan_device};
pub use wire::Device;
