//! hyperemu.
fn main() {}
