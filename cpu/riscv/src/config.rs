//! What a hart is made of.

use cpu_core::Time;
use thiserror::Error;

use crate::isa::Features;

/// The translation that a hart has, from its devicetree's `mmu-type`.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mmu {
    /// No S-mode (no `mmu-type`).
    None,
    /// S-mode without translation (`riscv,none`).
    Bare,
    /// `riscv,sv32`; on RV64 as [`Mmu::Bare`].
    Sv32,
    /// `riscv,sv39`.
    Sv39,
    /// `riscv,sv48`, and what is below.
    Sv48,
    /// `riscv,sv57`, and what is below.
    Sv57,
}

impl Mmu {
    /// From the value of `mmu-type`.
    pub fn from_devicetree(value: &str) -> Option<Mmu> {
        Some(match value {
            "riscv,none" => Mmu::Bare,
            "riscv,sv32" => Mmu::Sv32,
            "riscv,sv39" => Mmu::Sv39,
            "riscv,sv48" => Mmu::Sv48,
            "riscv,sv57" => Mmu::Sv57,
            _ => return None,
        })
    }

    /// The highest legal value of `satp`'s mode field.
    pub(crate) fn top_mode(self) -> u64 {
        match self {
            Mmu::None | Mmu::Bare => 0,
            Mmu::Sv32 => 1,
            Mmu::Sv39 => 8,
            Mmu::Sv48 => 9,
            Mmu::Sv57 => 10,
        }
    }
}

/// A hart can not be made as described.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ConfigError {
    /// Extensions that are not implemented.
    #[error("unknown or unsupported extensions: {}", .0.join(", "))]
    Extensions(Vec<String>),
    /// An extension without one that it depends on.
    #[error("extension {0} needs {1}")]
    Missing(&'static str, &'static str),
    /// A base other than `rv32i` and `rv64i`.
    #[error("unknown base {0}; expected rv32i or rv64i")]
    Base(String),
}

/// Accepted because nothing has to be done for them: coherent caches, main memory that supports all of A, misaligned accesses
/// in hardware, S-mode details that are always so here.
const INHERENT: [&str; 15] = [
    "ziccamoa",
    "ziccif",
    "zicclsm",
    "ziccrse",
    "za64rs",
    "za128rs",
    "zic64b",
    "zkt",
    "ssccptr",
    "sscounterenw",
    "sstvala",
    "sstvecd",
    "ssu64xl",
    "svbare",
    "svvptc",
];

/// Parts of an extension that exist only as the whole.
const PARTS: [(&str, &str); 5] = [("zaamo", "a"), ("zalrsc", "a"), ("zca", "c"), ("zcf", "c"), ("zcd", "c")];

/// Names that stand for several.
const GROUPS: [(&str, &[&str]); 4] = [
    ("g", &["i", "m", "a", "f", "d", "zicsr", "zifencei"]),
    ("b", &["zba", "zbb", "zbs"]),
    ("zkn", &["zbkb", "zbkc", "zbkx", "zkne", "zknd", "zknh"]),
    ("zks", &["zbkb", "zbkc", "zbkx", "zksed", "zksh"]),
];

/// Everything that does not change while the hart runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HartConfig {
    /// `mhartid`, and the core's index on the bus.
    pub hartid: u64,
    /// 32 or 64.
    pub xlen: u32,
    /// What exists; what does not is an illegal instruction or a register that is not there.
    pub extensions: Features,
    /// Of one clock cycle.
    pub period: Time,
    /// Translation; [`Mmu::None`] also removes S-mode.
    pub mmu: Mmu,
    /// Physical memory protection entries, at most 16.
    pub pmp_entries: usize,
    /// Where execution starts, in M-mode.
    pub reset_pc: u64,
    /// `ecall` from S-mode leaves [`cpu_core::Core::run`] with [`cpu_core::Exit::FirmwareCall`].
    pub firmware_calls: bool,
    /// The semihosting sequence leaves [`cpu_core::Core::run`] with [`cpu_core::Exit::Semihosting`].
    pub semihosting: bool,
}

