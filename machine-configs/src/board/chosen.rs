//! The DTB that the guest gets: the tree without the emulator's properties, with `/chosen` filled.

use std::ops::Range;

use super::properties;
use crate::{dtb, source::Span, tree::Tree};

/// What `/chosen` tells the guest's kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The kernel's command line.
    pub bootargs: Option<String>,
    /// Where the initial ramdisk lies, as physical addresses.
    pub initrd: Option<Range<u64>>,
    /// Entropy for the kernel's random numbers; empty for none.
    pub rng_seed: Vec<u8>,
    /// Seed for the kernel's own placement; None leaves it where it is.
    pub kaslr_seed: Option<u64>,
    /// Hart that boots; written to the header.
    pub boot_cpu: Option<u32>,
}

/// The tree as the guest sees it.
pub(crate) fn guest_tree(tree: &Tree, chosen: &Chosen) -> Tree {
    let mut tree = tree.clone();
    properties::strip(&mut tree);
    let id = tree
        .child(Tree::ROOT, "chosen")
        .unwrap_or_else(|| tree.add_child(Tree::ROOT, "chosen", Span::default()));
    let mut set = |name: &str, data: Vec<u8>| {
        tree.set_prop(id, name, data, Span::default());
    };
    if let Some(args) = &chosen.bootargs {
        // The string ends at its first NUL.
        set("bootargs", args.bytes().take_while(|&b| b != 0).chain([0]).collect());
    }
    if let Some(initrd) = &chosen.initrd {
        set("linux,initrd-start", initrd.start.to_be_bytes().to_vec());
        set("linux,initrd-end", initrd.end.to_be_bytes().to_vec());
    }
    if !chosen.rng_seed.is_empty() {
        set("rng-seed", chosen.rng_seed.clone());
    }
    if let Some(seed) = chosen.kaslr_seed {
        set("kaslr-seed", seed.to_be_bytes().to_vec());
    }
    if let Some(cpu) = chosen.boot_cpu {
        tree.boot_cpuid = cpu;
    }
    tree
}

pub(crate) fn guest_dtb(tree: &Tree, chosen: &Chosen) -> Vec<u8> {
    dtb::write(&guest_tree(tree, chosen))
}
