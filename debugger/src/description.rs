//! The XML documents that a client asks for.

use crate::Architecture;
use cpu_core::{MemoryKind, RegionSpec, RegisterGroup, RegisterInfo};
use std::fmt::Write;

/// The target description of cores with these registers.
pub fn target_description(architecture: Architecture, registers: &[RegisterInfo]) -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n",
    );
    let _ = writeln!(xml, "<architecture>{}</architecture>", architecture.name());
    let mut features: Vec<&str> = Vec::new();
    for register in registers {
        let feature = architecture.feature(register);
        if !features.contains(&feature) {
            features.push(feature);
        }
    }
    for feature in features {
        let _ = writeln!(xml, "<feature name=\"{feature}\">");
        for register in registers.iter().filter(|register| architecture.feature(register) == feature) {
            let RegisterInfo { name, number, bits, kind, group } = register;
            let group = match group {
                RegisterGroup::General => "general",
                RegisterGroup::Float => "float",
                RegisterGroup::Vector => "vector",
                RegisterGroup::System => "system",
            };
            let _ = writeln!(
                xml,
                "<reg name=\"{name}\" bitsize=\"{bits}\" regnum=\"{number}\" type=\"{kind}\" group=\"{group}\"/>"
            );
        }
        xml.push_str("</feature>\n");
    }
    xml.push_str("</target>\n");
    xml
}

/// The memory map with these regions. A client uses nothing else then, so it is for targets without address translation.
pub fn memory_map<'a>(regions: impl Iterator<Item = &'a RegionSpec>) -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB Memory Map V1.0//EN\" \
         \"http://sourceware.org/gdb/gdb-memory-map.dtd\">\n<memory-map>\n",
    );
    for RegionSpec { base, size, kind, .. } in regions {
        let kind = match kind {
            MemoryKind::Ram => "ram",
            MemoryKind::Rom => "rom",
        };
        let _ = writeln!(xml, "<memory type=\"{kind}\" start=\"{base:#x}\" length=\"{size:#x}\"/>");
    }
    xml.push_str("</memory-map>\n");
    xml
}

/// Copies what a client asks of a document; how much that is.
pub(crate) fn part(document: &str, offset: u64, length: usize, into: &mut [u8]) -> usize {
    let rest =
        usize::try_from(offset).ok().and_then(|offset| document.as_bytes().get(offset..)).unwrap_or_default();
    let count = rest.len().min(length).min(into.len());
    if let (Some(into), Some(from)) = (into.get_mut(..count), rest.get(..count)) {
        into.copy_from_slice(from);
    }
    count
}
