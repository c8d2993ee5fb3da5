//! What a sandbox reaches, and what it does not: the real binary in a network of the tests' own (`world.py`), with real peers on public,
//! private and special addresses, and no packet that leaves the machine.
//!
//! As an ordinary user the device is a veth pair wherever `/dev/net/tun` is root's alone; as root it is a tun device.

#[path = "../common/mod.rs"]
mod common;
mod world;

mod addresses;
mod clients;
mod control;
mod first_bytes;
mod floods;
mod guest;
mod names;
mod truth;
mod works;