impl HartConfig {
    /// A hart at 1 GHz with 16 PMP entries that starts at 0x1000 and takes all its traps itself. `base` and `names` are the
    /// values of the devicetree's `riscv,isa-base` and `riscv,isa-extensions`.
    pub fn new<'a>(
        hartid: u64,
        base: &str,
        names: impl IntoIterator<Item = &'a str>,
        mmu: Mmu,
    ) -> Result<HartConfig, ConfigError> {
        let (xlen, base) = match base {
            "rv32i" => (32, Features::RV32),
            "rv64i" => (64, Features::RV64),
            _ => return Err(ConfigError::Base(base.to_string())),
        };
        let mut extensions = parse_extensions(names)? | base | Features::I | Features::U;
        if mmu != Mmu::None {
            extensions = extensions | Features::S;
        }
        for (one, name, other, other_name) in [
            (Features::D, "d", Features::F, "f"),
            (Features::F, "f", Features::ZICSR, "zicsr"),
            (Features::ZFH, "zfh", Features::F, "f"),
            (Features::ZFHMIN, "zfhmin", Features::F, "f"),
            (Features::ZFA, "zfa", Features::F, "f"),
            (Features::ZCB, "zcb", Features::C, "c"),
            (Features::ZACAS, "zacas", Features::A, "a"),
            (Features::ZABHA, "zabha", Features::A, "a"),
            (Features::ZAWRS, "zawrs", Features::A, "a"),
        ] {
            if extensions.intersects(one) && !extensions.contains(other) {
                return Err(ConfigError::Missing(name, other_name));
            }
        }
        Ok(HartConfig {
            hartid,
            xlen,
            extensions,
            period: Time::from_ns(1),
            mmu,
            pmp_entries: 16,
            reset_pc: 0x1000,
            firmware_calls: false,
            semihosting: false,
        })
    }
}

/// The features that a list of extension names stands for.
pub fn parse_extensions<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Features, ConfigError> {
    /// Names of features that this crate's tables know but no hart has yet.
    const LATER: [&str; 8] = ["v", "smstateen", "sscofpmf", "zkr", "rv32", "rv64", "s", "u"];
    let mut features = Features::NONE;
    let (mut unknown, mut parts) = (Vec::new(), Vec::new());
    let mut pending: Vec<&str> = names.into_iter().collect();
    pending.reverse();
    while let Some(name) = pending.pop() {
        if let Some((_, members)) = GROUPS.iter().find(|(group, _)| *group == name) {
            pending.extend(members.iter());
        } else if let Some(part) = PARTS.iter().find(|(part, _)| *part == name) {
            parts.push(part);
        } else if INHERENT.contains(&name) {
            continue;
        } else if let Some(feature) = Features::from_name(name).filter(|_| !LATER.contains(&name)) {
            features = features | feature;
        } else {
            unknown.push(name.to_string());
        }
    }
    if !unknown.is_empty() {
        return Err(ConfigError::Extensions(unknown));
    }
    for (part, whole) in parts {
        if Features::from_name(whole).is_some_and(|whole| !features.contains(whole)) {
            return Err(ConfigError::Missing(part, whole));
        }
    }
    Ok(features)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_make_features() {
        let config = HartConfig::new(0, "rv64i", ["g", "c", "zba", "sstc", "ziccif"], Mmu::Sv57).unwrap();
        assert!(config.extensions.contains(Features::D | Features::ZIFENCEI | Features::S | Features::RV64));
        assert!(!config.extensions.intersects(Features::ZBB | Features::RV32));
        assert!(!HartConfig::new(0, "rv32i", ["m"], Mmu::None).unwrap().extensions.intersects(Features::S));
    }

    #[test]
    fn mistakes_are_listed() {
        assert_eq!(
            parse_extensions(["i", "xyzzy", "m", "v"]),
            Err(ConfigError::Extensions(vec!["xyzzy".into(), "v".into()]))
        );
        assert_eq!(HartConfig::new(0, "rv64i", ["d"], Mmu::None), Err(ConfigError::Missing("d", "f")));
        assert_eq!(parse_extensions(["zalrsc", "m"]), Err(ConfigError::Missing("zalrsc", "a")));
        assert!(parse_extensions(["zalrsc", "a", "zca", "c"]).is_ok());
        assert!(HartConfig::new(0, "rv128i", [], Mmu::None).is_err());
    }
}
