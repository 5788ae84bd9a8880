//! Virtio devices over MMIO, after the OASIS specification "Virtual I/O Device (VIRTIO) Version 1.2".
//!
//! [`mmio`] is the transport, one per slot; it owns the registers, the [`queue`]s and the interrupt, and calls a
//! [`device::VirtioDevice`]. The devices are one file or folder each. All of them complete a request while the
//! notification is served, so that no chain of buffers is ever in flight between two accesses of the guest and
//! a saved machine holds ring positions only.

use devices_core::Model;

pub mod blk;
pub mod console;
pub mod device;
pub mod gpu;
pub mod input;
pub mod mmio;
pub mod net;
pub mod p9;
pub mod queue;
pub mod rng;
#[cfg(test)]
mod testing;

/// The models of this folder.
pub static MODELS: &[Model] = &[Model {
    compatible: &["virtio,mmio"],
    summary: "virtio 1.2 device over MMIO",
    rom: &[],
    ram: &[],
    build: mmio::build,
}];
