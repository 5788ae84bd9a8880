//! Arm M-profile cores: what `/cpus` and the interrupt controller say of them.

use super::{describe::Context, describe::enabled, description::ArmCore};
use crate::tree::{NodeId, Property, Tree};

/// What a core of a `compatible` has where its board does not say more: name, bits of priority, MPU regions, FPU.
const PARTS: [(&str, u32, u32, bool); 6] = [
    ("arm,cortex-m0", 2, 0, false),
    ("arm,cortex-m0+", 2, 0, false),
    ("arm,cortex-m3", 3, 0, false),
    ("arm,cortex-m4", 3, 0, false),
    ("arm,cortex-m4f", 3, 0, true),
    ("arm,cortex-m1", 2, 0, false),
];

/// Interrupt controllers that are part of a core.
const NVICS: [&str; 3] = ["arm,v6m-nvic", "arm,v7m-nvic", "arm,v8m-nvic"];

/// The enabled interrupt controllers of M-profile cores.
pub(crate) fn controllers(tree: &Tree) -> Vec<NodeId> {
    let is_nvic = |id: &NodeId| {
        let compatible = tree.prop(*id, "compatible").and_then(Property::strings).unwrap_or_default();
        enabled(tree, *id) && compatible.iter().any(|c| NVICS.contains(&c.as_str()))
    };
    tree.walk().into_iter().filter(is_nvic).collect()
}

/// What the core at `id` has.
pub(crate) fn core_of(c: &mut Context<'_>, id: NodeId, compatible: &[String]) -> Option<ArmCore> {
    let tree = c.tree;
    let &(part, priority_bits, mpu_regions, fpu) =
        compatible.iter().find_map(|c| PARTS.iter().find(|part| part.0 == c))?;
    // The MPU is a node below the core; its regions may stand on either.
    let mut mpu = within(c, id, "arm,num-mpu-regions", 0, 16);
    for child in tree.children(id) {
        mpu = mpu.or(within(c, child, "arm,num-mpu-regions", 0, 16));
    }
    let mut core = ArmCore {
        part: part.into(),
        priority_bits,
        interrupts: 32,
        mpu_regions: mpu.unwrap_or(mpu_regions),
        fpu,
        bit_band: tree.prop(id, "hyperemu,bit-band").is_some(),
    };
    let Some(&nvic) = controllers(tree).first() else {
        let help = "include <armv7-m.dtsi> or <armv6-m.dtsi>";
        c.error(tree.node(id).span, "an M-profile core needs its interrupt controller", help);
        return None;
    };
    if let Some(bits) = within(c, nvic, "arm,num-irq-priority-bits", 2, 8) {
        core.priority_bits = bits;
    }
    if let Some(count) = within(c, nvic, "hyperemu,interrupts", 1, 496) {
        core.interrupts = count;
    }
    Some(core)
}

/// A number within bounds, if it is there.
fn within(c: &mut Context<'_>, id: NodeId, name: &str, low: u32, high: u32) -> Option<u32> {
    let value = u32::try_from(c.number(id, name)?).unwrap_or(u32::MAX);
    if !(low..=high).contains(&value) {
        let span = c.span(id, name);
        c.error(span, format!("`{name}` must be from {low} to {high}"), "");
        return None;
    }
    Some(value)
}
