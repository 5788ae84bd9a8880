//! All guest-visible state as one hash.

use crate::machine::Machine;
use xxhash_rust::xxh3::Xxh3;

impl Machine {
    /// A 128-bit hash of memory, cores, devices, pending events, lines and virtual time. Equal runs give equal hashes.
    pub fn state_hash(&self) -> u128 {
        let mut hash = Xxh3::new();
        let mut add = |name: &str, bytes: &[u8]| {
            hash.update(name.as_bytes());
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for cpu in &self.cores {
            add("core", &cpu.view().save());
        }
        for slot in &self.bus.slots {
            add(&slot.name, &slot.device.save());
        }
        let services = &self.bus.services;
        add("events", &devices_core::state::encode(&services.events));
        add("lines", &devices_core::state::encode(services.wires.levels()));
        add("counter", &devices_core::state::encode(&services.counter));
        add("schedule", &devices_core::state::encode(&self.schedule));
        add("firmware", &devices_core::state::encode(&self.sbi));
        services.memory.for_each_page(|addr, page| add(&format!("{addr:x}"), page));
        hash.digest128()
    }
}
