//! Turns the instruction tables into Rust.

fn main() {
    let tables = ["thumb", "wide", "dsp", "vfp"];
    cpu_decode::build_script(&cpu_decode::Config {
        tables: tables.iter().map(|t| format!("isa/{t}.insn").into()).collect(),
        formatters: "crate::isa::fmt".into(),
        functions: "crate::sem".into(),
        semantics: "crate::semantics::Arm".into(),
        flow: "cpu_core::Flow".into(),
    });
}
