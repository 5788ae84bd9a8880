//! Turns the instruction tables into Rust.

fn main() {
    let tables = ["base", "m", "a", "f", "d", "zfh", "zfa", "b", "k", "system", "c"];
    cpu_decode::build_script(&cpu_decode::Config {
        tables: tables.iter().map(|t| format!("isa/{t}.insn").into()).collect(),
        formatters: "crate::isa::fmt".into(),
        functions: "crate::sem".into(),
        semantics: "crate::semantics::Riscv".into(),
        flow: "cpu_core::Flow".into(),
    });
}
